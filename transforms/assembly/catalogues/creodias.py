"""CREODIAS through the package creodias-finder, which asks the OData catalogue of Copernicus.

Source: https://github.com/DHI-GRAS/creodias-finder, `query.query` of the versions that ask OData.
The package is not in the Python registry, so it is imported only if a job asks for it.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import requests
import stamina

from transforms.elements import Level, RequestError, StorageError
from transforms.storage import storage
from transforms.storage.remote import PASSING, cause_of

from .catalogue import Answer, Wanted
from .odata import EODATA, TYPES
from .odata_products import candidates
from .periods import halves
from .time_limit import within

PACKAGE = "creodias-finder"
_INSTALL = "pip install git+https://github.com/DHI-GRAS/creodias-finder.git"
_PAGE = 500
"""Products of a page of the package. It does not sort them, so its pages may leave out some."""
_TRIES = 5
_LONGEST_WAIT = 60.0
_SECONDS = 600.0
"""Seconds for one query with all its pages; the package itself has no time limit."""
_NO_JSON = (json.JSONDecodeError, requests.JSONDecodeError)
_Query = Callable[..., Any]


class CreodiasFinder:
    """The products that creodias-finder finds; see `Catalogue`.

    Args:
        archive: folder or URL of the products: `/eodata` on a machine of CREODIAS, or `s3://eodata`.
        query: `creodias_finder.query.query`.
    """

    def __init__(self, archive: str = EODATA, query: _Query | None = None) -> None:
        self._archive, self._query = archive, query or installed_query()
        self.place = PACKAGE
        self.products_at_once = 4 if storage.is_url(archive) else 1

    def search(self, wanted: Wanted) -> Iterator[Answer]:
        """See `Catalogue`; one query for each tile, and for each part of a long period."""
        return candidates(wanted, self._products, self._archive)

    def _products(
        self, tile: str, level: Level, start: date, end: date
    ) -> Iterator[Mapping[str, Any]]:
        """Products of a tile by their ids.

        An answer of more than one page may not be whole, so its period is asked in parts. The
        package leaves out a scene that starts exactly at the beginning of the period, or in the
        last second of its last day. So it is asked from the day before to the day after.
        """
        answer = self._ask(
            collection="SENTINEL-2",
            start_date=_midnight(start - timedelta(days=1)),
            end_date=_midnight(end + timedelta(days=1)) + timedelta(seconds=1),
            status="ALL",
            metadata=True,
            productType=TYPES[level],
            tileId=tile,
        )
        if not isinstance(answer, Mapping):
            raise RequestError(_old(f"a {type(answer).__name__}"))
        if len(answer) >= _PAGE:
            for first, last in halves(start, end, self.place, len(answer), _PAGE):
                yield from self._products(tile, level, first, last)
            return
        for identifier, product in sorted(answer.items()):
            if not isinstance(product, Mapping) or "S3Path" not in product:
                raise RequestError(_old(f"product {identifier!s:.60} without S3Path"))
            yield product

    def _ask(self, **arguments: Any) -> Any:
        try:
            for attempt in stamina.retry_context(
                on=_may_succeed_soon,
                attempts=_TRIES,
                timeout=None,
                wait_initial=1.0,
                wait_max=_LONGEST_WAIT,
            ):
                with attempt:
                    return within(_SECONDS, lambda: self._query(**arguments))
        except _NO_JSON as error:
            reason = "the catalogue gave no JSON, maybe a page of HTML: run again later"
            raise StorageError(self.place, reason, passing=True) from error
        except (requests.RequestException, TimeoutError) as error:
            passing = isinstance(error, TimeoutError) or bool(_may_succeed_soon(error))
            raise StorageError(
                self.place, f"no answer: {cause_of(error)}", passing=passing
            ) from error
        except (ValueError, TypeError) as error:
            raise RequestError(_old(f"{type(error).__name__}: {cause_of(error)}")) from error
        except (LookupError, AttributeError) as error:
            reason = f"an answer that it cannot read ({type(error).__name__}: {cause_of(error)})"
            raise StorageError(
                self.place, f"{reason}: run again later, or use source: odata", passing=True
            ) from error
        raise AssertionError("stamina ends with a result or an error")


def installed_query() -> _Query:
    """The function of the package that is installed.

    Raises:
        RequestError: it is not installed, or it is another version.
    """
    try:
        module = importlib.import_module("creodias_finder.query")
    except ImportError as error:
        raise RequestError(
            f"input.source: {PACKAGE} is not installed here: {_INSTALL}, or use source: odata"
        ) from error
    query = getattr(module, "query", None)
    if not callable(query):
        raise RequestError(_old("no function query.query"))
    return query


def _old(found: str) -> str:
    return (
        f"{PACKAGE}: {found}, expected products of OData: this version is not supported, install "
        f"the current one: {_INSTALL}"
    )


def _may_succeed_soon(error: Exception) -> bool | float:
    """Whether a query may succeed soon; as a number, the seconds that the service asks to wait.

    A query that took longer than `_SECONDS` is not repeated: the list may have no end.
    """
    response = getattr(error, "response", None)
    if response is None:
        return isinstance(error, (requests.ConnectionError, requests.Timeout, *_NO_JSON))
    if response.status_code not in PASSING:
        return False
    wait = str(response.headers.get("Retry-After", ""))
    return min(float(wait), _LONGEST_WAIT) or True if wait.isdecimal() else True


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC).replace(tzinfo=None)
