"""Asks a STAC API through pystac-client for products by tile and period, never by footprint.

Each API understands a footprint across 180 degrees in its own way; the name of a tile is the same.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pystac
from pystac_client import Client, ItemSearch
from pystac_client.errors import ClientTypeError
from pystac_client.exceptions import APIError

from transforms.elements import SceneError, StorageError
from transforms.storage import signing
from transforms.storage.locations import is_url, masked

from ..catalogue import Answer, Candidate, PassedOver, Wanted
from ..json_service import Bounds, JsonService
from .items import LONGEST_DATATAKE, ItemReader, NotAskedFor
from .pages import Pages
from .presets import QUERY, Preset

_AT_A_TIME = 16
"""Products on object storage that are opened in parallel; each takes a few short requests."""
_MOST_OTHERS = 20
"""A search fails if it gives more products than this that the job did not ask for, and more of them
than of wanted products: then the API does not understand the request."""
_NO_API = (
    pystac.STACError,
    APIError,
    ClientTypeError,
    NotImplementedError,
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
)
"""Errors that pystac-client raises if an answer is not the landing page of a STAC API."""
_BOUNDS = Bounds()


class StacCatalogue:
    """A STAC API that a preset describes; see `Catalogue`.

    From then on, the process signs the files of the preset if they need a token.

    Args:
        preset: the API; its `per_second` bounds the requests.
        archive: the location here of what the API calls its root, such as a mount `/eodata` for
            `s3://eodata`; "" if they are the same.
        bounds: other limits of the requests.
    """

    def __init__(self, preset: Preset, archive: str = "", bounds: Bounds = _BOUNDS) -> None:
        signing.add(*preset.signers())
        self.place = preset.address
        local = not is_url(archive) if archive else preset.local()
        self.products_at_once = 1 if local else _AT_A_TIME
        self._preset = preset
        self._archive = archive
        self._service = JsonService(preset.address, replace(bounds, per_second=preset.per_second))

    def search(self, wanted: Wanted) -> Iterator[Answer]:
        """See `Catalogue`; one search for some tiles at a time."""
        collection = self._preset.of(wanted.level)
        if collection is None:
            levels = " and ".join(self._preset.levels())
            reason = f"{self._preset.name} has no {wanted.level}, only {levels}"
            raise SceneError(self.place, f"{reason}: choose another catalogue or level")
        pages = Pages(self._service)
        client = self._open(pages)
        reader = ItemReader(self._preset, collection, wanted, self._archive)
        tiles = sorted(wanted.tiles)
        for start in range(0, len(tiles), self._preset.tiles):
            some = tiles[start : start + self._preset.tiles]
            yield from self._found(client, reader, some)
            if pages.doubt:
                yield PassedOver(f"{self.place} ({', '.join(some)[:60]})", pages.doubt)

    @contextmanager
    def _one_line_errors(self) -> Iterator[None]:
        """Inside the context, an error of pystac-client about the landing page is one line.

        Its warnings are not shown: the answers show what an API can do.
        """
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield
        except _NO_API as error:
            reason = f"no landing page of a STAC API with a search: {masked(str(error))[:120]}"
            raise StorageError(self.place, f"{reason}; check the address") from error

    def _open(self, pages: Pages) -> Client:
        with self._one_line_errors():
            client = Client.open(self.place, stac_io=pages)
            for ability in ("ITEM_SEARCH", "FILTER", "QUERY"):
                client.add_conforms_to(ability)
            return client

    def _found(self, client: Client, reader: ItemReader, tiles: list[str]) -> Iterator[Answer]:
        wanted = reader.wanted
        start = datetime.combine(wanted.start, time(), UTC)
        end = datetime.combine(wanted.end, time(), UTC) + timedelta(days=1) + LONGEST_DATATAKE
        with self._one_line_errors():
            search = client.search(
                method="POST",
                collections=[reader.collection.name],
                datetime=(start, end),
                limit=self._preset.page,
                **self._for_tiles(tiles),
            )
        candidates: set[tuple[str, str]] = set()
        others = 0
        for item in self._asked(search):
            found = reader.read(item)
            if isinstance(found, NotAskedFor):
                others += 1
                if others > max(_MOST_OTHERS, len(candidates)):
                    raise self._not_understood(found)
                yield PassedOver(
                    found.location, "the catalogue names it, but the job did not ask for it"
                )
            elif isinstance(found, Candidate):
                if (found.name, found.location) not in candidates:
                    candidates.add((found.name, found.location))
                    yield found
            elif found is not None:
                yield found

    def _asked(self, search: ItemSearch) -> Iterator[dict[str, Any]]:
        """The items of a search; an API that refuses the request may want it in another form."""
        try:
            yield from search.items_as_dicts()
        except StorageError as error:
            if not error.reason.startswith("answers 400"):
                raise
            asked = f"{self._preset.ask} by {self._preset.tile_property}"
            reason = f"{error.reason}; does it know a {asked}? check `ask` and `tile_property`"
            raise StorageError(self.place, reason) from error

    def _for_tiles(self, tiles: list[str]) -> dict[str, Any]:
        """The request for tiles, for both spellings of a zone with one digit."""
        key, prefix = self._preset.tile_property, self._preset.tile_prefix
        spelled = [way for tile in tiles for way in dict.fromkeys((tile, tile.lstrip("0")))]
        values = [f"{prefix}{tile}" for tile in spelled]
        if self._preset.ask == QUERY:
            return {"query": {key: {"eq": values[0]} if len(values) == 1 else {"in": values}}}
        each = [{"op": "=", "args": [{"property": key}, value]} for value in values]
        return {"filter": each[0] if len(each) == 1 else {"op": "or", "args": each}}

    def _not_understood(self, found: NotAskedFor) -> StorageError:
        asked = f"{self._preset.ask} by {self._preset.tile_property}"
        reason = (
            f"names products that the job did not ask for, such as {found.location} ({found.what})"
        )
        text = f"{reason}: it does not understand a {asked}; check `ask` and `tile_property`"
        return StorageError(self.place, text)
