"""Settings that libraries read from the environment when they start."""

from __future__ import annotations

import os

_SETTINGS = {
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "GDAL_CACHEMAX": "64",  # MB; else a twentieth of the machine's memory in every process
    # Else glibc keeps a part of what each thread has freed. It reads this when a process starts, so
    # that it counts for those that this one starts.
    "MALLOC_ARENA_MAX": "2",
}


def limit_libraries() -> None:
    """Keep libraries quiet and small, unless the environment says otherwise; workers inherit it."""
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
