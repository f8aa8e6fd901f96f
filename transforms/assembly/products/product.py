"""Reads a Sentinel-2 product in an archive into a Scene.

Layouts: compact SAFE (since 2016-12-06), the older SAFE with several granules, and the AWS tile
layout with the product's metadata beside the tile; in folders and in zip archives. Images come from
the product's list; if it has none, they are searched by name.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from transforms.elements import (
    BANDS,
    BANDS_20M,
    BANDS_60M,
    Level,
    MaskKind,
    Scene,
    SceneError,
    fingerprint,
)
from transforms.storage import storage

from .metadata import MAX_XML_BYTES, ProductMetadata, parse_product, parse_tile
from .naming import granule_tile
from .product_files import ProductFiles, open_products, product_file, unsafe

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
class Granule:
    """One tile in a product: its folder ("" in the AWS layout), metadata and image folder."""

    folder: str
    tile_file: str
    images: str
    quality: str

    @property
    def tile(self) -> str | None:
        """MGRS tile in the folder's name; None if it has none."""
        return granule_tile(self.folder.rpartition("/")[2])


class GranuleError(SceneError):
    """A granule cannot be used; `tile` is the MGRS tile in its name, None if it has none."""

    def __init__(self, file: str, reason: str, tile: str | None) -> None:
        super().__init__(file, reason)
        self.tile = tile

    def __reduce__(self) -> tuple[type[SceneError], tuple[str, str]]:
        return SceneError, (self.file, self.reason)


def product_tiles(path: str) -> tuple[str, ...]:
    """MGRS tiles of a product, from the names of its granules or else their metadata; sorted.

    Raises:
        SceneError: the product cannot be read.
    """
    files = only_product(path)
    whole, faults = granules(files)
    for fault in faults:
        raise fault
    return tuple(sorted({tile_of(files, granule) for granule in whole}))


def read_scene(
    path: str,
    tile: str | None = None,
    bands: Sequence[str] = BANDS,
    mask_bands: Sequence[str] = (),
) -> Scene:
    """Read a product into a Scene; no image is decoded.

    Args:
        path: a folder or a `.zip`.
        tile: the wanted tile, if an older product has several.
        bands: the wanted bands: `BANDS` or `TEN_BANDS`.
        mask_bands: the bands that the mask needs: `S2CLOUDLESS_BANDS` or none.

    Raises:
        SceneError: metadata or a band are missing, broken or unsafe.
    """
    files = only_product(path)
    product = read_product(files)
    return read_granule(files, product, _choose(files, tile), tile, bands, mask_bands)


def only_product(path: str) -> ProductFiles:
    """The files of the only product at `path`, or in a folder around it; SceneError if not one."""
    products = open_products(path)
    if not products:
        inner = [name for name in storage.contents(path) if name.lower().endswith(".safe")]
        products = [files for name in inner for files in open_products(storage.join(path, name))]
    if len(products) != 1:
        raise SceneError(path, f"contains {len(products)} products, expected one")
    return products[0]


def tile_of(files: ProductFiles, granule: Granule) -> str:
    """MGRS tile of a granule, from its name or else its metadata; SceneError if unknown."""
    if granule.tile is not None:
        return granule.tile
    xml = files.read(granule.tile_file, MAX_XML_BYTES)
    return parse_tile(xml, files.gdal_path(granule.tile_file)).tile


def read_product(files: ProductFiles) -> ProductMetadata:
    """The product's own metadata; SceneError if it is missing, broken or unsafe.

    The offsets are those of the pixels: 0 if they were applied after the metadata was written.
    """
    name = product_file(files)
    product = parse_product(files.read(name, MAX_XML_BYTES), files.gdal_path(name))
    for listed in product.images:
        reason = unsafe(listed)
        if reason:
            raise SceneError(files.gdal_path(name), f"has {reason}: {listed[:120]!r}")
    if files.offset_applied:
        return replace(product, offsets=dict.fromkeys(product.offsets, 0.0))
    return product


