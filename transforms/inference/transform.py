"""PredictBuiltUp: makes BUFRAC_RAW from the S2 composite with Beam's RunInference."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import apache_beam as beam
from apache_beam.ml.inference.base import RunInference
from apache_beam.pvalue import PCollection, TaggedOutput

from transforms.elements import NODATA, Layer, Pixels, origin_of
from transforms.rasters.area_mask import area_mask
from transforms.rasters.masking import masked
from transforms.work.losses import LOSSES, loss_of, made_or_lost
from transforms.work.reporter import SILENT, Reporter
from transforms.work.stage import StageTransform

from .handler import GhsS2NetHandler, PredictionFailure, PredictionInput, PredictionOutput
from .predict import CONTEXT, pad_block

STAGE = "inference"


@dataclass(eq=False)
class PredictBuiltUp(StageTransform):
    """Predict each block with the model of its grid zone.

    The pixels of S2 come with the block's context (`CONTEXT` pixels), as far as it exists. A block
    is mirrored where its pixels end. Outputs: main, pixels of BUFRAC_RAW; `losses`, blocks whose
    input or model cannot be used.
    """

    handler: GhsS2NetHandler
    reporter: Reporter = SILENT

    def expand(self, pixels: PCollection[Pixels]) -> dict[str, PCollection[Any]]:
        """Prepare, predict, and encode."""
        read = pixels | "Prepare" >> beam.FlatMap(self.prepare).with_outputs(LOSSES, main="inputs")
        predicted = (
            read["inputs"]
            | "RunInference" >> RunInference(self.handler)
            | "Within the area"
            >> beam.FlatMap(self.within_area).with_outputs(LOSSES, main="pixels")
        )
        losses = (read[LOSSES], predicted[LOSSES]) | "Losses" >> beam.Flatten()
        return {"pixels": predicted["pixels"], LOSSES: losses}

    def prepare(self, pixels: Pixels) -> Iterator[PredictionInput | TaggedOutput]:
        """The composite of a block with its context, mirrored where the pixels end."""
        block = pixels.block

        def prepared() -> PredictionInput:
            wanted, window = block.window.expand(CONTEXT), pixels.window
            inside = window.intersect(wanted) or window
            dn = pad_block(pixels.crop(inside)[Layer.S2], inside, wanted, inside)
            place = replace(pixels.crop(block.window), layers={})
            row, col = origin_of(place.grid)
            origin = row - block.window.row, col - block.window.col
            zone = pixels.zone or block.zone
            return PredictionInput(zone, block.tile, block.window, dn, pixels.whole, origin, place)

        yield from made_or_lost(self.reporter, STAGE, block.tile, block.window, prepared)

    def within_area(
        self, prediction: PredictionOutput | PredictionFailure
    ) -> Iterator[Pixels | TaggedOutput]:
        """Set predictions outside the area of interest to nodata; turn failures into losses."""
        block = prediction.block
        if isinstance(prediction, PredictionFailure):
            yield loss_of(self.reporter, STAGE, block.tile, block.window, prediction.error)
            return
        place, raw = prediction.place, prediction.bufrac_raw
        if place is None:
            raise ValueError(f"{block}: the prediction has no place for its pixels")
        area = place.area
        if area is not None:
            raw = masked(raw, area_mask(area, place.grid), NODATA[Layer.BUFRAC_RAW])
        yield replace(
            place.having(BUFRAC_RAW=raw), whole=prediction.whole, make=(Layer.BUFRAC_RAW,)
        )
