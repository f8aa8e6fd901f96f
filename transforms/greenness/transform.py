"""MeasureGreenness: measures NDVI inside the closed built-up domain."""

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

from .greenness import GreennessParameters, greenness

STAGE = "greenness"


@dataclass(eq=False)
class MeasureGreenness(StageTransform):
    """Add GREENNESS to pixels, valid except in the outer `parameters.halo` pixels.

    Outputs: main, pixels; `losses`.
    """

    parameters: GreennessParameters
    reporter: Reporter = SILENT

    def expand(self, pixels: PCollection[Pixels]) -> Any:
        """Main output: pixels with GREENNESS; further output: losses."""
        return pixels | beam.FlatMap(self.measure).with_outputs(LOSSES, main="pixels")

    def measure(self, pixels: Pixels) -> Iterator[Pixels | TaggedOutput]:
        """Measure one block."""
        block, window = pixels.block, pixels.window

        def measured_green() -> Pixels:
            with measured(
                self.reporter, STAGE, window.height * window.width, block.tile, block.window
            ):
                green = greenness(pixels[Layer.BUFRAC], pixels[Layer.S2], self.parameters)
                return pixels.having(GREENNESS=green)

        if Layer.GREENNESS in pixels.make:
            yield from made_or_lost(self.reporter, STAGE, block.tile, block.window, measured_green)
        else:
            yield pixels
