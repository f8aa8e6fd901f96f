"""PredictBuiltUp: the S2 composite to BUFRAC_RAW, by way of Beam's RunInference."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
from apache_beam.ml.inference.base import RunInference
from apache_beam.pvalue import PCollection, TaggedOutput

from transforms.elements import NODATA, BlockTask, Layer, Pixels, origin_of
from transforms.rasters.area_mask import area_mask
from transforms.rasters.masking import masked
from transforms.work.losses import LOSSES, attempted, loss_of
from transforms.work.stage import StageTransform
from transforms.work.work_area import WorkArea, read_pixels

from .handler import GhsS2NetHandler, PredictionFailure, PredictionInput, PredictionOutput
from .predict import CONTEXT, pad_block

STAGE = "inference"


@dataclass(eq=False)
class PredictBuiltUp(StageTransform):
    """Prediction of each block by the model of its grid zone.

    Outputs: main, pixels of BUFRAC_RAW; `losses`, blocks whose input or model cannot be used.
    """

    work: WorkArea
    handler: GhsS2NetHandler

    def expand(self, tasks: PCollection[BlockTask]) -> dict[str, PCollection[Any]]:
        """Read, predict, encode."""
        read = tasks | "Read" >> beam.FlatMap(self.read).with_outputs(LOSSES, main="inputs")
        predicted = (
            read["inputs"]
            | "RunInference" >> RunInference(self.handler)
            | "Within the area"
            >> beam.FlatMap(self.within_area).with_outputs(LOSSES, main="pixels")
        )
        losses = (read[LOSSES], predicted[LOSSES]) | "Losses" >> beam.Flatten()
        return {"pixels": predicted["pixels"], LOSSES: losses}

    def read(self, task: BlockTask) -> Iterator[PredictionInput | TaggedOutput]:
        """The composite of a block and its context, reflected at the true edge alone."""

        def read() -> PredictionInput:
            plan = self.work.plan(task.block.tile)
            wanted = task.block.window.expand(CONTEXT)
            inside = wanted.intersect(plan.extent) or task.block.window
            pixels = read_pixels(self.work, task, inside, (Layer.S2,))
            dn = pad_block(pixels[Layer.S2], inside, wanted, plan.extent)
            window, whole = task.block.window, pixels.whole
            return PredictionInput(plan.zone, plan.tile, window, dn, whole, origin_of(plan.grid))

        block = task.block
        yield from attempted(self.work, STAGE, block.tile, block.window, read)

    def within_area(
        self, prediction: PredictionOutput | PredictionFailure
    ) -> Iterator[Pixels | TaggedOutput]:
        """Predictions outside the area of interest become nodata; failures become losses."""
        block = prediction.block
        if isinstance(prediction, PredictionFailure):
            yield loss_of(self.work, STAGE, block.tile, block.window, prediction.error)
            return
        plan = self.work.plan(block.tile)
        grid = plan.place(block.window)
        inside = area_mask(plan.area, grid)
        raw = masked(prediction.bufrac_raw, inside, NODATA[Layer.BUFRAC_RAW])
        layers = {Layer.BUFRAC_RAW: raw}
        yield Pixels(block, block.window, grid, layers, prediction.whole, (Layer.BUFRAC_RAW,))
