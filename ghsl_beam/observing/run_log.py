"""The log file of a run, below its output; a temporary folder holds it if the output is remote."""

from __future__ import annotations

import logging
import shutil
import tempfile
from pathlib import Path
from types import TracebackType

from ghsl_beam.observing import logs
from transforms.elements import StorageError
from transforms.storage import storage

_LOG = logging.getLogger(__name__)


class RunLog:
    """A context manager that moves the log file to its place at the end.

    Attributes:
        location: The place of the file at the end of the run; None if there is no file.
    """

    def __init__(self, output: str) -> None:
        """Keep the output; `begin` creates the file, so a run without work leaves no log."""
        self.output = output
        self.location: str | None = None

    def begin(self) -> None:
        """Log to the file from now on."""
        remote = storage.is_url(self.output)
        above = tempfile.mkdtemp(prefix="ghsl-beam-") if remote else self.output
        self._file = logs.log_to_file(Path(above, "logs"))
        self.location = storage.join(self.output, "logs", self._file.name)

    def __enter__(self) -> RunLog:
        """Return the log itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Upload the file if necessary; the outcome of the run does not depend on it."""
        if self.location is None or not storage.is_url(self.output):
            return
        try:
            storage.write_whole(self.location, self._file.read_bytes())
        except (StorageError, OSError) as error_of_log:
            _LOG.warning("cannot upload the log, which stays in %s: %s", self._file, error_of_log)
            return
        logs.end_file(self._file)
        shutil.rmtree(self._file.parents[1], ignore_errors=True)
