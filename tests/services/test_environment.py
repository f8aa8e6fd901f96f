"""Nothing is imported from the current folder, here and in what this process starts."""

import os
import subprocess
import sys
from importlib.util import find_spec

import pytest

ASK = """
import os, subprocess, sys
from ghsl_beam.process.environment import leave_current_folder
leave_current_folder()
try:
    import planted
except ImportError:
    print("not here")
child = [sys.executable, "-m", "planted"]
print(subprocess.run(child, capture_output=True).returncode, os.environ.get("PYTHONPATH"))
"""


@pytest.mark.parametrize(
    ("given", "left"),
    [
        (None, None),
        ("", None),
        (":", None),
        (".", None),
        (":/opt/mine:", "/opt/mine"),
        ("relative:/opt/mine:.", "/opt/mine"),
    ],
)
def test_the_current_folder_is_left(tmp_path, given, left):
    (tmp_path / "planted.py").write_text("print('imported')")
    (tmp_path / "relative").mkdir()
    (tmp_path / "relative" / "planted.py").write_text("print('imported')")
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    env |= {} if given is None else {"PYTHONPATH": given}
    asked = subprocess.run(
        [sys.executable, "-c", ASK], cwd=tmp_path, env=env, capture_output=True, text=True
    )
    assert asked.stdout == f"not here\n1 {left}\n", asked.stderr


def test_a_folder_that_is_named_whole_counts(tmp_path):
    (tmp_path / "planted.py").write_text("")
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    asked = subprocess.run(
        [sys.executable, "-c", ASK], cwd=tmp_path, env=env, capture_output=True, text=True
    )
    assert asked.stdout == f"0 {tmp_path}\n", asked.stderr


def test_a_current_folder_that_was_removed(tmp_path):
    gone = tmp_path / "gone"
    command = f"mkdir {gone}; cd {gone}; rmdir {gone}; exec {sys.executable} -c '{ASK}'"
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    asked = subprocess.run(["bash", "-c", command], env=env, capture_output=True, text=True)
    assert asked.stdout == "not here\n1 None\n", asked.stderr


NOT_OURS = "import re, sys; print(*sys.modules)"


@pytest.mark.parametrize(
    ("command", "path"),
    [
        (["-m", "ghsl_beam"], None),
        (["-c", "import re, sys; from ghsl_beam.__main__ import main; main()"], "."),
        (["-c", "import re, sys; from ghsl_beam.__main__ import main; main()"], ":/nonexistent"),
    ],
)
def test_the_current_folder_is_left_before_anything_is_imported(tmp_path, command, path):
    """All the standard library lies there, but for what Python loads before any code of ours."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    early = subprocess.check_output([sys.executable, "-c", NOT_OURS], env=env, text=True).split()
    planted = {name for name in sys.stdlib_module_names if find_spec(name)}  # some are of Windows
    planted -= {name.partition(".")[0] for name in early} if path else set()
    assert {"json", "select", "signal", "threading", "typing"} <= planted
    for module in (*planted, "numpy", "typer", "click", "yaml"):
        (tmp_path / f"{module}.py").write_text("raise SystemExit(77)")
    env |= {"PYTHONPATH": path} if path else {}
    asked = subprocess.run(
        [sys.executable, *command, "--help"], cwd=tmp_path, env=env, capture_output=True, text=True
    )
    assert asked.returncode == 0, asked.stderr
    assert "Usage" in asked.stdout
