"""Says what the program does while nothing else shows its progress.

On a terminal it is a line that changes, from the first second on; elsewhere it is a log line at
intervals. It starts before most modules are loaded, so it imports only modules that are loaded in
milliseconds.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

_PATIENCE = 0.3
"""Seconds until the line appears, so that short commands show none."""
_EVERY = 0.2
"""Seconds between two updates of the line."""
_TELL_EVERY = 30.0
"""Seconds between two log lines, if there is no terminal."""
_CLEAR = b"\r\x1b[2K"


class _Status:
    """The status of this process; there is only one instance."""

    def __init__(self) -> None:
        self.descriptor = -1
        self.text = ""
        self.since = 0.0
        self.shown = False
        self.hidden = 0
        self.kept = 0
        self.tell: Callable[[str, int], None] = lambda text, seconds: None
        self.ended = threading.Event()
        self.lock = threading.RLock()


_STATE = _Status()


def begin(arguments: Sequence[str]) -> None:
    """Say from now on what a command with these arguments does, unless it shall be quiet."""
    silent = {"--quiet", "--help", "--version"}
    if not arguments or not silent.isdisjoint(arguments) or _STATE.descriptor >= 0:
        return
    now("starting")
    if os.isatty(2) and os.environ.get("TERM") != "dumb" and "--log-json" not in arguments:
        _STATE.descriptor = os.dup(2)  # the number 2 becomes a pipe to the log
        target = _show
    else:
        target = _tell
    threading.Thread(target=target, name="status", daemon=True).start()
    os.register_at_fork(after_in_child=_STATE.ended.set)


def now(text: str) -> None:
    """Note what the program does now, in a few words, such as "searching the archive"."""
    if _STATE.kept:
        return
    _STATE.text, _STATE.since = text, time.monotonic()


@contextmanager
def kept(text: str) -> Iterator[None]:
    """Say this text within the context, whatever the parts of the work say."""
    now(text)
    _STATE.kept += 1
    try:
        yield
    finally:
        _STATE.kept -= 1


def tell_by(tell: Callable[[str, int], None]) -> None:
    """Tell it in this way, if there is no terminal: the text, and the seconds that it has taken."""
    _STATE.tell = tell


def end() -> None:
    """Remove the line, and say nothing more."""
    _STATE.ended.set()
    if _STATE.lock.acquire(timeout=1):  # a terminal may hang
        _clear()
        _STATE.lock.release()


@contextmanager
def hidden() -> Iterator[None]:
    """Say nothing within the context, because something else is printed."""
    with _STATE.lock:
        _STATE.hidden += 1
        _clear()
    try:
        yield
    finally:
        with _STATE.lock:
            _STATE.hidden -= 1


def _show() -> None:
    wait = _PATIENCE
    while not _STATE.ended.wait(wait):
        wait = _EVERY
        with _STATE.lock:
            if _STATE.hidden or _STATE.ended.is_set():
                continue
            seconds = time.monotonic() - _STATE.since
            passed = f" ({seconds:.0f} s)" if seconds >= 1 else ""
            _write(_CLEAR + f"{_STATE.text} ...{passed}".encode())
            _STATE.shown = True


def _tell() -> None:
    while not _STATE.ended.wait(_TELL_EVERY):
        if not _STATE.hidden:
            _STATE.tell(_STATE.text, round(time.monotonic() - _STATE.since))


def _clear() -> None:
    if _STATE.shown:
        _write(_CLEAR)
        _STATE.shown = False


def _write(data: bytes) -> None:
    with suppress(OSError):
        os.write(_STATE.descriptor, data)
