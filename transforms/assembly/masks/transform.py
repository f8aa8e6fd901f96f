"""MaskScenes: makes the mask of each scene once, and chooses the scenes of each tile."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
from apache_beam.pvalue import PCollection, TaggedOutput

from transforms.elements import StoredTile, TilePlan
from transforms.storage.caching import DIRECT, Access
from transforms.work.losses import LOSSES, made_or_lost
from transforms.work.metrics import count, measured, reused
from transforms.work.stage import StageTransform, TellAtBundleEnd
from transforms.work.work_area import WorkArea

from .choice import ChoiceParameters
from .choose import choose_scenes
from .make import Shares, make_mask
from .mask_files import MaskFiles, mask_mark
from .methods import csmask, s2cloudless
from .parameters import MaskParameters

STAGE = "masks"
CHOICE = "scenes"
LOST_IN = "assembly"
"""The stage that is named in losses: a scene without a mask is missing in the composite."""


@dataclass(eq=False)
class MaskScenes(StageTransform):
    """Make the masks of the scenes of tiles, and choose the scenes of each tile.

    Each element is a tile. A scene is one piece of work; its mask is stored, and a stored mask with
    the right fingerprint is used again. Outputs: main, the tiles with the numbers of their scenes
    in the order of their use; `losses`, scenes whose masks could not be made.
    """

    work: WorkArea
    files: MaskFiles
    masks: MaskParameters
    choice: ChoiceParameters
    access: Access = DIRECT

    def expand(self, tiles: PCollection[StoredTile]) -> Any:
        """Main output: tiles; further output: losses."""
        made = (
            tiles
            | "Scenes" >> beam.FlatMap(self.scenes_of)
            | "Spread" >> beam.Reshuffle()
            | "Mask"
            >> beam.ParDo(TellAtBundleEnd(self.work.reporter, self.mask)).with_outputs(
                LOSSES, main="masks"
            )
        )
        chosen = (
            (made["masks"], tiles | "Tile" >> beam.Map(lambda tile: (tile.tile, None)))
            | "Masks and tiles" >> beam.Flatten()
            | "By tile" >> beam.GroupByKey()
            | "Choose"
            >> beam.ParDo(TellAtBundleEnd(self.work.reporter, self.choose)).with_outputs(
                LOSSES, main="tiles"
            )
        )
        losses = (made[LOSSES], chosen[LOSSES]) | "Losses" >> beam.Flatten()
        return {"tiles": chosen["tiles"], LOSSES: losses}

    def scenes_of(self, tile: StoredTile) -> Iterator[tuple[str, int]]:
        """The tile with the number of each of its scenes."""
        plan = self.work.plans.read(tile.tile)
        self.work.reporter.begin()
        for number in range(len(plan.scenes)):
            yield tile.tile, number

    def mask(
        self, item: tuple[str, int]
    ) -> Iterator[tuple[str, tuple[int, Shares]] | TaggedOutput]:
        """Make the mask of one scene, unless it is stored already."""
        tile, number = item
        plan = self.work.plans.read(tile)
        scene = plan.scenes[number]
        for made in made_or_lost(
            self.work.reporter, LOST_IN, tile, None, lambda: self.shares(plan, number), scene.id
        ):
            yield made if isinstance(made, TaggedOutput) else (tile, (number, made))

    def shares(self, plan: TilePlan, number: int) -> Shares:
        """What a scene shows of the area; its mask is stored afterwards.

        Raises:
            SceneError: the scene cannot be used.
            RasterError: the mask cannot be stored.
        """
        scene = plan.scenes[number]
        mark = mask_mark(scene, plan, self.masks)
        stored = self.files.find(scene, mark)
        if stored is not None:
            reused(self.work.reporter, STAGE, plan.tile)
            return stored
        with measured(self.work.reporter, STAGE, plan.window.height * plan.window.width, plan.tile):
            made = make_mask(scene, plan, self.masks, self.access)
            self.files.write(scene, made, self.masks, mark)
        count(STAGE, "scenes")
        return made.shares

    def choose(
        self, item: tuple[str, Iterable[tuple[int, Shares] | None]]
    ) -> Iterator[StoredTile | TaggedOutput]:
        """Choose the scenes of one tile, and store which they are."""
        tile, masks = item
        s2cloudless.release()
        csmask.release()  # the masks of the tile are made, and blocks need the memory
        plan = self.work.plans.read(tile)
        shares: list[Shares | None] = [None] * len(plan.scenes)
        for mask in masks:
            if mask is not None:
                shares[mask[0]] = mask[1]

        def made() -> StoredTile:
            with measured(self.work.reporter, CHOICE, tile=tile):
                numbers = choose_scenes(plan, shares, self.files, self.choice)
            return StoredTile(tile, scenes=numbers, whole=None not in shares)

        yield from made_or_lost(self.work.reporter, LOST_IN, tile, None, made)
