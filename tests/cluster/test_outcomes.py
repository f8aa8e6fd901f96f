"""How a launch ends when not all goes well on the cluster."""

import json
import socket
import subprocess
import time

import pytest

from tests.cluster.conftest import in_bucket
from tests.support.archive import Product, write_product
from tests.support.jobs import lonlat_box, write_job
from tests.support.object_storage import get_folder
from tests.support.scenes import town
from transforms.storage import storage

ULX, ULY = 330000, 5820000


def test_losses_are_listed_and_the_exit_code_says_so(running, tmp_path):
    archive = tmp_path / "archive"
    product = Product("33UUU", 32633, ULX, ULY, town(128, 256))
    folder = write_product(archive, product)
    (red,) = folder.glob("GRANULE/*/IMG_DATA/*_B04.jp2")
    red.write_bytes(red.read_bytes()[:200] + bytes(1000))
    area = lonlat_box(32633, ULX, ULY - 1280, ULX + 2560, ULY)
    file = write_job(tmp_path / "job", area, archive, name="losses", block_size=128)
    url = f"{running.bucket}/losses/products"
    ended = running.launch(in_bucket(file, archive, running.bucket, tmp_path), url)
    assert ended.returncode == 3, ended.stderr
    record = json.loads((get_folder(url, tmp_path / "got") / "run.json").read_text())
    assert record["exit_code"] == 3
    assert {loss["scene"] for loss in record["losses"]} == {product.name}
    assert product.name in ended.stdout


def test_a_cluster_without_pools_is_one_line(running, four_tiles_job, four_tiles_archive, tmp_path):
    file = in_bucket(four_tiles_job, four_tiles_archive, running.bucket, tmp_path)
    url = f"{running.bucket}/no-pools/products"
    ended = running.launch(file, url, "--environment_config=localhost:9")
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert line.startswith("ghsl-beam: the cluster did not finish the job: ")
    assert "Connection refused" in line
    assert "Caused by" not in line


@pytest.fixture
def silent(running):
    """An address that workers can connect to, and that never answers."""
    with socket.create_server((running.address, 0)) as server:
        yield f"{running.address}:{server.getsockname()[1]}"


def test_a_cluster_on_which_no_worker_begins_is_one_line(
    running, silent, four_tiles_job, four_tiles_archive, tmp_path
):
    file = in_bucket(four_tiles_job, four_tiles_archive, running.bucket, tmp_path)
    url = f"{running.bucket}/silent/products"
    ended = running.launch(file, url, f"--environment_config={silent}", "--worker_start_timeout=15")
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert line.startswith("ghsl-beam: no worker began within 15 s (--worker_start_timeout)")
    assert running.job_states()[-1] in ("CANCELLING", "CANCELLED")
    assert not storage.is_file(f"{url}/work/launch.lock")


def test_a_launch_that_is_stopped_stops_its_job(
    running, four_tiles_job, four_tiles_archive, tmp_path
):
    file = in_bucket(four_tiles_job, four_tiles_archive, running.bucket, tmp_path)
    url = f"{running.bucket}/stopped/products"
    command = running.command(file, url, "--quiet", "--set", "block_size=64")
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as launch:
        try:
            until = time.monotonic() + 240
            while not storage.listing(f"{url}/work/blocks/S2"):
                assert launch.poll() is None, launch.stderr.read()
                assert time.monotonic() < until, "no block was made"
                time.sleep(0.1)
            launch.terminate()
            _, errors = launch.communicate(timeout=60)
        finally:
            launch.kill()
    assert launch.returncode == 1
    assert errors == "ghsl-beam: stopped by SIGTERM: the same command continues where it stopped\n"
    assert running.job_states()[-1] in ("CANCELLING", "CANCELLED")
    record = json.loads((get_folder(url, tmp_path / "got") / "run.json").read_text())
    assert record["exit_code"] == 1
    assert record["error"].startswith("KeyboardInterrupt: SIGTERM")
    assert not storage.is_file(f"{url}/work/launch.lock")
