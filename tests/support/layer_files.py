"""Products of a few pixels, as a run writes them, without a run."""

from pathlib import Path

import numpy as np
import pyproj
import rasterio
from affine import Affine

from ghsl_beam.area.mgrs_tiles import tile
from transforms.elements import Layer, Product


def write_layers(
    output: Path, name: str, middle: tuple[float, float], size: int, seed: int, holes: float = 0.3
) -> tuple[list[Product], Affine, dict[Layer, np.ndarray]]:
    """BUFRAC, RES_NRES and GREENNESS of a tile around a point (lon, lat), with random pixels.

    Squares of 10 x 10 pixels have no data, a share `holes` of all.
    """
    random = np.random.default_rng(seed)
    epsg = tile(name).epsg
    x, y = pyproj.Transformer.from_crs(4326, epsg, always_xy=True).transform(*middle)
    left, top = round(x / 10) * 10 - 5 * size, round(y / 10) * 10 + 5 * size
    transform = Affine(10, 0, left, 0, -10, top)
    empty = random.random((size // 10, size // 10)).repeat(10, 0).repeat(10, 1) < holes
    fraction = random.integers(0, 101, (size, size)).astype(np.uint8)
    classes = random.integers(0, 3, (size, size)).astype(np.uint8)
    green = random.integers(-2000, 9000, (size, size)).astype(np.int16)
    green[random.random((size, size)) < 0.5] = -32768
    fraction[empty], classes[empty], green[empty] = 255, 255, -32768
    made = {Layer.BUFRAC: fraction, Layer.RES_NRES: classes, Layer.GREENNESS: green}
    products = []
    for layer, values in made.items():
        path = f"utm/{name}/{layer}_E2020_town_{name}.tif"
        (output / path).parent.mkdir(parents=True, exist_ok=True)
        with rasterio.open(
            *(output / path, "w"),
            driver="GTiff",
            width=size,
            height=size,
            count=1,
            dtype=values.dtype,
            nodata=layer.spec.nodata,
            crs=f"EPSG:{epsg}",
            transform=transform,
        ) as target:
            target.write(values, 1)
        products.append(Product(layer.value, name, "utm", path, f"{layer} of {seed}"))
    return products, transform, made
