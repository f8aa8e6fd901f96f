"""Sets up a process at its start: settings of libraries, standard files, folders for imports.

This module imports only modules that Python itself has loaded already, not even `__future__`,
because it also stops imports from the current folder.
"""

import os
import sys

_SETTINGS = {
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "GDAL_CACHEMAX": "64",  # MB; by default a twentieth of the machine's memory in every process
    # Without this, glibc keeps memory that each thread has freed. It reads the setting when a
    # process starts, so it has an effect on the processes that this one starts.
    "MALLOC_ARENA_MAX": "2",
}


def limit_libraries() -> None:
    """Keep libraries quiet and small, unless the environment says otherwise; workers inherit it."""
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)


def open_standard_files() -> None:
    """Open /dev/null for each of the descriptors 0, 1 and 2 that is closed.

    Otherwise the next opened file would get its number, and libraries would print into that file.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number


def leave_current_folder() -> None:
    """Import nothing from the current folder, in this Python and in every Python that it starts.

    `python -m` looks there first, and so does a relative or empty entry of `PYTHONPATH`: a
    `numpy.py` in the current folder would run.
    """
    os.environ["PYTHONSAFEPATH"] = "1"
    entries = os.environ.pop("PYTHONPATH", "").split(os.pathsep)
    absolute = [entry for entry in entries if os.path.isabs(entry)]
    if absolute:
        os.environ["PYTHONPATH"] = os.pathsep.join(absolute)
    try:
        here = os.getcwd()
    except OSError:  # the folder was removed
        here = ""
    leading = sys.path[:1] if not sys.flags.safe_path else []
    away = {path for path in leading if path in ("", here)}
    if here and entries != [""]:
        away |= {os.path.abspath(entry) for entry in entries if not os.path.isabs(entry)}
    away.difference_update(absolute)
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    home = os.path.dirname(package)
    last = [home] if home in away else []  # the package itself may be there
    sys.path[:] = [path for path in sys.path if path not in away] + last
