"""GDAL's access to the same storage that fsspec reaches, with the same environment."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, TypeVar

import rasterio
import stamina
from rasterio.errors import RasterioError
from rasterio.session import DummySession

from transforms.elements import StorageError

from . import object_store, services
from .files.reading import is_file
from .locations import is_url, parts
from .signing import signed

T = TypeVar("T")
_ZIP_NAME_ENDS = re.compile(r"\.zip(?=/)", re.IGNORECASE)
_PREFIXES = {
    "": "",
    "s3": "/vsis3/",
    "gs": "/vsigs/",
    "http": "/vsicurl/http://",
    "https": "/vsicurl/https://",
}
"""The prefix that GDAL needs in front of a location, by scheme."""
VSIZIP = "/vsizip/"
"""The prefix that GDAL needs in front of the name of a zip, to open a member of it."""
_READS = 8
"""Reads of one raster, if the storage answers between them."""
_REQUESTS_TO_OPEN = 3
"""Requests that GDAL makes before it gives up a raster that it cannot open."""
_WAIT, _JITTER = 2.0, 0.2
"""The longest wait before the next read, and how much the wait varies, in seconds."""
_SOON = 0.1
"""Seconds before the next read if GDAL does not say what failed."""
GDAL_RETRIES = 4
"""Repeats of one request by GDAL itself, for a raster that stays open and is not read again."""
_SILENT = re.compile(r"CURL error|HTTP response code: (?:408|429|50[0234])")


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


def split_zip_path(path: str) -> tuple[str, str] | None:
    """The location of the zip and the member in a path for GDAL; None if it is not in a zip.

    If several parts of the path end in `.zip`, the first one that is a file is the zip.

    Raises:
        StorageError: the storage does not say which of several parts is a file.

    Examples:
        >>> split_zip_path("/vsizip//data/product.zip/MTD_MSIL1C.xml")
        ('/data/product.zip', 'MTD_MSIL1C.xml')
    """
    if not path.startswith(VSIZIP):
        return None
    location = location_of(path.removeprefix(VSIZIP))
    ends = [match.end() for match in _ZIP_NAME_ENDS.finditer(location)]
    if len(ends) > 1:
        ends = [end for end in ends if is_file(location[:end])]
    end = ends[0] if ends else len(location)
    return location[:end], location[end + 1 :]


def source_of(path: str) -> str:
    """Location of the file behind a GDAL path; for a file in a zip, the location of the zip."""
    inside = split_zip_path(path)
    return inside[0] if inside else location_of(path)


def signed_path(path: str) -> str:
    """The path that GDAL opens now for one of `gdal_path`; it has a token if the host needs one.

    Raises:
        StorageError: there is no token.
    """
    prefix = "/vsicurl/"
    url = path.removeprefix(prefix)
    return path if url == path else f"{prefix}{signed(url)}"


def gdal_environment(path: str, retries: int = 0) -> AbstractContextManager[Any]:
    """The settings that GDAL needs to open and read a path of `gdal_path`, in a zip or not.

    Args:
        path: the path that GDAL opens.
        retries: how often GDAL itself repeats a request; 0 if `read_again` repeats the read.
    """
    if not is_remote(path):
        return nullcontext()
    location = source_of(path)
    service = services.of(location)
    if service and service.limited:
        raise StorageError(
            location,
            f"is at storage service {service.name}, which limits requests, and those of GDAL "
            "cannot be counted; read a whole copy of it (input.access: download)",
        )
    return rasterio.Env(session=_Session(location), **gdal_options(retries, location))


class _Session(DummySession):
    """The keys of a location's service; rasterio would look for them in its own way."""

    def __init__(self, location: str) -> None:
        super().__init__()
        self._location = location

    def get_credential_options(self) -> dict[str, str]:
        """Keys and region, as GDAL options."""
        service = services.of(self._location)
        return services.credential_options(service, self._location) if service else {}


def read_again(path: str, read: Callable[[], T]) -> T:
    """Return what `read` returns; repeat it if object storage fails for a short time.

    GDAL does not report what a storage answered during a read. It takes a short answer for the
    whole piece, and then fails in the same ways as on a damaged file. So after a failed read,
    `object_store` asks for one byte of the file, by its policy. If the byte comes, the read is
    repeated. A damaged file therefore costs eight reads and a second of waiting.

    Args:
        path: the path that GDAL opens.
        read: opens and reads it.

    Raises:
        StorageError: the storage does not answer.
    """
    if not is_remote(path):
        return read()
    again = stamina.RetryingCaller(
        attempts=_READS,
        timeout=None,  # `_wait` ends the reads in time
        wait_initial=object_store.POLICY.first_wait,
        wait_max=_WAIT - _JITTER,
        wait_jitter=_JITTER,
    )
    latest = time.monotonic() + object_store.POLICY.seconds - longest_read() - _WAIT
    return again(partial(_wait, source_of(path), latest), read)


def longest_read() -> float:
    """Seconds that one read takes if the storage stalls from the first request on."""
    return float(_REQUESTS_TO_OPEN * object_store.STALL)


def _wait(file: str, latest: float, error: Exception) -> bool | float:
    """Whether to read again; as a number, the seconds to wait before that."""
    if not isinstance(error, RasterioError) or (left := latest - time.monotonic()) < 0:
        return False
    if not object_store.answers(file, left) or time.monotonic() > latest:
        return False
    return connection_lost(error) or _SOON


def connection_lost(error: Exception) -> bool:
    """Whether GDAL says that object storage did not answer, or could not answer just then."""
    return isinstance(error, RasterioError) and _SILENT.search(str(error)) is not None


def is_remote(path: str) -> bool:
    """Whether a path of `gdal_path` is on object storage, in a zip or not."""
    return is_url(location_of(path.removeprefix(VSIZIP)))


def gdal_options(retries: int = 0, location: str = "s3://bucket") -> dict[str, str]:
    """GDAL options for the storage of a location.

    Args:
        retries: how often GDAL itself repeats a request that the service did not answer.
        location: of the file; its bucket chooses the service.
    """
    options = {
        # These options hold for one thread. With more threads, the JPEG 2000 driver opens the file
        # again in its own threads, where it has no access; see transforms.assembly.reading.
        "GDAL_NUM_THREADS": "1",
        "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
        "GDAL_HTTP_MAX_RETRY": str(retries),
        "GDAL_HTTP_RETRY_DELAY": "0.5",
        "GDAL_HTTP_CONNECTTIMEOUT": str(min(10, object_store.STALL)),
        "GDAL_HTTP_LOW_SPEED_TIME": str(object_store.STALL),
        "GDAL_HTTP_LOW_SPEED_LIMIT": "1",
        # Block files are rewritten under the same names, and archives are repaired.
        "CPL_VSIL_CURL_NON_CACHED": "/vsis3/:/vsigs/:/vsicurl/",
    }
    service = services.of(location)
    return options | services.gdal_options(service) if service else options
