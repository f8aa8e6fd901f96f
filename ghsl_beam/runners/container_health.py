"""Health check of a container: `python -m ghsl_beam.runners.container_health` exits with 0 or 1.

A launcher is healthy while it runs, a worker pool while it answers. This module imports little,
because it runs every few seconds.
"""

from __future__ import annotations

import sys
from pathlib import Path

import grpc

POOL_PORT = 50000
"""Port on which Beam's own program serves a worker pool."""
_STOP_WORKER = "/org.apache.beam.model.fn_execution.v1.BeamFnExternalWorkerPool/StopWorker"


def pool_answers(port: int, seconds: float = 10) -> bool:
    """Whether the worker pool on this host answers in time.

    It is asked to stop a worker without a name, which does not exist. Unlike an open port, the
    answer needs the Python code of the pool, so the check finds a pool that hangs.
    """
    with grpc.insecure_channel(f"localhost:{port}") as channel:
        try:
            channel.unary_unary(_STOP_WORKER)(b"", timeout=seconds)
        except grpc.RpcError as error:
            print(f"worker pool, port {port}: {error.code().name}, expected an answer")
            return False
    return True


def healthy(first_process: str, port: int = POOL_PORT) -> bool:
    """Whether a container is healthy; its first process has this command line."""
    return "--worker_pool" not in first_process or pool_answers(port)


if __name__ == "__main__":
    sys.exit(not healthy(Path("/proc/1/cmdline").read_text(encoding="utf-8")))
