"""The stored masks of a job: one raster a scene, beside the products."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.errors import RasterioError

from transforms.elements import (
    LayerSpec,
    Overviews,
    Picture,
    Scene,
    TilePlan,
    Window,
    fingerprint,
)
from transforms.rasters.cog import cog_writer
from transforms.rasters.fingerprints import stored_tags
from transforms.rasters.geotiff import (
    FINGERPRINT_TAG,
    raster_profile,
    read_raster,
    unreadable,
)
from transforms.rasters.tile_sums import read_checked
from transforms.storage import storage

from ..reading import fill_nearest
from .classes import MaskClass
from .make import METHOD_VERSION, SceneMask, Shares
from .parameters import MaskParameters

_NONE = 255
"""Nodata of the files; no cell has it."""
_MASK = LayerSpec(
    "MASK",
    title="Mask of a scene",
    values="0 clear, 1 cloud, 2 cloud shadow, 3 no data",
    line="assembly",
    stage="masks",
    dtype="uint8",
    nodata=_NONE,
    overviews=Overviews.MODE,
    picture=Picture(
        classes=(
            ("clear", "#e6f2d5"),
            ("cloud", "#ffffff"),
            ("cloud shadow", "#4a4a68"),
            ("no data", "#1a1a1a"),
        )
    ),
)
_BRIGHT = replace(
    _MASK,
    name="BRIGHT",
    title="Bright targets",
    values="1 bright target, 0 other",
    picture=Picture(classes=(("other", "#f2f0ea"), ("bright target", "#fdbb84"))),
)


@dataclass(frozen=True, slots=True)
class MaskFiles:
    """The masks of a job.

    Attributes:
        output: folder or URL of the products.
        label: epoch and name of the job, `E2020_berlin`; a part of the names of the files.
    """

    output: str
    label: str

    def mask_of(self, scene: Scene) -> str:
        """The path of a scene's mask, relative to the output."""
        day = f"{scene.sensing:%Y%m%dT%H%M%S}"
        key = fingerprint(scene.id, scene.datastrip, scene.baseline, scene.files)[:8]
        return f"masks/{scene.tile}/MASK_{self.label}_{scene.tile}_{day}_{key}.tif"

    def bright_of(self, tile: str) -> str:
        """The path of a tile's bright targets, relative to the output."""
        return f"masks/{tile}/BRIGHT_{self.label}_{tile}.tif"

    def choice_of(self, tile: str) -> str:
        """The path of the choice of a tile's scenes, relative to the output."""
        return f"masks/{tile}/SCENES_{self.label}_{tile}.json"

    def location(self, path: str) -> str:
        """The location of a path relative to the output."""
        return storage.join(self.output, path)

    def find(self, scene: Scene, mark: str) -> Shares | None:
        """The shares of the stored mask with this fingerprint; None if there is none.

        Raises:
            RasterError: the storage does not say.
        """
        location = self.location(self.mask_of(scene))
        tags = stored_tags(location)
        return _shares(tags) if tags.get(FINGERPRINT_TAG) == mark else None

    def write(self, scene: Scene, mask: SceneMask, parameters: MaskParameters, mark: str) -> None:
        """Store the mask of a scene.

        Raises:
            RasterError: it cannot be written.
        """
        tags = {
            "SCENE": scene.id,
            "METHOD": str(parameters.method),
            "CLEAR": repr(mask.shares.clear),
            "SEEN": repr(mask.shares.seen),
            FINGERPRINT_TAG: mark,
        }
        _write(self.location(self.mask_of(scene)), mask.classes, mask.grid, _MASK, tags)

    def write_bright(self, tile: str, bright: NDArray[np.bool_], grid: GeoBox) -> None:
        """Store the bright targets of a tile: 1 where one is, else 0.

        Raises:
            RasterError: they cannot be written.
        """
        tags = {FINGERPRINT_TAG: "bright"}
        _write(self.location(self.bright_of(tile)), bright.astype(np.uint8), grid, _BRIGHT, tags)

    def read_classes(self, scene: Scene, grid: GeoBox) -> NDArray[np.uint8]:
        """Classes of a scene over a grid of any pixel size, by nearest neighbour.

        Returns:
            uint8 (h, w), `MaskClass`; no data outside the mask.

        Raises:
            RasterError: the mask cannot be read.
        """
        return _read(self.location(self.mask_of(scene)), grid, MaskClass.NODATA)

    def read_bright(self, tile: str, grid: GeoBox) -> NDArray[np.bool_]:
        """Bright targets of a tile over a grid of any pixel size: bool (h, w).

        Raises:
            RasterError: they cannot be read.
        """
        return _read(self.location(self.bright_of(tile)), grid, 0) == 1


def mask_mark(scene: Scene, plan: TilePlan, parameters: MaskParameters) -> str:
    """The fingerprint of a scene's mask: it changes with everything that the mask depends on."""
    window, settings = plan.window, parameters
    return fingerprint(
        *("MASK", METHOD_VERSION, scene.facts, plan.area_wkb, plan.measured_wkb),
        [window.row, window.col, window.height, window.width],
        [settings.method, settings.network, settings.cloud_m, settings.shadow_m],
        settings.file_mark(scene.id, scene.tile),
    )


def _shares(tags: dict[str, str]) -> Shares | None:
    try:
        return Shares(float(tags["CLEAR"]), float(tags["SEEN"]))
    except (KeyError, ValueError):
        return None


def _write(
    location: str,
    array: NDArray[np.uint8],
    grid: GeoBox,
    spec: LayerSpec,
    tags: Mapping[str, str],
) -> None:
    with cog_writer(
        location,
        raster_profile(grid),
        bands=1,
        dtype=spec.dtype,
        nodata=spec.nodata,
        tags={**spec.tags, **tags},
        spec=spec,
    ) as write:
        write(Window(0, 0, *array.shape), array)


def _read(location: str, grid: GeoBox, outside: int) -> NDArray[np.uint8]:
    try:
        return read_raster(location, partial(_nearest, grid=grid, outside=outside), "GTiff")
    except (OSError, RasterioError) as error:
        raise unreadable(location, f"cannot be read: {error}", error) from error


def _nearest(source: Any, grid: GeoBox, outside: int) -> NDArray[np.uint8]:
    out = np.full((1, *grid.shape), outside, np.uint8)
    fill_nearest(out, source, grid, lambda window: read_checked(source, window))
    return out[0]
