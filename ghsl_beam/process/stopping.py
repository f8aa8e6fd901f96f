"""Stops the program on a signal of a person or a scheduler, at any moment.

While a launch holds its output, the program ends in order: the main thread raises
`KeyboardInterrupt`. At other times there is nothing to put in order, and the program ends at once,
because an exception within an import may be swallowed or come out as another error. A second
signal, or an orderly end that takes too long, also ends the program at once. In all cases it prints
one line, its exit code is 1, and no process that it started is left.

A thread waits for the signal, because the main thread may be in a library that does not return.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import NoReturn

from ghsl_beam.process import status

GRACE = 7.0
"""Seconds that an orderly end may take."""
_LAST_DUTIES = 2.0
"""Seconds for the last duties before the program ends at once."""
_ONE_WORD = 0.1
"""Seconds within which two signals count as one: some schedulers send SIGTERM and SIGHUP."""
_SOON = 0.05
"""Seconds until an exception that Python swallowed is raised again."""
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class _Stopping:
    """The state of stopping; there is only one instance."""

    def __init__(self) -> None:
        self.asked = ""
        self.in_order = 0
        self.raised = False
        self.printed = False
        self.as_json = False
        self.raising_again = False  # for the handler: the next signal is from this module
        self.no_word = False  # for the listening thread: the same
        self.stderr = 2
        self.duties: list[Callable[[], None]] = []
        self.ending = threading.Lock()


_STATE = _Stopping()


def begin() -> None:
    """Listen for stop signals from now on; call it in the main thread, as early as possible."""
    if _STATE.stderr != 2 or threading.current_thread() is not threading.main_thread():
        return
    _STATE.stderr = os.dup(2)
    source, target = os.pipe()
    os.set_blocking(target, False)
    signal.set_wakeup_fd(target, warn_on_full_buffer=False)
    for number in _SIGNALS:
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:  # nohup
            signal.signal(number, _raise)
    os.register_at_fork(
        before=lambda: signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS),
        after_in_parent=lambda: signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS),
        after_in_child=_restore_defaults,
    )
    sys.unraisablehook = _raise_again
    threading.Thread(target=_listen, args=(source,), name="stopping", daemon=True).start()


def requested() -> str:
    """The name of the signal that stops the program; empty if there was none."""
    return _STATE.asked


def line() -> str:
    """The line about the stop."""
    again = ": the same command continues where it stopped" if sys.argv[1:2] == ["run"] else ""
    return f"stopped by {_STATE.asked}{again}"


def mark_printed() -> None:
    """Note that the line has been printed, so that it is not printed again."""
    _STATE.printed = True


def speak_json() -> None:
    """Print the line as a JSON object from now on."""
    _STATE.as_json = True


@contextmanager
def in_order(duty: Callable[[], None] | None = None) -> Iterator[None]:
    """Raise `KeyboardInterrupt` at a stop signal within the context, and allow time to end.

    Args:
        duty: called before the program ends at once, if the orderly end takes too long.
    """
    if duty:
        _STATE.duties.append(duty)
    _STATE.in_order += 1
    try:
        yield
    finally:
        _STATE.in_order -= 1
        if duty:
            _STATE.duties.remove(duty)


def end() -> NoReturn:
    """End the program now, after a stop signal; it does not return."""
    with _STATE.ending:  # a second caller waits here for the end
        last = threading.Thread(target=_last_duties, daemon=True)
        last.start()
        last.join(_LAST_DUTIES)
        _kill_children()
        os._exit(1)


def _raise(number: int, frame: FrameType | None) -> None:
    """Handle the first signal in the main thread: raise, if there is something to put in order."""
    again, _STATE.raising_again = _STATE.raising_again, False
    if _STATE.in_order and (again or not _STATE.asked):
        _STATE.asked = _STATE.asked or signal.Signals(number).name
        _STATE.raised = True
        raise KeyboardInterrupt(_STATE.asked)
    _STATE.asked = _STATE.asked or signal.Signals(number).name


def _raise_again(unraisable: sys.UnraisableHookArgs) -> None:
    """Raise an exception again that Python swallowed (in `__del__`, in a callback)."""
    if _STATE.asked:
        if isinstance(unraisable.exc_value, KeyboardInterrupt):
            # Not from here, where Python would swallow it too.
            threading.Timer(_SOON, _interrupt_again).start()
        return
    sys.__unraisablehook__(unraisable)


def _interrupt_again() -> None:
    _STATE.raising_again = _STATE.no_word = True
    main = threading.main_thread().ident
    if main is not None:
        signal.pthread_kill(main, signal.SIGTERM)  # a real signal wakes a thread that waits


def _listen(source: int) -> None:
    """End the program at once when necessary."""
    first: float | None = None
    word = ""
    while True:
        left = None if first is None else max(0.0, first + GRACE - time.monotonic())
        ready, _, _ = select.select([source], [], [], left)
        numbers = os.read(source, 64) if ready else b""
        known = [number for number in numbers if number in _SIGNALS]
        if ready and not known:
            continue
        # The main thread may not have come to note it, even after the time for an orderly end.
        word = word or signal.Signals(known[0]).name
        if ready and _STATE.no_word:
            _STATE.no_word = False
            continue
        if first is not None and ready and time.monotonic() - first < _ONE_WORD:
            continue
        if first is None and (
            _STATE.in_order or _STATE.raised
        ):  # it may have left the context since
            first = time.monotonic()
            continue
        _STATE.asked = _STATE.asked or word
        end()


def _last_duties() -> None:
    """Do the last duties; the end does not wait for a storage or a terminal that hangs."""
    _kill_children()
    if not _STATE.printed:
        text = f"ghsl-beam: {line()}"
        if _STATE.as_json:
            text = json.dumps({"level": "error", "message": line()})
        status.end()
        shown = b"\r\x1b[?25h" if os.isatty(_STATE.stderr) else b""  # bars hide the cursor
        with suppress(OSError):
            os.write(_STATE.stderr, shown + text.encode() + b"\n")
    for duty in list(_STATE.duties):
        with suppress(Exception):
            duty()


def _kill_children() -> None:
    import psutil

    with suppress(psutil.Error):
        for child in psutil.Process().children(recursive=True):
            with suppress(psutil.Error):
                child.kill()


def _restore_defaults() -> None:
    """In a forked process without another program, let signals stop the process as usual."""
    signal.set_wakeup_fd(-1)
    for number in _SIGNALS:
        if signal.getsignal(number) is _raise:
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
