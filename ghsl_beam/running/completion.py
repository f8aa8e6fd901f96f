"""The end of a launch: writes what is made from all products, and the record last."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import cast

from ghsl_beam.outputs import qgis
from ghsl_beam.outputs.counted_pixels import greenness_domain, observations
from ghsl_beam.outputs.record_schema import RunRecord, TotalsRecord
from ghsl_beam.outputs.report import write_report
from ghsl_beam.outputs.run_record import is_of, read_record, with_choices, write_record
from ghsl_beam.outputs.stac import write_catalog
from ghsl_beam.outputs.stored_record import first_wrong
from ghsl_beam.outputs.totals.totals import totals_mark, totals_of
from ghsl_beam.planning.plan import JobPlan
from ghsl_beam.planning.planned_products import planned_products
from ghsl_beam.planning.scenes.chosen import area_of
from ghsl_beam.planning.scenes.masking import mask_files
from ghsl_beam.planning.zone_mosaics import write_zone_mosaics
from ghsl_beam.running.lock import Lock, only_launch
from ghsl_beam.running.other_files import are_as_recorded, other_files
from ghsl_beam.running.pipeline import work_area
from transforms.assembly.masks.choose import stored_choice
from transforms.elements import (
    Product,
    RasterError,
    StorageError,
    UnavailableError,
)
from transforms.storage import storage
from transforms.work import work_files

_LOG = logging.getLogger(__name__)


def finish(
    plan: JobPlan,
    record: RunRecord,
    products: Sequence[Product],
    lock: Lock,
    earlier: TotalsRecord | None = None,
) -> None:
    """Write mosaics, catalogue and report, then the record; after a whole run clear the work area.

    If the lock was lost, the work area stays, because another launch uses it. `earlier` are the
    totals that `recorded_totals` gave before the launch.
    """
    _complete(plan, record, products, earlier)
    if record["exit_code"] == 0 and lock.held:
        _clear_work_area(plan)


def finish_earlier_run(plan: JobPlan, record: RunRecord, products: Sequence[Product]) -> None:
    """Complete an earlier launch, if this launch has nothing to make.

    If everything exists, no file changes. A record of exactly these products is kept, because it
    describes the launch that made them, unless this launch has other losses or warnings.

    Raises:
        UnavailableError: something must be written, and another launch runs.
    """
    output = plan.job.output
    stored = read_record(output)
    kept = cast(RunRecord, stored) if is_of(stored, record) else None
    earlier = recorded_totals(output)
    others = kept["earlier_files"] if kept else None
    if kept is not None:
        kept["earlier_files"], record["cover"] = record["earlier_files"], kept["cover"]
    if (
        kept is None
        or others != kept["earlier_files"]
        or not are_as_recorded(plan, dict(kept))
        or not qgis.are_there(plan, products)
        or not _are_of(earlier, plan, products)
    ):
        with only_launch(output):
            _complete(plan, kept or record, products, earlier)
            if record["exit_code"] == 0 and not _is_of_use(plan):
                _remove_work_area(output)
    elif record["exit_code"] == 0 and "work" in storage.listing(output) and not _is_of_use(plan):
        try:
            with only_launch(output):
                _remove_work_area(output)
        except UnavailableError:
            return  # another launch uses it
        except (OSError, StorageError) as error:
            _LOG.warning("the work area is no longer needed but cannot be locked: %s", error)


def recorded_totals(output: str) -> TotalsRecord | None:
    """The totals in the record on storage, if it is one of this version.

    Raises:
        StorageError: the storage cannot be read.
    """
    stored = read_record(output)
    if stored is None or first_wrong(stored, whole=True) is not None:
        return None
    return cast(RunRecord, stored)["totals"]


def _are_of(totals: TotalsRecord | None, plan: JobPlan, products: Sequence[Product]) -> bool:
    """Whether totals are those of the products, the area and the districts of a plan."""
    calibrated = plan.calibration is not None
    mark = totals_mark(products, area_of(plan.job), plan.districts, calibrated=calibrated)
    return totals is not None and totals["mark"] == mark


def _complete(
    plan: JobPlan,
    record: RunRecord,
    products: Sequence[Product],
    earlier: TotalsRecord | None,
) -> None:
    output = plan.job.output
    for grid in plan.grids:
        grid.write_mosaics(output)
    write_zone_mosaics(plan, products)
    qgis.write_styles(plan, products)
    tiles_of = {planned.path: planned.tiles for planned in planned_products(plan)}
    files = mask_files(plan.job)
    with_choices(record, {tile.tile: stored_choice(files, tile) for tile in plan.tiles})
    write_catalog(output, products, record, tiles_of)
    record["greenness_domain"] = greenness_domain(output, products)
    record["observations"] = observations(output, products)
    record["totals"] = totals = _totals(plan, record, products, earlier)
    record["cover"]["data_percent"] = _data_percent(totals)
    write_report(output, record)
    record["files"] = other_files(plan)
    write_record(output, record)


def _data_percent(totals: TotalsRecord | None) -> float | None:
    """The percent of the area with data."""
    observed = totals and totals["area"]["observed_ha"]
    if not totals or observed is None or not totals["area"]["area_ha"]:
        return None
    return round(min(100.0, 100.0 * observed / totals["area"]["area_ha"]), 1)


def _totals(
    plan: JobPlan,
    record: RunRecord,
    products: Sequence[Product],
    earlier: TotalsRecord | None,
) -> TotalsRecord | None:
    """The totals, counted again if anything has changed; None if a product is damaged.

    All products exist, so the run does not fail: a warning names the damaged file.
    """
    try:
        return totals_of(
            plan.job.output,
            products,
            area_of(plan.job),
            plan.districts,
            calibrated=plan.calibration is not None,
            earlier=earlier,
        )
    except RasterError as error:
        text = f"totals: {error}; run again with --verify to make damaged products again"
        _LOG.warning(text)
        record["warnings"].append(text)
        return None


def _is_of_use(plan: JobPlan) -> bool:
    """Whether the work area has tiles of another job or of other parameters."""
    plans = work_area(plan).plans
    mine = {tile.tile: tile.fingerprints for tile in plan.tiles}
    try:
        return any(plans.stored(name).fingerprints != mine.get(name) for name in plans.tiles())
    except (RasterError, ValueError):
        return True  # unknown, so it stays


def _clear_work_area(plan: JobPlan) -> None:
    """Remove the work area; if another job left tiles in it, remove only those of this launch."""
    work, mine = work_area(plan), {tile.tile for tile in plan.tiles}
    try:
        if mine.issuperset(work.plans.tiles()):
            _remove_work_area(plan.job.output)
        else:
            for tile in sorted(mine):
                work.plans.remove(tile)
                work.blocks.remove(tile)
    except StorageError as error:
        _LOG.warning("the work area is no longer needed but cannot be cleared: %s", error)


def _remove_work_area(output: str) -> None:
    try:
        work_files.remove(storage.join(output, "work"))
    except StorageError as error:
        # All products and the record exist, so the run is whole anyway.
        _LOG.warning("the work area is no longer needed but cannot be removed: %s", error)
