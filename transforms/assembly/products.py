"""A Sentinel-2 product as it lies in an archive, read into a Scene.

Layouts: compact SAFE (since 2016-12-06), the older SAFE with several granules, and the AWS tile
layout where the product's metadata lie beside it; folders and zip archives alike. Images that
the product lists come first; where it lists none, they are looked for by their names.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from transforms.elements import BANDS, Level, MaskKind, Scene, SceneError, fingerprint

from .metadata import MAX_XML_BYTES, ProductMetadata, parse_product, parse_tile
from .naming import granule_tile
from .product_files import ProductFiles, open_product, product_file, unsafe

_TILE_FILE = re.compile(
    r"(MTD_TL|metadata|S2[A-Z]_(OPER|USER)_MTD_L(1C|2A)_\w+)\.xml", re.IGNORECASE
)
_MASKS = {
    MaskKind.CLASSIFICATION: re.compile(r"MSK_CLASSI_B00\.jp2", re.IGNORECASE),
    MaskKind.CLOUDS_GML: re.compile(
        r"(MSK_CLOUDS_B00|S2[A-Z]_(OPER|USER)_MSK_CLOUDS_\w+_B00_MSIL(1C|2A)\w*)\.gml",
        re.IGNORECASE,
    ),
}


@dataclass(frozen=True, slots=True)
class _Granule:
    """One tile in a product: its folder ("" in the AWS layout), metadata and image folder."""

    folder: str
    tile_file: str
    images: str
    quality: str


def product_tiles(path: str) -> tuple[str, ...]:
    """MGRS tiles of a product, by its granules' names, else their metadata; sorted.

    Raises SceneError where the product cannot be read.
    """
    files = open_product(path)
    found = set()
    for granule in _granules(files):
        tile = granule_tile(granule.folder.rpartition("/")[2])
        if tile is None:
            xml = files.read(granule.tile_file, MAX_XML_BYTES)
            tile = parse_tile(xml, files.gdal_path(granule.tile_file)).tile
        found.add(tile)
    return tuple(sorted(found))


def read_scene(path: str, tile: str | None = None) -> Scene:
    """Read the product at `path` (a folder or a `.zip`) into a Scene.

    `tile` chooses among the tiles of an older product that holds several. Nothing of the images
    is decoded. Raises SceneError where metadata or a band are missing, broken or unsafe.
    """
    files = open_product(path)
    product_name = product_file(files)
    product = parse_product(files.read(product_name, MAX_XML_BYTES), files.gdal_path(product_name))
    for listed in product.images:
        reason = unsafe(listed)
        if reason:
            raise SceneError(files.gdal_path(product_name), f"{reason}: {listed[:120]!r}")
    granule = _choose(files, tile)
    tile_path = files.gdal_path(granule.tile_file)
    place = parse_tile(files.read(granule.tile_file, MAX_XML_BYTES), tile_path)
    if place.level is not product.level:
        raise SceneError(tile_path, f"{place.level} tile in a product of {product.level}")
    if tile is not None and place.tile != tile:
        raise SceneError(tile_path, f"tile {place.tile}, expected {tile}")
    cloud_cover = product.cloud_cover if product.cloud_cover is not None else place.cloud_cover
    if cloud_cover is None:
        raise SceneError(files.gdal_path(product_name), "no Cloud_Coverage_Assessment in it")
    bands = _bands(files, granule, product)
    mask, kind = _mask(files, granule, product)
    red, green, blue, infrared = (files.gdal_path(name) for name in bands)
    stem = re.sub(r"(\.SAFE|\.zip)+$", "", files.path.rpartition("/")[2], flags=re.IGNORECASE)
    return Scene(
        id=product.product_id or stem,
        path=files.path,
        tile=place.tile,
        level=product.level,
        baseline=product.baseline,
        sensing=product.sensing,
        cloud_cover=cloud_cover,
        quantification=product.quantification,
        offsets=tuple(product.offsets[band] for band in BANDS),  # type: ignore[arg-type]
        bands=(red, green, blue, infrared),
        mask=files.gdal_path(mask) if mask else None,
        mask_kind=kind,
        epsg=place.epsg,
        ulx=place.ulx,
        uly=place.uly,
        rows=place.rows,
        cols=place.cols,
        size=files.size(bands),
        datastrip=place.datastrip,
        files=_files(files, bands, mask, kind),
    )


def _files(
    files: ProductFiles, bands: tuple[str, ...], mask: str | None, kind: MaskKind | None
) -> str:
    """`Scene.files`; no time of a file is in it, so that a copy of an archive is the same."""
    marks = [[name, files.mark(name)] for name in bands]
    if mask is not None:
        marks.append([mask, str(kind), files.mark(mask, small=kind is MaskKind.CLOUDS_GML)])
    return fingerprint(marks)


def _granules(files: ProductFiles) -> list[_Granule]:
    """The product's granules, in the order of their names."""
    top = _named(files.names(""), "GRANULE")
    if top is None:
        if "metadata.xml" not in files.names(""):
            raise SceneError(files.path, "neither GRANULE nor metadata.xml in the product")
        return [_Granule("", "metadata.xml", "", "qi")]
    found = []
    for name in files.names(top):
        folder = f"{top}/{name}"
        names = files.names(folder)
        metadata = [entry for entry in names if _TILE_FILE.fullmatch(entry)]
        if not names:
            continue
        if len(metadata) != 1:
            raise SceneError(f"{files.path}/{folder}", f"{len(metadata)} files of tile metadata")
        images = f"{folder}/{_named(names, 'IMG_DATA') or 'IMG_DATA'}"
        quality = f"{folder}/{_named(names, 'QI_DATA') or 'QI_DATA'}"
        found.append(_Granule(folder, f"{folder}/{metadata[0]}", images, quality))
    if not found:
        raise SceneError(files.path, "no granule in the product")
    return found


