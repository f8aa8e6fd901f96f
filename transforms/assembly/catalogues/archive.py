"""The archive as a catalogue: products in folders of any arrangement, and in `.zip` files.

The archive may be on a local disk, on a mount such as `/eodata`, or on object storage.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from transforms.assembly.products.candidates import ENDINGS, candidates
from transforms.elements import SceneError, StorageError
from transforms.storage import storage

from .catalogue import Answer, Candidate, Wanted

_AT_A_TIME = 16
"""Products on object storage that are opened in parallel; each takes a few short requests."""


class Archive:
    """A folder of products, or one product; see `Catalogue`."""

    def __init__(self, place: str) -> None:
        self.place = place.rstrip("/") if storage.is_url(place) else os.path.abspath(place)
        self.products_at_once = _AT_A_TIME if storage.is_url(place) else 1

    def search(self, wanted: Wanted) -> Iterator[Answer]:
        """See `Catalogue`; the answers come while the folders are searched."""
        if self.place.lower().endswith(ENDINGS):
            yield Candidate(self.place)
            return
        try:
            if not storage.is_folder(self.place):
                reason = "cannot be read as an archive: there is no such folder"
                raise SceneError(self.place, reason)
        except StorageError as error:
            reason = f"cannot be read as an archive: {error.reason}"
            raise SceneError(self.place, reason) from error
        for entry in candidates(self.place, wanted):
            if isinstance(entry, SceneError) and entry.file == self.place:
                raise SceneError(self.place, f"cannot be read as an archive: {entry.reason}")
            yield Candidate(entry) if isinstance(entry, str) else entry
