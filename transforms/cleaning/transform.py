"""CleanBuiltUp: BUFRAC_RAW to BUFRAC."""

from __future__ import annotations

from dataclasses import dataclass

import apache_beam as beam
from apache_beam.pvalue import PCollection

from transforms.elements import Layer, Pixels
from transforms.raster.metrics import measured
from transforms.raster.stage import StageTransform
from transforms.raster.store import WorkArea

from .clean import clean
from .parameters import CleaningParameters
from .road_file import RoadSource

STAGE = "cleaning"


@dataclass(eq=False)
class CleanBuiltUp(StageTransform):
    """Adds BUFRAC to pixels; right but for `parameters.halo` pixels at their rim."""

    work: WorkArea
    parameters: CleaningParameters
    roads: RoadSource | None = None

    def expand(self, pixels: PCollection[Pixels]) -> PCollection[Pixels]:
        """Pixels with BUFRAC."""
        return pixels | beam.Map(self.clean)

    def clean(self, pixels: Pixels) -> Pixels:
        """One block."""
        plan = self.work.plan(pixels.block.tile)
        block = pixels.block
        with measured(STAGE, pixels.window.height * pixels.window.width, block.tile, block.window):
            roads = self.roads.near(plan, pixels.window) if self.roads else ()
            bufrac = clean(
                pixels[Layer.BUFRAC_RAW],
                pixels[Layer.S2],
                self.parameters,
                roads=roads,
                window=pixels.window,
                ulx=plan.ulx,
                uly=plan.uly,
            )
            return pixels.having(BUFRAC=bufrac)
