"""What a catalogue is: it is asked for products, and answers with candidates."""

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
    """A product that a catalogue names; nothing of it has been read.

    What the catalogue does not tell is empty or None. The scene itself is read from the product's
    own metadata: what stands here only decides whether the product is worth reading.
    """

    location: str
    """Folder or zip of the product: a local path or a URL."""
    name: str = ""
    """The product's name, without `.SAFE`."""
    datastrip: str = ""
    """Identifier of the datastrip, as the product's metadata write it."""
    baseline: str = ""
    """Processing baseline, such as `05.10`."""
    cloud_cover: float | None = None
    """Percent; catalogues round it."""
    online: bool = True
    """Whether the product can be read now; else somebody has to order it first."""
    size: int | None = None
    """Bytes of the whole product."""
    checksums: tuple[tuple[str, str], ...] = ()
    """Of files of the product: path from its folder, and `ALGORITHM:hexadecimal digits`."""
    files: ProductFiles | None = None
    """The files of the product where they do not lie together in one folder or zip."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A product that a catalogue names and the job does not use, and why."""

    name: str
    tile: str
    sensing: datetime | None
    cloud_cover: float | None
    reason: str
    location: str

    @classmethod
    def of(cls, scene: Scene, reason: str) -> Self:
        """A scene that has been read and is not used."""
        return cls(scene.id, scene.tile, scene.sensing, scene.cloud_cover, reason, scene.path)


Answer = Candidate | PassedOver | SceneError
"""What a catalogue answers with: a candidate, what it passes over, or what it cannot look into."""


class Catalogue(Protocol):
    """A catalogue of products.

    Attributes:
        place: what is asked, for messages: an address, or a folder.
        products_at_once: how many of its products are looked at together.
    """

    place: str
    products_at_once: int

    def search(self, wanted: Wanted) -> Iterator[Answer]:
        """The products that are wanted, and maybe others; each at least once.

        Clouds decide nothing here: of a pass that was processed twice, the clearer processing may
        be the outdated one.

        Raises:
            SceneError: the catalogue itself cannot be searched.
            StorageError: it does not answer now.
        """
        ...
