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

from .calibration import Curve, calibrate
from .clean import clean
from .parameters import CleaningParameters
from .road_file import RoadSource

STAGE = "cleaning"


@dataclass(eq=False)
class CleanBuiltUp(StageTransform):
    """Add BUFRAC to pixels, valid except in the outer `parameters.halo` pixels.

    Pixels with a published BUFRAC keep it, unless it is published `calibrated`: the stages that
    follow need the probability. Outputs: main, pixels; `losses`.
    """

    parameters: CleaningParameters
    roads: RoadSource | None = None
    reporter: Reporter = SILENT
    calibrated: bool = False

    def expand(self, pixels: PCollection[Pixels]) -> Any:
        """Main output: pixels with BUFRAC; further output: losses."""
        return pixels | beam.FlatMap(self.clean).with_outputs(LOSSES, main="pixels")

    def clean(self, pixels: Pixels) -> Iterator[Pixels | TaggedOutput]:
        """Clean one block."""
        block, window = pixels.block, pixels.window

        def cleaned() -> Pixels:
            with measured(
                self.reporter, STAGE, window.height * window.width, block.tile, block.window
            ):
                roads = self.roads.near(pixels.grid) if self.roads else ()
                bufrac = clean(
                    pixels[Layer.BUFRAC_RAW],
                    pixels[Layer.S2],
                    self.parameters,
                    roads=roads,
                    grid=pixels.grid,
                )
                return pixels.having(BUFRAC=bufrac)

        if Layer.BUFRAC in pixels.layers and not self.calibrated:
            yield pixels
        else:
            yield from made_or_lost(self.reporter, STAGE, block.tile, block.window, cleaned)


@dataclass(eq=False)
class CalibrateBuiltUp(StageTransform):
    """Turn the cleaned probability of BUFRAC into a fraction, and add BUFRAC_SD.

    It is the last step on a block, because the other stages judge the probability. `curves` has the
    calibration of each grid zone. Outputs: main, pixels; `losses`.
    """

    curves: tuple[tuple[str, Curve], ...]
    reporter: Reporter = SILENT

    def expand(self, pixels: PCollection[Pixels]) -> Any:
        """Main output: pixels with the calibrated BUFRAC; further output: losses."""
        return pixels | beam.FlatMap(self.calibrate).with_outputs(LOSSES, main="pixels")

    def calibrate(self, pixels: Pixels) -> Iterator[Pixels | TaggedOutput]:
        """Calibrate one block."""
        block = pixels.block

        def calibrated() -> Pixels:
            curve = dict(self.curves)[pixels.zone]
            bufrac, sd = calibrate(pixels[Layer.BUFRAC_RAW], pixels[Layer.BUFRAC], curve)
            return pixels.having(BUFRAC=bufrac, BUFRAC_SD=sd)

        yield from made_or_lost(self.reporter, STAGE, block.tile, block.window, calibrated)
