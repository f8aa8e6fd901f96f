"""Locations: local paths and URLs of object storage, as text."""

from __future__ import annotations

import os
import re
from pathlib import Path

from transforms.elements import StorageError

from .redaction import redact

SCHEMES = ("s3", "gs", "http", "https")
"""Schemes of URLs; `http` and `https` are read-only."""
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://(.*)", re.DOTALL)


def is_url(location: str) -> bool:
    """Whether a location is a URL; everything else is a local path."""
    return _URL.match(location) is not None


def problem(location: str) -> str | None:
    """Why a location cannot be used, without the location itself; None if it can be used."""
    if not location.isprintable() or not location:
        return "is empty or contains a control character"
    match = _URL.match(location)
    if match is None:
        return None
    scheme, rest = match[1], match[2]
    if scheme not in SCHEMES:
        return f"has scheme {scheme!r}, expected a local path or one of {', '.join(SCHEMES)}"
    if "@" in rest.partition("/")[0]:
        return "is a URL with credentials; put them into the environment instead"
    if "?" in rest or "#" in rest:
        return "is a URL with '?' or '#', expected one without"
    if not rest.strip("/") or "::" in rest:
        return "is a URL without a bucket, or a chain of URLs; expected scheme://bucket/path"
    if any(part in ("", ".", "..") for part in rest.rstrip("/").split("/")):
        return "is a URL with an empty part, '.' or '..'; expected one without"
    return None


def absolute(location: str, folder: str | Path) -> str:
    """A URL without its last slash, or an absolute local path; relative paths start at `folder`.

    Symbolic links are not followed, because the target may have another name and lie beside other
    files.

    Raises:
        RuntimeError: the home folder `~name` does not exist.
    """
    if is_url(location):
        return location.rstrip("/")
    return os.path.abspath(Path(folder, Path(location).expanduser()))


def join(base: str, *parts: str) -> str:
    """The location of something below `base`."""
    if is_url(base):
        return "/".join((base.rstrip("/"), *parts))
    return str(Path(base, *parts))


def name(location: str) -> str:
    """The last part of a location."""
    return location.rstrip("/").rpartition("/")[2]


def parts(location: str) -> tuple[str, str]:
    """The scheme and the rest of a URL; for a local path, "" and the path.

    Raises:
        StorageError: the location cannot be used.
    """
    reason = problem(location)
    if reason:
        raise StorageError(masked(ascii(location)[1:-1]), reason)
    match = _URL.match(location)
    return (match[1], match[2]) if match else ("", location)


def masked(text: str) -> str:
    """The text on one line, without credentials."""
    return " ".join(redact(text).split())
