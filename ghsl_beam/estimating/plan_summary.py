"""The content of `ghsl-beam plan`."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Any

from ghsl_beam.estimating.calibration import calibrate
from ghsl_beam.estimating.estimate import (
    TileWork,
    bytes_to_write,
    peak_memory,
    seconds_by_stage,
    tile_works,
)
from ghsl_beam.planning.inventory import Inventory, read_inventory
from ghsl_beam.planning.plan import JobPlan
from ghsl_beam.planning.scenes.access import access_of, access_problem, bytes_to_fetch
from ghsl_beam.planning.scenes.masking import masks_in_words
from ghsl_beam.process import status
from transforms.elements import GhslBeamError


def summary(plan: JobPlan) -> dict[str, Any]:
    """Tiles, scenes, models, blocks, bytes, time, grids and what exists, as JSON-like values.

    The time is measured on this machine, which takes seconds if there is anything to do.
    """
    job = plan.job
    inventory = read_inventory(plan)
    works = tile_works(inventory)
    models = {model.zone: model.file for model in plan.models}
    access = access_of(job)
    problems = [problem for problem in access_problem(inventory) if problem]
    return {
        "name": job.name,
        "engine": plan.engine.engine,
        "masks": masks_in_words(job),
        "tiles": [
            {
                "tile": tile.tile,
                "zone": tile.zone,
                "owned_percent": round(100 * tile.owned_share, 2),
                "model": models[tile.zone],
                "scenes": [
                    {"id": s.id, "sensing": s.sensing.isoformat(), "cloud_cover": s.cloud_cover}
                    for s in tile.scenes
                ],
                "bytes_to_fetch": bytes_to_fetch([tile] if _assembles(work, plan) else [], access),
                "bytes_to_read": work.bytes_to_read(plan.lines.assembly),
                "blocks": work.by_line[plan.lines.inference].total,
                "blocks_to_do": {
                    line.name: len(of_line.todo) for line, of_line in work.by_line.items()
                },
                "exists": [layer for layer in tile.fingerprints if inventory.exists(tile, layer)],
            }
            for tile, work in zip(plan.tiles, works, strict=True)
        ],
        "cover": asdict(plan.cover),
        "grids": [
            {
                "grid": grid.name,
                "cells": len(grid.cells),
                "missing": len(inventory.missing_cells[grid.name]),
            }
            for grid in plan.grids
        ],
        "estimate": _estimate(inventory, works),
        "losses": [asdict(loss) for loss in plan.losses],
        "warnings": [*plan.warnings, *problems],
        "cache": access.cache
        and {"folder": access.cache.folder, "bytes_at_most": access.cache.limit},
    }


def _assembles(work: TileWork, plan: JobPlan) -> bool:
    of_line = work.by_line[plan.lines.assembly]
    return bool(of_line.todo and of_line.missing)


def _estimate(inventory: Inventory, works: list[TileWork]) -> dict[str, Any]:
    """Bytes, memory and time; null if there is nothing to do, or if the calibration fails."""
    unknown = dict.fromkeys(("bytes_to_write", "peak_bytes_a_worker", "seconds", "hours", "stages"))
    plan = inventory.plan
    left = [work for work in works if work.missing]
    if not inventory.has_work:
        return {**unknown, "basis": "nothing to do"}
    start = time.perf_counter()
    tile = max(left or works, key=lambda work: work.area_pixels).tile
    try:
        with status.kept("measuring the time on this machine"):
            speed = calibrate(plan, tile)
    except GhslBeamError as error:
        return {**unknown, "basis": f"not measured: {error}"}
    stages = seconds_by_stage(inventory, works, speed)
    seconds = sum(stages.values())
    took = time.perf_counter() - start
    return {
        "bytes_to_write": bytes_to_write(inventory, works, speed),
        "peak_bytes_a_worker": peak_memory(plan, speed),
        "seconds": round(seconds, 1),
        "hours": round(seconds / 3600, 3),
        "stages": stages,
        "basis": (
            f"one process on this machine, measured in {took:.0f} s with a part of one block "
            f"of {tile.tile}"
        ),
    }
