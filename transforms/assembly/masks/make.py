"""Makes the mask of a scene over a tile, by the method of the parameters."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from scipy.ndimage import maximum_filter

from transforms.elements import (
    PIXEL,
    S2CLOUDLESS_BANDS,
    Scene,
    SceneError,
    TilePlan,
    Window,
    part_of,
    window_in,
)
from transforms.rasters.area_mask import area_mask
from transforms.storage import storage
from transforms.storage.caching import DIRECT, Access
from transforms.storage.gdal_access import gdal_path

from ..reading import read_band
from ..scene_grid import check_grid
from .classes import MaskClass
from .dilation import dilated, halo
from .methods import csmask, s2cloudless
from .methods.coarse import read_coarse
from .parameters import MaskParameters, Method
from .product import read_classes

METHOD_VERSION = "2"
"""Changes when the same inputs give another mask; it is part of the fingerprints of masks."""
_ROWS = 1024
"""Rows of cells that are read, or grow, at a time, so that memory stays small."""
_RIM = 2
"""Cells at the edge of the data that the coarse view of a network may lose."""
_NODATA_OF_USERS = 255
"""The usual nodata of a raster of bytes; it means no data too."""


class Shares(NamedTuple):
    """What a scene shows of the area of interest in its tile.

    Attributes:
        clear: share of the area that is clear, 0 to 1.
        seen: share of the area that has data, 0 to 1.
    """

    clear: float
    seen: float


@dataclass(frozen=True, slots=True, eq=False)
class SceneMask:
    """The mask of a scene over the window of its tile.

    Attributes:
        classes: uint8 (h, w), `MaskClass`.
        grid: the cells; they are counted from the upper left corner of the scene's own grid.
        shares: what the scene shows of the area.
    """

    classes: NDArray[np.uint8]
    grid: GeoBox
    shares: Shares


def make_mask(
    scene: Scene, plan: TilePlan, parameters: MaskParameters, access: Access = DIRECT
) -> SceneMask:
    """Make the mask of a scene over the window of its tile's plan.

    Cells of the window outside the scene's grid have no data.

    Raises:
        SceneError: the scene, or the mask that the user brings, cannot be used.
        StorageError: a storage does not answer.
    """
    check_grid(scene, plan.grid)
    cells = cells_of(scene, parameters.cell)
    window = _cells_around(window_in(plan.place(plan.window), scene.grid), parameters.cell)
    around = halo(parameters.cloud_m, parameters.shadow_m, parameters.cell * PIXEL)
    whole = Window(0, 0, *cells.shape)
    classes = np.full(window.shape, MaskClass.NODATA, np.uint8)
    wide = window.expand(around + _RIM).intersect(whole)
    inner = window.intersect(whole)
    if wide is not None and inner is not None:
        found = np.empty(wide.shape, np.uint8)
        for strip in wide.strips(_ROWS if parameters.cell == 1 else wide.height):
            found[strip.slices_in(wide)] = _found(scene, parameters, access, strip)
        if parameters.cell > 1:
            found = _with_rim(found)
        for strip in inner.strips(_ROWS):
            near = strip.expand(around).intersect(wide) or strip
            grown = dilated(
                found[near.slices_in(wide)],
                *(parameters.cloud_m, parameters.shadow_m, parameters.cell * PIXEL),
            )
            classes[strip.slices_in(window)] = grown[strip.slices_in(near)]
    grid = part_of(cells, window)
    inside = area_mask(plan.measured, grid)
    if not inside.any():  # the area is smaller than a cell
        inside = np.ones(grid.shape, np.bool_)
    number = int(np.count_nonzero(inside))
    clear = np.count_nonzero(inside & (classes == MaskClass.CLEAR)) / number
    seen = np.count_nonzero(inside & (classes != MaskClass.NODATA)) / number
    return SceneMask(classes, grid, Shares(float(clear), float(seen)))


def _with_rim(classes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Give cells up to `_RIM` beside data the class of the data, the most suspicious of several.

    A coarse cell at the edge of the data counts as one without data, but some of its pixels have
    data. The bands decide about each pixel later.
    """
    empty = classes == MaskClass.NODATA
    if not empty.any():
        return classes
    raised = np.where(empty, np.uint8(0), classes + np.uint8(1))
    near = maximum_filter(raised, size=2 * _RIM + 1, mode="constant", cval=0)
    return np.where(empty & (near > 0), near - np.uint8(1), classes).astype(np.uint8)


def cells_of(scene: Scene, cell: int) -> GeoBox:
    """The grid of a scene in cells of `cell` pixels; the last may reach past the scene."""
    side = PIXEL * cell
    shape = math.ceil(scene.rows / cell), math.ceil(scene.cols / cell)
    return GeoBox(shape, Affine(side, 0, scene.ulx, 0, -side, scene.uly), f"EPSG:{scene.epsg}")


def user_mask(folder: str, scene: Scene) -> str:
    """The location of the mask of a scene that the user brings."""
    return storage.join(folder, f"{scene.id}_{scene.tile}.tif")


def _cells_around(window: Window, cell: int) -> Window:
    """The cells that touch a window of pixels."""
    row, col = window.row // cell, window.col // cell
    bottom, right = -(-window.bottom // cell), -(-window.right // cell)
    return Window(row, col, bottom - row, right - col)


def _found(
    scene: Scene, parameters: MaskParameters, access: Access, window: Window
) -> NDArray[np.uint8]:
    """Classes of a window of cells, before clouds and shadows grow."""
    grid = part_of(cells_of(scene, parameters.cell), window)
    if parameters.method is Method.PRODUCT:
        return read_classes(scene, grid, access)
    if parameters.method is Method.CSMASK:
        shape = cells_of(scene, parameters.cell).shape
        wide = csmask.reach(window, shape)
        dn = read_coarse(scene, wide, parameters.cell, access)
        return csmask.classify(dn, wide, window, shape, scene.level)
    if parameters.method is Method.S2CLOUDLESS:
        shape = cells_of(scene, parameters.cell).shape
        wide = s2cloudless.reach(window, shape)
        dn = read_coarse(scene, wide, parameters.cell, access, S2CLOUDLESS_BANDS)
        return s2cloudless.classify(dn, wide, window, shape)
    if parameters.method is Method.FILE:
        return _given(scene, parameters.folder, grid)
    raise ValueError(f"no mask method {parameters.method}")


def _given(scene: Scene, folder: str, grid: GeoBox) -> NDArray[np.uint8]:
    """Classes of the mask that the user brings."""
    location = user_mask(folder, scene)
    if storage.stored_or_none(location) is None:
        raise SceneError(
            location,
            "does not exist; masks.method is file, so each scene needs a mask: 0 clear, 1 cloud, "
            "2 cloud shadow, 3 no data",
        )
    found = read_band(gdal_path(location), grid, outside=MaskClass.NODATA)
    found[found == _NODATA_OF_USERS] = MaskClass.NODATA
    most = int(found.max(initial=0))
    if most > MaskClass.NODATA:
        raise SceneError(
            location, f"has the value {most}, expected 0 clear, 1 cloud, 2 cloud shadow, 3 no data"
        )
    return found.astype(np.uint8)
