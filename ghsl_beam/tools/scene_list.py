"""Lists the scenes of a job: used or not, with the reason."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

import shapely

from ghsl_beam.area.mgrs_tiles import tile
from ghsl_beam.outputs.footprint import footprint
from ghsl_beam.planning.scenes.chosen import ChosenScenes
from transforms.assembly import LeftOut
from transforms.assembly.masks.choose import ChosenScene
from transforms.assembly.products.naming import parse_name
from transforms.elements import Loss, Scene
from transforms.storage.locations import masked

_SIMPLER = 0.0005
"""Tolerance of the outline of a square in degrees; it is only for display."""
USED, LEFT_OUT, LOST = "used", "left out", "lost"


def scene_list(
    chosen: ChosenScenes, measured: Mapping[tuple[str, str], ChosenScene] = MappingProxyType({})
) -> list[dict[str, Any]]:
    """Every product that the catalogue names for a job, by tile and sensing.

    Each has `scene`, `tile`, `status` (`used`, `left out`, `lost`), `sensing` (ISO 8601, UTC),
    `cloud_cover` (percent), `baseline`, `bytes` (of the bands), `clear` and `given` (shares of the
    area in the tile, 0 to 1: clear, and to which the scene gave a clear observation in the last
    run), `location` and `reason`; an unknown value is None.

    Args:
        chosen: the scenes.
        measured: what the last run found out, by tile and name of the scene.
    """
    rows = [_used(scene, measured) for plan in chosen.tiles for scene in plan.scenes]
    rows += [_left_out(one) for one in chosen.left_out]
    rows += [_lost(loss) for loss in chosen.losses]
    return sorted(
        rows, key=lambda row: (row["tile"], row["sensing"] or "", row["scene"], row["location"])
    )


def as_geojson(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The list as GeoJSON; each scene has the square of its MGRS tile, or none without a tile."""
    return {
        "type": "FeatureCollection",
        "features": [
            {"type": "Feature", "geometry": _square(row["tile"]), "properties": row} for row in rows
        ],
    }


def _square(name: str) -> dict[str, Any] | None:
    if not name:
        return None
    square = tile(name)
    geometry = footprint(f"EPSG:{square.epsg}", square.bounds).simplify(_SIMPLER)
    return dict(shapely.geometry.mapping(geometry))


def _row(
    status: str,
    scene: str,
    tile: str,
    location: str,
    sensing: datetime | None = None,
    **known: float | str | None,
) -> dict[str, Any]:
    """One row; an unknown value is None."""
    return {
        "scene": scene,
        "tile": tile,
        "status": status,
        "sensing": sensing.isoformat() if sensing else None,
        **dict.fromkeys(("cloud_cover", "baseline", "bytes", "clear", "given")),
        "location": masked(location),
        "reason": None,
    } | known


def _used(scene: Scene, measured: Mapping[tuple[str, str], ChosenScene]) -> dict[str, Any]:
    last = measured.get((scene.tile, scene.id))
    return _row(
        USED,
        scene.id,
        scene.tile,
        scene.path,
        scene.sensing,
        cloud_cover=scene.cloud_cover,
        baseline=scene.baseline,
        bytes=scene.size,
        clear=last["clear"] if last else None,
        given=last["used"] if last else None,
        reason=f"not used in the last run: {last['reason']}" if last and last["reason"] else None,
    )


def _left_out(one: LeftOut) -> dict[str, Any]:
    return _row(
        LEFT_OUT,
        one.name,
        one.tile,
        one.location,
        one.sensing,
        cloud_cover=one.cloud_cover,
        reason=one.reason,
    )


def _lost(loss: Loss) -> dict[str, Any]:
    name = next(filter(None, map(parse_name, (loss.scene, *loss.file.split("/")))), None)
    sensing = name.sensing if name else None
    return _row(LOST, loss.scene, loss.tile, loss.file, sensing, reason=loss.reason)
