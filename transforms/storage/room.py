"""Says why a file could not be written: its disk, the free space, and the space needed."""

from __future__ import annotations

import errno
import logging
import os
import re
import resource
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from .locations import masked

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""Error numbers for a full disk, a quota, and the limit on the size of a file."""
OF_THE_DISK = NO_ROOM | {errno.EIO, errno.EROFS}
"""The same, and the numbers for a disk that fails or is read-only."""
_LIBTIFF = re.compile(r"\bTIFF[A-Z]\w*:")
"""The name of a function in a message of libtiff, which tells a reader nothing."""
_LOG = logging.getLogger(__name__)
_UNITS = ("bytes", "kB", "MB", "GB", "TB")


def why_not_written(error: Exception, path: Path, needed: int = 0) -> str:
    """Why a local file could not be written, on one line; it names the disk if that is the cause.

    GDAL does not give the cause. So this function asks the system for as much space once more.

    Args:
        error: the error of the write.
        path: the file.
        needed: an upper bound of its size in bytes; 0 if it is not known.
    """
    folder = _nearest(path)
    number = error.errno if isinstance(error, OSError) else None  # GDAL's numbers mean other things
    number = number or _named_in(error) or _refusal(folder, needed)
    reason = os.strerror(number) if number else masked(str(_first(error)))
    if number is None and _LIBTIFF.search(reason):
        _LOG.info("%s: %s", path, reason)
        reason = "a write failed, and the system gives no reason"
    if number is not None and number not in OF_THE_DISK:
        return reason
    if number == errno.EFBIG:
        reason += _limit()
    parts = []
    with suppress(OSError):
        parts.append(f"{in_words(shutil.disk_usage(folder).free)} free")
    parts += [f"up to {in_words(needed)} needed"] if needed else []
    return f"{reason} (disk {_mount_point(folder)}: {', '.join(parts)})"


def in_words(size: int) -> str:
    """A number of bytes with a unit, as `12.3 MB`."""
    number, unit = float(size), 0
    while number >= 1000 and unit < len(_UNITS) - 1:
        number, unit = number / 1000, unit + 1
    return f"{number:.1f} {_UNITS[unit]}" if unit else f"{size} {_UNITS[0]}"


def ask_for_room(path: Path, needed: int) -> None:
    """Ask the system for space beside a local file, and give it back.

    Args:
        path: the file.
        needed: bytes.

    Raises:
        OSError: the system refuses as much space: the disk is full, or a quota or limit is reached.
    """
    number = _refusal(_nearest(path), needed)
    if number is not None:
        raise OSError(number, os.strerror(number), str(path))


def _nearest(path: Path) -> Path:
    """The nearest folder above a file that exists."""
    folder = path.parent.absolute()
    while not folder.is_dir() and folder != folder.parent:
        folder = folder.parent
    return folder


def _mount_point(folder: Path) -> str:
    folder = Path(os.path.realpath(folder))
    while not os.path.ismount(folder):
        folder = folder.parent
    return str(folder)


def _refusal(folder: Path, needed: int) -> int | None:
    """The system's error number when it is asked for as much space; None if it gives the space."""
    try:
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"\0")
            probe.flush()
            if needed and hasattr(os, "posix_fallocate"):
                os.posix_fallocate(probe.fileno(), 0, needed)
    except OSError as error:
        return error.errno
    return None


def _first(error: BaseException) -> BaseException:
    """The error that caused all others: rasterio's own text only says `see previous exception`."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def _named_in(error: BaseException) -> int | None:
    """The number of the system error that GDAL names in its text; None if it names none."""
    text = str(_first(error))
    return next((number for number in sorted(OF_THE_DISK) if os.strerror(number) in text), None)


def _limit() -> str:
    limit, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    if limit == resource.RLIM_INFINITY:
        return ""
    return f": no file may be larger than {in_words(limit)} here (ulimit -f)"
