"""The outcome of a launch: the record's products, losses, time and exit code."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ghsl_beam.outputs.record_schema import RunRecord
from ghsl_beam.outputs.report import write_report
from ghsl_beam.outputs.run_record import (
    losses_as_json,
    now,
    products_as_json,
    set_aside,
    write_record,
)
from ghsl_beam.planning.inventory import read_inventory
from ghsl_beam.planning.plan import JobPlan
from ghsl_beam.planning.planned_products import planned_products
from ghsl_beam.running.other_files import earlier_files
from ghsl_beam.running.pipeline import work_area
from ghsl_beam.running.product_sums import sums_of
from transforms.elements import GhslBeamError, Loss, Product
from transforms.rasters.fingerprints import INCOMPLETE
from transforms.rasters.seal import Sum
from transforms.storage.redaction import redact

WHOLE, FAILED, WITH_LOSSES = 0, 1, 3
_LOG = logging.getLogger(__name__)


def complete_record(
    record: RunRecord,
    plan: JobPlan,
    before: Sequence[Product],
    products: Sequence[Product],
    losses: Sequence[Loss],
    start: float,
) -> None:
    """Complete the record of a launch that reached its end.

    A loss does not count if a later attempt succeeded, so that everything made from it is whole. If
    a product is not whole and no stage gave a reason, that is a loss.

    Args:
        record: the record to complete.
        plan: the plan of the launch.
        before: the products that existed before the launch.
        products: the products that exist now.
        losses: the losses of the stages.
        start: the start of the launch, on the monotonic clock.
    """
    lost = [*plan.losses, *_losses_of_incomplete(plan, products, losses)]
    _fill(record, before, products, sums_of(plan, products), lost, start)
    # An incomplete product that was made again has the same mark as before.
    marks = {product.path: product.fingerprint for product in before}
    record["earlier_files"] = earlier_files(plan)
    record["computed"] += sum(marks.get(p.path) == p.fingerprint == INCOMPLETE for p in products)
    record["exit_code"] = WITH_LOSSES if record["losses"] else WHOLE


def record_failure(
    record: RunRecord,
    plan: JobPlan,
    before: Sequence[Product],
    start: float,
    error: BaseException,
) -> None:
    """Complete the record and report of a launch that broke off, as far as the storage allows."""
    products, losses = before, [*plan.losses]
    sums: Mapping[str, Sum] = {}
    try:
        products = read_inventory(plan).products
        sums = sums_of(plan, products)
        losses += work_area(plan).losses.recorded()
    except GhslBeamError as other:
        _LOG.warning("cannot list in the record what was made and lost: %s", other)
    _fill(record, before, products, sums, losses, start)
    record["exit_code"] = FAILED
    record["error"] = redact(" ".join(f"{type(error).__name__}: {error}".split()))[:2000]
    try:
        write_record(plan.job.output, record)
        write_report(plan.job.output, record)  # the old one describes an earlier launch
    except (GhslBeamError, OSError) as other:
        _LOG.warning("cannot write the record or the report: %s", other)
    _LOG.info("run ended", extra=in_brief(record))


def in_brief(record: RunRecord) -> dict[str, Any]:
    """The fields of the log line for a launch that ended."""
    return {
        "exit_code": record["exit_code"],
        "computed": record["computed"],
        "reused": record["reused"],
        "seconds": record["seconds"],
    }


def _fill(
    record: RunRecord,
    before: Sequence[Product],
    products: Sequence[Product],
    sums: Mapping[str, Sum],
    losses: Sequence[Loss],
    start: float,
) -> None:
    known = {(product.path, product.fingerprint) for product in before}
    kept = [product for product in products if (product.path, product.fingerprint) in known]
    record["products"] = products_as_json(products, sums)
    record["reused"] = sum(product.whole for product in kept)
    record["computed"] = len(products) - len(kept)
    record["losses"] = losses_as_json(losses)
    record["scenes_set_aside"] = set_aside(record["losses"])
    record["ended"] = now()
    record["seconds"] = round(time.monotonic() - start, 1)


def _losses_of_incomplete(
    plan: JobPlan, products: Sequence[Product], losses: Sequence[Loss]
) -> Iterator[Loss]:
    """The losses that explain incomplete products, and a loss for each product without explanation.

    So a launch that lacks something never ends with 0, or with 3 without a reason.
    """
    whole = {product.path for product in products if product.whole}
    lacking = [planned for planned in planned_products(plan) if planned.path not in whole]
    reached = {"", *(part for planned in lacking for part in (planned.key, *planned.cells))}
    relevant = [loss for loss in losses if lacking and loss.tile in reached]
    yield from relevant
    named = {loss.tile for loss in relevant}
    reason = "is not complete, and no stage gave a reason: see the log, and run again"
    for planned in lacking:
        if named.isdisjoint(("", planned.key, *planned.cells, *planned.tiles)):
            yield Loss("publish", planned.key, reason, file=planned.path)
