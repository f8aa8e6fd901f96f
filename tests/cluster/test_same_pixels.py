"""On a cluster whose hosts share nothing but buckets: the DirectRunner's pixels in every layer."""

import json

from tests.cluster.conftest import DEMONSTRATION, in_bucket
from tests.support.jobs import differing, layers
from tests.support.object_storage import get_folder
from tests.support.terminal import counts_of, on_terminal


def test_hosts_see_no_file_of_the_others(running, four_tiles_archive):
    hosts = [running.cluster.head, *running.cluster.workers]
    for host in hosts:
        (host.folder / f"of-{host.name}").write_text("")
    for host in hosts:
        found = host.start("look", ["find", str(four_tiles_archive.parents[0]), "-name", "*"])
        found.popen.wait(30)
        text = found.log.read_text()
        assert [other.name for other in hosts if f"of-{other.name}" in text] == [host.name]
        assert four_tiles_archive.name not in text


def test_four_tiles(running, four_tiles_job, four_tiles_archive, four_tiles_made, tmp_path):
    file = in_bucket(four_tiles_job, four_tiles_archive, running.bucket, tmp_path)
    url = f"{running.bucket}/town/products"
    code, shown = on_terminal(running.command(file, url))
    assert code == 0, shown
    folder = get_folder(url, tmp_path / "got")
    output, record = four_tiles_made
    assert not any(differing(layers(output), layers(folder)).values())
    assert len(layers(output)) == 4 * 7 + 2 * 3
    written = json.loads((folder / "run.json").read_text())
    assert written["counts"] == record["counts"]
    assert (written["exit_code"], written["losses"], written["computed"]) == (0, [], 34)
    assert set(written["stages"]) == set(record["stages"])
    assert not (folder / "work").exists()
    _assert_followed(shown, written)


def _assert_followed(shown, record):
    """What the workers did was seen while they did it, and all of it in the end."""
    blocks = record["counts"]["blocks"]
    for stage in ("assembly", "inference", "cleaning", "classification", "greenness"):
        assert counts_of(stage, shown)[-1] == (blocks, blocks), stage
    products = record["computed"]
    seen = counts_of("publish", shown)
    assert seen[-1] == (products, products)
    assert {done for done, _ in seen} - {0, products}, "nothing was seen on the way"
    assert any(
        assembled == (blocks, blocks) and published[0] < products
        for assembled, published in zip(counts_of("assembly", shown), seen, strict=False)
    ), "stages were not seen one after the other"


def test_the_demonstration(running, tmp_path, sample, demonstration_made):
    file = in_bucket(DEMONSTRATION, sample, running.bucket, tmp_path)
    url = f"{running.bucket}/havelland/products"
    ended = running.launch(file, url)
    assert (ended.returncode, ended.stderr) == (0, "")
    folder = get_folder(url, tmp_path / "got")
    assert not any(differing(layers(demonstration_made), layers(folder)).values())
