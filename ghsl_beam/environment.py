"""Settings that libraries read from the environment when they start."""

from __future__ import annotations

import os

_SETTINGS = {
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "GDAL_CACHEMAX": "64",  # MB; else a twentieth of the machine's memory in every process
    "MALLOC_ARENA_MAX": "2",  # else glibc keeps a part of what each thread has freed
}


def limit_libraries() -> None:
    """Keep libraries quiet and small, unless the environment says otherwise; workers inherit it."""
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
