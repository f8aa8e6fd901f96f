"""Unpacks the one vector file of a zip, within limits."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path, PurePosixPath

from transforms.elements import StorageError

_VECTORS = (".shp", ".gpkg", ".fgb", ".geojson", ".geojsonl", ".geojsons")
_MAX_BYTES = 1 << 30
_MAX_MEMBERS = 10_000
_PIECE = 1 << 20
_UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    OSError,  # also for a position before the beginning of the file
    ValueError,
)


def unpack(path: str, folder: Path) -> str:
    """Unpack the vector file of a zip, with all parts of a shapefile; check the CRCs.

    Args:
        path: path of the zip.
        folder: where the files go, without the folders inside the zip.

    Returns:
        The path of the vector file in `folder`.

    Raises:
        StorageError: it is not a zip, is damaged, holds no or several vector files, or is too
            large.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if len(members) > _MAX_MEMBERS:
                raise StorageError(
                    path, f"has {len(members)} files, expected at most {_MAX_MEMBERS}; unpack it"
                )
            names = [PurePosixPath(member.filename) for member in members]
            if not all(str(name).isprintable() for name in names):
                raise StorageError(
                    path, "has a file with a control character in its name; pack it again"
                )
            hidden = ("__MACOSX", ".")  # files that some systems add beside each file
            vectors = [
                name
                for name in names
                if name.suffix.lower() in _VECTORS and not str(name).startswith(hidden)
            ]
            if len(vectors) != 1:
                listed = ", ".join(map(str, vectors[:5])) or "none"
                raise StorageError(
                    path, f"expected one vector file in the zip, found {listed[:200]}; unpack it"
                )
            (main,) = vectors
            left, seen = _MAX_BYTES, set()
            for member, name in zip(members, names, strict=True):
                if name.parent != main.parent or name.stem.lower() != main.stem.lower():
                    continue
                if name.name in seen:
                    raise StorageError(path, f"holds {str(name)[:80]!r} twice; pack it again")
                seen.add(name.name)
                left -= _unpack(archive, member, folder / name.name, left)
                if left < 0:
                    raise StorageError(
                        path, f"unpacks to more than {_MAX_BYTES >> 20} MiB; unpack it"
                    )
            return str(folder / main.name)
    except _UNREADABLE as error:
        reason = " ".join(str(error).split())[:160]
        raise StorageError(path, f"is damaged or cannot be read as a zip ({reason})") from error


def _unpack(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path, limit: int) -> int:
    """Unpack one member; return the bytes written, at most one piece more than the limit."""
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise zipfile.BadZipFile(f"{member.filename}: compression {member.compress_type}")
    written = 0
    with archive.open(member) as source, path.open("wb") as target:
        while written <= limit and (piece := source.read(_PIECE)):
            target.write(piece)
            written += len(piece)
    return written
