"""Fetching models from real servers on the loopback that misbehave."""

import datetime
import fcntl
import hashlib
import threading
import time
from dataclasses import replace
from email.utils import format_datetime

import fsspec
import pytest

from ghsl_beam.models.checksums import record
from ghsl_beam.models.download import Fetched, NotFetched, fetch_model, fetch_models
from ghsl_beam.models.manifest import PublishedModel
from tests.support.file_server import BreakOff, Endless, FileServer, Length, Stall, Status
from tests.support.jobs import NETWORK
from transforms.elements import ModelError
from transforms.inference.weights import load_weights
from transforms.storage.remote import Limits, seconds_asked

GOOD = NETWORK.read_bytes()
DIGEST = hashlib.sha256(GOOD).hexdigest()
PATH = "/MODEL_CNN_33U.h5"
QUICK = Limits(stall=0.5, pause=0.01, attempts=4)
ONCE = replace(QUICK, attempts=1)
PATIENT = replace(QUICK, stall=30)


@pytest.fixture
def server():
    with FileServer().running() as running:
        running.files[PATH] = GOOD
        yield running


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "models"


def left(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_model_is_fetched_once(server, folder):
    told = []
    found = fetch_model("33U", server.url, folder, limits=QUICK, report=lambda *a: told.append(a))
    assert found == Fetched("33U", folder / "MODEL_CNN_33U.h5", DIGEST, new=True)
    assert found.path.read_bytes() == GOOD
    assert told[-1] == ("33U", len(GOOD), len(GOOD))
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)
    again = fetch_model("33U", server.url, folder, limits=QUICK)
    assert again == replace(found, new=False)
    assert len(server.requests) == 1
    assert left(folder) == ["MODEL_CNN_33U.h5"]


@pytest.mark.parametrize("marks", ["etag", "weak", "date"])
def test_what_broke_off_goes_on_where_it_stopped(server, folder, marks):
    server.marks = marks
    server.script[PATH] = [BreakOff(1_000_000), BreakOff(500_000)]
    assert fetch_model("33U", server.url, folder, limits=QUICK).sha256 == DIGEST
    seen = server.seen(PATH)
    assert [r.range for r in seen] == [None, "bytes=1000000-", "bytes=1500000-"]
    assert sum(request.sent for request in seen) == len(GOOD)


def test_a_busy_server_does_not_make_it_begin_anew(server, folder):
    server.script[PATH] = [BreakOff(1_000_000), Status(503), Status(429, {"Retry-After": "0"})]
    assert fetch_model("33U", server.url, folder, limits=QUICK).sha256 == DIGEST
    assert [r.range for r in server.seen(PATH)] == [None, *["bytes=1000000-"] * 3]
    assert sum(request.sent for request in server.seen(PATH)) == len(GOOD)


@pytest.mark.parametrize("text", ["", "{", "1", "[1, 2]"])
def test_a_damaged_note_makes_it_begin_anew(server, folder, text):
    folder.mkdir()
    (folder / ".MODEL_CNN_33U.h5.part").write_bytes(bytes(1000))
    (folder / ".MODEL_CNN_33U.h5.json").write_text(text)
    assert fetch_model("33U", server.url, folder, limits=QUICK).sha256 == DIGEST
    assert [r.range for r in server.seen(PATH)] == [None]
    assert left(folder) == ["MODEL_CNN_33U.h5"]


def test_a_later_call_goes_on_where_an_earlier_one_gave_up(server, folder):
    server.script[PATH] = [BreakOff(1_000_000)]
    with pytest.raises(ModelError, match="broke off after 1000000") as caught:
        fetch_model("33U", server.url, folder, limits=ONCE)
    assert str(caught.value).startswith(f"{server.url}{PATH}: ")
    assert left(folder) == [".MODEL_CNN_33U.h5.json", ".MODEL_CNN_33U.h5.part"]
    assert fetch_model("33U", server.url, folder, limits=ONCE).sha256 == DIGEST
    assert [r.range for r in server.seen(PATH)] == [None, "bytes=1000000-"]
    assert left(folder) == ["MODEL_CNN_33U.h5"]


@pytest.mark.parametrize("marks", ["etag", "weak"])
def test_a_file_that_changed_meanwhile_begins_anew(server, folder, marks):
    server.marks = marks
    server.files[PATH] = bytes(len(GOOD))
    server.script[PATH] = [BreakOff(1_000_000)]
    with pytest.raises(ModelError):
        fetch_model("33U", server.url, folder, limits=ONCE)
    server.files[PATH] = GOOD
    assert fetch_model("33U", server.url, folder, limits=ONCE).path.read_bytes() == GOOD
    assert server.seen(PATH)[1].range == "bytes=1000000-"


