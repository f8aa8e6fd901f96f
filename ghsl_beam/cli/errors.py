"""Ends a command after an error: one line, an exit code, and the traceback in a log."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import typer

from ghsl_beam.observing import logs
from ghsl_beam.process import stopping
from transforms.elements import GhslBeamError, RequestError
from transforms.storage.redaction import redact
from transforms.storage.room import OF_THE_DISK, why_not_written

if TYPE_CHECKING:
    from ghsl_beam.observing.run_log import RunLog


@contextmanager
def errors_in_one_line(log: RunLog | None = None) -> Iterator[None]:
    """End the program at an error: one line, and the traceback in the run's log or a new one."""
    try:
        yield
    except RequestError as error:
        _die(error, 2)
    except GhslBeamError as error:
        _die(error, 1)
    except (KeyboardInterrupt, typer.Abort):
        _die("stopped", 1)
    except Exception as error:  # noqa: BLE001 - the last resort: one line, traceback kept
        if hasattr(error, "format_message"):  # a usage error of the command line
            if not (text := error.format_message()):  # no command was given: help is printed
                sys.exit(2)
            text = text if text[-1] in ".?!" else f"{text}."
            context = getattr(error, "ctx", None)
            usage = f" For the usage: {context.command_path} --help" if context else ""
            _die(f"{text}{usage}", 2)
        if isinstance(error, OSError) and error.errno in OF_THE_DISK and error.filename:
            path = Path(os.fsdecode(error.filename))
            _die(f"{path}: cannot be written: {why_not_written(error, path)}", 1)
        if stopping.requested():  # a library turned the stop into this error
            _die("stopped", 1)
        kept = log.location if log else None
        kept = kept or str(logs.log_to_file(Path(tempfile.mkdtemp(prefix="ghsl-beam-"))))
        text = f"failed: {type(error).__name__}: {error}"
        _die(f"{_one_line(text)} (traceback: {kept})", 1, with_traceback=True)


def _one_line(text: str) -> str:
    """A text of limited length; it is masked before it is cut, so that half a URL is masked too."""
    return " ".join(redact(text).split())[:2000]


def _die(error: object, code: int, *, with_traceback: bool = False) -> NoReturn:
    if stopping.requested():
        logs.failed(stopping.line())
        stopping.mark_printed()
        sys.exit(1)
    logs.failed(_one_line(str(error)), with_traceback=with_traceback)
    sys.exit(code)
