"""Worker processes of this machine."""

import os
import shlex
import subprocess
import sys

from ghsl_beam.runners import local_workers


def test_a_worker_imports_nothing_from_the_current_folder(tmp_path):
    """Also where a program calls `run`, so that its own Python has not left the folder."""
    (tmp_path / "planted.py").write_text("print('imported')")
    command = f"{local_workers._PREFIX.decode()}{shlex.quote(sys.executable)} -m planted"
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    ended = subprocess.run(
        ["sh", "-c", command], cwd=tmp_path, env=env, capture_output=True, text=True
    )
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "No module named planted" in ended.stderr
