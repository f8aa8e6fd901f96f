"""AssembleScenes: makes the S2 composite of blocks, and its count of observations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
from apache_beam.pvalue import PCollection, TaggedOutput

from transforms.elements import (
    BANDS,
    NODATA,
    TEN_BANDS,
    BlockTask,
    Layer,
    Pixels,
    Scene,
    SceneError,
)
from transforms.rasters.area_mask import area_mask
from transforms.rasters.masking import grown, masked
from transforms.storage.caching import DIRECT, Access
from transforms.work.losses import LOSSES, loss_of, made_or_lost
from transforms.work.metrics import count, measured
from transforms.work.reporter import SILENT, Reporter
from transforms.work.stage import StageTransform

from .assemble import ALL, Rules, assemble_block
from .masks.block_masks import StoredMasks
from .masks.mask_files import MaskFiles
from .temporal import Temporal

STAGE = "assembly"


@dataclass(eq=False)
class AssembleScenes(StageTransform):
    """Make the composite of a block within the area of interest and `margin` pixels around it.

    The margin is the context of the network, so that a prediction at the edge of the area has real
    neighbours. Each task needs the plan of its tile. `access` says how the archive is read. With
    `bands` `TEN_BANDS`, S2_20M is made too. Outputs: main, pixels of S2 and S2_COUNT; `losses`,
    scenes that were left out.
    """

    percentile: float = 30.0
    margin: int = 0
    reporter: Reporter = SILENT
    access: Access = DIRECT
    bands: tuple[str, ...] = BANDS
    rules: Rules = ALL
    masks: MaskFiles | None = None
    temporal: tuple[Temporal, ...] = ()

    def expand(self, tasks: PCollection[BlockTask]) -> Any:
        """Main output: pixels; further output: losses."""
        return tasks | beam.FlatMap(self.assemble).with_outputs(LOSSES, main="pixels")

    def assemble(self, task: BlockTask) -> Iterator[Pixels | TaggedOutput]:
        """Make the pixels of one block, and the losses of its scenes."""
        tile, window = task.block.tile, task.block.window
        for made in made_or_lost(self.reporter, STAGE, tile, window, lambda: self.composite(task)):
            if isinstance(made, TaggedOutput):
                yield made
                continue
            pixels, failures = made
            yield pixels
            for scene, error in failures:
                yield loss_of(self.reporter, STAGE, tile, window, error, scene.id)

    def composite(self, task: BlockTask) -> tuple[Pixels, list[tuple[Scene, SceneError]]]:
        """Pixels of one block, and the scenes that were left out.

        Raises:
            RasterError: the observations cannot be stored.
            ValueError: the task has no plan.
        """
        plan, window = task.plan, task.block.window
        if plan is None:
            raise ValueError(f"{task.block}: the task has no plan of its tile, which it needs")
        with measured(self.reporter, STAGE, window.height * window.width, plan.tile, window):
            grid = plan.place(window)
            inside = grown(area_mask(plan.area, grid.pad(self.margin)), self.margin)
            numbers = range(len(plan.scenes)) if task.scenes is None else task.scenes
            scenes = [plan.scenes[number] for number in numbers]
            masks = None
            if self.masks is not None:
                masks = StoredMasks(self.masks, plan.tile, plan.grid, grid)
            made = assemble_block(
                *(scenes, grid, self.percentile, self.access, self.bands),
                rules=self.rules,
                masks=masks,
                wanted=inside,
                temporal=self.temporal,
            )
            layers = {
                Layer.S2: masked(made.composite[:4], inside, NODATA[Layer.S2]),
                Layer.S2_COUNT: masked(made.count, inside, NODATA[Layer.S2_COUNT]),
                Layer.S2_QUALITY: masked(made.quality, inside, NODATA[Layer.S2_QUALITY]),
            }
            if self.bands == TEN_BANDS:
                layers[Layer.S2_20M] = masked(made.composite[4:], inside, NODATA[Layer.S2_20M])
            for kind, made_of in made.temporal.items():
                layers[kind.layer] = masked(made_of, inside, NODATA[kind.layer])
        count(STAGE, "scenes", len(scenes) - len(made.failures))
        whole = task.whole and not made.failures
        pixels = Pixels(
            task.block, window, grid, layers, whole, task.make, plan.zone, plan.area_wkb
        )
        return pixels, made.failures
