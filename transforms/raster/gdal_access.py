"""How GDAL reaches what fsspec reaches with the same environment."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any
from urllib.parse import urlsplit

import rasterio
from rasterio.session import DummySession

from .locations import is_url, parts
from .object_store import endpoint

_PREFIXES = {
    "": "",
    "s3": "/vsis3/",
    "gs": "/vsigs/",
    "http": "/vsicurl/http://",
    "https": "/vsicurl/https://",
}
"""What GDAL puts before the rest of a location, by scheme."""


def gdal_path(location: str) -> str:
    """The name under which GDAL opens a location.

    Raises:
        StorageError: the location cannot be used.
    """
    scheme, rest = parts(location)
    return f"{_PREFIXES[scheme]}{rest}"


def location_of(path: str) -> str:
    """The location that `gdal_path` gave this name for."""
    for scheme, prefix in _PREFIXES.items():
        if prefix and path.startswith(prefix):
            return f"{scheme}://{path.removeprefix(prefix)}"
    return path


def gdal_environment(path: str) -> AbstractContextManager[Any]:
    """What GDAL must know while it opens and reads what `gdal_path` named, in a zip or not."""
    if not is_url(location_of(path.removeprefix("/vsizip/"))):
        return nullcontext()
    return rasterio.Env(session=DummySession(), **gdal_options())


def gdal_options() -> dict[str, str]:
    """GDAL's options for the storage that fsspec reaches with the same environment."""
    options = {
        "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
        "GDAL_HTTP_MAX_RETRY": "4",
        "GDAL_HTTP_RETRY_DELAY": "0.5",
        "GDAL_HTTP_CONNECTTIMEOUT": "10",
        "GDAL_HTTP_LOW_SPEED_TIME": "30",
        "GDAL_HTTP_LOW_SPEED_LIMIT": "1",
        # Block files are written anew under the same names, and archives are repaired.
        "CPL_VSIL_CURL_NON_CACHED": ":".join(sorted(set(_PREFIXES.values()) - {""})),
    }
    address = endpoint()
    if address:
        url = urlsplit(address)
        options |= {
            "AWS_S3_ENDPOINT": f"{url.netloc}{url.path}".rstrip("/"),
            "AWS_HTTPS": "NO" if url.scheme == "http" else "YES",
            "AWS_VIRTUAL_HOSTING": "FALSE",
        }
    return options
