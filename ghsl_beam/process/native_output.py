"""What native libraries print on file descriptor 2 becomes log records.

TensorFlow's start-up lines, for one, come before its own settings count, from every process. The
descriptor is replaced by a pipe that worker processes inherit; a thread logs what comes through.
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
    """Within, descriptor 2 and sys.stderr lead to the log (level info), not to people.

    Libraries of Python print there too, and what they print may hold anything.
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
        # The pipe ends when worker processes, which have it too, have ended.
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
