"""The image's health check against Beam's own worker pool."""

import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from ghsl_beam.runners.container_health import healthy, pool_answers

POOL = "/opt/apache/beam/boot\0--worker_pool\0"


@pytest.fixture
def port():
    with socket.socket() as free:
        free.bind(("localhost", 0))
        return free.getsockname()[1]


@pytest.fixture
def pool(port):
    command = [sys.executable, "-m", "apache_beam.runners.worker.worker_pool_main"]
    process = subprocess.Popen([*command, f"--service_port={port}"], stderr=subprocess.DEVNULL)
    give_up = time.monotonic() + 60
    while not pool_answers(port, 1):
        assert process.poll() is None, "the pool has ended"
        assert time.monotonic() < give_up, "the pool does not start"
    yield process
    process.kill()
    process.wait()


def test_a_pool_is_well_while_it_answers(pool, port):
    assert healthy(POOL, port)
    pool.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, pool.pid, os.WSTOPPED)  # a busy machine takes its time
    with socket.create_connection(("localhost", port), 5):
        assert not pool_answers(port, 2), "an open port alone says nothing"
    pool.send_signal(signal.SIGCONT)
    assert healthy(POOL, port)


def test_a_pool_that_is_gone_is_not(port, capsys):
    assert not healthy(POOL, port)
    assert capsys.readouterr().out.startswith(f"worker pool, port {port}: UNAVAILABLE")


def test_a_launcher_is_well_while_it_runs(port):
    assert healthy("/opt/ghsl-beam/bin/python\0/opt/ghsl-beam/bin/ghsl-beam\0run\0job.yaml\0", port)
