"""ClassifyResidential: divides built-up into residential and non-residential."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import apache_beam as beam
import numpy as np
from apache_beam.pvalue import PCollection, TaggedOutput

from transforms.elements import NODATA, Layer, Pixels, check_planned
from transforms.storage import storage
from transforms.work.losses import LOSSES, made_or_lost
from transforms.work.metrics import measured
from transforms.work.reporter import SILENT, Reporter
from transforms.work.stage import StageTransform

from .classifier import ResidentialClassifier
from .classify import classification_halo, classify
from .smoothing import DEFAULT_SMOOTHING, Smoothing
from .starter import stored_at

STAGE = "classification"


@lru_cache(maxsize=2)
def _loaded(path: str, sha256: str) -> ResidentialClassifier:
    if sha256:
        check_planned(path, storage.sha256(stored_at(path)), sha256)
    return ResidentialClassifier.load(path)


@dataclass(eq=False)
class ClassifyResidential(StageTransform):
    """Add RES_NRES to pixels that need it; each worker reads the classifier once.

    `model` is its file. If `sha256` is given, the file must have this checksum, with which the
    launch planned. `smoothing` is explained at `smooth`. RES_NRES is valid within the block.
    Outputs: main, pixels; `losses`.
    """

    model: str
    sha256: str = ""
    reporter: Reporter = SILENT
    smoothing: Smoothing = DEFAULT_SMOOTHING

    def expand(self, pixels: PCollection[Pixels]) -> Any:
        """Main output: pixels with RES_NRES; further output: losses."""
        return pixels | beam.FlatMap(self.classify).with_outputs(LOSSES, main="pixels")

    def classify(self, pixels: Pixels) -> Iterator[Pixels | TaggedOutput]:
        """Classify one block."""
        block, window = pixels.block, pixels.window

        def classified() -> Pixels:
            with measured(
                self.reporter, STAGE, window.height * window.width, block.tile, block.window
            ):
                classifier = _loaded(self.model, self.sha256)
                halo = classification_halo(classifier, self.smoothing)
                part = block.window.expand(halo).intersect(window) or block.window
                near = pixels.crop(part)
                s2 = near[Layer.S2]
                if classifier.bands > len(s2):
                    s2 = np.concatenate((s2, near[Layer.S2_20M]))
                classes = np.full(window.shape, NODATA[Layer.RES_NRES], np.uint8)
                classes[part.slices_in(window)] = classify(
                    near[Layer.BUFRAC], s2, classifier, self.smoothing
                )
                return pixels.having(RES_NRES=classes)

        if Layer.RES_NRES in pixels.make:
            yield from made_or_lost(self.reporter, STAGE, block.tile, block.window, classified)
        else:
            yield pixels
