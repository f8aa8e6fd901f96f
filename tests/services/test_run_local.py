"""./run_local.sh takes a Python that is there, and says in one line what is missing."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SHELL = ("bash", "dirname", "cat", "sha256sum", "uname", "env")
PYTHON = """#!{bash}
# A Python of version {version}; its modules are {modules}.
case "$*" in
  --version) echo "Python {version}.1" ;;
  *version_info*) [ {good} = yes ] ;;
  *ensurepip*) [ {venv} = yes ] ;;
  *CDLL*) [ {expat} = yes ] ;;
  *"-m venv"*) echo "made by {version}"; exit 7 ;;
  *) exit 1 ;;
esac
"""


def start(tmp_path, *pythons):
    """Run it where only these Pythons are: name, version, and what each of them has."""
    for name in SHELL:
        (tmp_path / name).symlink_to(shutil.which(name))
    for name, version, has in pythons:
        content = PYTHON.format(
            bash=shutil.which("bash"),
            version=version,
            modules=" ".join(has) or "none",
            good="yes" if version in ("3.11", "3.12", "3.13") else "no",
            **{key: "yes" if key in has else "no" for key in ("venv", "expat")},
        )
        (tmp_path / name).write_text(content)
        (tmp_path / name).chmod(0o755)
    env = {"PATH": str(tmp_path), "GHSL_BEAM_VENV": str(tmp_path / "venv"), "HOME": os.devnull}
    return subprocess.run(
        [shutil.which("bash"), ROOT / "run_local.sh", "install"],
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )


WHOLE = ("venv", "expat")


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13"])
def test_it_takes_the_python_that_is_there(tmp_path, version):
    done = start(tmp_path, ("python3", "3.10", WHOLE), (f"python{version}", version, WHOLE))
    assert (done.returncode, done.stdout) == (7, f"made by {version}\n")


@pytest.mark.parametrize(
    ("pythons", "says"),
    [
        ((), "needs Python 3.11, 3.12 or 3.13, found none. Debian, Ubuntu: apt-get install pyt"),
        ((("python3", "3.10", WHOLE),), "3.13, found Python 3.10.1. Debian"),
        ((("python3", "3.14", WHOLE),), "3.13, found Python 3.14.1. Debian"),
        ((("python3", "3.12", ("expat",)),), "python3 has no module venv. Debian, Ubuntu: apt-"),
        ((("python3.13", "3.13", ("venv",)),), "libexpat is missing, which GDAL needs. Debian"),
    ],
)
def test_what_is_missing_is_one_line(tmp_path, pythons, says):
    if "libexpat" in says and os.uname().sysname != "Linux":
        pytest.skip("only wheels of Linux need the system's libexpat")
    done = start(tmp_path, *pythons)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("run_local.sh: ")
    assert says in line
    assert "Fedora: dnf install " in line
    assert "macOS: brew " in line
