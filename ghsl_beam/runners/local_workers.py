"""Worker processes of the DirectRunner (`--direct_running_mode=multi_processing`), watched.

Beam's own handler waits for ever for the answer of a worker that was killed. When this module is
imported, it replaces the handler by one that ends the run at once: requests to the lost worker and
to its peers are answered with an error, and the peers are stopped.
"""

from __future__ import annotations

import logging
import threading
import time
import weakref
from typing import ClassVar

import psutil
from apache_beam.portability import python_urns
from apache_beam.portability.api import beam_fn_api_pb2
from apache_beam.runners.portability.fn_api_runner.worker_handlers import (
    ControlFuture,
    EmbeddedGrpcWorkerHandler,
    SubprocessSdkWorkerHandler,
    WorkerHandler,
)
from apache_beam.runners.portability.local_job_service import SubprocessSdkWorker

from ghsl_beam.process import stopping

LOST = "a worker process ended"
LONGEST_END = 10.0
"""Seconds within which a worker process must end when its work is done."""
_PREFIX = b"trap '' HUP INT TERM; export PYTHONSAFEPATH=1; exec "
"""The commands of Beam's shell before it runs a worker.

A terminal, and some schedulers, send a stop signal to all processes at once; the workers ignore it,
and the launcher ends them. A worker imports nothing from the current folder, even if the launcher
is a program of its own that does.
"""
_LOG = logging.getLogger(__name__)


@WorkerHandler.register_environment(python_urns.SUBPROCESS_SDK, bytes)
class WatchedWorkerHandler(SubprocessSdkWorkerHandler):
    """A worker process; if it ends before its work is done, the run ends."""

    _peers: ClassVar[weakref.WeakKeyDictionary[object, weakref.WeakSet[WatchedWorkerHandler]]] = (
        weakref.WeakKeyDictionary()
    )
    """Handlers of one run, by their common server."""

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)
        self._lost = threading.Event()
        self.worker_thread: threading.Thread | None = None
        self._asked: weakref.WeakSet[ControlFuture] = weakref.WeakSet()
        self._push = self.control_conn.push
        self.control_conn.push = self._ask
        self._peers.setdefault(self._grpc_server, weakref.WeakSet()).add(self)

    def start_worker(self) -> None:
        """Start the process, and a thread that notices its end."""
        self.worker = SubprocessSdkWorker(
            _PREFIX + self._worker_command_line,
            self.control_address,
            self.provision_info,
            self.worker_id,
        )
        self.worker_thread = threading.Thread(name="run_worker", target=self._run, daemon=True)
        self.worker_thread.start()

    def stop_worker(self) -> None:
        """Wait until the process has ended by itself after its work, but only for a limited time.

        A process that has not connected yet does not receive the request to end.
        """
        thread, until = self.worker_thread, time.monotonic() + LONGEST_END
        while thread is not None and thread.is_alive():
            if stopping.requested() or time.monotonic() > until:
                self.give_up()
            thread.join(0.1)

    def _run(self) -> None:
        try:
            self.worker.run()
        except RuntimeError as error:  # the exit code was not 0
            if self._lost.is_set() or stopping.requested():
                return
            _LOG.error("worker process lost", extra={"worker": self.worker_id, "error": str(error)})
            for peer in self._peers[self._grpc_server]:
                peer.give_up()

    def give_up(self) -> None:
        """Answer all present and future requests with an error, and stop the process."""
        self._lost.set()
        for future in list(self._asked):
            self._refuse(future)
        for process in psutil.Process().children(recursive=True):
            try:
                if process.environ().get("WORKER_ID") == self.worker_id:
                    process.kill()
            except psutil.Error:  # it has ended, or soon ends
                continue

    def _ask(self, request: object) -> ControlFuture | None:
        future: ControlFuture | None = self._push(request)
        if future is not None:
            self._asked.add(future)
            if self._lost.is_set():
                self._refuse(future)
        return future

    @staticmethod
    def _refuse(future: ControlFuture) -> None:
        if not future.is_done():
            future.set(
                beam_fn_api_pb2.InstructionResponse(
                    instruction_id=future.instruction_id, error=LOST
                )
            )


@WorkerHandler.register_environment(python_urns.EMBEDDED_PYTHON_GRPC, bytes)
class PatientThreadHandler(EmbeddedGrpcWorkerHandler):
    """A thread as worker (`--direct_running_mode=multi_threading`); a stop does not wait for it.

    It may be in the middle of a block, and ends with the program.
    """

    def stop_worker(self) -> None:
        """Wait until its work is done, or a stop signal has come."""
        while self.worker_thread.is_alive() and not stopping.requested():
            self.worker_thread.join(0.1)
