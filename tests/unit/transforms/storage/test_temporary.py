"""Temporary files do not outlive their process, however it ends."""

import os
import signal
import subprocess
import sys

import pytest

WRITE = """
import sys
from transforms.storage.temporary import process_folder
(process_folder() / "large").write_text("left")
print(process_folder(), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def start(tmp_path):
    """Starts a process that has written to its folder; it ends when its input ends."""
    running = []

    def started():
        process = subprocess.Popen(
            [sys.executable, "-c", WRITE],
            env={**os.environ, "TMPDIR": str(tmp_path)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        return process, process.stdout.readline().strip()

    yield started
    for process in running:
        process.kill()
        process.communicate()


def test_a_process_that_ends_leaves_nothing(start, tmp_path):
    process, folder = start()
    assert os.listdir(folder)
    process.communicate()
    assert os.listdir(tmp_path) == []


def test_what_a_killed_one_left_goes_with_the_next_and_a_living_ones_stays(start, tmp_path):
    living, kept = start()
    killed, left = start()
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert os.path.exists(left)
    _, new = start()
    assert not os.path.exists(left)
    assert {os.path.basename(path) for path in (kept, new)} == set(os.listdir(tmp_path))
    assert living.poll() is None
    assert "large" in os.listdir(kept)


def test_what_a_process_did_not_make_stays(start, tmp_path):
    mine = tmp_path / "ghsl-beam-of-my-thesis"
    mine.mkdir()
    (mine / "in-use").touch()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "in-use").touch()
    (tmp_path / "ghsl-beam-of-abcdefgh").symlink_to(elsewhere)
    start()
    assert (mine / "in-use").exists()
    assert (elsewhere / "in-use").exists()
