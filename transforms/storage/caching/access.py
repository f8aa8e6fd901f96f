"""Opens the files of an archive for a stage: at their own place, or through a cache."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TypeVar

from transforms.elements import SceneError, SourceFile, StorageError
from transforms.storage import storage
from transforms.storage.gdal_access import gdal_path, source_of
from transforms.storage.locations import is_url
from transforms.storage.signing import NO_OTHERS, Signers

from .cache import Cache, CacheError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Access:
    """How the files of an archive are read.

    Attributes:
        cache: keeps whole files; None if files are read at their own place.
        masks: whether masks are kept too.
        signers: the services that give tokens for files that need one; a worker that gets this
            value uses these services.
        decoder: what decodes JPEG 2000, for the stages; it has no effect on the pixels.
    """

    cache: Cache | None = None
    masks: bool = True
    signers: Signers = NO_OTHERS
    decoder: str = "openjpeg"

    @contextmanager
    def local(self, path: str, file: SourceFile | None = None) -> Iterator[str]:
        """Inside the context, GDAL can open a file of the archive, and the file stays.

        Args:
            path: the result of `gdal_path` for the file, in a zip or not.
            file: its entry in the archive's listing; None asks the storage for it.

        Yields:
            `path` itself, or the name of the local file.

        Raises:
            SceneError: the archive does not give the file that was listed.
            StorageError: the archive does not answer, or the cache cannot take the file.
        """
        if self.cache is None:
            yield path
            return
        file = _complete(path, file)
        held = self.cache.held(file)
        try:
            here = held.__enter__()
        except CacheError:
            raise
        except StorageError as error:
            if error.passing:
                raise
            raise SceneError(path, f"cannot be read: {error.reason}") from error
        try:
            before, there, after = path.partition(gdal_path(file.location))
            if not there:
                raise ValueError(f"{path} is not in {file.location}")
            yield f"{before}{here}{after}"
        finally:
            held.__exit__(None, None, None)

    def read(
        self,
        path: str,
        file: SourceFile | None,
        use: Callable[[str], T],
        *,
        mask: bool = False,
    ) -> T:
        """Call `use` with the name under which GDAL opens a file of the archive; return its result.

        If `use` refuses the file, and the bytes of the kept file have changed, the file is fetched
        again, once.

        Args:
            path: see `local`.
            file: see `local`.
            use: reads the file.
            mask: whether it is a mask.

        Raises:
            SceneError: the archive does not give the file, or `use` refuses it; `path` is named.
            StorageError: the archive does not answer, or the cache cannot take the file.
        """
        if self.cache is None or (mask and not self.masks):
            return use(path)
        file = _complete(path, file)
        for again in (True, False):
            with self.local(path, file) as here:
                try:
                    return use(here)
                except SceneError as error:
                    refused = SceneError(path, error.reason)
                    refused.__cause__ = error
            if not (again and self.cache.discard_if_damaged(file)):
                raise refused
        raise AssertionError("the second turn ends with a result or an error")


DIRECT = Access()
"""Reads files at their own place, without a cache."""


def _complete(path: str, file: SourceFile | None) -> SourceFile:
    """A file with its size; without a listing, the storage is asked, once in a process."""
    file = file or SourceFile(source_of(path))
    if file.size or not is_url(file.location):
        return file
    about = _stored(file.location, path)
    return replace(file, size=about.size, version=file.version or about.version)


@lru_cache(maxsize=65536)
def _stored(location: str, path: str) -> storage.Stored:
    try:
        return storage.stored(location)
    except StorageError as error:
        if error.passing:
            raise
        raise SceneError(path, f"cannot be read: {error.reason}") from error
