"""The OData catalogue of the Copernicus Data Space Ecosystem.

Source: documentation of its OData API: filters; at most 1000 products a page and 10 000 a search;
`Online`, `S3Path`, `Checksum`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from transforms.elements import Level, StorageError
from transforms.storage import storage

from .catalogue import Answer, Wanted
from .json_service import JsonService
from .odata_products import candidates
from .periods import halves

COPERNICUS = "https://catalogue.dataspace.copernicus.eu/odata/v1"
EODATA = "s3://eodata"
_PAGE = 1000
MOST = 10_000
"""Largest number of products of one search; the service silently leaves out the others."""
TYPES = {Level.L1C: "S2MSI1C", Level.L2A: "S2MSI2A"}
_MOST_OLD = 20
"""Largest number of pages in a row that name only products of earlier pages."""
_TRIES = 2
"""Tries of a search, if its pages have fewer products than the catalogue counts."""


class OData:
    """A catalogue of OData products; see `Catalogue`.

    Args:
        service: the catalogue, at an address such as `COPERNICUS`.
        archive: folder or URL of its products: `s3://eodata`, or a mount such as `/eodata`.
    """

    def __init__(self, service: JsonService, archive: str = EODATA) -> None:
        self._service, self._archive = service, archive
        self.place = service.address
        self.products_at_once = 4 if storage.is_url(archive) else 1

    def search(self, wanted: Wanted) -> Iterator[Answer]:
        """See `Catalogue`; one search for each tile, and for each part of a long period."""
        return candidates(wanted, self._products, self._archive)

    def _products(
        self, tile: str, level: Level, start: date, end: date
    ) -> Iterator[Mapping[str, Any]]:
        """Products of a tile whose sensing starts within some days, sorted by start and id.

        Raises:
            StorageError: the catalogue gives fewer products than it counts.
        """
        for _ in range(_TRIES):
            products, count = self._pages(tile, level, start, end)
            if count > MOST:
                for first, last in halves(start, end, self.place, count, MOST):
                    yield from self._products(tile, level, first, last)
                return
            if len(products) >= count:
                yield from products
                return
        raise StorageError(
            self.place,
            f"counts {count} products of tile {tile} from {start} to {end}, but gives only "
            f"{len(products)}: run again later",
            passing=True,
        )

    def _pages(
        self, tile: str, level: Level, start: date, end: date
    ) -> tuple[list[Mapping[str, Any]], int]:
        """Products of all pages, each once, and the number that the catalogue counts.

        If it counts more than `MOST`, only the first page is read.
        """
        products: dict[str, Mapping[str, Any]] = {}
        skip, total, old = 0, 0, 0
        while skip < MOST:
            page = self._ask(tile, level, start, end, skip)
            total = max(total, self._total(page))
            values = page.get("value")
            if not isinstance(values, list):
                reason = "gave a page without products (no list `value`): check the address"
                raise StorageError(self.place, reason)
            before = len(products)
            for number, product in enumerate(values):
                if not isinstance(product, dict):
                    raise StorageError(self.place, f"gave {product!r:.80}, expected a product")
                products.setdefault(str(product.get("Id") or (skip, number)), product)
            skip += len(values)
            # A link to a next page says that there is more, however short this one is.
            if not values or total > MOST or (skip >= total and "@odata.nextLink" not in page):
                break
            old = old + 1 if len(products) == before else 0
            if old > _MOST_OLD:
                text = f"gave {old} pages in a row with only products that it named before"
                reason = f"{text}: its list of products cannot be read whole; run again later"
                raise StorageError(self.place, reason, passing=True)
        return list(products.values()), total

    def _ask(self, tile: str, level: Level, start: date, end: date, skip: int) -> dict[str, Any]:
        conditions = (
            "Collection/Name eq 'SENTINEL-2'",
            _attribute("productType", TYPES[level]),
            _attribute("tileId", tile),
            f"ContentDate/Start ge {_midnight(start)}",
            f"ContentDate/Start lt {_midnight(end + timedelta(days=1))}",
        )
        return self._service.get(
            f"{self.place}/Products",
            {
                "$filter": " and ".join(conditions),
                "$orderby": "ContentDate/Start asc",
                "$expand": "Attributes",
                "$count": "true",
                "$top": str(_PAGE),
                "$skip": str(skip),
            },
        )

    def _total(self, page: Mapping[str, Any]) -> int:
        count = page.get("@odata.count")
        if not isinstance(count, int) or isinstance(count, bool) or count < 0:
            raise StorageError(
                self.place,
                f"says {count!r:.40} for the number of products, expected a number: check the "
                "address",
            )
        return count


def _attribute(name: str, value: str) -> str:
    kind = "OData.CSC.StringAttribute"
    return f"Attributes/{kind}/any(att:att/Name eq '{name}' and att/{kind}/Value eq '{value}')"


def _midnight(day: date) -> str:
    return f"{datetime(day.year, day.month, day.day, tzinfo=UTC):%Y-%m-%dT%H:%M:%S.000Z}"