def read_granule(
    files: ProductFiles,
    product: ProductMetadata,
    granule: Granule,
    tile: str | None,
    wanted: Sequence[str] = BANDS,
    for_mask: Sequence[str] = (),
) -> Scene:
    """Read one tile of a product into a Scene with the `wanted` bands, and those `for_mask`.

    It must be `tile`, if that is given.

    Raises:
        SceneError: metadata or a band are missing, broken or unsafe.
    """
    tile_path = files.gdal_path(granule.tile_file)
    place = parse_tile(files.read(granule.tile_file, MAX_XML_BYTES), tile_path)
    if place.level is not product.level:
        raise SceneError(
            tile_path, f"has level {place.level}, but its product has level {product.level}"
        )
    if tile is not None and place.tile != tile:
        raise SceneError(tile_path, f"has tile {place.tile}, expected {tile}")
    cloud_cover = product.cloud_cover if product.cloud_cover is not None else place.cloud_cover
    if cloud_cover is None:
        raise SceneError(files.gdal_path(product_file(files)), "has no Cloud_Coverage_Assessment")
    without = [band for band in (*wanted, *for_mask) if band not in product.offsets]
    if without:
        raise SceneError(
            files.gdal_path(product_file(files)), f"has no offset for {', '.join(without)}"
        )
    bands = tuple(_band(files, granule, product, band, False) for band in wanted)
    mask_bands = tuple(_band(files, granule, product, band, True) for band in for_mask)
    every = tuple(dict.fromkeys((*bands, *mask_bands)))
    mask, kind = _mask(files, granule, product)
    stem = re.sub(r"(\.SAFE|\.zip)+$", "", files.name, flags=re.IGNORECASE)
    return Scene(
        id=product.product_id or stem,
        path=files.path,
        tile=place.tile,
        level=product.level,
        baseline=product.baseline,
        sensing=product.sensing,
        cloud_cover=cloud_cover,
        quantification=product.quantification,
        offsets=tuple(product.offsets[band] for band in wanted),
        bands=tuple(files.gdal_path(name) for name in bands),
        mask=files.gdal_path(mask) if mask else None,
        mask_kind=kind,
        epsg=place.epsg,
        ulx=place.ulx,
        uly=place.uly,
        rows=place.rows,
        cols=place.cols,
        size=files.size(every),
        satellite=product.satellite,
        datastrip=place.datastrip,
        files=_files(files, every, mask, kind),
        band_files=tuple(files.source(name) for name in bands),
        mask_file=files.source(mask) if mask else None,
        mask_bands=tuple(files.gdal_path(name) for name in mask_bands),
        mask_offsets=tuple(product.offsets[band] for band in for_mask),
        mask_band_files=tuple(files.source(name) for name in mask_bands),
        footprint=product.footprint,
    )


def _files(
    files: ProductFiles, bands: tuple[str, ...], mask: str | None, kind: MaskKind | None
) -> str:
    """`Scene.files`; it contains no file times, so that a copy of an archive gives the same."""
    marks = [[name, files.mark(name)] for name in bands]
    if mask is not None:
        marks.append([mask, str(kind), files.mark(mask, small=kind is MaskKind.CLOUDS_GML)])
    return fingerprint(marks)


def granules(files: ProductFiles) -> tuple[list[Granule], list[GranuleError]]:
    """The complete granules of a product in the order of names, and errors of the others.

    Files that a system or a person put beside the granules are ignored.

    Raises:
        SceneError: the product has no granule at all.
    """
    top = _named(files.names(""), "GRANULE")
    if top is None:
        if "metadata.xml" not in files.names(""):
            raise SceneError(files.path, "has neither GRANULE nor metadata.xml in its folder")
        return [Granule("", "metadata.xml", "", "qi")], []
    whole: list[Granule] = []
    faults: list[GranuleError] = []
    for name in files.names(top):
        folder = f"{top}/{name}"
        reason = unsafe(name)
        if reason is None and (name.startswith((".", "@")) or files.is_file(folder)):
            continue
        names = files.names(folder) if reason is None else []
        metadata = [entry for entry in names if _TILE_FILE.fullmatch(entry)]
        images, quality = (_named(names, inner) for inner in ("IMG_DATA", "QI_DATA"))
        if reason is None and len(metadata) == 1:
            where = (f"{folder}/{images or 'IMG_DATA'}", f"{folder}/{quality or 'QI_DATA'}")
            whole.append(Granule(folder, f"{folder}/{metadata[0]}", *where))
        elif reason or granule_tile(name) or images or quality:
            fault = (
                "is an empty granule" if not names else f"has {len(metadata)} tile metadata files"
            )
            faults.append(
                GranuleError(
                    f"{files.path}/{folder}",
                    f"has {reason}" if reason else fault,
                    granule_tile(name),
                )
            )
    if not whole and not faults:
        raise SceneError(files.path, "has no granule")
    return whole, faults


