"""CleanBuiltUp: makes BUFRAC from BUFRAC_RAW."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
from apache_beam.pvalue import PCollection, TaggedOutput

from transforms.elements import Layer, Pixels
from transforms.work.losses import LOSSES, made_or_lost
from transforms.work.metrics import measured
from transforms.work.reporter import SILENT, Reporter
from transforms.work.stage import StageTransform

from .calibration import Curve, uncertainty
from .clean import clean
from .parameters import CleaningParameters
from .road_file import RoadSource

STAGE = "cleaning"


@dataclass(eq=False)
class CleanBuiltUp(StageTransform):
    """Add BUFRAC to pixels, valid except in the outer `parameters.halo` pixels.

    `curves` are the calibrations by grid zone. Pixels of a zone with one get BUFRAC_SD as well.
    Pixels with published layers keep them. Outputs: main, pixels; `losses`.
    """

    parameters: CleaningParameters
    roads: RoadSource | None = None
    reporter: Reporter = SILENT
    curves: tuple[tuple[str, Curve], ...] = ()

    def expand(self, pixels: PCollection[Pixels]) -> Any:
        """Main output: pixels with BUFRAC; further output: losses."""
        return pixels | beam.FlatMap(self.clean).with_outputs(LOSSES, main="pixels")

    def clean(self, pixels: Pixels) -> Iterator[Pixels | TaggedOutput]:
        """Clean one block."""
        block, window = pixels.block, pixels.window
        curve = dict(self.curves).get(pixels.zone)

        def cleaned() -> Pixels:
            with measured(
                self.reporter, STAGE, window.height * window.width, block.tile, block.window
            ):
                return self._calibrated(self._cleaned(pixels, curve), curve)

        if Layer.BUFRAC in pixels.layers and (curve is None or Layer.BUFRAC_SD in pixels.layers):
            yield pixels
        else:
            yield from made_or_lost(self.reporter, STAGE, block.tile, block.window, cleaned)

    def _cleaned(self, pixels: Pixels, curve: Curve | None) -> Pixels:
        if Layer.BUFRAC in pixels.layers:
            return pixels
        roads = self.roads.near(pixels.grid) if self.roads else ()
        bufrac = clean(
            pixels[Layer.BUFRAC_RAW],
            pixels[Layer.S2],
            self.parameters,
            roads=roads,
            grid=pixels.grid,
            curve=curve,
        )
        return pixels.having(BUFRAC=bufrac)

    def _calibrated(self, pixels: Pixels, curve: Curve | None) -> Pixels:
        if curve is None or Layer.BUFRAC_SD in pixels.layers:
            return pixels
        sd = uncertainty(pixels[Layer.BUFRAC_RAW], pixels[Layer.BUFRAC], curve)
        return pixels.having(BUFRAC_SD=sd)
