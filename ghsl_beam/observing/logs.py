"""Logs: one structured line for each event, with credentials masked, also from worker processes.

A line is `key=value key=value ...` or a JSON object. It has time, level, logger, message and job,
and tile and block if the process works on one. `ghsl_beam.runners.worker` makes worker processes
send their records as JSON; `ghsl_beam.runners.worker_records` restores the records.
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

from ghsl_beam.process import status, stopping
from ghsl_beam.process.terminal import stderr
from transforms.observe.events import place
from transforms.storage.redaction import MASK, harmless, is_secret_name, redact
from transforms.storage.room import why_not_written


class LogLevel(StrEnum):
    """The lowest level of the lines that are shown."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


OURS = ("ghsl_beam", "transforms")
_LOG = logging.getLogger(__name__)
_NATIVE = "rasterio"
"""Logger that repeats every message of GDAL; the important ones become errors of this program."""
_OTHERS = {"debug": "INFO", "info": "WARNING", "warning": "ERROR", "error": "ERROR"}
_FAILURE = logging.getLogger("ghsl_beam.failure")
_PROGRESS = "ghsl_beam.observing.progress"
"""The lines of this logger are shown at any level; `--quiet` stops it at its source."""
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class StructuredFormatter(logging.Formatter):
    """One line for each record: key=value pairs or a JSON object, with credentials masked."""

    def __init__(self, *, as_json: bool, job: str = "") -> None:
        """Choose JSON or not; `job`, if given, is in every line."""
        super().__init__()
        self.as_json = as_json
        self.job = job

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record."""
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
    """The same, but an error that ends the program is one plain line without traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record."""
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
    """Writes to the current stream for people, so that live progress can print around it."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        return stderr()

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record in place of the line about the present work."""
        with status.hidden():
            super().emit(record)


def configure(level: LogLevel, *, as_json: bool) -> None:
    """Log to stderr from `level` on; other libraries only at a higher level."""
    lowest = getattr(logging, level.upper())
    handler = _Stderr()
    handler.addFilter(lambda record: _is_shown(record, lowest))
    # After a stop signal, libraries report errors about the work that it interrupted.
    handler.addFilter(lambda record: record.name == _FAILURE.name or not stopping.requested())
    handler.setFormatter((StructuredFormatter if as_json else _ForPeople)(as_json=as_json))
    logging.basicConfig(handlers=[handler], force=True)
    logging.captureWarnings(True)
    set_levels(level)


def _is_shown(record: logging.LogRecord, lowest: int) -> bool:
    """Whether stderr gets a record; GDAL logs hundreds of lines for one failed write."""
    if record.name.partition(".")[0] == _NATIVE:
        return lowest <= logging.DEBUG
    return record.levelno >= lowest or record.name == _PROGRESS


def set_levels(level: LogLevel) -> None:
    """Set the levels of the loggers; the job's own lines go to its log file from `info` on."""
    logging.getLogger().setLevel(_OTHERS[level])
    for name in OURS:
        logging.getLogger(name).setLevel("DEBUG" if level == "debug" else "INFO")


def set_job(job: str) -> None:
    """Add the job's name to all lines from now on."""
    _formatter().job = job


class _RunFile(logging.FileHandler):
    """A log file that reports once, in one line, if it cannot be written; the run continues."""

    _said = False

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's own name
        """Report the reason, if the error is in the file."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
        elif not self._said:
            self._said = True
            path = Path(self.baseFilename)
            _LOG.warning("%s: is incomplete: %s", path, why_not_written(error, path))

    def close(self) -> None:
        """Close the file; an error of that is not an error of the run."""
        try:
            super().close()
        except OSError:
            self.handleError(logging.makeLogRecord({}))


def log_to_file(folder: Path) -> Path:
    """Log to a new file in a folder too, from info on; return its path."""
    shown = _formatter()
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    folder.mkdir(parents=True, exist_ok=True)
    handler = _RunFile(folder / f"{stamp}.log", encoding="utf-8")
    handler.setFormatter(StructuredFormatter(as_json=shown.as_json, job=shown.job))
    logging.getLogger().addHandler(handler)
    return Path(handler.baseFilename)


def end_file(path: Path) -> None:
    """Stop logging to this file."""
    root = logging.getLogger()
    for handler in root.handlers[:]:
        if isinstance(handler, logging.FileHandler) and Path(handler.baseFilename) == path:
            root.removeHandler(handler)
            handler.close()


def failed(text: str, *, with_traceback: bool = False) -> None:
    """Log the error that ends the program; the traceback goes to the log file, or to JSON lines."""
    _FAILURE.error(text, exc_info=with_traceback)


def tell_progress(doing: str, seconds: int) -> None:
    """Log what the program does, as a line of progress."""
    logging.getLogger(_PROGRESS).info("progress", extra={"doing": doing, "seconds": seconds})


def log_thread_errors() -> None:
    """Log an error that ends a thread; Python would print it unmasked."""

    def log(thread: threading.ExceptHookArgs) -> None:
        exc_info = (thread.exc_type, thread.exc_value, thread.exc_traceback)
        level = logging.INFO if stopping.requested() else logging.ERROR
        if thread.exc_value is not None:
            _LOG.log(level, "a thread failed", exc_info=exc_info)  # type: ignore[arg-type]

    threading.excepthook = log


def _formatter() -> StructuredFormatter:
    """The formatter that `configure` has set."""
    (formatter,) = (
        handler.formatter
        for handler in logging.getLogger().handlers
        if isinstance(handler, _Stderr) and isinstance(handler.formatter, StructuredFormatter)
    )
    return formatter
