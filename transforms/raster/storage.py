"""Locations: local paths and object storage, reached through the same few functions.

A location is a str: a local path, or a URL (`s3://bucket/key`, `gs://...`, `https://...` to read).
Bytes go through fsspec, pixels through GDAL; both find endpoint and credentials where the AWS
tools do, in the environment (`AWS_ENDPOINT_URL`, `AWS_ACCESS_KEY_ID`, ...) or in `~/.aws`.
"""

from __future__ import annotations

import glob as local_glob
import hashlib
import os
import re
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import fsspec
import rasterio
import stamina
from rasterio.session import DummySession

from transforms.elements import StorageError

GDAL_PREFIXES = {
    "s3": "/vsis3/",
    "gs": "/vsigs/",
    "http": "/vsicurl/http://",
    "https": "/vsicurl/https://",
}
"""What GDAL puts before the rest of a URL, by scheme; other schemes are refused."""
LONGEST_WAIT = 30.0
"""Seconds that a server may ask us to wait before the next try; asked for more, we wait this."""
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://(.*)", re.DOTALL)
_SECRETS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
_TRANSIENT = frozenset({408, 429, 500, 502, 503, 504})
_PIECE = 1 << 20
T = TypeVar("T")


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
    if scheme not in GDAL_PREFIXES:
        return f"scheme {scheme!r}, expected a local path or one of {', '.join(GDAL_PREFIXES)}"
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
    """A URL without its last slash; a local path made absolute, a relative one from `folder`."""
    if is_url(location):
        return location.rstrip("/")
    return str(Path(folder, Path(location).expanduser()).resolve())


def join(base: str, *parts: str) -> str:
    """The location of something below `base`."""
    if is_url(base):
        return "/".join((base.rstrip("/"), *parts))
    return str(Path(base, *parts))


def name(location: str) -> str:
    """The last part of a location."""
    return location.rstrip("/").rpartition("/")[2]


def is_file(location: str) -> bool:
    """Whether there is such a file.

    Raises:
        StorageError: the storage cannot be asked.
    """
    return _kind(location) == "file" if is_url(location) else os.path.isfile(location)


def is_folder(location: str) -> bool:
    """Whether there is such a folder; on object storage, anything below it.

    Raises:
        StorageError: the storage cannot be asked.
    """
    return _kind(location) == "directory" if is_url(location) else os.path.isdir(location)


def size(location: str) -> int:
    """Bytes of a file.

    Raises:
        StorageError: there is none, or the storage cannot be asked.
    """
    if is_url(location):
        return int(_call(location, lambda system, path: system.info(path)["size"]))
    with _local(location):
        return os.path.getsize(location)


def read_bytes(location: str, limit: int) -> bytes:
    """The bytes of a file.

    Raises:
        StorageError: there is none, it cannot be read, or it has more than `limit` bytes.
    """

    def read(system: Any, path: str) -> bytes:
        with system.open(path, "rb", cache_type="none") as file:
            return bytes(file.read(limit + 1))

    if is_url(location):
        data = _call(location, read)
    else:
        with _local(location), open(location, "rb") as file:
            data = file.read(limit + 1)
    if len(data) > limit:
        raise StorageError(location, f"larger than {limit} bytes")
    return data


def sha256(location: str) -> str:
    """Hexadecimal SHA-256 of a file's bytes.

    Raises:
        StorageError: there is none, or it cannot be read.
    """

    def digest(file: Any) -> str:
        found = hashlib.sha256()
        while piece := file.read(_PIECE):
            found.update(piece)
        return found.hexdigest()

    def read(system: Any, path: str) -> str:
        with system.open(path, "rb", cache_type="readahead", block_size=8 * _PIECE) as file:
            return digest(file)

    if is_url(location):
        return _call(location, read)
    with _local(location), open(location, "rb") as file:
        return digest(file)


@contextmanager
def fetched(location: str, limit: int) -> Iterator[Path]:
    """A local file with the bytes of a location: itself where it is local, else a passing copy.

    Raises:
        StorageError: there is none, it cannot be read, or it has more than `limit` bytes.
    """
    found = size(location)
    if found > limit:
        raise StorageError(location, f"larger than {limit} bytes")
    if not is_url(location):
        yield Path(location)
        return
    with tempfile.TemporaryDirectory(prefix="ghsl-beam-") as folder:
        copy = Path(folder, name(location))
        _call(location, lambda system, path: system.get_file(path, str(copy)))
        yield copy


