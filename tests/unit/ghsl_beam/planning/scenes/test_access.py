"""How a job reaches its archive: chosen by the source, unless the job file says it."""

import pytest

from ghsl_beam.jobfile.configuration import load_job
from ghsl_beam.planning.scenes.access import (
    access_kind,
    access_of,
    gigabytes_for,
    kept_files,
    window_problem,
)
from tests.support.jobs import write_job
from transforms.elements import RequestError, SourceFile
from transforms.storage import signing
from transforms.storage.caching import DIRECT, Access

WKT = "POLYGON ((12 52, 13 52, 13 53, 12 53, 12 52))"
API = {"name": "own", "address": "https://stac.example/v1"}
PRIVATE = {
    "name": "sentinel-2-l2a",
    "roots": ["https://files.example/container"],
    "tokens": "https://signs.example/v1",
    "safe": True,
}


def job_of(folder, archive, **given):
    file = write_job(folder, WKT, archive, input={"archive": str(archive), **given})
    return load_job(file)


@pytest.mark.parametrize(
    ("archive", "given", "kind"),
    [
        ("/eodata", {}, "direct"),
        ("s3://eodata", {}, "download"),
        ("https://host/tree", {}, "download"),
        ("/eodata", {"access": "download"}, "download"),
        ("s3://eodata", {"access": "direct"}, "direct"),
        ("s3://eodata", {"access": "download-bands"}, "download-bands"),
    ],
)
def test_the_source_chooses_unless_the_job_says_it(tmp_path, archive, given, kind):
    assert access_kind(job_of(tmp_path, archive, **given)) == kind


def test_direct_access_has_no_cache(tmp_path):
    assert access_of(job_of(tmp_path, "/eodata")) == DIRECT


def test_a_job_signs_for_its_own_catalogue_alone(tmp_path):
    signing.add(signing.Signer("host.example", "https://tokens.example"))  # of an earlier job
    file = write_job(
        tmp_path, WKT, "", input={"source": "stac", "level": "L2A", "api": {**API, "l2a": PRIVATE}}
    )
    tokens = signing.Signer("files.example", "https://signs.example/v1")
    assert access_of(load_job(file)).signers == signing.NO_OTHERS.with_more(tokens)
    assert access_of(job_of(tmp_path, "/eodata")).signers == signing.NO_OTHERS


def test_the_folder_is_that_of_the_user_unless_it_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    found = access_of(job_of(tmp_path, "s3://eodata"), verify=True)
    assert found.cache.folder == str(tmp_path / "caches" / "ghsl-beam")
    assert (found.cache.limit, found.cache.verify, found.masks) == (50 * 10**9, True, True)
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/somebody")
    found = access_of(job_of(tmp_path, "s3://eodata", access="download-bands"))
    assert found.cache.folder == "/home/somebody/.cache/ghsl-beam"
    assert not found.masks
    cache = {"folder": "here", "gigabytes": 0.5}
    found = access_of(job_of(tmp_path, "s3://eodata", cache=cache))
    assert (found.cache.folder, found.cache.limit) == (str(tmp_path / "here"), 5 * 10**8)


@pytest.mark.parametrize(
    ("cache", "named"),
    [
        ({"folder": "s3://bucket/cache"}, "expected a folder on a disk, not a URL"),
        ({"gigabytes": 0}, "input.cache.gigabytes"),
        ({"gigabytes": True}, "expected a number"),
        ({"size": 3}, "input.cache.size"),
    ],
)
def test_a_cache_that_cannot_be_is_one_line(tmp_path, cache, named):
    with pytest.raises(RequestError) as caught:
        job_of(tmp_path, "s3://eodata", cache=cache)
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_number_of_gigabytes_holds_the_bytes():
    assert [gigabytes_for(size) for size in (1, 10**8, 10**8 + 1, 31 * 10**9)] == [
        "0.1",
        "0.1",
        "0.2",
        "31",
    ]


@pytest.mark.parametrize(
    ("archive", "access", "mask", "refused"),
    [
        ("s3://eodata", "direct", None, True),
        ("s3://eodata", "download-bands", "/vsis3/eodata/MSK_CLASSI_B00.jp2", True),
        ("s3://eodata", "download-bands", "/vsis3/eodata/MSK_CLOUDS_B00.gml", False),
        ("s3://eodata", "download", "/vsis3/eodata/MSK_CLASSI_B00.jp2", False),
        ("s3://mine", "direct", None, False),
        ("/eodata", "direct", None, False),
    ],
)
def test_no_windows_are_read_at_a_service_with_limits(tmp_path, archive, access, mask, refused):
    scene = _Scene(None)
    scene.mask = mask
    found = window_problem(job_of(tmp_path, archive, access=access), [scene])
    assert (found is not None) == refused
    if found:
        assert f"{access}: s3://eodata is at storage service copernicus, which limits" in found


class _Scene:
    def __init__(self, mask, *bands):
        self.mask_file = SourceFile(mask) if mask else None
        self.band_files = tuple(map(SourceFile, bands))
        self.mask_band_files = ()


def test_files_come_once_and_masks_first():
    scenes = [_Scene("m", "a", "b"), _Scene("zip", "zip", "zip"), _Scene(None, "c")]
    scenes[2].mask_band_files = (SourceFile("b01"),)
    names = [file.location for file in kept_files(scenes, Access())]
    assert names == ["m", "zip", "a", "b", "c", "b01"]
    names = [file.location for file in kept_files(scenes, Access(masks=False))]
    assert names == ["a", "b", "zip", "c", "b01"]
