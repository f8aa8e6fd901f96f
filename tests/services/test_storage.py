"""The same on a local disk and on object storage; what breaks leaves no half file."""

import hashlib
import os
import pickle

import pytest
import stamina

from tests.support.object_storage import KEY_ID, SECRET, using
from transforms.elements import StorageError
from transforms.storage import object_store, storage
from transforms.storage.files import writing
from transforms.storage.storage import join

FORBIDDEN = f"<Error><Code>AccessDenied</Code><Message>no {SECRET} for {KEY_ID}</Message></Error>"


@pytest.fixture
def waits():
    """Seconds that each new try was asked to wait."""
    found = []
    stamina.instrumentation.set_on_retry_hooks([lambda details: found.append(details.wait_for)])
    yield found
    stamina.instrumentation.set_on_retry_hooks(None)


@pytest.fixture
def scratch(tmp_path, monkeypatch):
    """The folder for passing files, looked at afterwards."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(writing, "process_folder", lambda: folder)
    return folder


def test_what_is_written_is_there(folder):
    data = os.urandom(3_000_000)
    file = join(folder, "deep", "a.bin")
    storage.write_whole(file, data)
    assert storage.read_bytes(file, len(data)) == data
    assert storage.size(file) == len(data)
    assert storage.sha256(file) == hashlib.sha256(data).hexdigest()
    assert storage.is_file(file)
    assert not storage.is_folder(file)
    assert storage.is_folder(join(folder, "deep"))
    assert not storage.is_file(join(folder, "deep"))
    storage.write_whole(file, b"")
    assert storage.read_bytes(file, 0) == b""


def test_what_is_not_there(folder):
    file = join(folder, "none", "a.bin")
    assert not storage.is_file(file)
    assert not storage.is_folder(file)
    assert storage.listing(file) == []
    assert storage.glob(folder, "*") == []
    for ask in (lambda: storage.read_bytes(file, 9), lambda: storage.size(file)):
        with pytest.raises(StorageError) as caught:
            ask()
        assert caught.value.absent
        assert file in str(caught.value)
    storage.remove(file)
    storage.remove_files([file, join(folder, "none", "b.bin")])


def test_more_than_the_limit_is_not_read(folder):
    file = join(folder, "a.bin")
    storage.write_whole(file, bytes(1001))
    assert len(storage.read_bytes(file, 1001)) == 1001
    with pytest.raises(StorageError, match="larger than 1000 bytes"):
        storage.read_bytes(file, 1000)


def test_a_bounded_read_fetches_little(bucket, front):
    file = join(bucket, "large.bin")
    storage.write_whole(file, bytes(20_000_000))
    before = front.served
    with pytest.raises(StorageError, match="larger"):
        storage.read_bytes(file, 1000)
    assert front.served - before < 3_000_000


def test_lists_are_in_order_and_of_one_folder(folder):
    for name in ("b.txt", "a.txt", "c/d.txt", "c/c/e.txt"):
        storage.write_whole(join(folder, name), b"x")
    assert storage.listing(folder) == ["a.txt", "b.txt", "c"]
    assert storage.listing(join(folder, "c")) == ["c", "d.txt"]
    assert storage.glob(folder, "*.txt") == ["a.txt", "b.txt"]
    assert storage.glob(folder, "c/*.txt") == ["c/d.txt"]
    storage.remove(join(folder, "a.txt"))
    assert storage.listing(folder) == ["b.txt", "c"]
    storage.remove_files([join(folder, name) for name in ("c/d.txt", "b.txt", "c/c/e.txt")])
    assert storage.glob(folder, "**/*.txt") == []


def test_a_name_that_is_a_pattern_too_removes_itself_alone(folder):
    """Clients of object storage take a list for patterns."""
    names = ("a[1].txt", "a1.txt", "b*.txt", "bb.txt")
    for name in names:
        storage.write_whole(join(folder, name), b"x")
    storage.remove_files([join(folder, name) for name in names[::2]])
    assert storage.listing(folder) == ["a1.txt", "bb.txt"]


def test_a_body_that_fails_publishes_nothing(folder, scratch):
    def fail(file):
        with storage.published(file) as partial:
            partial.write_bytes(b"half")
            raise KeyError("a bug")

    kept = join(folder, "kept.bin")
    storage.write_whole(kept, b"before")
    for file in (kept, join(folder, "new.bin")):
        with pytest.raises(KeyError):
            fail(file)
    assert storage.listing(folder) == ["kept.bin"]
    assert storage.is_url(folder) or os.listdir(folder) == ["kept.bin"]
    assert storage.read_bytes(kept, 10) == b"before"
    assert list(scratch.iterdir()) == []


def test_what_is_still_being_written_is_not_listed(folder):
    for name in ("a.json", ".hidden.json"):
        storage.write_whole(join(folder, name), b"there")
    with storage.published(join(folder, "b.json")) as partial:
        partial.write_bytes(b"half")
        assert storage.listing(folder) == [".hidden.json", "a.json"]
    assert storage.listing(folder) == [".hidden.json", "a.json", "b.json"]


@pytest.mark.parametrize("status", [403, 400, 501])
def test_an_upload_that_is_refused_publishes_nothing(bucket, front, scratch, status):
    file = join(bucket, f"refused-{status}", "a.bin")
    front.faults.append(("PUT", status, {}, FORBIDDEN))
    with pytest.raises(StorageError) as caught:
        storage.write_whole(file, b"new")
    assert len(front.asked) == 1, "asked again for what was refused"
    assert not storage.is_file(file)
    assert list(scratch.iterdir()) == []
    text = str(caught.value)
    assert text.startswith(f"{file}: ")
    assert "\n" not in text
    assert SECRET not in text
    assert KEY_ID not in text


@pytest.mark.parametrize("status", [500, 503, 429, 0])
def test_what_fails_in_passing_is_tried_again(bucket, front, waits, status):
    file = join(bucket, f"passing-{status}", "a.bin")
    front.faults += [("PUT", status, {}, "")] * 2
    storage.write_whole(file, b"new")
    assert [ask.split()[0] for ask in front.asked] == ["PUT"] * 3
    front.faults += [("GET", status, {}, "")]
    assert storage.read_bytes(file, 10) == b"new"
    if status:  # a connection that broke while idle is renewed by the client itself
        assert len(waits) == 3


def test_a_server_says_how_long_to_wait_within_a_bound(bucket, front, waits, monkeypatch):
    monkeypatch.setattr(object_store, "LONGEST_WAIT", 0.5)
    front.faults.append(("PUT", 429, {"Retry-After": "3600"}, ""))
    front.faults.append(("PUT", 503, {"Retry-After": "0"}, ""))
    storage.write_whole(join(bucket, "later.bin"), b"new")
    assert waits == [0.5, 0.0]


def test_what_is_written_anew_while_it_is_read_is_read_again(bucket, front, waits):
    url = f"{bucket}/rewritten"
    storage.write_whole(url, b"old" * (1 << 20))
    writes = [b"new" * (1 << 20)]

    def read(file):
        start = file.read(10)
        if writes:
            storage.write_whole(url, writes.pop())
        return start + file.read()

    assert storage.with_file(url, read) == b"new" * (1 << 20)


def test_what_stays_down_ends_in_one_line(bucket, front, waits):
    file = join(bucket, "down.bin")
    front.faults += [("PUT", 503, {}, "")] * 100
    with pytest.raises(StorageError) as caught:
        storage.write_whole(file, b"new")
    front.faults.clear()
    assert len(waits) == 4
    assert "\n" not in str(caught.value)
    assert not storage.is_file(file)


def test_an_upload_that_breaks_keeps_what_was(bucket, front, waits):
    file = join(bucket, "broken.bin")
    storage.write_whole(file, b"before")
    front.faults += [("PUT", 0, {}, "")] * 100
    with pytest.raises(StorageError):
        storage.write_whole(file, b"new")
    front.faults.clear()
    assert storage.read_bytes(file, 10) == b"before"


def test_a_large_file_goes_up_in_parts_and_whole(bucket, front, scratch):
    file = join(bucket, "parts.bin")
    data = os.urandom(1 << 20) * 33
    front.faults.append(("PUT", 403, {}, FORBIDDEN))
    with pytest.raises(StorageError):
        storage.write_whole(file, data)
    assert any(ask.startswith("DELETE") for ask in front.asked), "its parts are left behind"
    assert not storage.is_file(file)
    storage.write_whole(file, data)
    assert storage.sha256(file) == hashlib.sha256(data).hexdigest()


def test_no_service_and_no_bucket_are_one_line(bucket, front, waits):
    with pytest.raises(StorageError, match="bucket does not exist"):
        storage.write_whole("s3://nowhere-at-all/a.bin", b"new")
    assert waits == []
    with using("http://127.0.0.1:9"), pytest.raises(StorageError) as caught:
        storage.read_bytes(join(bucket, "a.bin"), 10)
    assert len(waits) == 4
    assert not caught.value.absent
    assert "\n" not in str(caught.value)


def test_nothing_is_written_over_http(tmp_path):
    with pytest.raises(StorageError, match="read-only"):
        storage.write_whole("https://host/a.bin", b"new")


def test_a_local_file_reaches_the_disk_before_its_name(tmp_path, monkeypatch):
    done = []
    fsync, replace = os.fsync, os.replace

    def note_fsync(handle):
        done.append("folder" if os.path.isdir(f"/proc/self/fd/{handle}") else "file")
        fsync(handle)

    def note_replace(source, target):
        done.append("name")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(os, "replace", note_replace)
    storage.write_whole(str(tmp_path / "a.bin"), b"new")
    assert done == ["file", "name", "folder"]


def test_a_local_file_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError, match=r"a\.bin: "):
        storage.write_whole(str(tmp_path / "file" / "a.bin"), b"new")


def test_an_error_travels():
    error = pickle.loads(pickle.dumps(StorageError("s3://b/a", "gone", absent=True)))  # noqa: S301
    assert (str(error), error.absent) == ("s3://b/a: gone", True)


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "model.h5")
    with pytest.raises(StorageError, match=r"model\.h5: is a pipe or a device, expected a file"):
        storage.read_bytes(str(tmp_path / "model.h5"), 99)
