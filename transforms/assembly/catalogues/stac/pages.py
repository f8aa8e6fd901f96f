"""Pages of a STAC API for pystac-client: no page is lost, and paging always ends.

pystac-client alone ends at an empty page, although another page may follow. It follows a `next`
link to an earlier page or to another host, and has no limits of time or size. `JsonService` has
them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urljoin

from pystac_client.stac_api_io import StacApiIO

from transforms.elements import StorageError

from ..json_service import JsonService

MOST_EMPTY = 20
"""Largest number of empty pages in a row before a page with items."""
MOST_PAGES = 10_000


class Pages(StacApiIO):
    """Makes the requests of pystac-client to a STAC API.

    Args:
        service: the API to ask.

    Attributes:
        doubt: an inconsistency in the last pages, in a few words; "" if there is none.
    """

    def __init__(self, service: JsonService) -> None:
        super().__init__(max_retries=None)
        self.doubt = ""
        self._service = service

    def request(
        self,
        href: str,
        method: str | None = None,
        headers: dict[str, str] | None = None,
        parameters: dict[str, Any] | None = None,
    ) -> str:
        """The JSON of one request, as text.

        Raises:
            StorageError: there is none.
        """
        return json.dumps(self._ask(href, method or "GET", parameters))

    def get_pages(
        self,
        url: str,
        method: str | None = None,
        parameters: dict[str, Any] | None = None,
    ) -> Iterator[dict[str, Any]]:
        """The pages of a search that have items, in order.

        Raises:
            StorageError: a page cannot be read; a `next` link leads to an earlier page; the pages
                do not end; or there are fewer items than the API states.
        """
        self.doubt = ""
        asked: set[str] = set()
        seen: set[str] = set()
        came = empty = 0
        stated: int | None = None
        step: tuple[str, str, dict[str, Any] | None] | None = (url, method or "GET", parameters)
        while step is not None:
            asked.add(_key(*step))
            page = self._ask(*step)
            items = self._items(page)
            stated = _matched(page) if stated is None else stated
            new = {_identity(item) for item in items} - seen
            seen |= new
            came += len(items)
            empty = 0 if new else empty + 1
            step = self._next(page, *step)
            if step is not None:
                self._check_step(step, asked, empty, bool(items))
            if items:
                yield page
        if stated is not None and came < stated:
            reason = f"states {stated} items, but gave {came}: the list is not whole; run again"
            raise StorageError(self._service.address, reason, passing=True)
        if stated is not None and len(seen) < stated:
            self.doubt = (
                f"it states {stated} items, but gave {came - len(seen)} of them twice: another "
                "item may be missing"
            )

    def _ask(self, url: str, method: str, parameters: Mapping[str, Any] | None) -> dict[str, Any]:
        if method.upper() == "POST":
            return self._service.post(url, parameters or {})
        return self._service.get(url, parameters or None)

    def _items(self, page: Mapping[str, Any]) -> list[Any]:
        items = page.get("features")
        if not isinstance(items, list):
            found = f"features of type {type(items).__name__}" if items else "no features"
            raise self._no_page(f"a page with {found}, expected a list of items")
        return items

    def _next(
        self, page: Mapping[str, Any], url: str, method: str, parameters: Mapping[str, Any] | None
    ) -> tuple[str, str, dict[str, Any] | None] | None:
        """The request of the `next` link of a page; None on the last page."""
        links = page.get("links") or []
        if not isinstance(links, list) or not all(isinstance(link, dict) for link in links):
            raise self._no_page("a page whose links are not a list of links")
        link = next((link for link in links if link.get("rel") == "next"), None)
        if link is None:
            return None
        href, body = link.get("href"), link.get("body")
        if not isinstance(href, str) or not isinstance(body, dict | None):
            raise self._no_page("a next link without an address, or with a body of another kind")
        try:
            address = urljoin(url, href)
        except ValueError as error:
            raise self._no_page("a next link that is not an address") from error
        if str(link.get("method") or "GET").upper() != "POST":
            return address, "GET", None
        whole = {**(parameters or {}), **(body or {})} if link.get("merge") or not body else body
        return address, "POST", dict(whole)

    def _check_step(
        self, step: tuple[str, str, dict[str, Any] | None], asked: set[str], empty: int, items: bool
    ) -> None:
        if _key(*step) in asked:
            raise self._no_end(f"a next link to an earlier page, after {len(asked)} pages")
        if empty > MOST_EMPTY:
            what = "only items of earlier pages" if items else "no item"
            raise self._no_end(f"{empty} pages in a row with {what}, each with a next link")
        if len(asked) >= MOST_PAGES:
            raise self._no_end(f"more than {MOST_PAGES} pages")

    def _no_page(self, what: str) -> StorageError:
        reason = f"gave {what}: its list of products cannot be read whole; check the address"
        return StorageError(self._service.address, reason)

    def _no_end(self, what: str) -> StorageError:
        """The error of an API whose pages do not end; another launch may succeed."""
        reason = f"gave {what}: its list of products cannot be read whole; run again later"
        return StorageError(self._service.address, reason, passing=True)


def _key(url: str, method: str, parameters: Mapping[str, Any] | None) -> str:
    return json.dumps([url, method, parameters], sort_keys=True)


def _identity(item: object) -> str:
    return str(item.get("id")) if isinstance(item, dict) else json.dumps(item)


def _matched(page: Mapping[str, Any]) -> int | None:
    """The number of all items, as a page gives it; None if it does not."""
    context = page.get("context")
    inner = context.get("matched") if isinstance(context, dict) else None
    for stated in (page.get("numberMatched"), inner):
        if isinstance(stated, int) and not isinstance(stated, bool):
            return stated
    return None