@contextmanager
def published(location: str | Path) -> Iterator[Path]:
    """A local file to write, published as `location` when the body ends well, else removed.

    On a local disk it lies beside `location`; file and folder reach the disk before and after the
    move, so that a power cut leaves what was there or the whole. On object storage it is uploaded
    in one go: an object is there whole or not at all.

    Raises:
        StorageError: it cannot be uploaded.
        OSError: a local file cannot be written.
    """
    location = os.fspath(location)
    if is_url(location):
        with tempfile.TemporaryDirectory(prefix="ghsl-beam-") as folder:
            copy = Path(folder, name(location))
            yield copy
            _call(location, lambda system, path: system.put_file(str(copy), path))
        return
    path = Path(location)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.stem}.{uuid.uuid4().hex[:8]}.partial{path.suffix}")
    try:
        yield partial
        _to_disk(partial)
        os.replace(partial, path)
        _to_disk(path.parent)
    finally:
        partial.unlink(missing_ok=True)


def write_whole(location: str, data: bytes) -> None:
    """Write a file whole or not at all.

    Raises:
        StorageError: it cannot be written.
    """
    with _local(location), published(location) as partial:
        partial.write_bytes(data)


def remove(location: str) -> None:
    """Remove a file; one that is not there is removed already.

    Raises:
        StorageError: it cannot be removed.
    """
    try:
        if is_url(location):
            _call(location, lambda system, path: system.rm_file(path))
        else:
            with _local(location):
                os.unlink(location)
    except StorageError as error:
        if not error.absent:
            raise


def remove_tree(location: str) -> None:
    """Remove a folder and all below it; one that is not there is removed already.

    Raises:
        StorageError: it cannot be removed.
    """
    try:
        if is_url(location):
            _call(location, lambda system, path: system.rm(path, recursive=True))
        else:
            with _local(location):
                shutil.rmtree(location)
    except StorageError as error:
        if not error.absent:
            raise


def listing(folder: str) -> list[str]:
    """Names directly in a folder, sorted; empty where there is no such folder.

    Raises:
        StorageError: it cannot be listed.
    """

    def names(system: Any, path: str) -> list[str]:
        found = {str(entry["name"]).rstrip("/") for entry in system.ls(path, detail=True)}
        # A file, and the empty object that some tools leave for a folder, list themselves.
        return sorted(name(entry) for entry in found - {path.rstrip("/")})

    try:
        if is_url(folder):
            return _call(folder, names)
        with _local(folder):
            return sorted(os.listdir(folder))
    except StorageError as error:
        if error.absent:
            return []
        raise


def glob(base: str, pattern: str) -> list[str]:
    """Files below a folder whose path from there fits a pattern, as such paths, sorted.

    Raises:
        StorageError: it cannot be listed.
    """
    if not is_url(base):
        with _local(base):
            return sorted(local_glob.glob(pattern, root_dir=base))

    def find(system: Any, path: str) -> list[str]:
        found = system.glob(f"{local_glob.escape(path)}/{pattern}")
        return sorted(entry.removeprefix(path).lstrip("/") for entry in found)

    return _call(base, find)


def gdal_path(location: str) -> str:
    """The name under which GDAL opens a location.

    Raises:
        StorageError: the location cannot be used.
    """
    _check(location)
    match = _URL.match(location)
    return f"{GDAL_PREFIXES[match[1]]}{match[2]}" if match else location


def gdal_environment(path: str) -> AbstractContextManager[Any]:
    """What GDAL must know while it opens and reads `path`, a location or a name for GDAL."""
    if is_url(path) or "/vsis3/" in path or "/vsigs/" in path or "/vsicurl/" in path:
        return rasterio.Env(session=DummySession(), **gdal_options())
    return nullcontext()