def test_another_url_begins_anew(server, folder):
    server.files["/other" + PATH] = GOOD
    server.files[PATH] = bytes(len(GOOD))
    server.script[PATH] = [BreakOff(1_000_000)]
    with pytest.raises(ModelError):
        fetch_model("33U", server.url, folder, limits=ONCE)
    assert fetch_model("33U", server.url + "/other", folder, limits=ONCE).sha256 == DIGEST
    assert [r.range for r in server.seen("/other" + PATH)] == [None]


@pytest.mark.parametrize("without", ["marks", "ranges"])
def test_a_server_that_cannot_go_on_sends_all_again(server, folder, without):
    setattr(server, without, "none" if without == "marks" else False)
    server.script[PATH] = [BreakOff(1_000_000)]
    assert fetch_model("33U", server.url, folder, limits=QUICK).path.read_bytes() == GOOD
    assert sum(r.sent for r in server.seen(PATH)) == 1_000_000 + len(GOOD)


def test_a_stall_is_noticed_and_gone_on_from(server, folder):
    server.script[PATH] = [Stall(1_000_000), Stall(0)]
    assert fetch_model("33U", server.url, folder, limits=QUICK).sha256 == DIGEST
    ranges = {request.range for request in server.requests}
    assert ranges <= {None, "bytes=1000000-"}
    server.script["/MODEL_CNN_32T.h5"] = [Stall(0)]
    server.files["/MODEL_CNN_32T.h5"] = GOOD
    with pytest.raises(ModelError, match=r"32T.*(timed out|no answer)"):
        fetch_model("32T", server.url, folder, limits=ONCE)


@pytest.mark.parametrize("code", [429, 500, 502, 503, 504])
def test_a_passing_failure_is_tried_again(server, folder, code):
    server.script[PATH] = [Status(code), Status(code)]
    assert fetch_model("33U", server.url, folder, limits=QUICK).sha256 == DIGEST
    assert len(server.requests) == 3


@pytest.mark.parametrize("code", [400, 401, 403, 404, 410])
def test_a_lasting_failure_is_not(server, folder, code):
    server.script[PATH] = [Status(code)]
    with pytest.raises(ModelError, match=f"answers {code}"):
        fetch_model("33U", server.url, folder, limits=QUICK)
    assert len(server.requests) == 1
    assert left(folder) == []


def test_failures_without_end_are_given_up(server, folder):
    server.script[PATH] = [Status(500)] * 10
    with pytest.raises(ModelError, match="answers 500"):
        fetch_model("33U", server.url, folder, limits=QUICK)
    assert len(server.requests) == QUICK.attempts


@pytest.mark.parametrize("code", [429, 503])
def test_retry_after_is_waited_for(server, folder, code):
    server.script[PATH] = [Status(code, {"Retry-After": "1"})]
    fetch_model("33U", server.url, folder, limits=QUICK)
    first, second = server.seen(PATH)
    assert second.at - first.at >= 1


def test_retry_after_is_not_waited_for_without_bound(server, folder):
    server.script[PATH] = [Status(429, {"Retry-After": "86400"})]
    start = time.monotonic()
    with pytest.raises(ModelError, match="asks to wait 86400 s, more than 120 s"):
        fetch_model("33U", server.url, folder, limits=QUICK)
    assert time.monotonic() - start < 60
    assert len(server.requests) == 1


def test_retry_after_as_a_date():
    now = datetime.datetime.now(datetime.UTC)
    later = format_datetime(now + datetime.timedelta(seconds=100), usegmt=True)
    assert 95 < seconds_asked(later) <= 100
    assert seconds_asked(format_datetime(now - datetime.timedelta(days=1), usegmt=True)) == 0
    assert seconds_asked("soon") is None
    assert seconds_asked("") is None


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "an empty file"),
        (b"<!DOCTYPE html><title>Sign in</title>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"),
        (b"\x80\x04\x95", "a Python pickle"),
        (GOOD[:100_000], "truncated"),
    ],
)
def test_what_is_no_model_is_not_kept(server, folder, content, says):
    server.files[PATH] = content
    with pytest.raises(ModelError, match=says) as caught:
        fetch_model("33U", server.url, folder, limits=QUICK)
    assert str(caught.value).startswith(f"{server.url}{PATH}: ")
    assert left(folder) == []


