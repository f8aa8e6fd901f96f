"""What a process finds when it starts: settings of libraries, standard files, where code lies.

It imports only what Python itself has loaded by then, not even `__future__`: the current folder is
left from here.
"""

import os
import sys

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


def open_standard_files() -> None:
    """Open /dev/null for each of descriptors 0, 1 and 2 that is closed.

    Else the next file opened would have its number, and what libraries print would go into that.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free


def leave_current_folder() -> None:
    """Import nothing from the current folder, here and in every Python that this one starts.

    `python -m` looks there first, and so does a relative or empty entry of `PYTHONPATH`: a
    `numpy.py` that happens to lie there would run.
    """
    os.environ["PYTHONSAFEPATH"] = "1"
    entries = os.environ.pop("PYTHONPATH", "").split(os.pathsep)
    absolute = [entry for entry in entries if os.path.isabs(entry)]
    if absolute:
        os.environ["PYTHONPATH"] = os.pathsep.join(absolute)
    try:
        here = os.getcwd()
    except OSError:  # it was removed
        here = ""
    leading = sys.path[:1] if not sys.flags.safe_path else []
    away = {path for path in leading if path in ("", here)}
    if here and entries != [""]:
        away |= {os.path.abspath(entry) for entry in entries if not os.path.isabs(entry)}
    away.difference_update(absolute)
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    home = os.path.dirname(package)
    last = [home] if home in away else []  # the package itself may lie there
    sys.path[:] = [path for path in sys.path if path not in away] + last
