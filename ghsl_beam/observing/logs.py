"""Logs: one structured line an event, credentials masked, the same from worker processes.

A line is `key=value key=value ...` or a JSON object. Lines carry time, level, logger and message,
the job, and tile and block where the process is at work on one. `ghsl_beam.runners.worker`
makes worker processes send their records as JSON; `ghsl_beam.runners.worker_records` turns them
into records again.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, TextIO

from ghsl_beam.process import stopping
from ghsl_beam.process.terminal import stderr
from transforms.observe.events import place
from transforms.storage.redaction import MASK, harmless, is_secret_name, redact
from transforms.storage.room import why_not_written


class LogLevel(StrEnum):
    """From which level on lines are shown."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


OURS = ("ghsl_beam", "transforms")
_LOG = logging.getLogger(__name__)
_NATIVE = "rasterio"
"""Passes on each thing that GDAL says; what matters of it comes as an error of ours."""
_OTHERS = {"debug": "INFO", "info": "WARNING", "warning": "ERROR", "error": "ERROR"}
_FAILURE = logging.getLogger("ghsl_beam.failure")
_PROGRESS = "ghsl_beam.observing.progress"
"""What this logger says is shown at any level; `--quiet` keeps it from speaking."""
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class StructuredFormatter(logging.Formatter):
    """One line a record: key=value pairs, or a JSON object; credentials are masked."""

    def __init__(self, *, as_json: bool, job: str = "") -> None:
        """Format as JSON or not; `job` stands in every line, where given."""
        super().__init__()
        self.as_json = as_json
        self.job = job

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        fields = {key: _masked(key, value) for key, value in self._fields(record).items()}
        if self.as_json:
            return json.dumps(fields)
        return " ".join(f"{key}={_quoted(str(value))}" for key, value in fields.items())

    def _fields(self, record: logging.LogRecord) -> dict[str, Any]:
        moment = datetime.fromtimestamp(record.created, UTC)
        fields: dict[str, Any] = {
            "time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if self.job:
            fields["job"] = self.job
        fields.update(place())
        fields.update({k: v for k, v in vars(record).items() if k not in _STANDARD})
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        return fields


class _ForPeople(StructuredFormatter):
    """As the other, but what ends the program is one plain line, without its traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        if record.name == _FAILURE.name:
            return f"ghsl-beam: {harmless(redact(record.getMessage()))}"
        return super().format(record)


def _masked(key: str, value: Any) -> Any:
    if is_secret_name(key):
        return MASK
    return value if isinstance(value, int | float) else redact(str(value))


def _quoted(value: str) -> str:
    plain = value.isprintable() and not any(sign in value for sign in ' "=\\')
    return value if value and plain else json.dumps(value, ensure_ascii=not value.isprintable())


class _Stderr(logging.StreamHandler[TextIO]):
    """Writes to what leads to people at the time, so that live progress can print around it."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        return stderr()


def configure(level: LogLevel, *, as_json: bool) -> None:
    """Log to stderr from `level` on; of other libraries only what is worse."""
    lowest = getattr(logging, level.upper())
    handler = _Stderr()
    handler.addFilter(lambda record: _is_shown(record, lowest))
    # Libraries take the word to stop for an error of whatever they are just running.
    handler.addFilter(lambda record: record.name == _FAILURE.name or not stopping.asked())
    handler.setFormatter((StructuredFormatter if as_json else _ForPeople)(as_json=as_json))
    logging.basicConfig(handlers=[handler], force=True)
    logging.captureWarnings(True)
    set_levels(level)


def _is_shown(record: logging.LogRecord, lowest: int) -> bool:
    """Whether stderr gets a record; of one failed write GDAL says hundreds of lines."""
    if record.name.partition(".")[0] == _NATIVE:
        return lowest <= logging.DEBUG
    return record.levelno >= lowest or record.name == _PROGRESS


def set_levels(level: LogLevel) -> None:
    """Levels of the loggers: the job's own go to its log file from `info` on."""
    logging.getLogger().setLevel(_OTHERS[level])
    for name in OURS:
        logging.getLogger(name).setLevel("DEBUG" if level == "debug" else "INFO")


def set_job(job: str) -> None:
    """From now on lines carry the job's name."""
    _formatter().job = job


class _RunFile(logging.FileHandler):
    """A file that says once, in one line, that it cannot be written; the run goes on without."""

    _said = False

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's own name
        """Say why, where the file is at fault."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
        elif not self._said:
            self._said = True
            path = Path(self.baseFilename)
            _LOG.warning("%s: not whole: %s", path, why_not_written(error, path))

    def close(self) -> None:
        """Close; what cannot be written then is no error of the run's."""
        try:
            super().close()
        except OSError:
            self.handleError(logging.makeLogRecord({}))


def log_to_file(folder: Path) -> Path:
    """Log to a file in the folder too, from info on; returns its path."""
    shown = _formatter()
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    folder.mkdir(parents=True, exist_ok=True)
    handler = _RunFile(folder / f"{stamp}.log", encoding="utf-8")
    handler.setFormatter(StructuredFormatter(as_json=shown.as_json, job=shown.job))
    logging.getLogger().addHandler(handler)
    return Path(handler.baseFilename)


def end_file(path: Path) -> None:
    """Log to this file no longer."""
    root = logging.getLogger()
    for handler in root.handlers[:]:
        if isinstance(handler, logging.FileHandler) and Path(handler.baseFilename) == path:
            root.removeHandler(handler)
            handler.close()


def failed(text: str, *, with_traceback: bool = False) -> None:
    """Say what ends the program; the traceback goes to the log file, or where lines are JSON."""
    _FAILURE.error(text, exc_info=with_traceback)


def take_what_is_raised_elsewhere() -> None:
    """Log what ends a thread, which Python would print as it is."""

    def log(thread: threading.ExceptHookArgs) -> None:
        found = (thread.exc_type, thread.exc_value, thread.exc_traceback)
        level = logging.INFO if stopping.asked() else logging.ERROR
        if thread.exc_value is not None:
            _LOG.log(level, "a thread failed", exc_info=found)  # type: ignore[arg-type]

    threading.excepthook = log


def _formatter() -> StructuredFormatter:
    """The one that `configure` has set."""
    (found,) = (
        handler.formatter
        for handler in logging.getLogger().handlers
        if isinstance(handler, _Stderr) and isinstance(handler.formatter, StructuredFormatter)
    )
    return found
