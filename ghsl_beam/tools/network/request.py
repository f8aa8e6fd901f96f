"""What a training of a network is asked to do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from transforms.elements import RequestError

_BETWEEN_CREDITS = ";"


class Unit(StrEnum):
    """Unit of a raster of built-up fraction."""

    SHARE = "share"
    PERCENT = "percent"


class Split(StrEnum):
    """What is held out as a whole."""

    BLOCKS = "blocks"
    IMAGES = "images"


@dataclass(frozen=True, slots=True)
class NetworkRequest:
    """Images, labels and settings of a training.

    Attributes:
        model: Weight file to write.
        outputs: Folders of runs that have S2.
        images: GeoTIFFs with red, green, blue, near infrared; uint16, reflectance x 10 000.
        built_up: Vector files of built-up; a layer as `file.gpkg|layer`.
        not_built: Vector files of ground that is not built-up.
        fractions: Rasters of the built-up fraction.
        unit: Unit of the rasters; required with `fractions`.
        unlabelled: Weight of a pixel without a label, which then counts as not built-up; None: 0.2
            if there are only polygons of built-up, otherwise 0.
        built_share: Share of the weight of built-up pixels in the loss; None keeps that of the
            drawn pixels.
        split: What is held out as a whole.
        block_size: Side of a block in metres; None: the largest side that gives enough blocks.
        epochs: The most passes over the drawn pixels.
        patience: Passes without a better validation after which the training stops.
        seed: Seed of every random choice.
        author: Who makes the network.
        overwrite: Whether an earlier model of this name may be replaced.
    """

    model: str
    outputs: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    built_up: tuple[str, ...] = ()
    not_built: tuple[str, ...] = ()
    fractions: tuple[str, ...] = ()
    unit: Unit | None = None
    unlabelled: float | None = None
    built_share: float | None = None
    split: Split = Split.BLOCKS
    block_size: float | None = None
    epochs: int = 8
    patience: int = 3
    seed: int = 2017
    author: str | None = None
    overwrite: bool = False

    def check(self) -> None:
        """Check that the parts of the request fit together.

        Raises:
            RequestError: they do not.
        """
        if not self.outputs and not self.images:
            raise RequestError("train network: has no image; name the folder of a run, or --image")
        if not self.built_up and not self.fractions:
            raise RequestError(
                "train network: has no built-up; give --polygons, or --fraction with --unit"
            )
        if self.fractions and self.unit is None:
            raise RequestError(
                "--fraction: needs the unit of its values; give --unit share (0 to 1) or "
                "--unit percent (0 to 100)"
            )
        if self.split is Split.IMAGES and self.block_size is not None:
            raise RequestError(
                "--block-size: is for --split blocks, but --split images holds out whole images; "
                "remove one of them"
            )
        if self.author is not None and (
            _BETWEEN_CREDITS in self.author or not self.author.isprintable()
        ):
            raise RequestError(
                f"--author {self.author!r}: found {_BETWEEN_CREDITS!r} or a control character, "
                "expected a name; it becomes a part of the credits"
            )

    @property
    def weight_elsewhere(self) -> float:
        """The weight of a pixel without a label."""
        if self.unlabelled is not None:
            return self.unlabelled
        return 0.0 if self.not_built or self.fractions else 0.2
