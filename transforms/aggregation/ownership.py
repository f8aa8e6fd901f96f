"""Decides which tile owns a shared pixel: of the tiles with data, the one with nearest centre."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from transforms.elements import Window

from .grid import LATTICE, OutputGrid
from .lattice import Floats, grid_coordinates, irregular_squares, nodes, sub_positions, transformer
from .resample import Fine
from .source import TileSource


@dataclass(frozen=True, slots=True, eq=False)
class Sphere:
    """Unit vectors of the positions in a fine window.

    `nodes`: float64, axes (rows, columns, 3), NaN outside the world. `exact`: squares computed
    pixel by pixel: (row, column, vectors at the pixel centres).
    """

    window: Window
    nodes: Floats
    exact: tuple[tuple[int, int, Floats], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Owned:
    """A fine window with the owners of its pixels, as known so far.

    `owner`: int16 index into `tiles`, -1 for a pixel without owner. `distance2`: squared chord to
    the owner's centre (radius 1), infinite for a pixel without owner.
    """

    fine: Fine
    owner: NDArray[np.int16]
    distance2: Floats
    tiles: tuple[str, ...]


def _vectors(grid: OutputGrid, rows: Floats, cols: Floats) -> Floats:
    to_degrees = transformer(grid.crs, "EPSG:4326")
    lon, lat = to_degrees.transform(*grid_coordinates(grid, rows, cols))
    lon, lat = np.radians(lon), np.radians(lat)
    lost = ~(np.isfinite(lon) & np.isfinite(lat))
    lon[lost] = lat[lost] = 0.0
    vectors = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], -1)
    vectors[lost] = np.nan
    return vectors


def sphere(grid: OutputGrid, window: Window) -> Sphere:
    """Unit vectors (of geodetic longitude and latitude) of a fine window on the lattice."""
    vectors = _vectors(grid, *nodes(window))
    exact = tuple(
        (i, j, _vectors(grid, *sub_positions(window, i, j, 1)))
        for i, j in irregular_squares(vectors[:, :, 0])
    )
    return Sphere(window, vectors, exact)


def distance2(place: Sphere, source: TileSource) -> Floats:
    """Squared chord from each pixel's centre to a tile's centre, on a sphere of radius 1.

    It is exact at the lattice nodes and bilinear between them, which moves the line between two
    tiles by less than a centimetre. Shape of the window, float64, infinite outside the world.
    """
    center = np.array(source.center)
    at_nodes = ((place.nodes - center) ** 2).sum(axis=2)
    n, m = at_nodes.shape[0] - 1, at_nodes.shape[1] - 1
    t = (np.arange(LATTICE) + 0.5) / LATTICE
    upper, lower = at_nodes[:-1, None, :], at_nodes[1:, None, :]
    edge = upper + (lower - upper) * t[None, :, None]
    left, right = edge[:, :, :-1, None], edge[:, :, 1:, None]
    result = left + (right - left) * t
    for i, j, vectors in place.exact:
        result[i, :, j, :] = ((vectors - center) ** 2).sum(axis=2)
    result[np.isnan(result)] = np.inf
    return result.reshape(n * LATTICE, m * LATTICE)


def merge(owned: Owned | None, fine: Fine, away: Floats, tile: str) -> Owned:
    """Add one tile to a window: it takes the valid pixels to which it is nearest.

    Equal distances go to the tile whose name comes first, so the order of the tiles does not
    matter. All tiles have the same layers.

    Args:
        owned: the result of the tiles before, None for the first tile.
        fine: the tile's layers over the window.
        away: squared distance of each pixel to the tile's centre (`distance2`), float64.
        tile: name of the tile.
    """
    valid = fine.valid
    if owned is None:
        owner = np.where(valid, 0, -1).astype(np.int16)
        return Owned(fine, owner, np.where(valid, away, np.inf), (tile,))
    later = np.array([tile < name for name in owned.tiles] + [True])
    tie = (away == owned.distance2) & later[owned.owner]
    takes = valid & ((away < owned.distance2) | tie)
    old = owned.fine
    merged = Fine(
        np.where(takes, fine.built, old.built),
        _choose(takes, fine.non_residential, old.non_residential),
        _choose(takes, fine.classes, old.classes),
        _choose(takes, fine.greenness, old.greenness),
    )
    owner = np.where(takes, np.int16(len(owned.tiles)), owned.owner)
    tiles = (*owned.tiles, tile)
    return Owned(merged, owner, np.where(takes, away, owned.distance2), tiles)


def _choose(
    takes: NDArray[np.bool_], new: NDArray[Any] | None, old: NDArray[Any] | None
) -> NDArray[Any] | None:
    if (new is None) != (old is None):
        raise ValueError("the tiles have different layers, expected the same in each")
    return None if new is None or old is None else np.where(takes, new, old)
