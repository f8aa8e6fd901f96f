"""What a job has published, noted in its work area until the record says it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

from pydantic import TypeAdapter

from transforms.elements import fingerprint
from transforms.rasters.seal import Sum
from transforms.storage import storage

_LOG = logging.getLogger(__name__)
_FOLDER = "products"
_MAX_BYTES = 1 << 30
_AT_A_TIME = 16
"""Notes that are read together: each is a short request."""


class Note(NamedTuple):
    """A product that was published: path below the output, fingerprint or mark, and its sum."""

    path: str
    mark: str
    size: int
    sha256: str


_NOTES = TypeAdapter(list[Note])


@dataclass(frozen=True, slots=True)
class Notes:
    """Notes of published products below a work area."""

    folder: str

    def noting(self, path: str, mark: str) -> Callable[[Sum], None]:
        """A function that notes the sum of a product at `path` below the output."""
        return lambda made: self.write(path, [Note(path, mark, *made)])

    def write(self, about: str, notes: list[Note]) -> None:
        """Keep notes together, in place of those kept before under the same words.

        Raises:
            StorageError: they cannot be written.
        """
        path = storage.join(self.folder, _FOLDER, f"{fingerprint(about)}.json")
        storage.write_whole(path, _NOTES.dump_json(notes))

    def read(self) -> list[Note]:
        """What was published since the record was last whole; of what is damaged, nothing.

        Raises:
            StorageError: they cannot be listed or read.
        """
        folder = storage.join(self.folder, _FOLDER)

        def read(name: str) -> list[Note]:
            try:
                data = storage.read_bytes(storage.join(folder, name), _MAX_BYTES)
                return _NOTES.validate_json(data)
            except ValueError:
                _LOG.warning("%s: damaged, and not used", storage.join(folder, name))
                return []

        with ThreadPoolExecutor(_AT_A_TIME) as pool:
            return [note for notes in pool.map(read, storage.listing(folder)) for note in notes]
