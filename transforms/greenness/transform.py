"""MeasureGreenness: NDVI inside the closed built-up domain."""

from __future__ import annotations

from dataclasses import dataclass

import apache_beam as beam
from apache_beam.pvalue import PCollection

from transforms.elements import Layer, Pixels
from transforms.raster.metrics import measured
from transforms.raster.stage import StageTransform

from .greenness import GreennessParameters, greenness

STAGE = "greenness"


@dataclass(eq=False)
class MeasureGreenness(StageTransform):
    """Adds GREENNESS to pixels; right but for `parameters.halo` pixels at their rim."""

    parameters: GreennessParameters

    def expand(self, pixels: PCollection[Pixels]) -> PCollection[Pixels]:
        """Pixels with GREENNESS."""
        return pixels | beam.Map(self.measure)

    def measure(self, pixels: Pixels) -> Pixels:
        """One block."""
        block = pixels.block
        with measured(STAGE, pixels.window.height * pixels.window.width, block.tile, block.window):
            green = greenness(pixels[Layer.BUFRAC], pixels[Layer.S2], self.parameters)
            return pixels.having(GREENNESS=green)