def test_lies_about_the_length(server, folder):
    server.script[PATH] = [Length(100_000)]
    with pytest.raises(ModelError, match="truncated"):
        fetch_model("33U", server.url, folder, limits=ONCE)
    server.script[PATH] = [Length(len(GOOD) + 1000)]
    with pytest.raises(ModelError, match=f"broke off after {len(GOOD)}"):
        fetch_model("33U", server.url, folder, limits=ONCE)
    fetch_model("33U", server.url, folder, limits=QUICK)  # begins anew: the size is another
    assert (folder / "MODEL_CNN_33U.h5").read_bytes() == GOOD
    (folder / "MODEL_CNN_33U.h5").unlink()
    server.script[PATH] = [Length(10**10)]
    with pytest.raises(ModelError, match="states 10000000000 bytes"):
        fetch_model("33U", server.url, folder, limits=QUICK)
    server.script[PATH] = [Endless()]
    with pytest.raises(ModelError, match="has more than 5000000 bytes"):
        fetch_model("33U", server.url, folder, limits=replace(QUICK, size=5_000_000))
    assert left(folder) == []
    server.script[PATH] = [Length(None)]
    assert fetch_model("33U", server.url, folder, limits=QUICK).sha256 == DIGEST


def test_time_is_bounded_even_where_bytes_keep_coming(server, folder):
    server.script[PATH] = [Endless()]
    limits = replace(ONCE, size=10**12, total=0.3)
    with pytest.raises(ModelError, match=r"took longer than 0\.3 s"):
        fetch_model("33U", server.url, folder, limits=limits)


def test_no_server_at_all(folder):
    with FileServer().running() as gone:
        url = gone.url
    with pytest.raises(ModelError, match="no answer from the server: Connection refused"):
        fetch_model("33U", url, folder, limits=ONCE)
    with pytest.raises(ModelError, match="not a URL that can be read"):
        fetch_model("33U", "http://[::1", folder, limits=ONCE)
    with pytest.raises(ModelError, match="cannot be read"):
        fetch_model("33U", "nosuchscheme://x", folder, limits=ONCE)


def test_many_at_once_and_each_failure_named(server, folder):
    zones = [f"{number}U" for number in range(30, 38)]
    for zone in zones:
        server.files[f"/MODEL_CNN_{zone}.h5"] = GOOD
    del server.files["/MODEL_CNN_35U.h5"]
    server.files["/MODEL_CNN_36U.h5"] = b"<html>"
    server.gate = threading.Barrier(4)  # lets them through by fours: fewer would wait for ever
    found = list(fetch_models([(zone, None) for zone in zones], server.url, folder, PATIENT))
    assert server.most_together == 4
    good = {outcome.zone for outcome in found if isinstance(outcome, Fetched)}
    assert good == set(zones) - {"35U", "36U"}
    failed = {o.zone: o.reason for o in found if isinstance(o, NotFetched)}
    assert "MODEL_CNN_35U.h5: the server answers 404" in failed["35U"]
    assert "MODEL_CNN_36U.h5: found a web page" in failed["36U"]
    assert left(folder) == sorted(f"MODEL_CNN_{zone}.h5" for zone in good)
    for zone in good:
        assert load_weights(folder / f"MODEL_CNN_{zone}.h5").parameters == 1_448_578


def test_who_stops_listening_stops_the_rest(server, folder):
    zones = [f"{number}U" for number in range(10, 40)]
    for zone in zones:
        server.files[f"/MODEL_CNN_{zone}.h5"] = GOOD
    outcomes = fetch_models([(zone, None) for zone in zones], server.url, folder, QUICK)
    next(outcomes)
    outcomes.close()
    assert len(server.requests) < len(zones)


def test_both_spellings_of_a_zone_are_tried(server, folder):
    server.files["/MODEL_CNN_5Q.h5"] = GOOD
    found = fetch_model("05Q", server.url, folder, limits=QUICK)
    assert found.path.name == "MODEL_CNN_5Q.h5"
    assert fetch_model("05Q", server.url, folder, limits=QUICK) == replace(found, new=False)


@pytest.mark.parametrize("key", ["bytes", "git_blob", "sha256"])
def test_a_file_that_is_not_the_published_one_is_refused(server, folder, key):
    blob = hashlib.sha1(b"blob %d\0" % len(GOOD) + GOOD, usedforsecurity=False).hexdigest()
    known = PublishedModel(
        zone="33U", file="MODEL_CNN_33U.h5", bytes=len(GOOD), git_blob=blob, sha256=DIGEST
    )
    server.files["/good" + PATH] = GOOD
    assert fetch_model("33U", server.url + "/good", folder, known, QUICK).new
    value = getattr(known, key)
    other = known.model_copy(update={key: value + 1 if key == "bytes" else "0" * len(value)})
    with pytest.raises(
        ModelError, match=f"has {key} {value}, expected .* by the manifest; move it"
    ):
        fetch_model("33U", server.url, folder, other, QUICK)
    (folder / "MODEL_CNN_33U.h5").unlink()
    with pytest.raises(ModelError, match=f"has {key} {value}, expected .* by the manifest"):
        fetch_model("33U", server.url, folder, other, QUICK)
    assert left(folder) == []


