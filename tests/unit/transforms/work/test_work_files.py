"""What is not a job's own in a folder `work` is seen, and never removed."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.object_storage import make_bucket, s3_service, using
from transforms.elements import Block, Layer, Loss, Window
from transforms.storage import storage
from transforms.work import work_files
from transforms.work.work_area import WorkArea

LAUNCH = "0123456789abcdef" * 2
OWN = [
    "plan/33UUU.json",
    "plan/1CCV.json",
    "blocks/S2/33UUU/r0_c0_512x512.tif",
    "blocks/BUFRAC_RAW/33UUU/.r512_c0_512x200.0a1b2c3d.partial.tif",
    "grid/54009_100/BUILT_S/R4_C19_r01_c10.tif",
    f"losses/{LAUNCH}.json",
    f"sums/{LAUNCH}/{LAUNCH}.json",
    "events/20261130T021910.123456Z-4711/host-4711.jsonl",
]
FOREIGN = [
    "notes.md",
    "thesis/chapter.txt",
    "plan/notes.md",
    "plan/33UUU.json.bak",
    "blocks/thesis.txt",
    "blocks/S2/33UUU/photo.tif",
    "blocks/S2/photo/r0_c0_512x512.tif",
    "blocks/MINE/33UUU/r0_c0_512x512.tif",
    "grid/54009_100/BUILT_S/city.tif",
    "losses/2024.json",
    "events/party.jsonl",
    ".notes.0a1b2c3d.partial.md",
    "blocks/S2/33UUU/.photo.0a1b2c3d.partial.tif",
]


@pytest.fixture(scope="module")
def bucket():
    with s3_service() as address, using(address):
        yield make_bucket("work-files")


@pytest.fixture(params=["local", "s3"])
def work(request, tmp_path, bucket):
    above = str(tmp_path) if request.param == "local" else f"{bucket}/a[1]/{tmp_path.name}"
    return storage.join(above, "work")


def put(work, *names):
    for name in names:
        storage.write_whole(storage.join(work, *name.split("/")), b"x")


def names(work):
    if storage.is_url(work):
        return sorted(storage.objects_below(work))
    found = (os.path.join(at, file) for at, _, files in os.walk(work) for file in files)
    return sorted(os.path.relpath(path, work) for path in found)


def test_what_a_launch_made_may_be_used_and_goes_whole(work):
    assert work_files.problem(work) is None
    work_files.claim(work)
    put(work, *OWN)
    put(work, work_files.LOCK)
    assert work_files.problem(work) is None
    work_files.remove(work)
    assert names(work) == []
    assert storage.is_url(work) or not os.path.lexists(work)


def test_what_workers_write_is_a_job_s_own(tmp_path):
    work = WorkArea(str(tmp_path), launch=LAUNCH)
    loss = Loss("read", "33UUU", "gone")
    work.losses.record(loss)
    paths = [
        work.blocks.path(layer, Block("33UUU", Window(0, 512, 512, 200))) for layer in Layer
    ] + [work.plans.path("33UUU"), *map(str, tmp_path.glob("losses/*"))]
    for path in paths:
        assert work_files.is_own(os.path.relpath(path, tmp_path)), path


@pytest.mark.parametrize("foreign", FOREIGN)
def test_what_no_launch_made_is_named_and_stays(work, foreign):
    put(work, foreign)
    assert work_files.problem(work) == f"contains {foreign}, which no launch made"
    work_files.claim(work)  # even where one has begun there
    assert work_files.problem(work) == f"contains {foreign}, which no launch made"
    put(work, *OWN)
    work_files.remove(work)
    assert names(work) == [foreign]


@pytest.mark.parametrize("name", OWN)
def test_without_the_marker_nothing_is_a_launch_s_own(work, name):
    put(work, name)
    assert "which no launch made" in work_files.problem(work)


def test_a_marker_of_somebody_else_is_none(work):
    put(work, work_files.MARKER)
    assert work_files.MARKER in work_files.problem(work)


@pytest.mark.parametrize(
    ("content", "expected"), [(b"", True), (b"process 7 on host", True), (b"my key", False)]
)
def test_a_lock_alone_is_what_an_ending_launch_left(work, content, expected):
    storage.write_whole(storage.join(work, work_files.LOCK), content)
    assert (work_files.problem(work) is None) is expected


@pytest.mark.parametrize("at", ["", "blocks", "blocks/S2", "blocks/S2/33UUU", "plan/33UUU.json"])
def test_a_link_is_refused_and_never_followed(tmp_path, at):
    elsewhere, work = tmp_path / "elsewhere", tmp_path / "out" / "work"
    put(str(elsewhere), "33UUU/r0_c0_512x512.tif", "r0_c0_512x512.tif", "S2/33UUU/r0_c0_8x8.tif")
    before = names(str(elsewhere))
    link = work / at if at else work
    if at:
        work_files.claim(str(work))
    link.parent.mkdir(parents=True, exist_ok=True)
    target = elsewhere / "r0_c0_512x512.tif" if at.endswith(".json") else elsewhere
    link.symlink_to(target)
    assert "link" in work_files.problem(str(work))
    work_files.clear(str(work), "blocks/S2/33UUU")
    work_files.clear(str(work))
    assert names(str(elsewhere)) == before
    assert link.is_symlink()


@pytest.mark.parametrize("kind", ["file", "fifo", "dangling link"])
def test_a_work_area_that_is_no_folder(tmp_path, kind):
    work = tmp_path / "work"
    if kind == "file":
        work.write_text("mine")
    elif kind == "fifo":
        os.mkfifo(work)
    else:
        work.symlink_to(tmp_path / "nowhere")
    assert work_files.problem(str(work)).startswith("is ")


def test_an_empty_folder_may_be_used(tmp_path):
    (tmp_path / "work").mkdir()
    assert work_files.problem(str(tmp_path / "work")) is None


@given(st.text(alphabet="plan/blocksS2.json_r0c-x\n", max_size=40))
def test_only_whole_names_are_own(name):
    """Nothing with a line break, an empty part or dots that lead elsewhere is."""
    if work_files.is_own(name):
        parts = name.removesuffix("/").split("/")
        assert "\n" not in name
        assert not {"", ".", ".."}.intersection(parts)


def test_what_killed_processes_were_writing_beside_the_products_goes(tmp_path):
    unfinished = [
        ".run.0a1b2c3d.partial.json",
        ".catalog.0a1b2c3d.partial.json",
        "report/.index.0a1b2c3d.partial.html",
        "stac/utm/.item.0a1b2c3d.partial.json",
        "utm/33UUU/.S2_E2020_town_33UUU.0a1b2c3d.partial.tif",
        "utm/33UUU/.S2_E2020_town_33UUU.0a1b2c3d.partial.plain.tif",
        "utm/33UUU/.S2_E2020_town_33UUU.0a1b2c3d.partial.tif.ovr",
        "grid/54009_100/.BUILT_S.0a1b2c3d.partial.vrt",
        "utm/.S2_E2020_town_32633.0a1b2c3d.partial.vrt",
    ]
    others = [
        ".notes.0a1b2c3d.partial.json",
        "run.json",
        "mine/33UUU/.S2.0a1b2c3d.partial.tif",
        "utm/33UUU/.S2.mine.partial.tif",
        "utm/33UUU/.S2.0a1b2c3d.tif",
        "utm/33UUU/.S2.0a1b2c3d.partial.doc",
        "utm/33UUU/S2.tif",
        "utm/.S2.0a1b2c3d.partial.tif",
    ]
    put(str(tmp_path), *unfinished, *others)
    (tmp_path / "elsewhere" / "33UUU").mkdir(parents=True)
    link = tmp_path / "utm" / "33UUU" / ".S3.0a1b2c3d.partial.tif"
    link.symlink_to(tmp_path / "run.json")
    work_files.remove_unfinished(str(tmp_path))
    assert names(str(tmp_path)) == sorted([*others, str(link.relative_to(tmp_path))])
