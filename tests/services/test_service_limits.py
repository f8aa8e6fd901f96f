"""A server that counts: what many processes of a machine ask of a service stays in its limits."""

import subprocess
import sys
from dataclasses import asdict

import pytest

from tests.support.object_storage import make_bucket, s3_service, using
from tests.support.storage_services import KEYS, Service, keys
from transforms.storage import services, storage
from transforms.storage.services import service as of_services

BUCKET, FILES = "limited-bucket", 6
CONNECTIONS, A_MINUTE = 2, 900
WORK = """
import sys
from concurrent.futures import ThreadPoolExecutor
from transforms.elements import StorageError
from transforms.storage import services, storage
services.use(services.Services((services.Service(**{told}),)))
def ask(number):
    place = f"s3://{bucket}/{{number % {files}}}.bin"
    try:
        storage.sha256(place), storage.size(place), storage.listing("s3://{bucket}")
        storage.glob("s3://{bucket}", "*.bin"), storage.objects_below("s3://{bucket}")
        storage.read_bytes(place, 1 << 20)
    except StorageError as error:
        print(error)
with ThreadPoolExecutor(5) as pool:
    list(pool.map(ask, range(10)))
"""


@pytest.fixture(scope="module")
def address():
    """A service with the files."""
    with s3_service() as address:
        with using(address):
            make_bucket(BUCKET)
            for number in range(FILES):
                storage.write_whole(f"s3://{BUCKET}/{number}.bin", bytes(1000))
        yield address


@pytest.fixture
def counted(address, tmp_path, monkeypatch):
    """A front of it that counts, and its description."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    front = Service(address, KEYS["FAR"][0], BUCKET)
    described = services.Service(
        "far",
        (BUCKET,),
        front.address,
        "default",
        keys="env:FAR",
        connections=CONNECTIONS,
        requests_per_minute=A_MINUTE,
    )
    with keys("FAR"):
        yield front, described
    front.close()


def work(described, processes):
    told = asdict(described)
    script = WORK.format(told=told, bucket=BUCKET, files=FILES)
    running = [
        subprocess.Popen(
            [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        for _ in range(processes)
    ]
    return [process.communicate(timeout=300)[0].decode() for process in running]


def check_rate(arrivals, described):
    """In a window of any length no more comes than may come: so in a minute, too.

    What was sent at even times may come a little later, and the next one not.
    """
    late = 0.5
    for first, begin in enumerate(arrivals):
        for number, end in enumerate(arrivals[first:], 1):
            allowed = (end - begin + late + of_services.BURST) / described.pause + 1
            assert number <= allowed, (number, end - begin)
    assert (60 + of_services.BURST + late) / described.pause + 1 <= A_MINUTE


@pytest.mark.parametrize("faults", [0, 7], ids=["well", "with faults"])
def test_processes_of_a_machine_share_the_limits(counted, faults):
    front, described = counted
    front.slow = 0.01
    if faults:  # one of so many requests: they are sent again, and counted
        front.every, front.fault = faults, (503, {}, "")
    said = work(described, processes=3)
    assert not [text for text in said if "s3://" in text]  # what was lost
    assert front.most == CONNECTIONS
    assert len(front.arrivals) >= 3 * 10 * 7
    assert front.given >= faults
    check_rate(front.arrivals, described)


def test_without_limits_there_are_more_at_a_time(counted):
    """So the server does count."""
    front, described = counted
    front.slow = 0.05
    free = services.Service(
        **{**asdict(described), "connections": None, "requests_per_minute": None}
    )
    assert work(free, processes=1) == [""]
    assert front.most > CONNECTIONS


def test_a_process_that_is_killed_frees_its_connection(counted, tmp_path):
    front, described = counted
    one = services.Service(**{**asdict(described), "connections": 1})
    script = f"""
import time
from transforms.storage import services
with services.slot(services.Service(**{asdict(one)!r})):
    print("held", flush=True)
    time.sleep(100)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"held\n"
        process.kill()
        process.wait()
    assert work(one, processes=1) == [""]
    assert front.most == 1
