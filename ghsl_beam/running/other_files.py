"""The files beside the products: mosaics, catalogue, report, masks of scenes."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ghsl_beam.outputs.record_schema import FileRecord
from ghsl_beam.planning.plan import JobPlan
from ghsl_beam.planning.planned_products import planned_products
from ghsl_beam.planning.scenes.masking import mask_files
from ghsl_beam.planning.zone_mosaics import zone_mosaics
from transforms.storage import storage
from transforms.storage.storage import Stored

_CATALOG, _REPORT = "catalog.json", "report/index.html"
_AT_A_TIME = 16


def other_files(plan: JobPlan) -> list[FileRecord]:
    """Path, size and SHA-256 of those files that exist, sorted.

    Raises:
        StorageError: one cannot be listed or read.
    """
    output, stored = plan.job.output, _stored(plan)
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        sums = pool.map(storage.sha256, [storage.join(output, path) for path in stored])
        return [
            {"path": path, "size": about.size, "sha256": digest}
            for (path, about), digest in zip(stored.items(), sums, strict=True)
        ]


def earlier_files(plan: JobPlan) -> list[str]:
    """Layers with the job's name and epoch that the plan does not make: of earlier configurations.

    Another job, or another epoch, may share the output; its layers are not among them.

    Returns:
        Paths of GeoTIFFs and mosaics relative to the output, sorted.

    Raises:
        StorageError: the output cannot be listed.
    """
    planned = {product.path for product in planned_products(plan)} | set(_single(plan))
    of_job = re.compile(
        rf"[A-Z0-9_]+_E{plan.job.epoch}_{re.escape(plan.job.name)}_[^/]*\.(tif|vrt)"
    )
    found = []
    for folder in ("utm", "grid"):
        for name in storage.files_below(storage.join(plan.job.output, folder)):
            path = f"{folder}/{name}"
            if of_job.fullmatch(storage.name(path)) and path not in planned:
                found.append(path)
    return sorted(found)


def are_as_recorded(plan: JobPlan, record: dict[str, Any]) -> bool:
    """Whether all files exist with the recorded size; if the plan verifies, with the content.

    Raises:
        StorageError: the storage does not say.
    """
    listed = record.get("files")
    if not isinstance(listed, list) or not all(isinstance(file, dict) for file in listed):
        return False
    needed = set(_single(plan))
    if not needed <= {file.get("path") for file in listed}:
        return False
    if plan.verify:
        now = other_files(plan)
        return all(file in now for file in listed)
    sizes = {path: about.size for path, about in _stored(plan).items()}
    return all(sizes.get(str(file.get("path"))) == file.get("size") for file in listed)


def _single(plan: JobPlan) -> list[str]:
    """Paths of the files with fixed names."""
    of_grids = (path for grid in plan.grids for path in grid.mosaics())
    return [_CATALOG, _REPORT, *of_grids, *zone_mosaics(plan)]


def _stored(plan: JobPlan) -> dict[str, Stored]:
    output = plan.job.output
    files = {path: storage.stored_or_none(storage.join(output, path)) for path in _single(plan)}
    below = storage.files_below(storage.join(output, "stac"))
    files |= {f"stac/{name}": about for name, about in below.items()}
    files |= _masks(plan)
    return {path: about for path, about in sorted(files.items()) if about is not None}


def _masks(plan: JobPlan) -> dict[str, Stored]:
    """The masks of the plan's scenes, and the choice of its scenes, that exist."""
    names, output = mask_files(plan.job), plan.job.output
    below = storage.files_below(storage.join(output, "masks"))
    planned = [
        path
        for tile in plan.tiles
        for path in (
            names.bright_of(tile.tile),
            names.choice_of(tile.tile),
            *map(names.mask_of, tile.scenes),
        )
    ]
    there = {f"masks/{name}": about for name, about in below.items()}
    return {path: there[path] for path in planned if path in there}
