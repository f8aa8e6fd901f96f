"""Images to train on: the composites of runs, and single files, with their labels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import Transformer

from ghsl_beam.tools.network.blocks import Floats, places_of
from ghsl_beam.tools.network.labels import Labels, burn
from ghsl_beam.tools.network.request import NetworkRequest
from ghsl_beam.tools.plain_rasters import absence, opened_product, read_all
from ghsl_beam.tools.training import tiles_of_run
from transforms.elements import RequestError
from transforms.inference.predict import valid
from transforms.inference.training import LabelledImage
from transforms.storage import storage


@dataclass(frozen=True, slots=True, eq=False)
class Image:
    """An image with labels.

    Attributes:
        name: A name for people; different for each image.
        labelled: Its pixels, fractions and weights.
        places: Metres east and north of one origin, the same for all images.
        contradictory: Pixels in polygons of both kinds.
    """

    name: str
    labelled: LabelledImage
    places: tuple[Floats, Floats]
    contradictory: int


@dataclass(frozen=True, slots=True)
class Source:
    """Where an image is: its file, and the folder of its run, if it is of one."""

    name: str
    path: str
    output: str | None


def sources_of(request: NetworkRequest) -> list[Source]:
    """The images of a request: S2 of each tile of each run, and the single files.

    Raises:
        RequestError: a run or a file is missing, or is named twice.
    """
    sources = [
        Source(f"{storage.name(output)}/{path.split('/')[-2]}", path, output)
        for output in request.outputs
        for path, *_ in tiles_of_run(output)
    ]
    if request.outputs and not sources:
        raise RequestError(f"{', '.join(request.outputs)}: has no S2 layer to train on")
    for file in request.images:
        if not storage.is_file(file):
            raise RequestError(f"--image {storage.masked(file)}: {absence(file)}; give a GeoTIFF")
        sources.append(Source(storage.name(file), file, None))
    paths = [source.path for source in sources]
    if twice := sorted({storage.masked(path) for path in paths if paths.count(path) > 1}):
        raise RequestError(f"{twice[0]}: is named twice; name each image once")
    names = [source.name for source in sources]
    return [
        replace(source, name=source.path) if names.count(source.name) > 1 else source
        for source in sources
    ]


def read_images(sources: list[Source], labels: Labels) -> Iterator[Image]:
    """Read each image, and burn the labels into its grid.

    Raises:
        RequestError: an image has other bands, or a label cannot be used.
        RasterError: an image is damaged.
    """
    origin: NDArray[np.float64] | None = None
    for source in sources:
        with opened_product(source.path, source.output) as file:
            _check_image(source, file)
            s2 = read_all(file, source.path)
            burnt = burn(labels, file, valid(s2))
            if origin is None:
                origin = _origin(labels, file)
            places = places_of(file, origin)
        labelled = LabelledImage(s2, burnt.built_up, burnt.weights)
        yield Image(source.name, labelled, places, burnt.contradictory)


def _check_image(source: Source, file: Any) -> None:
    if file.crs is None or file.count != 4 or set(file.dtypes) != {"uint16"}:
        crs = "no CRS" if file.crs is None else "a CRS"
        raise RequestError(
            f"{storage.masked(source.path)}: found {file.count} bands of {file.dtypes[0]} and "
            f"{crs}, expected red, green, blue, near infrared as uint16 (reflectance x 10 000, "
            "nodata 0) with a CRS"
        )


def _origin(labels: Labels, file: Any) -> NDArray[np.float64]:
    """Longitude and latitude from which metres are counted."""
    if len(labels.built_up):
        return np.asarray(shapely.get_coordinates(labels.built_up[0])[0])
    into = Transformer.from_crs(file.crs, "OGC:CRS84", always_xy=True)
    return np.array(into.transform(*file.transform * (0, 0)))
