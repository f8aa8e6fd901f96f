"""The lines of the graph: what each makes and reads, and its halo around a block."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from ghsl_beam.jobfile.configuration import Job
from transforms.classification.smoothing import smoothing_halo
from transforms.cleaning.parameters import CleaningParameters
from transforms.elements import Block, Layer, TilePlan
from transforms.greenness.greenness import GreennessParameters
from transforms.inference.predict import CONTEXT, HALO
from transforms.work.blocks import blocks_of


@dataclass(frozen=True)
class Line:
    """One fused stretch of the graph: it makes the layers of a block from stored rasters.

    Attributes:
        name: `assembly`, `inference` or `layers`.
        makes: The layers that it stores and publishes, in order.
        reads: The layers that it reads from storage. The first line reads scenes, and no layer.
        halo: The pixels around a block that the block's layers depend on.
        margin: The pixels by which its blocks reach beyond the area of interest.
        owned: Whether its layers are cut to the pixels that the tile owns. Other layers reach
            further, because a later line needs their halo.
    """

    name: str
    makes: tuple[Layer, ...]
    reads: tuple[Layer, ...] = ()
    halo: int = 0
    margin: int = 0
    owned: bool = False

    @property
    def stages(self) -> tuple[str, ...]:
        """The stages that make its layers, in order."""
        return tuple(dict.fromkeys(layer.spec.stage for layer in self.makes))

    def blocks(self, tile: TilePlan, size: int) -> Iterator[Block]:
        """The blocks of a tile in this line; `size` is the side of a block in pixels."""
        return blocks_of(tile, size, self.margin, self.owned)


class Lines(NamedTuple):
    """The lines of a job, in the order of the work."""

    assembly: Line
    """From scenes to the composite."""
    inference: Line
    """From the composite to the network's prediction."""
    layers: Line
    """From the prediction to the cleaned layers."""

    def maker(self, layer: Layer) -> Line:
        """The line that makes a layer."""
        return next(line for line in self if line.name == layer.spec.line)


def lines_of(job: Job, classifier_halo: int, classifier_bands: int = 4) -> Lines:
    """The lines of a job.

    Args:
        job: The job, whose parameters decide the halo of the last line.
        classifier_halo: The pixels around a window that the residential classes depend on before
            the smoothing.
        classifier_bands: The number of bands that the residential classifier needs, 4 or 10.
    """
    clean, green = cleaning_parameters(job), greenness_parameters(job)
    further = (Layer.S2_20M,) if classifier_bands > 4 else ()
    asked = job.composite.optional
    without = tuple(layer for layer in Layer if layer.spec.optional and layer not in asked)
    smoothing = smoothing_halo(job.residential.smoothing)
    return Lines(
        # The margin gives the network real neighbours at the edge of the area.
        assembly=Line("assembly", _made_by("assembly", without), margin=CONTEXT),
        inference=Line("inference", _made_by("inference"), (Layer.S2,), halo=CONTEXT),
        layers=Line(
            "layers",
            _made_by("layers", () if job.models.calibration else (Layer.BUFRAC_SD,)),
            (Layer.S2, *further, Layer.BUFRAC_RAW),
            halo=clean.halo + max(classifier_halo + smoothing, green.halo),
            owned=True,
        ),
    )


def _made_by(line: str, without: tuple[Layer, ...] = ()) -> tuple[Layer, ...]:
    return tuple(layer for layer in Layer if layer.spec.line == line and layer not in without)


def cleaning_parameters(job: Job) -> CleaningParameters:
    """The parameters of the cleaning in its own units."""
    settings = job.cleaning
    return CleaningParameters(
        minimum=settings.minimum,
        ndvi_above=settings.ndvi_above,
        ndwi_above=settings.ndwi_above,
        streets=settings.roads is not None,
        minimum_pixels=_pixels(settings.minimum_area_m2),
        edge=HALO,
        shore=settings.shore_m / 10,
    )


def greenness_parameters(job: Job) -> GreennessParameters:
    """The parameters of the greenness."""
    settings = job.greenness
    return GreennessParameters(
        radius=settings.radius_m,
        # Rounded up: BUFRAC is in whole percent.
        minimum=max(1, math.ceil(100 * settings.minimum - 1e-9)),
        minimum_pixels=_pixels(settings.minimum_area_m2),
        ndwi_above=settings.ndwi_above,
    )


def _pixels(area_m2: int | None) -> int | None:
    """The pixels of 10 m below which a component is smaller than an area; None for no limit.

    Rounded up: a component has fewer pixels than this exactly if it is smaller than the area.
    """
    return math.ceil(area_m2 / 100) if area_m2 else None
