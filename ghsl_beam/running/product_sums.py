"""Size and SHA-256 of every product: what the record says, and how it comes to know it.

Who publishes a product notes its sum in the work area, which lives until the record is whole. So no
product is read again only for its sum, unless neither a note nor the record tells it.
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
from transforms.rasters.geotiff import INCOMPLETE, content, stored_fingerprint
from transforms.rasters.seal import Sum
from transforms.storage import storage
from transforms.work.notes import Note

_LOG = logging.getLogger(__name__)
_EARLIER = "told by an earlier record"
_SHA256 = re.compile(r"[0-9a-f]{64}")


def sums_of(plan: JobPlan, products: Sequence[Product]) -> dict[str, Sum]:
    """Sums of products that are there, by path; a plan that verifies reads all of them.

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
    """Note what the record tells, which a launch is about to write anew.

    Raises:
        StorageError: the record cannot be read, or the notes cannot be written.
    """
    mine = {planned.path for planned in planned_products(plan)}
    notes = [note for note in _recorded(read_record(plan.job.output)) if note.path in mine]
    if notes:
        work_area(plan).notes.write(_EARLIER, notes)


def remove_changed(plan: JobPlan) -> None:
    """Remove the products whose content is no longer what was published, where a plan verifies.

    Their headers say that they are whole, and workers look at no more than that.

    Raises:
        StorageError: one cannot be read or removed.
    """
    for planned in planned_products(plan) if plan.verify else ():
        location = storage.join(plan.job.output, planned.path)
        if stored_fingerprint(location) and not content(location).sealed:
            _LOG.info("removed, as its content has changed", extra={"path": planned.path})
            storage.remove(location)


def _recorded(record: dict[str, Any] | None) -> Iterator[Note]:
    """What a stored record tells of whole products. It may be another's: only its sums are used."""
    products = (record or {}).get("products")
    for product in products if isinstance(products, list) else ():
        if not isinstance(product, dict):
            continue
        path, mark, size, sha256 = map(product.get, ("path", "fingerprint", "size", "sha256"))
        told = isinstance(path, str) and isinstance(mark, str) and mark != INCOMPLETE
        if told and isinstance(size, int) and _SHA256.fullmatch(str(sha256)):
            yield Note(str(path), str(mark), size, str(sha256))
