"""One launch at a time, on a local disk and on object storage."""

import fcntl
import json
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ghsl_beam.running import lock as launch_lock
from ghsl_beam.running.completion import _remove_work_area
from ghsl_beam.running.lock import only_launch
from tests.support.object_storage import fronted, make_bucket, s3_service
from transforms.elements import StorageError, UnavailableError
from transforms.storage import conditional, storage
from transforms.work import work_files

BEAT = 0.4


CONDITIONS = ("if-match", "if-none-match")


@pytest.fixture(scope="module")
def service():
    with s3_service() as address, fronted(address) as front:
        yield front, make_bucket("locks")


@pytest.fixture
def bucket(service):
    return service[1]


@pytest.fixture
def unconditional(service):
    """A bucket whose service ignores conditions."""
    front, bucket = service
    front.ignored = CONDITIONS
    yield f"{bucket}/unconditional"
    front.ignored = ()


@pytest.fixture(params=["local", "s3", "s3 without conditional writes"])
def output(request, tmp_path):
    if request.param == "local":
        return str(tmp_path / "out")
    name = "bucket" if request.param == "s3" else "unconditional"
    return f"{request.getfixturevalue(name)}/{tmp_path.name}"


def test_a_second_launch_is_refused_while_the_first_is_at_work(output):
    with only_launch(output, BEAT):
        with pytest.raises(UnavailableError) as refused, only_launch(output, BEAT):
            pass
        assert f"another launch runs on {output} (process " in str(refused.value)
    with only_launch(output, BEAT):
        pass


def test_a_link_to_an_output_is_that_output(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "link").symlink_to("out")
    with (
        only_launch(str(tmp_path / "out")),
        pytest.raises(UnavailableError),
        only_launch(str(tmp_path / "link")),
    ):
        pass


def test_a_launch_that_fails_lets_the_next_in(output):
    with pytest.raises(ZeroDivisionError), only_launch(output, BEAT):
        1 / 0  # noqa: B018
    with only_launch(output, BEAT):
        pass


def test_the_work_area_may_go_while_its_lock_is_held(output):
    with only_launch(output, BEAT):
        work_files.remove(storage.join(output, "work"))
    with only_launch(output, BEAT):
        pass


def test_the_lock_goes_last_with_the_work_area(output, monkeypatch):
    work, left = storage.join(output, "work"), []
    remove = storage.remove

    def watched(location):
        if location == storage.join(work, "launch.lock"):
            left.append(storage.listing(work))
        remove(location)

    monkeypatch.setattr(storage, "remove", watched)
    with only_launch(output, BEAT):
        for path in ("plan/33UUU.json", "blocks/S2/33UUU/r0_c0_8x8.tif"):
            storage.write_whole(storage.join(work, path), b"x")
        _remove_work_area(output)
        assert storage.listing(work) == []
    assert left[0] == ["launch.lock"]


def test_the_work_area_may_go_before_its_lock_is_opened_or_held(tmp_path, monkeypatch):
    """Another launch ends, and removes it, at the worst of moments."""
    work, opened, lock = tmp_path / "work", Path.open, fcntl.flock
    gone = []

    def remove():
        gone.append(True)
        shutil.rmtree(work)

    def late_open(path, *arguments, **named):
        if len(gone) < 2:
            remove()
        return opened(path, *arguments, **named)

    def late_lock(*arguments):
        if len(gone) < 4:
            remove()
        return lock(*arguments)

    monkeypatch.setattr(Path, "open", late_open)
    monkeypatch.setattr(fcntl, "flock", late_lock)
    with only_launch(str(tmp_path), BEAT):
        assert len(gone) == 4
        assert (work / "launch.lock").is_file()


DEATH = launch_lock._BEATS_TO_DEATH * BEAT + launch_lock._TOLD_TO


def leave_behind(output):
    lock = f"{output}/work/launch.lock"
    storage.write_whole(lock, json.dumps({"launch": "gone", "holder": "x", "beat": 7}).encode())
    return lock


