"""Published rasters, and how their files are called below the output folder."""

from __future__ import annotations

import re

from transforms.elements import Product, RequestError

__all__ = ["Product", "grid_path", "grid_pattern", "utm_path", "utm_pattern"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def utm_pattern(layer: str, epoch: int, name: str) -> str:
    """Path of a tile's product, with `{tile}` left open.

    Raises:
        RequestError: a part cannot stand in a file name.
    """
    return f"utm/{{tile}}/{_part(layer)}_E{epoch}_{_part(name)}_{{tile}}.tif"


def utm_path(tile: str, layer: str, epoch: int, name: str) -> str:
    """`utm/33UUU/BUFRAC_E2017_berlin_33UUU.tif`.

    Raises:
        RequestError: a part cannot stand in a file name.
    """
    return utm_pattern(layer, epoch, name).format(tile=_part(tile))


def grid_pattern(epoch: int, name: str) -> str:
    """Path of a grid's product, with `{grid}`, `{layer}` and `{key}` left open.

    Raises:
        RequestError: a part cannot stand in a file name.
    """
    return f"grid/{{grid}}/{{layer}}_E{epoch}_{_part(name)}_{{grid}}_{{key}}.tif"


def grid_path(grid_name: str, layer: str, epoch: int, name: str, key: str) -> str:
    """`grid/54009_100/BUILT_S_E2017_berlin_54009_100_R3_C19.tif`.

    Raises:
        RequestError: a part cannot stand in a file name.
    """
    pattern = grid_pattern(epoch, name)
    return pattern.format(grid=_part(grid_name), layer=_part(layer), key=_part(key))


def _part(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise RequestError(
            f"{text!r} cannot stand in a file name; use letters, digits, '.', '_' and '-'"
        )
    return text
