"""The cache of archive files with real processes: one request a file, bounded, whole or not."""

import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import stamina

from tests.support.file_server import BreakOff, Drip, FileServer, Length, Stall, Status
from transforms.elements import SceneError, SourceFile, StorageError
from transforms.storage import object_store, storage
from transforms.storage.caching import Access, Cache, CacheError, downloading
from transforms.storage.caching import cache as cache_module
from transforms.storage.caching.cache import _checked
from transforms.storage.services import KeysError

HOLD = """
import sys, time
from transforms.elements import SourceFile, StorageError
from transforms.storage.caching import Cache
folder, limit, location, size, seconds = sys.argv[1:6]
cache = Cache(folder, int(limit))
print("ready", flush=True)
sys.stdin.readline()
try:
    with cache.held(SourceFile(location, int(size))) as path:
        print("held", len(open(path, "rb").read()), flush=True)
        time.sleep(float(seconds))
except StorageError as error:
    print("error", error, flush=True)
"""
SIZE = 3_000_000


@pytest.fixture
def server():
    with FileServer().running() as server:
        yield server


@pytest.fixture
def folder(tmp_path):
    _checked.cache_clear()
    return str(tmp_path / "cache")


def content(seed, size=SIZE):
    return np.random.default_rng(seed).bytes(size)


def listed(server, name, data=None, **more):
    data = content(len(server.files)) if data is None else data
    server.files[f"/{name}"] = data
    return SourceFile(f"{server.url}/{name}", len(data), **more)