def test_a_lock_that_was_left_behind_on_object_storage(bucket):
    output = f"{bucket}/left"
    lock = leave_behind(output)
    with pytest.raises(UnavailableError, match=r"\(x\)"), only_launch(output, BEAT):
        pass
    time.sleep(DEATH + 1)
    with only_launch(output, BEAT):
        assert b"gone" not in storage.read_bytes(lock, 1000)
    assert not storage.is_file(lock)


def test_a_file_that_was_left_behind_on_a_local_disk(tmp_path):
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "launch.lock").write_text("process 1 on another machine")
    with only_launch(str(tmp_path), BEAT):
        pass


def beating(output):
    return storage.read_bytes(f"{output}/work/launch.lock", 1000)


def test_beats_that_fail_are_made_up_for(bucket, monkeypatch, caplog):
    output = f"{bucket}/failing"
    sign, failed = launch_lock._sign, []

    def failing(location, mine, number):
        if number in (1, 2):
            failed.append(number)
            raise StorageError(location, "does not answer")
        sign(location, mine, number)

    monkeypatch.setattr(launch_lock, "_sign", failing)
    with only_launch(output, BEAT) as lock:
        before = beating(output)
        time.sleep(5 * BEAT)
        assert failed == [1, 2]
        assert beating(output) != before
        assert lock.held
        with pytest.raises(UnavailableError), only_launch(output, BEAT):
            pass
    assert caplog.text.count("cannot write the sign of life") == 2
    assert not storage.is_file(f"{output}/work/launch.lock")


def test_who_was_away_for_long_leaves_the_lock_to_who_took_it_over(bucket, monkeypatch, caplog):
    output = f"{bucket}/away"
    other = json.dumps({"launch": "other", "holder": "process 1 elsewhere"}).encode()
    sign = launch_lock._sign

    def away(location, mine, number):
        if number:
            storage.write_whole(location, other)
            raise StorageError(location, "does not answer")
        sign(location, mine, number)

    monkeypatch.setattr(launch_lock, "_sign", away)
    with only_launch(output, BEAT) as lock:
        time.sleep(5 * BEAT)
        assert not lock.held
    assert beating(output) == other
    assert "another launch has taken the lock: process 1 elsewhere" in caplog.text


@pytest.mark.parametrize("where", ["bucket", "unconditional"])
def test_who_writes_late_does_not_come_in_over_who_is_in(request, where, monkeypatch):
    """A slow connection: the second looks before the first has written, and writes after it."""
    output, beat = (
        f"{request.getfixturevalue(where)}/late",
        10 * BEAT,
    )  # so that the first is quick on any machine
    sign = launch_lock._sign

    def slow(location, mine, number):
        if threading.current_thread() is late:
            time.sleep(beat / 2)
        sign(location, mine, number)

    outcome = []

    def second():
        try:
            with only_launch(output, beat):
                outcome.append("in")
        except UnavailableError:
            outcome.append("refused")

    late = threading.Thread(target=second)
    monkeypatch.setattr(launch_lock, "_sign", slow)
    late.start()
    time.sleep(beat / 16)
    with only_launch(output, beat) as lock:
        late.join()
        assert outcome == ["refused"]
        assert lock.held


LOOK = (launch_lock, "_read")
STOPPED = [KeyboardInterrupt("SIGTERM"), StorageError("s3://locks", "does not answer")]


@pytest.mark.parametrize("error", STOPPED, ids=["SIGTERM", "storage"])
@pytest.mark.parametrize(
    ("where", "when"),
    [
        ("bucket", "signing"),
        ("unconditional", "signing"),
        ("unconditional", "waiting"),
        ("unconditional", "looking"),
    ],
)
def test_a_launch_that_ends_while_it_takes_the_lock_lets_the_next_in(
    request, monkeypatch, where, when, error
):
    output = f"{request.getfixturevalue(where)}/ended-{when}-{type(error).__name__}"
    sign, signed = launch_lock._sign, []

    def stop(*_):
        monkeypatch.undo()
        raise error

    def sign_and_stop(location, mine, number):
        sign(location, mine, number)
        signed.append(location)
        if when == "signing":  # it was written, and the answer did not come
            stop()
        monkeypatch.setattr(*((launch_lock.time, "sleep") if when == "waiting" else LOOK), stop)

    monkeypatch.setattr(launch_lock, "_sign", sign_and_stop)
    with pytest.raises(type(error)), only_launch(output, BEAT):
        pass
    assert signed == [f"{output}/work/launch.lock"]
    assert not storage.is_file(signed[0])


