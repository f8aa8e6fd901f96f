"""Nothing is imported from the current folder, here and in what this process starts."""

import os
import subprocess
import sys

import pytest

ASK = """
import os, subprocess, sys
from ghsl_beam.environment import leave_current_folder
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
    asked = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert asked.stdout == "not here\n1 None\n", asked.stderr
