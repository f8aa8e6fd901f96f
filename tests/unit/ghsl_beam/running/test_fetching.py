"""What a fetch counts, and what it refuses, without an archive."""

import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from ghsl_beam.observing.progress import Count
from ghsl_beam.running.fetching import _check_room, _each, _File, _Wanted
from transforms.elements import RequestError, SceneError, SourceFile, StorageError
from transforms.storage.caching import Cache, CacheError

WANTED = _Wanted(SimpleNamespace(tile="33UUU"), SimpleNamespace(id="S2A"), last=True)


def fetch_all(action, items):
    count, losses = Count(len(items)), []
    with ThreadPoolExecutor(2) as pool:
        done = _each(items, action, lambda item: WANTED, pool, count, losses)
    return done, count, losses


def test_what_is_lost_is_named_and_the_rest_goes_on():
    def action(item):
        if item == 1:
            raise SceneError("B02.jp2", "not readable")
        if item == 2:
            raise StorageError("s3://b/B03.jp2", "503", passing=True)
        return item < 4

    done, count, losses = fetch_all(action, list(range(5)))
    assert done == [True, False, False, True, False]
    assert (count.made, count.lost, count.done) == (3, 2, 5)
    assert [(loss.stage, loss.tile, loss.scene, loss.file, loss.reason) for loss in losses] == [
        ("fetch", "33UUU", "S2A", "B02.jp2", "not readable"),
        ("fetch", "33UUU", "S2A", "s3://b/B03.jp2", "503"),
    ]


def test_a_cache_that_cannot_be_written_ends_it():
    begun = threading.Event()

    def action(item):
        begun.set()
        raise CacheError("/cache", "cannot be written: No space left on device")

    with pytest.raises(CacheError, match="No space left"):
        fetch_all(action, [1, 2, 3])
    assert begun.is_set()


def test_what_does_not_fit_is_refused_with_what_is_needed():
    files = [_File(WANTED, SourceFile(f"s3://b/{n}", 2 * 10**9)) for n in range(3)]
    _check_room(files, Cache("/cache", 6 * 10**9))
    with pytest.raises(RequestError) as caught:
        _check_room(files, Cache("/cache", 5 * 10**9))
    assert str(caught.value) == (
        "input.cache.gigabytes: the files to fetch have 6.0 GB, the cache holds 5.0 GB; "
        "give 6 or more"
    )
