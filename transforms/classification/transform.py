"""ClassifyResidential: built-up into residential and non-residential."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import apache_beam as beam
from apache_beam.pvalue import PCollection

from transforms.elements import Layer, Pixels
from transforms.raster.metrics import measured
from transforms.raster.stage import StageTransform

from .classifier import ResidentialClassifier
from .classify import classify

STAGE = "classification"


@lru_cache(maxsize=2)
def _loaded(path: str) -> ResidentialClassifier:
    return ResidentialClassifier.load(path)


@dataclass(eq=False)
class ClassifyResidential(StageTransform):
    """Adds RES_NRES to pixels; the classifier is read once a worker."""

    model: str

    def expand(self, pixels: PCollection[Pixels]) -> PCollection[Pixels]:
        """Pixels with RES_NRES."""
        return pixels | beam.Map(self.classify)

    def classify(self, pixels: Pixels) -> Pixels:
        """One block."""
        block = pixels.block
        with measured(STAGE, pixels.window.height * pixels.window.width, block.tile, block.window):
            classes = classify(pixels[Layer.BUFRAC], pixels[Layer.S2], _loaded(self.model))
            return pixels.having(RES_NRES=classes)
