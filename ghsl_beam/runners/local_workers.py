"""Worker processes of the DirectRunner (`--direct_running_mode=multi_processing`), watched.

Beam's own handler waits without end for the answer of a worker that was killed. Importing this
module puts another in its place, which ends the run at once: requests to the lost worker are
answered with an error, those to its peers too, and the peers are stopped.
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
"""Seconds that a worker process may take to end when its work is done."""
_PREFIX = b"trap '' HUP INT TERM; exec "
"""What Beam's shell does before it runs a worker.

A terminal, and some schedulers, tell all processes at once to stop: the launcher ends its workers.
"""
_LOG = logging.getLogger(__name__)


@WorkerHandler.register_environment(python_urns.SUBPROCESS_SDK, bytes)
class WatchedWorkerHandler(SubprocessSdkWorkerHandler):
    """A worker process whose end before its work is done is the end of the run."""

    _peers: ClassVar[weakref.WeakKeyDictionary[object, weakref.WeakSet[WatchedWorkerHandler]]] = (
        weakref.WeakKeyDictionary()
    )
    """Handlers of one run, by the server that they share."""

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)
        self._lost = threading.Event()
        self.worker_thread: threading.Thread | None = None
        self._asked: weakref.WeakSet[ControlFuture] = weakref.WeakSet()
        self._push = self.control_conn.push
        self.control_conn.push = self._ask
        self._peers.setdefault(self._grpc_server, weakref.WeakSet()).add(self)

    def start_worker(self) -> None:
        """Start the process, and a thread that sees it end."""
        self.worker = SubprocessSdkWorker(
            _PREFIX + self._worker_command_line,
            self.control_address,
            self.provision_info,
            self.worker_id,
        )
        self.worker_thread = threading.Thread(name="run_worker", target=self._run, daemon=True)
        self.worker_thread.start()

    def stop_worker(self) -> None:
        """Wait for the process to end by itself, as its work is done; not for long, nor for ever.

        One that has not connected yet does not hear that it should.
        """
        thread, until = self.worker_thread, time.monotonic() + LONGEST_END
        while thread is not None and thread.is_alive():
            if stopping.asked() or time.monotonic() > until:
                self.give_up()
            thread.join(0.1)

    def _run(self) -> None:
        try:
            self.worker.run()
        except RuntimeError as error:  # its exit code was not 0
            if self._lost.is_set() or stopping.asked():
                return
            _LOG.error("worker process lost", extra={"worker": self.worker_id, "error": str(error)})
            for peer in self._peers[self._grpc_server]:
                peer.give_up()

    def give_up(self) -> None:
        """Answer what was asked, and all that will be, with an error; stop the process."""
        self._lost.set()
        for future in list(self._asked):
            self._refuse(future)
        for process in psutil.Process().children(recursive=True):
            try:
                if process.environ().get("WORKER_ID") == self.worker_id:
                    process.kill()
            except psutil.Error:  # it has ended, or is about to
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
    """A thread as worker (`--direct_running_mode=multi_threading`); at a stop, left to itself.

    It may be in the middle of a block, and ends with the program.
    """

    def stop_worker(self) -> None:
        """Wait until its work is done, or the program is told to stop."""
        while self.worker_thread.is_alive() and not stopping.asked():
            self.worker_thread.join(0.1)
