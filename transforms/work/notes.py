"""Notes of the products that a job has published, in its work area until `run.json` lists them."""

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
"""Notes that are read in parallel; each is a short request."""


class Note(NamedTuple):
    """A published product: its path relative to the output, its fingerprint or mark, and its sum.

    `size` and `sha256` are those of the file.
    """

    path: str
    mark: str
    size: int
    sha256: str


_NOTES = TypeAdapter(list[Note])


@dataclass(frozen=True, slots=True)
class Notes:
    """The notes of published products in a work area."""

    folder: str

    def noting(self, path: str, mark: str) -> Callable[[Sum], None]:
        """A function that notes the sum of the product at `path`, relative to the output."""
        return lambda made: self.write(path, [Note(path, mark, *made)])

    def write(self, about: str, notes: list[Note]) -> None:
        """Write notes together; they replace the notes written before with the same `about`.

        Raises:
            StorageError: they cannot be written.
        """
        path = storage.join(self.folder, _FOLDER, f"{fingerprint(about)}.json")
        storage.write_whole(path, _NOTES.dump_json(notes))

    def read(self) -> list[Note]:
        """The products published since the record was last complete; damaged notes are skipped.

        Raises:
            StorageError: they cannot be listed or read.
        """
        folder = storage.join(self.folder, _FOLDER)

        def read(name: str) -> list[Note]:
            try:
                data = storage.read_bytes(storage.join(folder, name), _MAX_BYTES)
                return _NOTES.validate_json(data)
            except ValueError:
                _LOG.warning("%s is damaged and is not used", storage.join(folder, name))
                return []

        with ThreadPoolExecutor(_AT_A_TIME) as pool:
            return [note for notes in pool.map(read, storage.listing(folder)) for note in notes]
