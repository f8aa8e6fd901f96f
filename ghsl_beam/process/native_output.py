"""Turns the output of native libraries on file descriptor 2 into log records.

For example, TensorFlow prints its start-up lines before its own settings take effect, in every
process. The descriptor is replaced by a pipe, which worker processes inherit. A thread logs
everything that comes through the pipe.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from ghsl_beam.process.terminal import lasting, stderr_through
from transforms.storage.redaction import redact

_LOG = logging.getLogger("ghsl_beam.process.native_output")
_LONGEST = 4000


@contextmanager
def native_output_logged() -> Iterator[None]:
    """Send descriptor 2 and sys.stderr to the log (level info) within the context, not to people.

    Python libraries print there too, and their output may contain anything.
    """
    before = sys.stderr
    shown = os.dup(2)
    source, target = os.pipe()
    os.dup2(target, 2)
    os.close(target)
    reader = threading.Thread(target=_log_lines, args=(source,), daemon=True)
    reader.start()
    stream = lasting(shown, before)
    sys.stderr = lasting(2, before)
    faulthandler.enable(stream)
    try:
        with stderr_through(stream):
            yield
    finally:
        sys.stderr.flush()
        os.dup2(shown, 2)
        # The pipe ends when the worker processes, which share it, have ended.
        reader.join(timeout=1)
        faulthandler.disable()
        sys.stderr = before
        stream.close()
        os.close(shown)


def _log_lines(source: int) -> None:
    with os.fdopen(source, "r", encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if line.strip():
                _LOG.info(redact(line.strip())[:_LONGEST])
