"""What people see: text that cannot play tricks, on streams that do not fail.

All that the program prints goes through `say`, `say_json` or the log's formatters, which make
control characters visible (a file's name may hold any), mask credentials and keep to one line.
Whether anyone reads it decides nothing: a stream that is closed, full or gone swallows what comes.
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

from transforms.storage.redaction import harmless, redact

_PATIENCE = 1.0
"""Seconds that a stream which takes nothing now is waited for, where it does not wait itself."""


def say(*fields: str, to: TextIO | None = None) -> None:
    """Print a line on stdout, or elsewhere; of several fields, with tabs between them."""
    line = "\t".join(harmless(redact(field)) for field in fields)
    print(line, file=to, flush=True)


def say_json(content: Any, indent: int | None = None) -> None:
    """Print JSON; credentials in its texts are masked."""
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
"""Streams that lead to people, by which errors and progress go; the last one counts."""


def stderr() -> TextIO:
    """Where errors and progress go; `sys.stderr` itself is left to libraries (`native_output`)."""
    return _ERRORS[-1] if _ERRORS else sys.stderr


@contextmanager
def stderr_through(stream: TextIO) -> Iterator[None]:
    """Within, errors go through another stream."""
    _ERRORS.append(stream)
    try:
        yield
    finally:
        _ERRORS.remove(stream)


class _Lasting(io.FileIO):
    """A descriptor to write to; after the first failure, what is written is dropped."""

    failure: OSError | None = None

    def write(self, data: Any) -> int:
        """Count all as written, also what is dropped."""
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
    """A text stream that writes to a descriptor and never fails; encoded as another stream."""
    raw = _Lasting(descriptor, "wb", closefd=False)
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=getattr(like, "encoding", None) or "utf-8",
        errors="backslashreplace",
        line_buffering=True,
    )


def failure(stream: Any) -> OSError | None:
    """Why a stream of `lasting` failed; None where all that was written has gone its way."""
    stream.flush()
    raw = getattr(getattr(stream, "buffer", None), "raw", None)
    return raw.failure if isinstance(raw, _Lasting) else None


def keep_streams() -> None:
    """Make stdout and stderr last."""
    sys.stdout = lasting(1, sys.stdout)
    sys.stderr = lasting(2, sys.stderr)
