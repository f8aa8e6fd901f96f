"""Restores the log records of the DirectRunner's worker processes in this process.

Beam logs a worker's record as one text. `ghsl_beam.runners.worker` makes the worker send JSON, so
that the whole record can be restored.
"""

from __future__ import annotations

import json
import logging

_LOGGER = "apache_beam.runners.portability.local_job_service"
"""Logger of Beam's DirectRunner for the records of its worker processes."""
_FAILED = ("apache_beam.runners.common", "apache_beam.runners.worker.sdk_worker")
"""Loggers in which Beam logs an error of a step, with all its tracebacks."""
_ENDS_THE_RUN = "KeysError: "
"""The launch reports this error in one line when it ends."""


def restore_records() -> None:
    """Restore the records of worker processes from now on."""
    worker = logging.getLogger(_LOGGER)
    worker.setLevel(logging.DEBUG)
    worker.addFilter(_restored)
    for name in _FAILED:
        logging.getLogger(name).addFilter(_once)


def _once(record: logging.LogRecord) -> bool:
    """Lower the level of an error that the launch reports at its end: only the log file has it."""
    if record.name in _FAILED and _ENDS_THE_RUN in record.getMessage():
        record.levelno, record.levelname = logging.INFO, "INFO"
    return True


def _restored(record: logging.LogRecord) -> bool:
    """Restore a worker's record in place; return whether it must be logged."""
    from apache_beam.portability.api import beam_fn_api_pb2
    from apache_beam.runners.worker.log_handler import LOGENTRY_TO_LOG_LEVEL_MAP
    from google.protobuf import text_format

    if record.msg != "Worker: %s":
        return record.levelno >= logging.getLogger().level
    text = record.args[0] if isinstance(record.args, tuple) else ""
    entry = text_format.Parse(str(text), beam_fn_api_pb2.LogEntry())
    try:
        fields = json.loads(entry.message)
    except ValueError:
        fields = None
    if (
        not isinstance(fields, dict) or not {"logger", "message"} <= fields.keys()
    ):  # from before the worker was set up
        fields = {"logger": "apache_beam.worker", "message": entry.message}
        if entry.trace:
            fields["traceback"] = entry.trace
    record.name, record.msg, record.args = fields.pop("logger"), fields.pop("message"), ()
    record.levelno = LOGENTRY_TO_LOG_LEVEL_MAP[entry.severity]
    record.levelname = logging.getLevelName(record.levelno)
    record.created = entry.timestamp.seconds + entry.timestamp.nanos / 1e9
    for key in ("time", "level"):
        fields.pop(key, None)
    vars(record).update(fields)
    _once(record)
    return logging.getLogger(record.name).isEnabledFor(record.levelno)
