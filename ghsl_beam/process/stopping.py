"""The word to stop, a person's or a scheduler's, at any moment of the program.

While a launch holds its output, the program ends in order: `KeyboardInterrupt` in the main thread.
Elsewhere nothing is to be put in order, and it ends at once: what is raised within an import may be
swallowed, or come out as something else. A second word, or an end in order that takes too long,
ends it at once too. However it ends: one line, exit code 1, no process left that it started.

A thread waits for the signal, as the main thread may be in a library that does not return.
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

GRACE = 7.0
"""Seconds that an end in order may take."""
_LAST_DUTIES = 2.0
"""Seconds for what must be done before the program ends at once."""
_ONE_WORD = 0.1
"""Seconds within which two signals are one word: some schedulers send SIGTERM and SIGHUP."""
_SOON = 0.05
"""Seconds until what Python swallowed is raised once more."""
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class _Stopping:
    """How far the end has come; there is one of it."""

    def __init__(self) -> None:
        self.asked = ""
        self.in_order = 0
        self.raised = False
        self.told = False
        self.as_json = False
        self.raising_again = False  # for the handler: the next signal is our own,
        self.no_word = False  # and for the thread that listens
        self.stderr = 2
        self.duties: list[Callable[[], None]] = []
        self.ending = threading.Lock()


_STATE = _Stopping()


def begin() -> None:
    """Listen from now on; to be called in the main thread, as early as may be."""
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
        after_in_child=_of_no_concern,
    )
    sys.unraisablehook = _raise_again
    threading.Thread(target=_listen, args=(source,), name="stopping", daemon=True).start()


def asked() -> str:
    """The name of the signal by which the program was told to stop; empty before."""
    return _STATE.asked


def line() -> str:
    """What is said of it."""
    again = ": the same command goes on where it was" if sys.argv[1:2] == ["run"] else ""
    return f"stopped by {_STATE.asked}{again}"


def told() -> None:
    """The line has been said, and need not be said again."""
    _STATE.told = True


def speak_json() -> None:
    """From now on the line is a JSON object."""
    _STATE.as_json = True


@contextmanager
def in_order(duty: Callable[[], None] | None = None) -> Iterator[None]:
    """Within, the word to stop is raised as `KeyboardInterrupt`, and time is given to end by it.

    Args:
        duty: done before the program ends all the same, where that takes too long.
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
    """End the program now, by the word to stop; returns for no one."""
    with _STATE.ending:  # whoever comes second waits for the end
        last = threading.Thread(target=_last_duties, daemon=True)
        last.start()
        last.join(_LAST_DUTIES)
        _kill_children()
        os._exit(1)


def _raise(number: int, frame: FrameType | None) -> None:
    """In the main thread, the first time: raise, if there is something to put in order."""
    again, _STATE.raising_again = _STATE.raising_again, False
    if _STATE.in_order and (again or not _STATE.asked):
        _STATE.asked = _STATE.asked or signal.Signals(number).name
        _STATE.raised = True
        raise KeyboardInterrupt(_STATE.asked)
    _STATE.asked = _STATE.asked or signal.Signals(number).name


def _raise_again(unraisable: sys.UnraisableHookArgs) -> None:
    """What is raised where Python swallows it (`__del__`, a callback) is raised once more."""
    if _STATE.asked:
        if isinstance(unraisable.exc_value, KeyboardInterrupt):
            # Not from here: Python swallows what is raised here too.
            threading.Timer(_SOON, _interrupt_again).start()
        return
    sys.__unraisablehook__(unraisable)


def _interrupt_again() -> None:
    _STATE.raising_again = _STATE.no_word = True
    main = threading.main_thread().ident
    if main is not None:
        signal.pthread_kill(main, signal.SIGTERM)  # a real one, which wakes it where it waits


def _listen(source: int) -> None:
    """End the program at once where that is due."""
    first: float | None = None
    while True:
        left = None if first is None else max(0.0, first + GRACE - time.monotonic())
        ready, _, _ = select.select([source], [], [], left)
        numbers = os.read(source, 64) if ready else b""
        if ready and not any(number in _SIGNALS for number in numbers):
            continue
        if ready and _STATE.no_word:
            _STATE.no_word = False
            continue
        if first is not None and ready and time.monotonic() - first < _ONE_WORD:
            continue
        if first is None and (_STATE.in_order or _STATE.raised):  # it may be out of there by now
            first = time.monotonic()
            continue
        _STATE.asked = _STATE.asked or signal.Signals(numbers[0]).name
        end()


def _last_duties() -> None:
    """What must not keep the program from its end, as a storage or a terminal may not answer."""
    _kill_children()
    if not _STATE.told:
        text = f"ghsl-beam: {line()}"
        if _STATE.as_json:
            text = json.dumps({"level": "error", "message": line()})
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


def _of_no_concern() -> None:
    """A process that was forked without another program is told to stop by itself."""
    signal.set_wakeup_fd(-1)
    for number in _SIGNALS:
        if signal.getsignal(number) is _raise:
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
