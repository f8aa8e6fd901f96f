"""What lies in the work area, or in its place, and is not a launch's own."""

from contextlib import contextmanager
from pathlib import Path

import pytest

from ghsl_beam.jobfile.configuration import load_job
from ghsl_beam.running import launch
from tests.pipeline.faults.conftest import small_job
from tests.pipeline.faults.table import fault
from transforms.elements import RequestError
from transforms.work import work_files


@pytest.fixture
def job(tmp_path):
    return load_job(small_job(tmp_path).file)


NOT_OURS = "one line names what is there; nothing is written, nothing removed; 2"
SOMEBODY_S = {
    "a folder `work` of somebody else's": "work/thesis/chapter.txt",
    "a folder `work` of somebody else's with a launch's names": "work/plan/33UUU.json",
    "a file of somebody else's in the work area": "work/blocks/notes.md",
}
for name in SOMEBODY_S:
    fault("work", name, NOT_OURS)


def all_below(folder):
    return {path: path.is_file() and path.read_bytes() for path in folder.rglob("*")}


@pytest.mark.parametrize("name", SOMEBODY_S)
def test_what_lies_there_and_no_launch_made_ends_the_launch(job, name):
    path = Path(job.output) / SOMEBODY_S[name]
    if path.name == "notes.md":
        work_files.claim(str(Path(job.output) / "work"))
    path.parent.mkdir(parents=True)
    path.write_text("mine")
    before = all_below(Path(job.output))
    with pytest.raises(RequestError, match=r"which no launch made.*choose another output$"):
        launch.run(job)
    assert all_below(Path(job.output)) == before


fault("work", "a link `work`, or one in the work area", NOT_OURS)


@pytest.mark.parametrize("at", ["work", "work/blocks", "work/blocks/S2/33UUU/r0_c0_64x64.tif"])
def test_a_link_to_what_is_somebody_else_s_ends_the_launch(job, tmp_path, at):
    elsewhere = tmp_path / "another disk"
    for path in ("33UUU.json", "S2/33UUU/r0_c0_64x64.tif"):
        (elsewhere / path).parent.mkdir(parents=True, exist_ok=True)
        (elsewhere / path).write_text("mine")
    if at != "work":
        work_files.claim(str(Path(job.output) / "work"))
    (Path(job.output) / at).parent.mkdir(parents=True, exist_ok=True)
    target = elsewhere / "33UUU.json" if at.endswith(".tif") else elsewhere
    (Path(job.output) / at).symlink_to(target)
    before = all_below(elsewhere)
    with pytest.raises(RequestError, match="link"):
        launch.run(job)
    assert all_below(elsewhere) == before


fault(
    "work",
    "somebody puts a file into the work area while a launch is at work",
    "it stays, and a warning says so; the rest of the work area goes; 0",
)


def test_what_comes_into_the_work_area_later_stays(job, caplog):
    mine = Path(job.output) / "work" / "blocks" / "notes.md"

    @contextmanager
    def putting(inventory, events):
        yield
        mine.write_text("mine")

    assert launch.run(job, watch=putting)["exit_code"] == 0
    assert [path for path in (Path(job.output) / "work").rglob("*") if path.is_file()] == [mine]
    assert "blocks is kept: it contains files that no launch made" in caplog.text
    with pytest.raises(RequestError, match=r"contains blocks/notes.md, which no launch made"):
        launch.run(job)
