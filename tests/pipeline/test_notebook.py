"""The notebook of the stages runs, on the scene of the demonstration."""

import re
from pathlib import Path

import nbformat
from nbclient import NotebookClient

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
NOTEBOOK = EXAMPLES / "stages.ipynb"


def test_every_cell_runs_and_shows_a_picture_of_each_layer(sample, monkeypatch):
    monkeypatch.setenv("GHSL_BEAM_SAMPLE", str(sample))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    client = NotebookClient(notebook, timeout=120, kernel_name="python3")
    client.execute(cwd=str(EXAMPLES))
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    assert len(pictures) == 5
    printed = "".join(output.get("text", "") for output in outputs)
    assert "the same: True True" in printed
    (kept,) = re.findall(r"on the grid: \d+, ([+-][\d.]+)%", printed)
    assert abs(float(kept)) < 0.5


def test_the_notebook_is_kept_without_outputs():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert code
    assert all(not cell.outputs and cell.execution_count is None for cell in code)
