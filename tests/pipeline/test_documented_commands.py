"""Every command of README.md and docs runs, or is parsed where it needs more than this machine.

The comment `<!-- parsed: reason -->` before a block of a page says why its commands are not run.
"""

import re
import shlex
from datetime import date

import nbformat
import pytest
import rasterio
import yaml
from nbclient import NotebookClient

from ghsl_beam.jobfile.configuration import Job
from tests.conftest import ROOT
from tests.pipeline.conftest import EXAMPLES
from tests.support.command import call
from tests.support.documented import commands, inline_commands, parse, run, words
from tests.support.jobs import make
from tests.support.pages import fences, pages
from tests.support.workplace import add_inputs, workplace

ALL = commands()
BASE = {
    "name": "berlin",
    "area": {"bbox": [13.0, 52.3, 13.8, 52.7]},
    "period": {"start": "2025-05-01", "end": "2025-09-30"},
    "input": {"source": "stac"},
    "residential": {"model": "own.skops"},
    "output": "berlin",
}


@pytest.fixture(scope="module")
def place(sample, tmp_path_factory):
    """The folder in which the commands run, after the first of them: the demonstration's run."""
    folder = workplace(tmp_path_factory.mktemp("documented"), sample)
    make(folder / "examples" / "havelland.yaml")
    add_inputs(folder)
    return folder


@pytest.mark.parametrize("command", [one for one in ALL if not one.parsed], ids=str)
def test_a_command_runs(command, place, tmp_path, monkeypatch, capfd):
    program, *rest = words(command.line)
    if program != "ghsl-beam":
        done = run(command.line, place)
        assert done.returncode == 0, done.stderr
        return
    for result in ("calibration.json", "totals.csv", "totals.gpkg"):  # it is never overwritten
        (place / result).unlink(missing_ok=True)
    monkeypatch.chdir(tmp_path if rest[0] == "init" else place)  # it writes a new job file
    code, _, printed = call(monkeypatch, capfd, *rest)
    assert code == 0, printed


@pytest.mark.parametrize("command", [one for one in ALL if one.parsed], ids=str)
def test_a_command_that_needs_more_is_well_formed(command):
    program, *rest = words(command.line)
    if program == "ghsl-beam":
        parse(command.line)
    for word in rest:
        if word.startswith(("deploy/", "examples/", "benchmarks/")) and "*" not in word:
            assert (ROOT / word).exists() or word == "deploy/s3.env", word
    assert run(f"bash -n -c {shlex.quote(command.line)}", ROOT).returncode == 0


def test_the_commands_in_sentences_are_well_formed():
    found = inline_commands()
    assert len(found) >= 15
    for command in found:
        parse(command.line)


def test_every_command_is_in_a_fenced_block():
    """An indented line may also stand in a fenced block within a list."""
    inside = {line.strip() for fence in fences("sh", "text") for line in fence.text.splitlines()}
    for page in pages():
        for line in page.read_text().splitlines():
            if line.startswith(("    ghsl-beam ", "    python ")):
                assert line.strip() in inside, f"{page.name}: {line}"


@pytest.mark.parametrize("fence", fences("yaml"), ids=lambda fence: f"{fence.page}:{fence.line}")
def test_a_job_file_or_a_part_of_one_is_valid(fence):
    """A key that stands twice gives alternatives: each is tried alone."""
    for part in alternatives(fence.text):
        content = yaml.safe_load(part)
        assert Job.model_validate(BASE | content, context={"today": date(2026, 1, 5)})


@pytest.mark.parametrize(
    "fence", [one for one in fences("python") if not one.mark], ids=lambda one: one.page
)
def test_python_of_a_page_runs(fence, place, monkeypatch):
    monkeypatch.chdir(place)
    exec(compile(fence.text, f"{fence.page}:{fence.line}", "exec"), {})  # noqa: S102


def test_the_notebook_of_an_output_runs(place, monkeypatch):
    monkeypatch.setenv("GHSL_BEAM_OUTPUT", str(place / "output" / "havelland"))
    notebook = nbformat.read(EXAMPLES / "explore.ipynb", as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in code)
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute(cwd=str(EXAMPLES))
    outputs = [output for cell in code for output in cell.outputs]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 1
    printed = "".join(output.get("text", "") for output in outputs)
    (kept,) = re.findall(r"on the grid: [\d.]+ ha, ([+-][\d.]+)%", printed)
    assert abs(float(kept)) < 0.5
    with rasterio.open(next((place / "output").glob("*/utm/*/RES_NRES_E*.tif"))) as file:
        classes = file.read(1)
    for name, value in (("residential", 1), ("non-residential", 2)):
        (hectares,) = re.findall(rf"^{name}: ([\d.]+) ha", printed, re.M)
        assert float(hectares) == pytest.approx((classes == value).sum() / 100, abs=0.05)


def alternatives(text):
    """The text in parts, in which no key of the top stands twice."""
    parts = [[]]
    for line in text.splitlines():
        key = line.partition(":")[0] + ":"
        if line[:1].isalpha() and any(before.startswith(key) for before in parts[-1]):
            parts.append([])
        parts[-1].append(line)
    return ["\n".join(part) for part in parts]
