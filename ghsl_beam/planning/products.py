"""Published rasters, and the paths of their files in the output folder."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable
from typing import Any, TypeVar

import rasterio

from transforms.elements import Product, RasterError, RequestError
from transforms.rasters.geotiff import read_raster
from transforms.storage import storage

__all__ = [
    "Product",
    "check_inside",
    "grid_path",
    "grid_pattern",
    "read_product",
    "recorded_location",
    "utm_path",
    "utm_pattern",
    "zone_path",
]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
T = TypeVar("T")


def utm_pattern(layer: str, epoch: int, name: str) -> str:
    """Path of a tile's product, with the placeholder `{tile}`.

    Raises:
        RequestError: a part is not allowed in a file name.
    """
    return f"utm/{{tile}}/{_part(layer)}_E{epoch}_{_part(name)}_{{tile}}.tif"


def utm_path(tile: str, layer: str, epoch: int, name: str) -> str:
    """`utm/33UUU/BUFRAC_E2017_berlin_33UUU.tif`.

    Raises:
        RequestError: a part is not allowed in a file name.
    """
    return utm_pattern(layer, epoch, name).format(tile=_part(tile))


def zone_path(layer: str, epoch: int, name: str, epsg: int) -> str:
    """`utm/BUFRAC_E2017_berlin_32633.vrt`: a layer of all tiles of a UTM zone.

    Raises:
        RequestError: a part is not allowed in a file name.
    """
    return f"utm/{_part(layer)}_E{epoch}_{_part(name)}_{epsg}.vrt"


def grid_pattern(epoch: int, name: str) -> str:
    """Path of a grid's product, with the placeholders `{grid}`, `{layer}` and `{key}`.

    Raises:
        RequestError: a part is not allowed in a file name.
    """
    return f"grid/{{grid}}/{{layer}}_E{epoch}_{_part(name)}_{{grid}}_{{key}}.tif"


def grid_path(grid_name: str, layer: str, epoch: int, name: str, key: str) -> str:
    """`grid/54009_100/BUILT_S_E2017_berlin_54009_100_R3_C19.tif`.

    Raises:
        RequestError: a part is not allowed in a file name.
    """
    pattern = grid_pattern(epoch, name)
    return pattern.format(grid=_part(grid_name), layer=_part(layer), key=_part(key))


def _part(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise RequestError(
            f"{text!r} is not allowed in a file name; use letters, digits, '.', '_' and '-'"
        )
    return text


def recorded_location(output: str, grid: str, layer: str, key: str, path: str) -> str:
    """The location of a product that a record names; the record may come from anybody.

    Raises:
        RasterError: the path is not the one that the layout gives to such a product, or it is not a
            file of the output.
    """
    names = (grid, layer, key)
    if not all(_NAME.fullmatch(name) for name in names):
        raise RasterError(f"{_short(path)}: is not the path of a product of the output")
    of_grid, of_layer, of_key = map(re.escape, names)
    name = rf"{of_layer}_E\d{{1,4}}_{_NAME.pattern}"
    if grid == "utm":
        layout, expected = rf"utm/{of_key}/{name}_{of_key}\.tif", f"utm/{key}/{layer}_E…_{key}.tif"
    else:
        layout = rf"grid/{of_grid}/{name}_{of_grid}_{of_key}\.tif"
        expected = f"grid/{grid}/{layer}_E…_{grid}_{key}.tif"
    if not re.fullmatch(layout, path):
        raise RasterError(
            f"{_short(path)}: is not the path of a product of the output, expected {expected}"
        )
    location = storage.join(output, path)
    check_inside(output, location)
    return location


def check_inside(output: str, location: str) -> None:
    """Check that a file of an output is a regular file, and that no link leads out of the output.

    Raises:
        RasterError: it is not; a file that does not exist passes.
    """
    if storage.is_url(output):
        return
    root, real = os.path.realpath(output), os.path.realpath(location)
    if os.path.commonpath([root, real]) != root:
        raise RasterError(f"{location}: a link leads out of the output, expected a file inside it")
    try:
        kind = os.stat(real).st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise RasterError(f"{location}: cannot be read: {error.strerror}") from error
    if not stat.S_ISREG(kind):
        raise RasterError(f"{location}: is not a regular file")


def read_product(location: str, read: Callable[[Any], T]) -> T:
    """Open a product and pass it to `read`; it must be a GeoTIFF without files beside it.

    GDAL would accept a virtual raster with the name of a GeoTIFF, files beside it, and overviews
    that its tags name, anywhere, also on other hosts. A product has none of these.

    Raises:
        RasterioError: it cannot be opened, or read.
        RasterError: it names overviews in another file, or the location cannot be used.
    """

    def alone(source: Any) -> T:
        if source.tags(ns="OVERVIEWS"):
            raise RasterError(f"{location}: names overviews in another file, expected none")
        return read(source)

    with rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR", GDAL_PAM_ENABLED="NO"):
        return read_raster(location, alone, driver="GTiff")


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 200 else f"{line[:199]}…"
