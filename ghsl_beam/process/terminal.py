"""Output for people: text without hidden characters, on streams that never fail.

The program prints everything through `say`, `say_json` or the log's formatters. These make control
characters visible (a file name may contain any), mask credentials and keep to one line. The outcome
of a run does not depend on readers: output to a closed or full stream is dropped.
"""

from __future__ import annotations

import io
import json
import select
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TextIO

from ghsl_beam.process import status
from transforms.storage.redaction import harmless, redact

_PATIENCE = 1.0
"""Seconds to wait for a non-blocking stream that takes no output."""


def say(*fields: str, to: TextIO | None = None) -> None:
    """Print a line on stdout or on another stream; several fields are separated by tabs."""
    line = "\t".join(harmless(redact(field)) for field in fields)
    with status.hidden():
        print(line, file=to, flush=True)


def say_json(content: Any, indent: int | None = None) -> None:
    """Print JSON; credentials in its texts are masked."""
    with status.hidden():
        print(json.dumps(_redacted(content), indent=indent), flush=True)  # noqa: T201 - here alone


def say_table(columns: Sequence[str], rows: Iterable[Sequence[str]], kept: str = "") -> None:
    """Print a table as wide as the terminal; the column `kept` is never folded."""
    from rich.console import Console
    from rich.table import Column, Table

    table = Table(*(Column(name, overflow="fold", no_wrap=name == kept) for name in columns))
    for row in rows:
        table.add_row(*(harmless(redact(cell)) for cell in row))
    text = io.StringIO()
    width = shutil.get_terminal_size().columns
    plain = Console(file=text, width=width, markup=False, emoji=False, highlight=False)
    plain.print(table)
    for line in text.getvalue().splitlines():
        say(line)


def _redacted(content: Any) -> Any:
    if isinstance(content, str):
        return redact(content)
    if isinstance(content, Mapping):
        return {key: _redacted(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_redacted(value) for value in content]
    return content


_ERRORS: list[TextIO] = []
"""Streams for errors and progress; the last one is used."""


def stderr() -> TextIO:
    """The stream for errors and progress; libraries use `sys.stderr` itself (`native_output`)."""
    return _ERRORS[-1] if _ERRORS else sys.stderr


@contextmanager
def stderr_through(stream: TextIO) -> Iterator[None]:
    """Send errors through another stream within the context."""
    _ERRORS.append(stream)
    try:
        yield
    finally:
        _ERRORS.remove(stream)


class _Lasting(io.FileIO):
    """A descriptor for writing; after the first failure, all output is dropped."""

    failure: OSError | None = None

    def write(self, data: Any) -> int:
        """Report all bytes as written, even dropped ones."""
        size = memoryview(data).nbytes
        if self.failure is not None:
            return size
        try:
            written = super().write(data)
            if written is None:  # it would have to wait
                select.select([], [self], [], _PATIENCE)
                written = super().write(data)
            if written is None:
                raise OSError(f"has taken no output for {_PATIENCE:g} s")
            return int(written)
        except OSError as error:
            self.failure = error
            return size


def lasting(descriptor: int, like: Any = None) -> io.TextIOWrapper:
    """A text stream that writes to a descriptor and never fails; encoded like another stream."""
    raw = _Lasting(descriptor, "wb", closefd=False)
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=getattr(like, "encoding", None) or "utf-8",
        errors="backslashreplace",
        line_buffering=True,
    )


def failure(stream: Any) -> OSError | None:
    """Why a stream of `lasting` failed; None if all output was written."""
    stream.flush()
    raw = getattr(getattr(stream, "buffer", None), "raw", None)
    return raw.failure if isinstance(raw, _Lasting) else None


def protect_streams() -> None:
    """Replace stdout and stderr by streams that never fail."""
    sys.stdout = lasting(1, sys.stdout)
    sys.stderr = lasting(2, sys.stderr)