def gdal_options() -> dict[str, str]:
    """GDAL's options for the storage that fsspec reaches with the same environment."""
    options = {
        "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
        "GDAL_HTTP_MAX_RETRY": "4",
        "GDAL_HTTP_RETRY_DELAY": "0.5",
        "GDAL_HTTP_CONNECTTIMEOUT": "10",
        "GDAL_HTTP_LOW_SPEED_TIME": "30",
        "GDAL_HTTP_LOW_SPEED_LIMIT": "1",
        # Block files are written anew under the same names.
        "CPL_VSIL_CURL_NON_CACHED": "/vsis3/:/vsigs/",
    }
    endpoint = _endpoint()
    if endpoint:
        parts = urlsplit(endpoint)
        options |= {
            "AWS_S3_ENDPOINT": f"{parts.netloc}{parts.path}".rstrip("/"),
            "AWS_HTTPS": "NO" if parts.scheme == "http" else "YES",
            "AWS_VIRTUAL_HOSTING": "FALSE",
        }
    return options


def masked(text: str) -> str:
    """A text on one line, without what could be a credential."""
    for key in _SECRETS:
        secret = os.environ.get(key)
        if secret:
            text = text.replace(secret, "***")
    text = re.sub(r"://[^/@\s]*@", "://***@", text)
    text = re.sub(r"(://[^\s?]*)\?\S*", r"\1?***", text)
    return " ".join(text.split())


def _endpoint() -> str | None:
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")


def _check(location: str) -> None:
    reason = problem(location)
    if reason:
        raise StorageError(masked(ascii(location)[1:-1]), reason)


def _kind(location: str) -> str:
    try:
        return str(_call(location, lambda system, path: system.info(path)["type"]))
    except StorageError as error:
        if error.absent:
            return "absent"
        raise


@contextmanager
def _local(location: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        absent = isinstance(error, (FileNotFoundError, NotADirectoryError))
        raise StorageError(location, error.strerror or masked(str(error)), absent) from error


def _to_disk(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _system(location: str) -> tuple[Any, str]:
    """The file system of a URL, and the path in it; nothing it lists or finds is remembered."""
    _check(location)
    scheme = location.partition("://")[0]
    options: dict[str, Any] = {"use_listings_cache": False}
    if scheme == "s3":
        config: dict[str, Any] = {"retries": {"mode": "standard", "total_max_attempts": 1}}
        if _endpoint():
            config["s3"] = {"addressing_style": "path"}
        options |= {"endpoint_url": _endpoint(), "config_kwargs": config}
    system = fsspec.filesystem(scheme, **options)
    system.retries = 1  # `_call` decides what is tried again, and when
    return system, str(system._strip_protocol(location))


def _call(location: str, action: Callable[[Any, str], T]) -> T:
    """Do something on the storage of a URL, again where it failed in passing."""
    try:
        system, path = _system(location)
        for attempt in stamina.retry_context(
            on=_again, attempts=5, timeout=180.0, wait_initial=0.2, wait_max=10.0
        ):
            with attempt:
                return action(system, path)
    except FileNotFoundError as error:
        raise StorageError(location, f"not there: {masked(str(error))}", absent=True) from error
    except _errors() as error:
        reason = masked(str(error)) or type(error).__name__
        raise StorageError(location, reason) from error
    raise AssertionError("stamina ends with a result or an error")


@cache
def _errors() -> tuple[type[Exception], ...]:
    """What the clients of the storages raise; they are imported when first needed."""
    import aiohttp
    import botocore.exceptions

    return (
        OSError,
        ImportError,
        ValueError,
        aiohttp.ClientError,
        botocore.exceptions.BotoCoreError,
        botocore.exceptions.ClientError,
    )


def _again(error: Exception) -> bool | float:
    """Whether an error may be gone at the next try, and how long its server asks to wait."""
    import aiohttp
    import botocore.exceptions

    cause = error.__cause__ or error
    response = getattr(cause, "response", None)
    if isinstance(response, dict):
        about = response.get("ResponseMetadata", {})
        status, headers = about.get("HTTPStatusCode"), about.get("HTTPHeaders", {})
    else:
        status, headers = getattr(cause, "status", None), getattr(cause, "headers", None) or {}
    if status is None:
        lost = (ConnectionError, TimeoutError, aiohttp.ClientConnectionError)
        return isinstance(error, (*lost, botocore.exceptions.HTTPClientError))
    if status not in _TRANSIENT:
        return False
    wait = str(headers.get("retry-after") or headers.get("Retry-After") or "")
    return min(float(wait), LONGEST_WAIT) if wait.isdigit() else True