def race(output, beat=launch_lock.BEAT, launches=2):
    """Launches that start at the same moment: who came in, and seconds that the others took."""
    start, done = threading.Barrier(launches), threading.Event()
    at_work, most, refused, said = [], [], [], []

    def launch(number):
        start.wait()
        begun = time.monotonic()
        try:
            with only_launch(output, beat):
                at_work.append(number)
                most.append(len(at_work))
                assert done.wait(30)
                at_work.remove(number)
        except UnavailableError as error:
            refused.append(time.monotonic() - begun)
            said.append(str(error))
            if len(refused) == launches - 1:
                done.set()

    with ThreadPoolExecutor(launches) as pool:
        list(pool.map(launch, range(launches)))
    assert all(f"another launch runs on {output} (process " in text for text in said)
    return most, refused


def test_of_two_launches_at_the_same_moment_one_is_at_work_and_the_other_knows_soon(bucket):
    for turn in range(20):
        most, refused = race(f"{bucket}/race-{turn}")
        assert most == [1], turn
        assert max(refused) < 3, turn
        assert not storage.is_file(f"{bucket}/race-{turn}/work/launch.lock")


def test_of_five_that_take_over_a_lock_one_gets_it(bucket):
    outputs = [f"{bucket}/taken-{turn}" for turn in range(5)]
    for output in outputs:
        leave_behind(output)
    time.sleep(DEATH + 1)
    for output in outputs:
        most, refused = race(output, BEAT, launches=5)
        assert most == [1]
        assert len(refused) == 4
        assert max(refused) < 3


def test_of_two_where_conditions_are_ignored_one_is_at_work(unconditional):
    for turn in range(3):
        most, _ = race(f"{unconditional}/race-{turn}", 8 * BEAT)
        assert most == [1]


def test_where_the_age_of_a_lock_is_unknown_its_next_sign_is_waited_for(bucket, monkeypatch):
    read = conditional.read

    def ageless(location, limit):
        found = read(location, limit)
        return found and found._replace(age=None)

    monkeypatch.setattr(conditional, "read", ageless)
    output = f"{bucket}/ageless"
    with only_launch(output, BEAT), pytest.raises(UnavailableError), only_launch(output, BEAT):
        pass
    leave_behind(output)
    begun = time.monotonic()
    with only_launch(output, BEAT):
        assert time.monotonic() - begun >= 4 * BEAT


def test_a_service_that_knows_no_conditional_writes(service):
    front, bucket = service
    refused = ("PUT", 501, {}, "<Error><Code>NotImplemented</Code></Error>")
    with only_launch(f"{bucket}/other", BEAT):
        pass
    front.faults.append(refused)
    with only_launch(f"{bucket}/unknown", BEAT) as lock:
        assert not front.faults
        assert lock.held
        with pytest.raises(UnavailableError), only_launch(f"{bucket}/unknown", BEAT):
            pass


def test_a_write_whose_answer_is_lost_has_the_lock(bucket, monkeypatch):
    write, lost = conditional.write, []

    def losing(location, data, etag):
        written = write(location, data, etag)
        if etag != '"none"' and not lost:
            lost.append(written)
            return write(location, data, etag)  # what `call` does where no answer comes
        return written

    monkeypatch.setattr(conditional, "write", losing)
    with only_launch(f"{bucket}/lost", BEAT) as lock:
        assert lost[0]
        time.sleep(3 * BEAT)
        assert lock.held
        assert json.loads(beating(f"{bucket}/lost"))["beat"] >= 1
