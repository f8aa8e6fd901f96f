"""How GDAL reaches what fsspec reaches with the same environment."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar
from urllib.parse import urlsplit

import rasterio
import stamina
from rasterio.errors import RasterioError
from rasterio.session import DummySession

from . import object_store
from .locations import is_url, parts

T = TypeVar("T")
_PREFIXES = {
    "": "",
    "s3": "/vsis3/",
    "gs": "/vsigs/",
    "http": "/vsicurl/http://",
    "https": "/vsicurl/https://",
}
"""What GDAL puts before the rest of a location, by scheme."""
_TRIES = 8
_SOON = 0.1
"""Seconds before the next try where GDAL does not say what was wrong."""


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
    if not is_remote(path):
        return nullcontext()
    return rasterio.Env(session=_Session(), **gdal_options())


class _Session(DummySession):
    """The keys of `object_store`: rasterio would ask for them in its own way."""

    def get_credential_options(self) -> dict[str, str]:
        """Keys and region, as options of GDAL."""
        return object_store.credentials()


def read_again(path: str, read: Callable[[], T]) -> T:
    """What `read` returns, at a later try where it failed on object storage.

    GDAL itself tries again after the answers of a service that is busy or broken. Of a connection
    that is lost it says so, and it is given time. An answer that came short it takes for the whole
    piece, and fails on it in ways that do not differ from those of a damaged file: all of these are
    tried again at once, which costs a damaged file a second.
    """
    if not is_remote(path):
        return read()
    again = stamina.RetryingCaller(attempts=_TRIES, timeout=180.0, wait_initial=0.2, wait_max=2.0)
    return again(_wait, read)


def _wait(error: Exception) -> bool | float:
    """Whether to read again, and after how long where it is not to be ever longer."""
    return connection_lost(error) or (_SOON if isinstance(error, RasterioError) else False)


def connection_lost(error: Exception) -> bool:
    """Whether GDAL lost the connection to object storage."""
    return isinstance(error, RasterioError) and "CURL error" in str(error)


def is_remote(path: str) -> bool:
    """Whether what `gdal_path` named lies on object storage, in a zip or not."""
    return is_url(location_of(path.removeprefix("/vsizip/")))


def gdal_options() -> dict[str, str]:
    """GDAL's options for the storage that fsspec reaches with the same environment."""
    options = {
        # These options hold for one thread. With more, the JPEG 2000 driver opens the file again in
        # threads of its own, where it cannot reach it; see transforms.assembly.reading.
        "GDAL_NUM_THREADS": "1",
        "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
        "GDAL_HTTP_MAX_RETRY": "4",
        "GDAL_HTTP_RETRY_DELAY": "0.5",
        "GDAL_HTTP_CONNECTTIMEOUT": "10",
        "GDAL_HTTP_LOW_SPEED_TIME": str(object_store.STALL),
        "GDAL_HTTP_LOW_SPEED_LIMIT": "1",
        # Block files are written anew under the same names, and archives are repaired.
        "CPL_VSIL_CURL_NON_CACHED": "/vsis3/:/vsigs/:/vsicurl/",
    }
    address = object_store.endpoint()
    if address:
        url = urlsplit(address)
        options |= {
            "AWS_S3_ENDPOINT": f"{url.netloc}{url.path}".rstrip("/"),
            "AWS_HTTPS": "NO" if url.scheme == "http" else "YES",
            "AWS_VIRTUAL_HOSTING": "FALSE",
        }
    return options