def start(folder, file, limit=10 * SIZE, seconds=0.0):
    command = [sys.executable, "-c", HOLD, folder, limit, file.location, file.size, seconds]
    process = subprocess.Popen(
        list(map(str, command)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "ready\n"
    return process


def go(process):
    process.stdin.write("\n")
    process.stdin.flush()


def kept(folder):
    return sorted(path.name for path in Path(folder).iterdir() if path.suffix in (".file", ".zip"))


def partials(folder):
    return [path.name for path in Path(folder).glob("*.partial")]


def until(true, seconds=20):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def held(cache, file):
    with cache.held(file) as path:
        return Path(path).read_bytes()


def test_eight_processes_at_once_ask_once(server, folder):
    file = listed(server, "B02.jp2")
    processes = [start(folder, file) for _ in range(8)]
    for process in processes:
        go(process)
    said = [process.communicate(timeout=60)[0] for process in processes]
    assert said == [f"held {SIZE}\n"] * 8
    assert len(server.requests) == 1
    assert len(kept(folder)) == 1
    assert not partials(folder)


def test_those_who_wait_for_a_file_that_fails_fail_with_it(server, folder):
    file = listed(server, "B02.jp2")
    server.script["/B02.jp2"] = [Stall(1000), *[Status(403)] * 9]
    processes = [start(folder, file) for _ in range(4)]
    for process in processes:
        go(process)
    until(lambda: server.requests)
    time.sleep(1)
    server._end.set()  # the first answer breaks off, and the next is a refusal
    said = [process.communicate(timeout=60)[0] for process in processes]
    assert len(set(said)) == 1
    assert said[0].startswith(f"error {file.location}: 403")
    assert len(server.requests) == 2
    assert not kept(folder)
    assert not partials(folder)


def test_the_keys_of_one_job_fail_no_other_that_waits(server, folder, monkeypatch):
    file = listed(server, "B02.jp2")
    waiting, download = threading.Event(), cache_module.download

    def refused(file, path):
        monkeypatch.setattr(cache_module, "download", download)
        assert waiting.wait(20)
        time.sleep(0.5)  # the other waits for the lock of this one
        raise KeysError(file.location, "refuses the keys")

    monkeypatch.setattr(cache_module, "download", refused)
    with ThreadPoolExecutor(2) as pool:
        fails = pool.submit(held, Cache(folder, 10 * SIZE), file)
        until(lambda: cache_module.download is download)
        goes_on = pool.submit(held, Cache(folder, 10 * SIZE), file)
        waiting.set()
        with pytest.raises(KeysError):
            fails.result(60)
        assert len(goes_on.result(60)) == SIZE


def test_a_process_that_is_killed_blocks_nobody_and_leaves_nothing(server, folder):
    file = listed(server, "B02.jp2")
    server.script["/B02.jp2"] = [Stall(1_000_000)]
    killed = start(folder, file)
    go(killed)
    until(lambda: server.requests and partials(folder))
    waiting = start(folder, file)
    go(waiting)
    time.sleep(0.5)
    assert len(server.requests) == 1  # it waits for the first
    killed.send_signal(signal.SIGKILL)
    assert waiting.communicate(timeout=30)[0] == f"held {SIZE}\n"
    killed.communicate()
    assert not partials(folder)
    assert len(kept(folder)) == 1


def test_what_a_killed_process_wrote_goes_with_the_next_file(server, folder):
    first, other = listed(server, "B02.jp2"), listed(server, "B03.jp2")
    server.script["/B02.jp2"] = [Stall(1_000_000)]
    killed = start(folder, first)
    go(killed)
    until(lambda: partials(folder))
    killed.kill()
    killed.communicate()
    # Room for one file alone: what was reserved is free again.
    assert held(Cache(folder, SIZE), other) == server.files["/B03.jp2"]
    assert not partials(folder)
    assert not list(Path(folder).glob("*.lock"))[2:]


def test_what_is_in_use_is_not_evicted(server, folder, monkeypatch):
    monkeypatch.setattr("transforms.storage.caching.cache._WAIT_FOR_ROOM", 0.5)
    first, other = listed(server, "B02.jp2"), listed(server, "B03.jp2")
    user = start(folder, first, limit=SIZE, seconds=60)
    go(user)
    assert user.stdout.readline() == f"held {SIZE}\n"
    cache = Cache(folder, SIZE)
    with pytest.raises(CacheError, match=r"3\.0 MB of 3\.0 MB are in use") as caught:
        held(cache, other)
    assert caught.value.passing
    assert cache.has(first)
    user.kill()
    user.communicate()
    assert held(cache, other) == server.files["/B03.jp2"]
    assert not cache.has(first)


def test_who_waits_for_room_goes_on_when_there_is_some(server, folder):
    first, other = listed(server, "B02.jp2"), listed(server, "B03.jp2")
    user = start(folder, first, limit=SIZE, seconds=2)
    go(user)
    assert user.stdout.readline() == f"held {SIZE}\n"
    assert held(Cache(folder, SIZE), other) == server.files["/B03.jp2"]
    user.communicate()


def test_the_least_recently_used_goes(server, folder):
    files = [listed(server, f"{n}.jp2") for n in range(4)]
    cache = Cache(folder, 3 * SIZE)
    for n, file in enumerate(files[:3]):
        held(cache, file)
        path = next(path for path in Path(folder).glob("*.file") if path.stat().st_mtime > 1e9)
        os.utime(path, (n, n))
    held(cache, files[0])
    held(cache, files[3])
    assert [cache.has(file) for file in files] == [True, False, True, True]
    assert len(server.requests) == 4
    assert sum(path.stat().st_size for path in Path(folder).glob("*.file")) <= 3 * SIZE


def test_two_jobs_with_different_limits_share_a_folder(server, folder):
    """Both read all files again and again; none sees another's, and neither grows the folder."""
    files = [listed(server, f"{n}.jp2", content(n, 400_000)) for n in range(6)]
    script = """
import sys
from transforms.elements import SourceFile
from transforms.storage.caching import Cache
folder, limit, *places = sys.argv[1:]
cache = Cache(folder, int(limit))
for turn in range(5):
    for place in places:
        with cache.held(SourceFile(place, 400000)) as path:
            print(place, hash(open(path, "rb").read()))
"""
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    places = [file.location for file in files]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", script, folder, str(limit), *turned],
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        for limit, turned in ((900_000, places), (2_000_000, places[::-1]))
    ]
    said = [process.communicate(timeout=120)[0].splitlines() for process in processes]
    assert [len(lines) for lines in said] == [30, 30]
    assert len(set(said[0]) | set(said[1])) == 6
    assert sum(path.stat().st_size for path in Path(folder).glob("*.file")) <= 2_000_000


def test_a_download_that_breaks_off_goes_on_where_it_was(server, folder):
    file = listed(server, "B02.jp2")
    server.script["/B02.jp2"] = [BreakOff(1_000_000), BreakOff(500_000)]
    assert held(Cache(folder, SIZE), file) == server.files["/B02.jp2"]
    assert [request.range is None for request in server.requests] == [True, False, False]
    assert sum(request.sent for request in server.requests) < SIZE + 3 * (1 << 20)


def test_a_file_that_comes_in_drips_is_given_up(server, folder, monkeypatch):
    monkeypatch.setattr(object_store, "POLICY", object_store.POLICY._replace(seconds=0.5))
    monkeypatch.setattr(downloading, "_SLOWEST", 3 * SIZE)
    file = listed(server, "B02.jp2")
    server.script["/B02.jp2"] = [Drip(1000)]
    begun = time.monotonic()
    with pytest.raises(StorageError, match="arrives at less than 9000 kB a second") as caught:
        held(Cache(folder, SIZE), file)
    assert caught.value.passing
    assert time.monotonic() - begun < 10
    assert len(server.requests) == 1
    assert not partials(folder)


def test_a_server_without_ranges_begins_anew(server, folder):
    file = listed(server, "B02.jp2")
    server.ranges = False
    server.script["/B02.jp2"] = [BreakOff(1_000_000)]
    assert held(Cache(folder, SIZE), file) == server.files["/B02.jp2"]


def test_another_file_under_the_same_name_is_refused(server, folder):
    file = listed(server, "B02.jp2", version='"0123"')
    with pytest.raises(StorageError, match=r"not what the archive listed: found ETag .*, expected"):
        held(Cache(folder, SIZE), file)
    assert len(server.requests) == 1
    assert not kept(folder)


def test_an_answer_that_comes_short_is_asked_for_again(server, folder):
    file = listed(server, "B02.jp2")
    server.script["/B02.jp2"] = [Length(1000)]
    assert held(Cache(folder, SIZE), file) == server.files["/B02.jp2"]


def test_a_checksum_that_differs_is_asked_for_once_more(server, folder):
    good = content(9)
    md5 = hashlib.md5(good, usedforsecurity=False).hexdigest()
    file = listed(server, "B02.jp2", content(8), checksum=f"md5:{md5}")
    with pytest.raises(StorageError, match=f"found md5 .*, expected {md5[:12]}"):
        held(Cache(folder, SIZE), file)
    assert len(server.requests) == 2
    assert not kept(folder)
    server.files["/B02.jp2"] = good
    assert held(Cache(folder, SIZE), file) == good


def test_jobs_with_and_without_checksums_share_a_file(server, folder):
    """One catalogue has checksums, and another one has not; the file is the same."""
    file = listed(server, "B02.jp2")
    md5 = hashlib.md5(server.files["/B02.jp2"], usedforsecurity=False).hexdigest()
    file = replace(file, version=f'"{md5}"')
    cache = Cache(folder, 10 * SIZE)
    for checksum in ("", f"md5:{md5}", ""):
        with cache.held(replace(file, checksum=checksum)):
            pass
    assert len(server.requests) == 1
    (entry,) = Path(folder).glob("*.file")
    entry.write_bytes(bytes(SIZE))
    cache_module._has_checksum_once.cache_clear()  # as in another process
    assert held(cache, replace(file, checksum=f"md5:{md5}")) == server.files["/B02.jp2"]
    assert len(server.requests) == 2


def test_a_server_that_fails_is_asked_by_the_policy(server, folder):
    file = listed(server, "B02.jp2")
    server.script["/B02.jp2"] = [Status(503)] * 50
    with stamina.set_testing(True, attempts=100, cap=True), pytest.raises(StorageError) as caught:
        held(Cache(folder, SIZE), file)
    assert caught.value.passing
    assert caught.value.file == file.location
    assert len(server.requests) == object_store.POLICY.tries


@pytest.mark.parametrize("damage", ["cut", "rewritten", "gone", "note gone"])
def test_a_damaged_entry_is_fetched_anew_once(server, folder, damage):
    file = listed(server, "B02.jp2")
    access = Access(Cache(folder, 10 * SIZE))

    def read(path):
        data = Path(path).read_bytes()
        if data != server.files["/B02.jp2"]:
            raise SceneError(path, "damaged JPEG 2000")
        return len(data)

    name = f"/vsicurl/{file.location}"
    assert access.read(name, file, read) == SIZE
    (entry,) = Path(folder).glob("*.file")
    if damage == "cut":
        os.truncate(entry, 1000)
    elif damage == "rewritten":
        entry.write_bytes(bytes(SIZE))
    elif damage == "gone":
        entry.unlink()
    else:
        entry.with_suffix(".note").unlink()
    assert access.read(name, file, read) == SIZE
    assert access.read(name, file, read) == SIZE
    assert len(server.requests) == 2


def test_verify_notices_what_a_reader_does_not(server, folder):
    file = listed(server, "B02.jp2")
    held(Cache(folder, SIZE), file)
    (entry,) = Path(folder).glob("*.file")
    entry.write_bytes(bytes(SIZE))
    assert held(Cache(folder, SIZE), file) == bytes(SIZE)
    assert held(Cache(folder, SIZE, verify=True), file) == server.files["/B02.jp2"]
    assert len(server.requests) == 2


def test_what_is_damaged_in_the_archive_is_not_fetched_again(server, folder):
    file = listed(server, "B02.jp2")
    access = Access(Cache(folder, 10 * SIZE))

    def refuse(path):
        raise SceneError(path, "damaged JPEG 2000")

    name = f"/vsicurl/{file.location}"
    for _ in range(3):
        with pytest.raises(SceneError, match="damaged") as caught:
            access.read(name, file, refuse)
        assert caught.value.file == name
    assert len(server.requests) == 1


def test_a_folder_that_is_not_a_cache_is_left_alone(tmp_path, server, folder):
    file = listed(server, "B02.jp2")
    (tmp_path / "thesis.doc").write_text("my thesis")
    with pytest.raises(CacheError, match=r"not a cache of ghsl-beam: .*thesis\.doc.*not|new"):
        held(Cache(str(tmp_path), SIZE), file)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.doc"]
    assert not server.requests


def test_the_cache_of_another_program_is_left_alone(tmp_path, server, folder):
    (tmp_path / "CACHEDIR.TAG").write_text("Signature: 8a477f597d28d172789f06886806bc55\n# pip")
    with pytest.raises(CacheError, match="of another program"):
        Cache(str(tmp_path), SIZE).check()
    assert [path.name for path in tmp_path.iterdir()] == ["CACHEDIR.TAG"]


def test_a_file_beside_the_entries_stays(server, folder):
    cache = Cache(folder, SIZE)
    held(cache, listed(server, "B02.jp2"))
    own = Path(folder, "notes.txt")
    own.write_text("keep me")
    os.utime(own, (0, 0))
    held(cache, listed(server, "B03.jp2"))
    assert own.read_text() == "keep me"


def test_a_file_larger_than_the_cache_is_one_line(server, folder):
    file = listed(server, "B02.jp2")
    with pytest.raises(CacheError) as caught:
        held(Cache(folder, 1_000_000), file)
    assert str(caught.value) == (
        f"{folder}: holds up to 1.0 MB, but {file.location} alone has 3.0 MB: "
        "raise input.cache.gigabytes"
    )
    assert not server.requests
    locks = [path for path in Path(folder).glob("*.lock") if path.stat().st_size]
    assert not locks, "a job with a higher limit that waits must not fail with this one"


def test_an_empty_file_is_one_line(server, folder):
    with pytest.raises(StorageError, match="is empty, or has no known size"):
        held(Cache(folder, SIZE), listed(server, "B02.jp2", b""))


def test_a_limit_of_the_disk_is_one_line(server, folder):
    file = listed(server, "B02.jp2")
    script = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1000000,) * 2)\n" + HOLD
    command = [sys.executable, "-c", script, folder, 10 * SIZE, file.location, file.size, 0]
    ended = subprocess.run(
        list(map(str, command)), input="\n", capture_output=True, text=True, timeout=60
    )
    line = ended.stdout.splitlines()[-1]
    assert line.startswith(f"error {folder}: cannot be written: File too large")
    assert not kept(folder)
    assert not partials(folder)


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path, server):
    (tmp_path / "file").touch()
    with pytest.raises(CacheError, match="cannot be written: Not a directory"):
        Cache(str(tmp_path / "file" / "cache"), SIZE).check()
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("file", "link"):
        with pytest.raises(CacheError, match="is not a folder; give the name of a folder"):
            Cache(str(tmp_path / name), SIZE).check()
    with pytest.raises(CacheError, match="on object storage, expected a folder on a disk"):
        Cache("s3://bucket/cache", SIZE).check()


def test_a_file_on_a_slow_mount_is_kept_until_it_changes(tmp_path, folder):
    source = tmp_path / "B02.jp2"
    source.write_bytes(b"one")
    cache, file = Cache(folder, SIZE), SourceFile(str(source), 3)
    assert held(cache, file) == b"one"
    source.write_bytes(b"two")
    assert held(cache, file) == b"two"
    assert storage.size(str(source)) == 3
