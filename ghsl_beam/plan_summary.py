"""What `ghsl-beam plan` says."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ghsl_beam.plan import JobPlan
from transforms.raster.blocks import blocks_of


def summary(plan: JobPlan) -> dict[str, Any]:
    """Tiles, scenes, models, blocks, grids and what exists, as JSON-like values."""
    job = plan.job
    models = {model.zone: model.file for model in plan.models}
    return {
        "name": job.name,
        "engine": plan.engine.engine,
        "tiles": [
            {
                "tile": tile.tile,
                "zone": tile.zone,
                "model": models[tile.zone],
                "scenes": [
                    {"id": s.id, "sensing": s.sensing.isoformat(), "cloud_cover": s.cloud_cover}
                    for s in tile.scenes
                ],
                "bytes_to_read": sum(scene.size for scene in tile.scenes),
                "blocks": sum(1 for _ in blocks_of(tile, job.block_size, 0)),
                "exists": [
                    layer for layer in tile.fingerprints if (tile.tile, layer) in plan.existing
                ],
            }
            for tile in plan.tiles
        ],
        "grids": [
            {
                "grid": grid.name,
                "cells": len(grid.cells),
                "missing": len(plan.missing_cells[grid.name]),
            }
            for grid in plan.grids
        ],
        "losses": [asdict(loss) for loss in plan.losses],
        "warnings": list(plan.warnings),
    }
