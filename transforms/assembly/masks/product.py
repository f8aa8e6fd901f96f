"""Cloud masks of a scene: SCL, MSK_CLASSI and MSK_CLOUDS, on the tile's 10 m grid.

Source: Sentinel-2 Products Specification Document (MSK_CLASSI since baseline 04.00, MSK_CLOUDS
before) and the Level-2A Algorithm Theoretical Basis Document (scene classification).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from transforms.elements import MaskKind, Scene, SceneError
from transforms.storage.caching import DIRECT, Access

from ..polygons import PolygonsError, rasterize
from ..products.metadata import MAX_XML_BYTES, local_name, number, parse_xml
from ..products.product_files import read_bytes
from ..reading import read_band, read_bands
from .classes import MaskClass

SCL_CLASSES = (0, 1, 3, 8, 9, 10)
"""Masked classes of SCL: no data, saturated or defective, cloud shadow, cloud of medium and of
high probability, thin cirrus. Classes that are used: 2 dark area, 4 vegetation, 5 bare soil,
6 water, 7 unclassified, 11 snow or ice."""
_SCL_NODATA, _SCL_SHADOW = 0, 3
MAX_POSITION = 1e8
"""Largest coordinate in metres; the coordinates of every UTM zone are below a tenth of it."""
_EPSG = re.compile(r"EPSG:(?:[\d.]*:)?(\d{4,6})$")


def cloud_from_scl(
    scl: NDArray[np.uint16], classes: Iterable[int] = SCL_CLASSES
) -> NDArray[np.bool_]:
    """Masked pixels of a scene classification.

    Args:
        scl: unsigned integers (h, w), classes 0 to 11.
        classes: the classes to mask.

    Returns:
        bool (h, w), True where masked. A value above 11 is not a class and is masked.

    Examples:
        Vegetation, cloud, and a value that is not a class.

        >>> cloud_from_scl(np.array([[4, 9, 12]], np.uint16)).tolist()
        [[False, True, True]]
    """
    table = np.ones(np.iinfo(scl.dtype).max + 1, np.bool_)
    table[:12] = np.isin(np.arange(12), list(classes))
    return table[scl]


def cloud_from_classification(array: NDArray[np.uint16], snow: bool = False) -> NDArray[np.bool_]:
    """Masked pixels of MSK_CLASSI_B00.

    Args:
        array: unsigned integers (3, h, w): opaque cloud, cirrus, snow or ice; not 0 where present.
        snow: whether snow and ice are masked too.

    Returns:
        bool (h, w), True where masked.

    Raises:
        ValueError: the array does not have three bands.
    """
    if array.ndim != 3 or array.shape[0] != 3:
        raise ValueError(f"classification has shape {array.shape}, expected (3, h, w)")
    masked = (array[0] != 0) | (array[1] != 0)
    return masked | (array[2] != 0) if snow else masked


def cloud_from_gml(xml: bytes, name: str) -> tuple[int | None, list[shapely.Polygon]]:
    """Polygons of MSK_CLOUDS_B00.gml (opaque clouds and cirrus), and their EPSG code.

    Args:
        xml: content of the file.
        name: name of the file, for errors.

    Returns:
        (EPSG code, polygons). Coordinates are easting, northing in metres. The code is None if the
        file has no polygon and names no CRS.

    Raises:
        SceneError: the XML is unsafe, broken or not a mask, or polygons have no CRS.
    """
    root = parse_xml(xml, name)
    if local_name(root) != "Mask":
        raise SceneError(name, f"has root element {local_name(root)[:80]!r}, expected Mask")
    codes, polygons = set(), []
    for element in root.iter():
        srs = element.get("srsName")
        if srs is not None:
            match = _EPSG.search(srs.strip())
            if match is None:
                raise SceneError(name, f"has srsName {srs[:80]!r}, expected an EPSG code")
            codes.add(int(match[1]))
        if local_name(element) == "MaskFeature" and not any(
            local_name(inner) == "Polygon" for inner in element.iter()
        ):
            raise SceneError(name, "has a mask feature without gml:Polygon")
        if local_name(element) == "Polygon":
            polygon = _polygon(element, name)
            if polygon is not None:
                polygons.append(polygon)
    if len(codes) > 1:
        raise SceneError(name, f"has more than one CRS: EPSG {sorted(codes)}")
    if polygons and not codes:
        raise SceneError(name, "has polygons without srsName")
    return (codes.pop() if codes else None), polygons


def read_mask(scene: Scene, grid: GeoBox, access: Access = DIRECT) -> NDArray[np.bool_]:
    """Masked pixels of a scene over a grid, which is a part of the tile's 10 m grid.

    Without a mask file, nothing is masked. Outside an SCL raster, everything is masked (class 0).

    Args:
        scene: the scene.
        grid: the wanted pixels.
        access: how the file is reached.

    Returns:
        bool (h, w), True where masked.

    Raises:
        SceneError: the mask file cannot be used.
        StorageError: its storage does not answer.
    """
    if scene.mask is None:
        return np.zeros(grid.shape, np.bool_)

    def read(path: str) -> NDArray[np.bool_]:
        return _read_mask(path, scene, grid)

    return access.read(scene.mask, scene.mask_file, read, mask=True)


def read_classes(scene: Scene, grid: GeoBox, access: Access = DIRECT) -> NDArray[np.uint8]:
    """Classes of a scene by the mask of the product; see `read_mask`.

    Only the scene classification tells cloud shadows and pixels without data. The other masked
    pixels are clouds.

    Returns:
        uint8 (h, w), `MaskClass`.

    Raises:
        SceneError: the mask file cannot be used.
        StorageError: its storage does not answer.
    """
    if scene.mask is None or scene.mask_kind is not MaskKind.SCL:
        masked = read_mask(scene, grid, access)
        return _classes_of(masked)

    def read(path: str) -> NDArray[np.uint8]:
        scl = read_band(path, grid, scene.grid)
        classes = _classes_of(cloud_from_scl(scl))
        classes[scl == _SCL_NODATA] = MaskClass.NODATA
        classes[scl == _SCL_SHADOW] = MaskClass.SHADOW
        return classes

    return access.read(scene.mask, scene.mask_file, read, mask=True)


def _classes_of(masked: NDArray[np.bool_]) -> NDArray[np.uint8]:
    return masked.astype(np.uint8) * np.uint8(MaskClass.CLOUD)


def _read_mask(path: str, scene: Scene, grid: GeoBox) -> NDArray[np.bool_]:
    if scene.mask_kind is MaskKind.SCL:
        return cloud_from_scl(read_band(path, grid, scene.grid))
    if scene.mask_kind is MaskKind.CLASSIFICATION:
        bands = read_bands(path, grid, scene.grid, bands=(1, 2, 3))
        return cloud_from_classification(bands)
    if scene.mask_kind is MaskKind.CLOUDS_GML:
        epsg, polygons = cloud_from_gml(read_bytes(path, MAX_XML_BYTES), path)
        if epsg is not None and epsg != scene.epsg:
            raise SceneError(path, f"has EPSG:{epsg}, expected EPSG:{scene.epsg}")
        try:
            return rasterize(polygons, grid)
        except PolygonsError as error:
            raise SceneError(path, str(error)) from error
    raise SceneError(path, f"is a mask of unknown kind {scene.mask_kind}")


def _polygon(element: Any, name: str) -> shapely.Polygon | None:
    """A gml:Polygon; None if its exterior has no area."""
    exterior, interiors = None, []
    for side in element:
        parts = list(side.iter())
        if any(local_name(part) == "Polygon" for part in parts):
            raise SceneError(name, "has a polygon inside a polygon element")
        rings = [ring for part in parts if (ring := _ring(part, name)) is not None]
        if local_name(side) == "exterior":
            if len(rings) != 1:
                raise SceneError(name, f"has a polygon with {len(rings)} exterior rings")
            exterior = rings[0]
        elif local_name(side) == "interior":
            interiors += rings
    if exterior is None:
        raise SceneError(name, "has a polygon without exterior")
    if len(exterior) < 3:
        return None
    return shapely.Polygon(exterior, [ring for ring in interiors if len(ring) >= 3])


def _ring(element: Any, name: str) -> list[tuple[float, float]] | None:
    """Positions of a gml:posList; None for any other element."""
    if local_name(element) != "posList":
        return None
    dimension = (element.get("srsDimension") or "2").strip()
    if dimension not in ("2", "3"):
        raise SceneError(name, f"has srsDimension {dimension[:20]!r}, expected 2 or 3")
    values = [number(text, name, "a position") for text in (element.text or "").split()]
    if any(abs(value) > MAX_POSITION for value in values):
        raise SceneError(name, f"has a position beyond {MAX_POSITION:g} m")
    step = int(dimension)
    if len(values) % step:
        raise SceneError(
            name, f"has a ring of {len(values)} coordinates, expected a multiple of {step}"
        )
    return list(zip(values[::step], values[1::step], strict=True))
