"""Makes candidates of products that OData describes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import date
from typing import Any

from transforms.assembly.products.naming import parse_name, printable
from transforms.elements import Level, SceneError
from transforms.storage import storage

from .catalogue import Answer, Candidate, Wanted

_ROOT = "/eodata/"
_SHOWN = 120
_LARGEST = 10**15
"""Bytes; a product is never so large."""


def candidates(
    wanted: Wanted,
    products: Callable[[str, Level, date, date], Iterator[Mapping[str, Any]]],
    archive: str,
) -> Iterator[Answer]:
    """The wanted products of a catalogue that is asked for one tile at a time.

    Args:
        wanted: the products to ask for.
        products: gives the products of a tile and a level between two days, both included.
        archive: see `candidate_of`.
    """
    for tile in sorted(wanted.tiles):
        for product in products(tile, wanted.level, wanted.start, wanted.end):
            yield candidate_of(product, archive)


def candidate_of(product: Mapping[str, Any], archive: str) -> Candidate | SceneError:
    """A product of OData as a candidate; if that is not possible, the error with the reason.

    Args:
        product: a mapping with `Name`, `S3Path` and, if they exist, `Online`, `ContentLength` and
            `Attributes`.
        archive: the location that OData calls `/eodata`.
    """
    name, path = product.get("Name"), product.get("S3Path")
    if not isinstance(name, str) or parse_name(name) is None:
        shown = printable(str(name))[:_SHOWN]
        return SceneError(shown, "not the name of a Sentinel-2 product, in the catalogue's answer")
    if not isinstance(path, str):
        return SceneError(name, "the catalogue gives no S3Path for it")
    below = path.removeprefix(_ROOT).rstrip("/")
    parts = below.split("/")
    if not path.startswith(_ROOT) or any(part in ("", ".", "..") for part in parts):
        return SceneError(name, f"the catalogue gives a path outside {_ROOT}: {_shown(path)}")
    location = storage.join(archive, *parts)
    if storage.problem(location):
        return SceneError(name, f"{storage.problem(location)}, in its S3Path: {_shown(path)}")
    if parts[-1].removesuffix(".SAFE") != name.removesuffix(".SAFE"):
        return SceneError(name, f"the catalogue gives the path of another product: {_shown(path)}")
    attributes = _attributes(product)
    cloud = _number(attributes.get("cloudCover"), 100)
    size = _number(product.get("ContentLength"), _LARGEST)
    return Candidate(
        location,
        name=name.removesuffix(".SAFE"),
        datastrip=str(attributes.get("datastripId") or ""),
        baseline=str(attributes.get("processorVersion") or ""),
        cloud_cover=cloud,
        online=product.get("Online") is not False,
        size=int(size) if size else None,
    )


def _attributes(product: Mapping[str, Any]) -> dict[str, Any]:
    listed = product.get("Attributes")
    return {
        str(one.get("Name")): one.get("Value")
        for one in (listed if isinstance(listed, list) else ())
        if isinstance(one, dict)
    }


def _number(value: object, most: float) -> float | None:
    """A number from 0 to a largest one; None for anything else."""
    number = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= most
    return float(value) if number else None  # type: ignore[arg-type]


def _shown(text: str) -> str:
    return printable(text)[:_SHOWN]