def _choose(files: ProductFiles, tile: str | None) -> _Granule:
    granules = _granules(files)
    if len(granules) == 1:
        return granules[0]
    named = {granule_tile(granule.folder.rpartition("/")[2]): granule for granule in granules}
    if tile is None or tile not in named:
        tiles = ", ".join(sorted(str(name) for name in named))
        raise SceneError(files.path, f"tile {tile or 'not given'} among {tiles[:200]}")
    return named[tile]


def _bands(
    files: ProductFiles, granule: _Granule, product: ProductMetadata
) -> tuple[str, str, str, str]:
    red, green, blue, infrared = (_band(files, granule, product, band) for band in BANDS)
    return red, green, blue, infrared


def _band(files: ProductFiles, granule: _Granule, product: ProductMetadata, band: str) -> str:
    """Name of a band's 10 m image: as the product lists it, else as it is found."""
    fine = product.level is Level.L2A
    suffix = f"{band}_10m" if fine else band
    listed = [name for name in product.images if re.search(rf"(^|_|/){suffix}(\.jp2)?$", name)]
    for name in listed:
        stem = name.removesuffix(".jp2")
        folder, _, last = stem.rpartition("/")
        folders = [folder] if folder else [granule.images, f"{granule.images}/R10m"]
        for place in folders:
            candidate = f"{place}/{last}.jp2"
            if candidate.startswith(f"{granule.folder}/") and files.is_file(candidate):
                return candidate
    pattern = rf"(.*_)?{suffix}\.jp2" if not fine else rf"((.*_)?{suffix}|{band})\.jp2"
    found = _find(files, granule, "R10m" if fine else None, pattern)
    if len(found) == 1:
        return found[0]
    where = f"{files.path}/{granule.images}".rstrip("/")
    if found:
        raise SceneError(where, f"band {band} at 10 m is there {len(found)} times")
    raise SceneError(where, f"band {band} at 10 m is missing")


def _mask(
    files: ProductFiles, granule: _Granule, product: ProductMetadata
) -> tuple[str, MaskKind] | tuple[None, None]:
    """The scene's cloud mask: SCL at 20 m for L2A, else MSK_CLASSI, else MSK_CLOUDS."""
    if product.level is Level.L2A:
        pattern = r"((.*_)?SCL(_.*)?_20m|SCL)\.jp2"
        found = _find(files, granule, "R20m", pattern)
        return (found[0], MaskKind.SCL) if found else (None, None)
    names = files.names(granule.quality)
    for kind, wanted in _MASKS.items():
        for name in names:
            if wanted.fullmatch(name):
                return f"{granule.quality}/{name}", kind
    return None, None


def _find(
    files: ProductFiles, granule: _Granule, resolution: str | None, pattern: str
) -> list[str]:
    """Images of a granule by name, in the folder of a resolution or, in old products, above it."""
    images = granule.images
    folders = [images]
    if resolution is not None:
        inner = _named(files.names(images), resolution)
        if inner is not None:
            folders.insert(0, f"{images}/{inner}" if images else inner)
    for folder in folders:
        names = [name for name in files.names(folder) if re.fullmatch(pattern, name, re.IGNORECASE)]
        found = [f"{folder}/{name}" if folder else name for name in names]
        found = [name for name in found if files.is_file(name)]
        if found:
            return found
    return []


def _named(names: list[str], wanted: str) -> str | None:
    """A name as it is spelled there, whatever its case."""
    return next((name for name in names if name.upper() == wanted.upper()), None)