def _choose(files: ProductFiles, tile: str | None) -> Granule:
    whole, faults = granules(files)
    for fault in faults:
        if fault.tile in (None, tile):
            raise fault
    if len(whole) == 1:
        return whole[0]
    named = [granule for granule in whole if granule.tile == tile]
    if tile is None or len(named) != 1:
        tiles = ", ".join(sorted(str(granule.tile) for granule in whole))
        wanted = f"expected one of tile {tile}" if tile else "name the tile that you need"
        raise SceneError(files.path, f"has granules of {tiles[:200]}; {wanted}")
    return named[0]


def _band(
    files: ProductFiles, granule: Granule, product: ProductMetadata, band: str, for_mask: bool
) -> str:
    """Name of a band's finest image, from the product's list or else found by its name."""
    metres = 20 if band in BANDS_20M else 60 if band in BANDS_60M else 10
    folder_name = f"R{metres}m" if product.level is Level.L2A else None
    suffix = f"{band}_{metres}m" if folder_name else band
    listed = [name for name in product.images if re.search(rf"(^|_|/){suffix}(\.jp2)?$", name)]
    for name in listed:
        stem = name.removesuffix(".jp2")
        folder, _, last = stem.rpartition("/")
        folders = [folder] if folder else [granule.images, f"{granule.images}/R{metres}m"]
        for place in folders:
            candidate = f"{place}/{last}.jp2"
            if candidate.startswith(f"{granule.folder}/") and files.is_file(candidate):
                return candidate
    pattern = rf"((.*_)?{suffix}|{band})\.jp2" if folder_name else rf"(.*_)?{suffix}\.jp2"
    names = _find(files, granule, folder_name, pattern)
    if len(names) == 1:
        return names[0]
    where = f"{files.path}/{granule.images}".rstrip("/")
    if names:
        raise SceneError(
            where, f"has {len(names)} images of band {band} at {metres} m, expected one"
        )
    needed = ", which composite.bands: ten needs" if band in BANDS_20M else ""
    if for_mask:
        needed = ", which masks.method: s2cloudless needs"
    raise SceneError(where, f"has no image of band {band} at {metres} m{needed}")


def _mask(
    files: ProductFiles, granule: Granule, product: ProductMetadata
) -> tuple[str, MaskKind] | tuple[None, None]:
    """The scene's cloud mask: SCL at 20 m for L2A, else MSK_CLASSI, else MSK_CLOUDS."""
    if product.level is Level.L2A:
        pattern = r"((.*_)?SCL(_.*)?_20m|SCL)\.jp2"
        names = _find(files, granule, "R20m", pattern)
        return (names[0], MaskKind.SCL) if names else (None, None)
    names = files.names(granule.quality)
    for kind, wanted in _MASKS.items():
        for name in names:
            if wanted.fullmatch(name):
                return f"{granule.quality}/{name}", kind
    return None, None


def _find(files: ProductFiles, granule: Granule, resolution: str | None, pattern: str) -> list[str]:
    """Images of a granule by name, in the folder of a resolution or, in old products, above it."""
    images = granule.images
    folders = [images]
    if resolution is not None:
        inner = _named(files.names(images), resolution)
        if inner is not None:
            folders.insert(0, f"{images}/{inner}" if images else inner)
    for folder in folders:
        names = [name for name in files.names(folder) if re.fullmatch(pattern, name, re.IGNORECASE)]
        paths = [f"{folder}/{name}" if folder else name for name in names]
        images_here = [path for path in paths if files.is_file(path)]
        if images_here:
            return images_here
    return []


def _named(names: list[str], wanted: str) -> str | None:
    """A name in its actual spelling, whatever its case."""
    return next((name for name in names if name.upper() == wanted.upper()), None)
