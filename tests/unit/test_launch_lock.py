"""One launch at a time, on a local disk and on object storage."""

import json

import pytest

from ghsl_beam.launch_lock import only_launch
from tests.support.object_storage import make_bucket, s3_service, using
from transforms.elements import RequestError
from transforms.raster import storage

BEAT = 0.4


@pytest.fixture(scope="module")
def bucket():
    with s3_service() as address, using(address):
        yield make_bucket("locks")


@pytest.fixture(params=["local", "s3"])
def output(request, tmp_path, bucket):
    return str(tmp_path / "out") if request.param == "local" else f"{bucket}/{tmp_path.name}"


def test_a_second_launch_is_refused_while_the_first_is_at_work(output):
    with only_launch(output, BEAT):
        with pytest.raises(RequestError) as refused, only_launch(output, BEAT):
            pass
        assert f"another launch is at work on {output} (process " in str(refused.value)
    with only_launch(output, BEAT):
        pass


def test_a_launch_that_fails_lets_the_next_in(output):
    with pytest.raises(ZeroDivisionError), only_launch(output, BEAT):
        1 / 0  # noqa: B018
    with only_launch(output, BEAT):
        pass


def test_the_work_area_may_go_while_its_lock_is_held(output):
    with only_launch(output, BEAT):
        storage.remove_tree(storage.join(output, "work"))
    with only_launch(output, BEAT):
        pass


def test_a_lock_that_was_left_behind_on_object_storage(bucket):
    output = f"{bucket}/left"
    lock = f"{output}/work/launch.lock"
    storage.write_whole(lock, json.dumps({"launch": "gone", "holder": "x", "beat": 7}).encode())
    with only_launch(output, BEAT):
        assert b"gone" not in storage.read_bytes(lock, 1000)
    assert not storage.is_file(lock)


def test_a_file_that_was_left_behind_on_a_local_disk(tmp_path):
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "launch.lock").write_text("process 1 on another machine")
    with only_launch(str(tmp_path), BEAT):
        pass
