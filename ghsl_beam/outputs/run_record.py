"""run.json: the request of a run, its inputs, its products and its losses."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from ghsl_beam.models.chosen import Model
from ghsl_beam.models.credits import credits_of
from ghsl_beam.outputs.outline import outline_of
from ghsl_beam.outputs.record_schema import (
    LossRecord,
    ProductRecord,
    RunRecord,
    SetAsideRecord,
    TileRecord,
)
from ghsl_beam.outputs.stored_record import first_wrong
from ghsl_beam.planning.plan import JobPlan
from ghsl_beam.planning.scenes.chosen import area_of
from transforms.assembly.masks.choose import Choice
from transforms.elements import Loss, Product, StorageError, TilePlan, package_version
from transforms.observe.events import Event
from transforms.rasters.seal import Sum
from transforms.storage import storage

_MAX_BYTES = 1 << 30
_UNKNOWN = Sum(0, "")
_PACKAGES = (
    "ghsl-beam",
    "apache-beam",
    "llvmlite",
    "tensorflow",
    "numpy",
    "scipy",
    "scikit-learn",
    "rasterio",
    "pyproj",
    "shapely",
    "odc-geo",
)


def now() -> str:
    """The present time in the form of the record, UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that a result depends on."""
    packages = {package: package_version(package) for package in _PACKAGES}
    return {"python": platform.python_version(), **packages}


def new_record(plan: JobPlan) -> RunRecord:
    """The record at the start of a run."""
    job = plan.job
    return {
        "job": job.name,
        "name": job.name,
        "epoch": job.epoch,
        "started": now(),
        "ended": None,
        "seconds": None,
        "exit_code": None,
        "configuration": job.model_dump(mode="json"),
        "versions": versions(),
        "machine": {
            "system": platform.system(),
            "architecture": platform.machine(),
            "cores": os.cpu_count(),
        },
        "tiles": [_tile(tile, plan.models) for tile in plan.tiles],
        "classifier": {
            "file": plan.classifier.file,
            "sha256": plan.classifier.sha256,
            "origin": plan.classifier.origin.value,
            "demonstration": plan.classifier.demonstration,
        },
        "calibration": None
        if plan.calibration is None
        else {
            "file": plan.calibration.file,
            "sha256": plan.calibration.sha256,
            "reference": plan.calibration.reference,
        },
        "prediction": {
            "asked": job.models.precision,
            "precision": plan.engine.precision,
            "engine": plan.engine.engine,
        },
        "masks": {
            "method": plan.masks.method.value,
            "network": plan.masks.network,
            "cloud_m": plan.masks.cloud_m,
            "shadow_m": plan.masks.shadow_m,
        },
        "storage": [],
        "warnings": list(plan.warnings),
        "stages": {},
        "counts": {},
        "losses": [],
        "scenes_set_aside": [],
        "scenes_left_out": [
            {
                "tile": one.tile,
                "scene": one.name,
                "sensing": one.sensing.isoformat() if one.sensing else None,
                "cloud_cover": one.cloud_cover,
                "reason": one.reason,
            }
            for one in plan.left_out
        ],
        "error": None,
        "products": [],
        "files": [],
        "greenness_domain": None,
        "observations": None,
        "outline": outline_of(area_of(job).geometry),
        "totals": None,
        "cover": {
            "area_km2": round(plan.cover.area_km2, 6),
            "scenes_percent": plan.cover.scenes_percent,
            "data_percent": None,
        },
        "earlier_files": [],
        "computed": 0,
        "reused": 0,
        "credits": list(
            credits_of(
                plan.models,
                plan.classifier.credit,
                plan.calibration.credit if plan.calibration else "",
            )
        ),
    }


def _tile(tile: TilePlan, models: Iterable[Model]) -> TileRecord:
    model = next(m for m in models if m.zone == tile.zone)
    return {
        "tile": tile.tile,
        "zone": tile.zone,
        "owned_percent": round(100 * tile.owned_share, 2),
        "model": {
            "file": model.file,
            "sha256": model.sha256,
            "origin": model.origin.value,
            "demonstration": model.demonstration,
            "fallback": model.fallback,
        },
        "scenes": [
            {
                "id": scene.id,
                "sensing": scene.sensing.isoformat(),
                "cloud_cover": scene.cloud_cover,
                "baseline": scene.baseline,
                "level": scene.level,
                "clear": None,
                "seen": None,
                "used": None,
                "reason": "",
            }
            for scene in tile.scenes
        ],
    }


def with_choices(record: RunRecord, choices: Mapping[str, Choice | None]) -> None:
    """Add to the scenes of a record what became of them; a tile without a choice stays."""
    for tile in record["tiles"]:
        choice = choices.get(tile["tile"])
        for scene, chosen in zip(tile["scenes"], choice["scenes"] if choice else (), strict=False):
            scene["clear"], scene["seen"] = chosen["clear"], chosen["seen"]
            scene["used"], scene["reason"] = chosen["used"], chosen["reason"]
    aside = {(one["tile"], one["scene"]) for one in record["scenes_set_aside"]}
    for tile in record["tiles"]:
        for scene in tile["scenes"]:
            if (tile["tile"], scene["id"]) in aside and not scene["reason"]:
                scene["reason"] = "not used everywhere: see scenes_set_aside"


def losses_as_json(losses: Iterable[Loss]) -> list[LossRecord]:
    """Losses, each once, in a fixed order."""
    unique = {json.dumps(asdict(loss), sort_keys=True) for loss in losses}
    return [json.loads(text) for text in sorted(unique)]


def set_aside(losses: Iterable[LossRecord]) -> list[SetAsideRecord]:
    """Scenes that could not be used, or not everywhere; each reason once."""
    scenes = {
        (loss["tile"], loss["scene"], loss["file"], loss["reason"])
        for loss in losses
        if loss["scene"] or loss["stage"] == "catalogue"
    }
    return [
        {"tile": tile, "scene": scene, "file": file, "reason": reason}
        for tile, scene, file, reason in sorted(scenes)
    ]


def products_as_json(
    products: Iterable[Product], sums: Mapping[str, Sum] = MappingProxyType({})
) -> list[ProductRecord]:
    """Products in the form of the record, with their sums by path, if known."""
    return [
        {
            "layer": product.layer,
            "tile": product.key,
            "grid": product.grid,
            "path": product.path,
            "fingerprint": product.fingerprint,
            "whole": product.whole,
            "size": sums.get(product.path, _UNKNOWN).size,
            "sha256": sums.get(product.path, _UNKNOWN).sha256,
        }
        for product in products
    ]


def write_record(output: str, record: RunRecord) -> None:
    """Write run.json whole or not at all."""
    text = json.dumps(record, indent=2, sort_keys=True) + "\n"
    storage.write_whole(storage.join(output, "run.json"), text.encode())


def read_record(output: str) -> dict[str, Any] | None:
    """The record on storage; None if there is none, or it is not JSON.

    Raises:
        StorageError: the storage cannot be read.
    """
    try:
        record = json.loads(storage.read_bytes(storage.join(output, "run.json"), _MAX_BYTES))
    except (ValueError, RecursionError):
        return None
    except StorageError as error:
        if not error.absent:
            raise
        return None
    return record if isinstance(record, dict) else None


def is_of(stored: dict[str, Any] | None, record: RunRecord) -> bool:
    """Whether a stored record is of a run with the same end: products, losses, warnings."""
    same = ("exit_code", "products", "losses", "scenes_set_aside", "warnings")
    return (
        stored is not None
        and first_wrong(stored, whole=True) is None
        and bool(stored.get("ended"))
        and all(stored.get(key) == record.get(key) for key in same)
    )


def stages_of(events: Iterable[Event]) -> dict[str, dict[str, float]]:
    """Blocks, losses and seconds by stage, for a run that did not reach its end."""
    names = {"done": "blocks", "reused": "blocks_reused", "lost": "losses"}
    stages: dict[str, dict[str, float]] = {}
    for event in events:
        stage = stages.setdefault(event.stage, {})
        name = names.get(event.what, event.what)
        stage[name] = stage.get(name, 0) + event.number
        stage["seconds"] = round(stage.get("seconds", 0) + event.seconds, 3)
    return stages
