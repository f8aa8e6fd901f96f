"""Shares of the area that the headers of the products state: greenness domain, observations."""

from __future__ import annotations

from collections.abc import Iterable

from rasterio.errors import RasterioError

from ghsl_beam.outputs.record_schema import DomainRecord, ObservationsRecord
from ghsl_beam.planning.products import read_product
from transforms.elements import Layer, Product, RasterError
from transforms.rasters.cog import CLASSES_TAG, VALID_TAG
from transforms.rasters.fingerprints import INCOMPLETE
from transforms.storage import storage

_RULES = ("clear", "bright", "masked")
"""The classes of S2_QUALITY, in their order."""


def greenness_domain(output: str, products: Iterable[Product]) -> DomainRecord | None:
    """Compare the pixels of GREENNESS with those of BUFRAC, in the MGRS tiles that have both.

    The numbers are read from the headers of the products. A product that an earlier job left, with
    other parameters, does not count.

    Args:
        output: the folder of the run, a location.
        products: its published products, with paths relative to `output`.

    Returns:
        None if no tile has both, or if a header does not state its number.

    Raises:
        RasterError: a product cannot be read.
    """
    green, known = 0, 0
    tiles = _tiles_with(output, products, Layer.GREENNESS, Layer.BUFRAC)
    for greenness, bufrac in tiles:
        inside, of_area = _numbers(greenness, VALID_TAG), _numbers(bufrac, VALID_TAG)
        if not (inside and of_area):
            return None
        green, known = green + inside[0], known + of_area[0]
    if not tiles:
        return None
    return {
        "pixels": green,
        "pixels_of_area": known,
        "share": round(green / known, 4) if known else None,
    }


def observations(output: str, products: Iterable[Product]) -> ObservationsRecord | None:
    """Shares of the area by the rule of S2_QUALITY, in the tiles with it and S2_COUNT.

    Args:
        output: the folder of the run, a location.
        products: its published products, with paths relative to `output`.

    Returns:
        None if no tile has both, if a header does not state its numbers, or without an area.

    Raises:
        RasterError: a product cannot be read.
    """
    area, of_rule = 0, [0] * len(_RULES)
    for quality, count in _tiles_with(output, products, Layer.S2_QUALITY, Layer.S2_COUNT):
        rules, of_area = _numbers(quality, CLASSES_TAG), _numbers(count, VALID_TAG)
        if len(rules) != len(_RULES) or not of_area:
            return None
        area += of_area[0]
        of_rule = [a + b for a, b in zip(of_rule, rules, strict=True)]
    if area == 0:
        return None
    clear, bright, masked = (round(number / area, 4) for number in of_rule)
    return {
        "pixels_of_area": area,
        "clear": clear,
        "bright": bright,
        "masked": masked,
        "none": round(1 - sum(of_rule) / area, 4),
    }


def _tiles_with(
    output: str, products: Iterable[Product], first: Layer, second: Layer
) -> list[tuple[str, str]]:
    """The locations of two layers in each MGRS tile that has both from this job."""
    paths: dict[str, dict[str, str]] = {}
    for product in products:
        of_this_job = product.whole or product.fingerprint == INCOMPLETE
        if product.grid == "utm" and product.layer in (first, second) and of_this_job:
            place = storage.join(output, product.path)
            paths.setdefault(product.key, {})[product.layer] = place
    return [(layers[first], layers[second]) for layers in paths.values() if len(layers) == 2]


def _numbers(path: str, tag: str) -> list[int]:
    """The whole numbers in a tag of a product; empty if it has no such tag."""
    try:
        text = read_product(path, lambda source: source.tags().get(tag, ""))
    except (OSError, RasterioError) as error:
        reason = " ".join(str(error).split())
        raise RasterError(f"{path}: cannot read the product: {reason}") from error
    words = text.split(" ")
    known = all(word.isascii() and word.isdigit() for word in words)
    return [int(word) for word in words] if known else []
