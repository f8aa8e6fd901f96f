"""Checks that the pixels of a scene are pixels of its tile."""

from __future__ import annotations

from odc.geo.geobox import GeoBox

from transforms.elements import PIXEL, Scene, SceneError


def check_grid(scene: Scene, grid: GeoBox) -> None:
    """Check that the pixels of a scene are those of a grid of 10 m pixels.

    Raises:
        SceneError: they are not.
    """
    if scene.epsg != grid.crs.epsg:
        raise SceneError(scene.path, f"has EPSG:{scene.epsg}, expected {grid.crs} of the tile")
    down, right = (scene.uly - grid.affine.f) / PIXEL, (grid.affine.c - scene.ulx) / PIXEL
    if down != int(down) or right != int(right):
        raise SceneError(scene.path, "has a grid that is not aligned with the tile's 10 m grid")
