"""How a stage reaches the files of an archive: where they lie, or through a cache."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TypeVar

from transforms.elements import SceneError, SourceFile, StorageError
from transforms.storage import storage
from transforms.storage.gdal_access import VSIZIP, gdal_path, location_of
from transforms.storage.locations import is_url
from transforms.storage.signing import NO_OTHERS, Signers

from .cache import Cache, CacheError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Access:
    """Where the files of an archive are read.

    Attributes:
        cache: keeps whole files; None where they are read where they lie.
        masks: whether masks are kept too.
        signers: who gives the tokens for files that need some; a worker that gets this value knows
            them.
    """

    cache: Cache | None = None
    masks: bool = True
    signers: Signers = NO_OTHERS

    @contextmanager
    def local(self, path: str, file: SourceFile | None = None) -> Iterator[str]:
        """Within, a file of the archive has a name that GDAL opens, and stays.

        Args:
            path: its name as `gdal_path` gives it, in a zip or not.
            file: what the archive's listing says of it; asked for where this is None.

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
            raise SceneError(path, f"not readable: {error.reason}") from error
        try:
            before, there, after = path.partition(gdal_path(file.location))
            if not there:
                raise ValueError(f"{path} does not lie in {file.location}")
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
        """What `use` makes of a file of the archive, which it gets by the name that GDAL opens.

        Where that fails and the kept file is no longer what came, it is fetched anew, once.

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
"""Files are read where they lie."""


def source_of(path: str) -> str:
    """Location of the file that GDAL reads for a name; of the whole archive for one in a zip."""
    location = location_of(path.removeprefix(VSIZIP))
    if not path.startswith(VSIZIP):
        return location
    end = location.lower().find(".zip/")
    return location if end < 0 else location[: end + len(".zip")]


def _complete(path: str, file: SourceFile | None) -> SourceFile:
    """What is known of a file; the storage is asked, once in a process, where no listing tells."""
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
        raise SceneError(path, f"not readable: {error.reason}") from error
