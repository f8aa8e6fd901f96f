"""Size and SHA-256 of every product, for the record.

The worker that publishes a product notes its sum in the work area, which exists until the record is
complete. So a product is read again for its sum only if neither a note nor the record has it.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from typing import Any

from ghsl_beam.outputs.run_record import read_record
from ghsl_beam.planning.plan import JobPlan
from ghsl_beam.planning.planned_products import planned_products
from ghsl_beam.running.pipeline import work_area
from transforms.elements import Product
from transforms.rasters.fingerprints import INCOMPLETE, content, stored_fingerprint
from transforms.rasters.seal import Sum
from transforms.storage import storage
from transforms.work.notes import Note

_LOG = logging.getLogger(__name__)
_EARLIER = "told by an earlier record"
_SHA256 = re.compile(r"[0-9a-f]{64}")


def sums_of(plan: JobPlan, products: Sequence[Product]) -> dict[str, Sum]:
    """Sums of the products that exist, by path; if the plan verifies, all of them are read.

    Raises:
        StorageError: notes or products cannot be read.
    """
    known: dict[tuple[str, str], Sum] = {}
    if not plan.verify:
        notes = [*_recorded(read_record(plan.job.output)), *work_area(plan).notes.read()]
        known = {(note.path, note.mark): Sum(note.size, note.sha256) for note in notes}
    return {
        product.path: known.get((product.path, product.fingerprint))
        or content(storage.join(plan.job.output, product.path)).sum
        for product in products
    }


def keep_recorded_sums(plan: JobPlan) -> None:
    """Note the sums in the present record, before the launch overwrites it.

    Raises:
        StorageError: the record cannot be read, or the notes cannot be written.
    """
    mine = {planned.path for planned in planned_products(plan)}
    notes = [note for note in _recorded(read_record(plan.job.output)) if note.path in mine]
    if notes:
        work_area(plan).notes.write(_EARLIER, notes)


def remove_changed(plan: JobPlan) -> None:
    """Remove the products whose content has changed, if the plan verifies.

    Their headers say that they are whole, and workers read only the headers.

    Raises:
        StorageError: one cannot be read or removed.
    """
    for planned in planned_products(plan) if plan.verify else ():
        location = storage.join(plan.job.output, planned.path)
        if stored_fingerprint(location) and not content(location).sealed:
            _LOG.info("removed, as its content has changed", extra={"path": planned.path})
            storage.remove(location)


def _recorded(record: dict[str, Any] | None) -> Iterator[Note]:
    """The whole products in a stored record. It may be of another job: only its sums are used."""
    products = (record or {}).get("products")
    for product in products if isinstance(products, list) else ():
        if not isinstance(product, dict):
            continue
        path, mark, size, sha256 = map(product.get, ("path", "fingerprint", "size", "sha256"))
        known = isinstance(path, str) and isinstance(mark, str) and mark != INCOMPLETE
        if known and isinstance(size, int) and _SHA256.fullmatch(str(sha256)):
            yield Note(str(path), str(mark), size, str(sha256))
