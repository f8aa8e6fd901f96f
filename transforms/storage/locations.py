"""Locations: local paths and URLs of object storage, as text."""

from __future__ import annotations

import os
import re
from pathlib import Path

from transforms.elements import StorageError

from .redaction import redact

SCHEMES = ("s3", "gs", "http", "https")
"""Of URLs; `http` and `https` are read only."""
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://(.*)", re.DOTALL)


def is_url(location: str) -> bool:
    """Whether a location is a URL; everything else is a local path."""
    return _URL.match(location) is not None


def problem(location: str) -> str | None:
    """Why a location cannot be used, in a few words without the location; None where it can."""
    if not location.isprintable() or not location:
        return "empty, or a control character in it"
    match = _URL.match(location)
    if match is None:
        return None
    scheme, rest = match[1], match[2]
    if scheme not in SCHEMES:
        return f"scheme {scheme!r}, expected a local path or one of {', '.join(SCHEMES)}"
    if "@" in rest.partition("/")[0]:
        return "credentials in a URL: put them into the environment"
    if "?" in rest or "#" in rest:
        return "a URL with '?' or '#'"
    if not rest.strip("/") or "::" in rest:
        return "a URL without a bucket, or a chain of URLs"
    if any(part in ("", ".", "..") for part in rest.rstrip("/").split("/")):
        return "a URL with an empty part, '.' or '..'"
    return None


def absolute(location: str, folder: str | Path) -> str:
    """A URL without its last slash; a local path made absolute, a relative one from `folder`.

    Symbolic links are not followed: what one points to may have a name that says nothing, and lie
    beside other files.

    Raises:
        RuntimeError: there is no such home folder (`~name`).
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
    """Scheme and the rest of a URL; of a local path, "" and the path.

    Raises:
        StorageError: the location cannot be used.
    """
    reason = problem(location)
    if reason:
        raise StorageError(masked(ascii(location)[1:-1]), reason)
    match = _URL.match(location)
    return (match[1], match[2]) if match else ("", location)


def masked(text: str) -> str:
    """A text on one line, without credentials."""
    return " ".join(redact(text).split())
