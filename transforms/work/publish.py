"""Beam transforms at the end of a line: blocks to tiles, tiles to products."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
from apache_beam.pvalue import PCollection, TaggedOutput

from transforms.elements import (
    DTYPE,
    NODATA,
    Layer,
    Product,
    RasterRef,
    StoredTile,
    TilePlan,
    Window,
    period_tag,
)
from transforms.rasters.cog import cog_writer
from transforms.rasters.fingerprints import INCOMPLETE, stored_fingerprint
from transforms.rasters.geotiff import FINGERPRINT_TAG, raster_profile
from transforms.storage import storage

from .blocks import blocks_of
from .losses import LOSSES, made_or_lost
from .metrics import measured, reused
from .stage import StageTransform, TellAtBundleEnd
from .work_area import WorkArea

_LOG = logging.getLogger(__name__)


@dataclass(eq=False)
class GroupByTile(StageTransform):
    """Group references by tile; only references are grouped."""

    def expand(self, references: PCollection[RasterRef]) -> PCollection[StoredTile]:
        """One element for each tile, with its references in a fixed order."""
        return (
            references
            | "Key" >> beam.Map(lambda reference: (reference.tile, reference))
            | "Group" >> beam.GroupByKey()
            | "Tile" >> beam.MapTuple(lambda tile, refs: StoredTile(tile, tuple(sorted(set(refs)))))
        )


@dataclass(eq=False)
class PublishTiles(StageTransform):
    """Write the stored blocks of a tile as one cloud-optimised GeoTIFF for each layer.

    `paths` gives the path pattern of each layer, relative to `output`, with `{tile}`. A tile with
    lost blocks is published with nodata in their place, and is marked as not whole. `owned` is that
    of the line's `FanOut`.
    """

    work: WorkArea
    output: str
    paths: tuple[tuple[Layer, str], ...]
    block_size: int
    margin: int = 0
    owned: bool = False

    def expand(self, tiles: PCollection[StoredTile]) -> Any:
        """Main output: products; further output: losses."""
        publishing = beam.ParDo(TellAtBundleEnd(self.work.reporter, self.publish))
        return (
            tiles
            | "By layer" >> beam.FlatMap(self.by_layer)
            | "Spread" >> beam.Reshuffle()
            | "Publish" >> publishing.with_outputs(LOSSES, main="products")
        )

    def by_layer(self, stored: StoredTile) -> Iterator[tuple[Layer, StoredTile]]:
        """The tile, once for each layer that has blocks."""
        for layer, _ in self.paths:
            mine = tuple(sorted({r for r in stored.references if r.layer == layer}))
            if mine:
                yield layer, StoredTile(stored.tile, mine)

    def publish(self, item: tuple[Layer, StoredTile]) -> Iterator[Product | TaggedOutput]:
        """Make the product of one layer of one tile."""
        layer, stored = item
        yield from made_or_lost(
            self.work.reporter, "publish", stored.tile, None, lambda: self.write(layer, stored)
        )

    def write(self, layer: Layer, stored: StoredTile) -> Product:
        """Write the product of one layer of one tile, unless it exists and is up to date.

        Raises:
            RasterError: a block cannot be read, or the product cannot be written.
        """
        plan = self.work.plans.read(stored.tile)
        self.work.reporter.begin()
        relative = dict(self.paths)[layer].format(tile=stored.tile)
        blocks = blocks_of(plan, self.block_size, self.margin, self.owned)
        expected = {block.window for block in blocks}
        references = [r for r in stored.references if r.window in expected]
        whole = len(references) == len(expected) and all(r.whole for r in references)
        tag = plan.fingerprints[layer] if whole else INCOMPLETE
        product = Product(layer, stored.tile, "utm", relative, tag, whole)
        location = storage.join(self.output, relative)
        made = {**layer.spec.tags, **period_tag(plan.days), **plan.tags.get(layer, {})}
        tags = {**made, FINGERPRINT_TAG: tag}
        if whole and stored_fingerprint(location) == tag:
            reused(self.work.reporter, "publish", plan.tile)
            return product
        with (
            measured(
                self.work.reporter, "publish", plan.window.height * plan.window.width, plan.tile
            ),
            cog_writer(
                location,
                raster_profile(plan.place(plan.window)),
                bands=len(layer.spec.bands),
                dtype=DTYPE[layer],
                nodata=NODATA[layer],
                tags=tags,
                spec=layer.spec,
                tell=self.work.notes.noting(relative, tag),
            ) as write,
        ):
            for window, array in self.parts(plan, layer, references):
                write(window, array)
        _LOG.info("published", extra={"tile": plan.tile, "path": relative, "whole": whole})
        return product

    def parts(
        self, plan: TilePlan, layer: Layer, references: Iterable[RasterRef]
    ) -> Iterator[tuple[Window, Any]]:
        """The blocks one by one, with windows counted from the corner of the product."""
        for reference in references:
            window = reference.window
            array = self.work.blocks.read(layer, [reference], window)
            place = Window(
                window.row - plan.window.row,
                window.col - plan.window.col,
                window.height,
                window.width,
            )
            yield place, array
