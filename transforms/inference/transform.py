"""PredictBuiltUp: the S2 composite to BUFRAC_RAW, by way of Beam's RunInference."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
from apache_beam.ml.inference.base import RunInference
from apache_beam.pvalue import PCollection, TaggedOutput

from transforms.elements import NODATA, BlockTask, GhslBeamError, Layer, Pixels
from transforms.raster.area_mask import area_mask
from transforms.raster.blocks import LOSSES, loss_of
from transforms.raster.masking import masked
from transforms.raster.stage import StageTransform
from transforms.raster.store import WorkArea, read_pixels

from .handler import GhsS2NetHandler, PredictionInput, PredictionOutput
from .predict import HALO, pad_block

STAGE = "inference"


@dataclass(eq=False)
class PredictBuiltUp(StageTransform):
    """Prediction of each block by the model of its grid zone.

    Outputs: main, pixels of BUFRAC_RAW; `losses`, blocks whose input could not be read.
    """

    work: WorkArea
    handler: GhsS2NetHandler

    def expand(self, tasks: PCollection[BlockTask]) -> dict[str, PCollection[Any]]:
        """Read, predict, encode."""
        read = tasks | "Read" >> beam.FlatMap(self.read).with_outputs(LOSSES, main="inputs")
        pixels = (
            read["inputs"]
            | "RunInference" >> RunInference(self.handler)
            | "Within the area" >> beam.Map(self.within_area)
        )
        return {"pixels": pixels, LOSSES: read[LOSSES]}

    def read(self, task: BlockTask) -> Iterator[PredictionInput | TaggedOutput]:
        """The composite of a block and the network's halo, reflected at the true edge alone."""
        try:
            plan = self.work.plan(task.block.tile)
            wanted = task.block.window.expand(HALO)
            inside = wanted.intersect(plan.extent) or task.block.window
            pixels = read_pixels(task, inside, (Layer.S2,))
        except GhslBeamError as error:
            yield loss_of(STAGE, task.block, error)
        else:
            dn = pad_block(pixels[Layer.S2], inside, wanted, plan.extent)
            yield PredictionInput(plan.zone, plan.tile, task.block.window, dn, pixels.whole)

    def within_area(self, prediction: PredictionOutput) -> Pixels:
        """Predictions outside the area of interest become nodata."""
        plan = self.work.plan(prediction.block.tile)
        window = prediction.block.window
        inside = area_mask(plan.area, plan.ulx, plan.uly, window)
        raw = masked(prediction.bufrac_raw, inside, NODATA[Layer.BUFRAC_RAW])
        return Pixels(prediction.block, window, {Layer.BUFRAC_RAW: raw}, prediction.whole)
