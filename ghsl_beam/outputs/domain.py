"""The share of the area that the domain of the greenness covers."""

from __future__ import annotations

from collections.abc import Iterable

from rasterio.errors import RasterioError

from ghsl_beam.outputs.record_schema import DomainRecord
from ghsl_beam.planning.products import read_product
from transforms.elements import Layer, Product, RasterError
from transforms.rasters.cog import VALID_TAG
from transforms.rasters.fingerprints import INCOMPLETE
from transforms.storage import storage

_COMPARED = (Layer.GREENNESS, Layer.BUFRAC)


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
    paths: dict[str, dict[str, str]] = {}
    for product in products:
        of_this_job = product.whole or product.fingerprint == INCOMPLETE
        if product.grid == "utm" and product.layer in _COMPARED and of_this_job:
            paths.setdefault(product.key, {})[product.layer] = product.path
    green, known = 0, 0
    tiles = [layers for layers in paths.values() if len(layers) == 2]
    for layers in tiles:
        inside = _valid_pixels(storage.join(output, layers[Layer.GREENNESS]))
        of_area = _valid_pixels(storage.join(output, layers[Layer.BUFRAC]))
        if inside is None or of_area is None:
            return None
        green, known = green + inside, known + of_area
    if not tiles:
        return None
    return {
        "pixels": green,
        "pixels_of_area": known,
        "share": round(green / known, 4) if known else None,
    }


def _valid_pixels(path: str) -> int | None:
    try:
        text = read_product(path, lambda source: source.tags().get(VALID_TAG, ""))
    except (OSError, RasterioError) as error:
        reason = " ".join(str(error).split())
        raise RasterError(f"{path}: cannot read the product: {reason}") from error
    return int(text) if text.isascii() and text.isdigit() else None
