"""Files of a finished output that change later: the next launch makes them again, and only them."""

import hashlib
import json
import os
import shutil

import pytest
import rasterio.shutil

from ghsl_beam.running import launch, product_sums
from tests.pipeline.faults import conftest
from tests.pipeline.faults.table import fault


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A job, and its whole output; its finest level is published with mosaics."""
    grids = [{"crs": "ESRI:54009", "resolutions": [10, 100]}]
    job = conftest.small_job(tmp_path_factory.mktemp("whole"), grids=grids)
    return job, job.run()[0]


def cut(path):
    os.truncate(path, path.stat().st_size * 6 // 10)


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) * 6 // 10] ^= 4
    path.write_bytes(data)


def empty(path):
    os.truncate(path, 0)


def lengthen(path):
    path.write_bytes(path.read_bytes() + b"more")


def rewrite(path):
    """As by a tool that copies it, with all its tags: other bytes."""
    before = path.with_suffix(".before")
    path.rename(before)
    rasterio.shutil.copy(before, path, driver="GTiff")
    before.unlink()


# name -> files, what is done to each, and whether only `--verify` can notice it
LATER = {
    "product cut after the run": ("utm/*/BUFRAC_RAW_*.tif", cut, False),
    "product emptied after the run": ("utm/*/S2_E*.tif", empty, False),
    "product lengthened after the run": ("utm/*/GREENNESS_*.tif", lengthen, False),
    "product rewritten by another tool": ("utm/*/RES_NRES_*.tif", rewrite, False),
    "product of a grid cut after the run": ("grid/*_100/BUILT_S_E*.tif", cut, False),
    "product's bit flipped after the run (--verify)": ("utm/*/BUFRAC_E*.tif", flip, True),
    "bit of a grid's product flipped after the run (--verify)": (
        "grid/*_10/BUILT_S_E*_r*.tif",
        flip,
        True,
    ),
    "mosaic cut after the run": ("[gu]*/**/BU*.vrt", cut, False),
    "mosaic removed after the run": ("[gu]*/**/BU*.vrt", os.unlink, False),
    "mosaic changed after the run (--verify)": ("[gu]*/**/BU*.vrt", flip, True),
    "catalogue cut after the run": ("catalog.json", cut, False),
    "item of the catalogue cut after the run": ("stac/utm/*.json", cut, False),
    "item of the catalogue removed after the run": ("stac/*_100/*.json", os.unlink, False),
    "item of the catalogue changed after the run (--verify)": ("stac/utm/*.json", flip, True),
    "report cut after the run": ("report/index.html", cut, False),
    "report removed after the run": ("report/index.html", os.unlink, False),
    "record cut after the run": ("run.json", cut, False),
    "record removed after the run": ("run.json", os.unlink, False),
}
for name, (_, _, only_verified) in LATER.items():
    fault(
        "finished",
        name,
        f"the next launch{' with it' if only_verified else ''} makes it again, with the same "
        "bytes, and whole files stay; 0",
    )


def bytes_of(output):
    """All files except logs and the record, which contain times."""
    return {
        str(path.relative_to(output)): path.read_bytes()
        for path in sorted(output.rglob("*"))
        if path.is_file() and path.relative_to(output).parts[0] not in ("logs", "run.json")
    }


@pytest.mark.parametrize("name", LATER)
def test_what_is_damaged_after_the_run_is_made_again(name, whole, tmp_path):
    job, output = whole
    pattern, damage, only_verified = LATER[name]
    copy = shutil.copytree(output, tmp_path / "output")
    found = list(copy.glob(pattern))
    assert found
    for path in found:
        damage(path)
    products = {path: path.stat().st_ino for path in copy.glob("[ug]*/**/*.tif")}
    setting = f"output={copy}"
    if only_verified:
        before = bytes_of(copy)
        assert job.run(setting)[1]["computed"] == 0
        assert bytes_of(copy) == before, "a launch that does not verify looks at sizes"
    _, record = job.run(setting, verify=only_verified)
    assert (record["exit_code"], record["losses"]) == (0, [])
    expected = bytes_of(output)
    # The report names times and the output; its text is compared elsewhere.
    made = bytes_of(copy)
    assert made.pop("report/index.html")
    expected.pop("report/index.html")
    assert made == expected
    for path in products.keys() - set(found):
        made_of_it = record["computed"] and path.parts[-3] == "grid"
        assert made_of_it or path.stat().st_ino == products[path], f"{path} was written again"
    check_sums(copy)
    assert not (copy / "work").exists()


def check_sums(output):
    """The record has the size and SHA-256 of every file but those for QGIS."""
    record = json.loads((output / "run.json").read_text())
    stated = {file["path"]: (file["size"], file["sha256"]) for file in record["files"]}
    stated |= {p["path"]: (p["size"], p["sha256"]) for p in record["products"]}
    assert stated == {
        path: (len(data), hashlib.sha256(data).hexdigest())
        for path, data in bytes_of(output).items()
        if not path.endswith((".qml", ".qgs", ".aux.xml"))
    }


fault(
    "finished",
    "record with false sums, or of another output",
    "only checksums of existing products are used from it; `--verify` corrects them; 0",
)


def test_a_record_that_is_not_ours(whole, tmp_path):
    job, output = whole
    copy = shutil.copytree(output, tmp_path / "output")
    outside = tmp_path / "outside.tif"
    outside.write_bytes(b"not ours")
    record = json.loads((copy / "run.json").read_text())
    for product in record["products"]:
        product["sha256"] = "0" * 64
    record["products"].append({**record["products"][0], "path": "../outside.tif"})
    record["files"].append({"path": "../outside.tif", "size": 3, "sha256": "0" * 64})
    (copy / "run.json").write_text(json.dumps(record))
    before = bytes_of(copy)
    _, record = job.run(f"output={copy}", verify=True)
    assert (record["exit_code"], record["computed"]) == (0, 0)
    assert bytes_of(copy).keys() == before.keys()
    assert outside.read_bytes() == b"not ours"
    check_sums(copy)


fault(
    "finished",
    "killed before the record was written",
    "the next launch makes no product again, and the record has the checksums of all; 0",
)


def test_sums_outlive_a_launch_that_was_killed(whole, tmp_path, monkeypatch):
    """Notes of the work area have them: no product is read for its checksum."""
    job, output = whole
    copy = shutil.copytree(output, tmp_path / "output")
    next(copy.glob("utm/*/GREENNESS_*.tif")).unlink()

    class KilledError(BaseException):
        pass

    def kill(*_):
        raise KilledError

    with monkeypatch.context() as patch:
        for name in ("finish", "record_failure"):
            patch.setattr(launch, name, kill)
        with pytest.raises(KilledError):
            job.run(f"output={copy}")
    assert json.loads((copy / "run.json").read_text())["products"] == []
    with monkeypatch.context() as patch:
        patch.setattr(product_sums, "content", kill)
        _, record = job.run(f"output={copy}")
    assert (record["exit_code"], record["computed"]) == (0, 0)
    check_sums(copy)