def test_a_bad_file_of_that_name_is_not_overwritten(server, folder):
    folder.mkdir()
    (folder / "MODEL_CNN_33U.h5").write_bytes(GOOD[:1000])
    with pytest.raises(ModelError, match=r"truncated.*; move it away to fetch it again"):
        fetch_model("33U", server.url, folder, limits=QUICK)
    (folder / "MODEL_CNN_33U.h5").write_bytes(GOOD)
    record(str(folder), {"MODEL_CNN_33U.h5": "0" * 64})
    with pytest.raises(ModelError, match=f"has SHA-256 {DIGEST}, but 000"):
        fetch_model("33U", server.url, folder, limits=QUICK)
    assert server.requests == []


def test_two_at_once_do_not_mix(server, folder):
    folder.mkdir()
    with (folder / ".MODEL_CNN_33U.h5.part").open("wb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(ModelError, match="another process downloads it now"):
            fetch_model("33U", server.url, folder, limits=QUICK)
    assert server.requests == []
    assert fetch_model("33U", server.url, folder, limits=QUICK).sha256 == DIGEST


def test_other_sources(tmp_path, folder):
    source = tmp_path / "source"
    source.mkdir()
    (source / "MODEL_CNN_33U.h5").write_bytes(GOOD)
    for base in (str(source), source.as_uri()):
        assert fetch_model("33U", base, folder, limits=QUICK).new
        (folder / "MODEL_CNN_33U.h5").unlink()
        with pytest.raises(ModelError, match=r"32T\.h5: there is no such file"):
            fetch_model("32T", base, folder, limits=QUICK)
    memory = fsspec.filesystem("memory")
    memory.pipe_file("/published/MODEL_CNN_33U.h5", GOOD)
    try:
        assert fetch_model("33U", "memory://published", folder, limits=QUICK).sha256 == DIGEST
    finally:
        memory.rm("/published", recursive=True)


def test_a_folder_that_cannot_be_written(server, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError, match="cannot be written"):
        fetch_model("33U", server.url, tmp_path / "file", limits=QUICK)


@pytest.mark.parametrize("fault", ["missing", "broken", "refused", "stalls"])
def test_credentials_in_a_url_are_used_and_never_shown(server, folder, fault):
    secret = f"http://planted-user:planted-word@127.0.0.1:{server.port}"
    assert fetch_model("33U", secret, folder, limits=QUICK).new
    assert server.requests[0].authorization.startswith("Basic ")
    server.files["/MODEL_CNN_32T.h5"] = b"<html>"
    server.script["/MODEL_CNN_32T.h5"] = {
        "missing": [Status(404)],
        "broken": [],
        "refused": [Status(401)],
        "stalls": [Stall(3)],
    }[fault]
    with pytest.raises(ModelError) as caught:
        fetch_model("32T", secret, folder, limits=ONCE)
    assert f"***@127.0.0.1:{server.port}/MODEL_CNN_32T.h5: " in str(caught.value)
    kept = b"".join(path.read_bytes() for path in folder.glob(".*"))
    for word in ("planted-user", "planted-word"):
        assert word not in str(caught.value) + repr(caught.value.__cause__)
        assert word.encode() not in kept


def test_a_redirect_is_followed_without_the_credentials(server, folder):
    with FileServer().running() as mirror:
        moved = Status(302, {"Location": f"{mirror.url}/raw{PATH}"})
        server.script[PATH] = [moved, moved]
        mirror.files["/raw" + PATH] = GOOD
        mirror.script["/raw" + PATH] = [BreakOff(1_000_000)]
        url = f"http://planted-user:planted-word@127.0.0.1:{server.port}"
        assert fetch_model("33U", url, folder, limits=QUICK).sha256 == DIGEST
        assert [r.range for r in mirror.requests] == [None, "bytes=1000000-"]
        assert [r.authorization for r in mirror.requests] == [None, None]
        server.script[PATH] = [Status(302, {"Location": f"file://{folder}/MODEL_CNN_33U.h5"})]
        with pytest.raises(ModelError, match="not a URL that can be read"):
            fetch_model("33U", url, folder / "other", limits=QUICK)
