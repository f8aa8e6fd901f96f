"""The interface of a catalogue: it is asked for products, and answers with candidates."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, Self

from transforms.assembly.products.candidates import PassedOver, Wanted
from transforms.assembly.products.product_files import ProductFiles
from transforms.elements import Scene, SceneError

__all__ = ["Answer", "Candidate", "Catalogue", "LeftOut", "PassedOver", "Wanted"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A product that a catalogue names; none of its files has been read.

    A value that the catalogue does not give is empty or None. The values only decide whether the
    product is worth reading; the scene itself is read from the product's own metadata.
    """

    location: str
    """Folder or zip of the product: a local path or a URL."""
    name: str = ""
    """The product's name, without `.SAFE`."""
    datastrip: str = ""
    """Identifier of the datastrip, written as in the product's metadata."""
    baseline: str = ""
    """Processing baseline, such as `05.10`."""
    cloud_cover: float | None = None
    """Cloud cover in percent; catalogues round it."""
    online: bool = True
    """Whether the product can be read now; if not, it must be ordered first."""
    size: int | None = None
    """Size of the whole product in bytes."""
    checksums: tuple[tuple[str, str], ...] = ()
    """Checksums of its files: path from its folder, and `ALGORITHM:hexadecimal digits`."""
    files: ProductFiles | None = None
    """The files of the product, if they are not together in one folder or zip."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A product that a catalogue names and the job does not use, with the reason."""

    name: str
    tile: str
    sensing: datetime | None
    cloud_cover: float | None
    reason: str
    location: str

    @classmethod
    def of(cls, scene: Scene, reason: str) -> Self:
        """The same for a scene that has been read and is not used."""
        return cls(scene.id, scene.tile, scene.sensing, scene.cloud_cover, reason, scene.path)


Answer = Candidate | PassedOver | SceneError
"""An answer of a catalogue: a candidate, something skipped, or an error of a folder or product."""


class Catalogue(Protocol):
    """A catalogue of products.

    Attributes:
        place: the address or the folder that is asked, for messages.
        products_at_once: number of its products that are read in parallel.
    """

    place: str
    products_at_once: int

    def search(self, wanted: Wanted) -> Iterator[Answer]:
        """Find the wanted products, each at least once; there may be others among them.

        The cloud cover decides nothing here: if a pass was processed twice, the clearer processing
        may be the outdated one.

        Raises:
            SceneError: the catalogue itself cannot be searched.
            StorageError: it does not answer now.
        """
        ...
