"""Reads the scenes of a catalogue: the metadata of each candidate, in the same way for all kinds.

So the same products give the same scenes in the same order from every catalogue.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date
from typing import NamedTuple

from transforms.assembly.products.candidates import ENDINGS, MAX_DEPTH, candidates, within
from transforms.assembly.products.metadata import ProductMetadata
from transforms.assembly.products.naming import (
    ProductName,
    is_other_kind,
    is_part_folder,
    parse_name,
    printable,
)
from transforms.assembly.products.passes import SAME_PASS, clear_enough, reduce_duplicates
from transforms.assembly.products.product import granules, read_granule, read_product, tile_of
from transforms.assembly.products.product_files import ProductFiles, open_products
from transforms.elements import (
    BANDS,
    Cause,
    Level,
    Loss,
    Scene,
    SceneError,
    SourceFile,
    StorageError,
    cause_of,
)
from transforms.storage import storage
from transforms.storage.gdal_access import location_of
from transforms.storage.services import refused

from .archive import Archive
from .catalogue import Answer, Candidate, Catalogue, LeftOut, PassedOver, Wanted
from .worth_reading import STAGE, worth_reading

_NAMED = 3
"""Largest number of skipped products that a warning names, for each reason."""
_Result = Scene | Loss | PassedOver


class _NotNow(Loss):
    """A loss because the storage of a product does not answer now."""

    __slots__ = ()


class FoundScenes(NamedTuple):
    """The scenes of a catalogue, and everything that is not used.

    Attributes:
        scenes: the scenes, sorted by tile, sensing and name.
        losses: products that cannot be used, sorted by file.
        warnings: what was not searched but may contain wanted products, one line for each reason.
        left_out: whole products that are not used, sorted by name, each with its reason.
    """

    scenes: list[Scene]
    losses: list[Loss]
    warnings: list[str]
    left_out: list[LeftOut]


def find_scenes(
    archive: str,
    tiles: Collection[str],
    start: date,
    end: date,
    level: Level,
    max_cloud: float,
    problem: Callable[[Scene], str | None] = lambda scene: None,
    bands: tuple[str, ...] = BANDS,
) -> FoundScenes:
    """Find the scenes of an archive; see `scenes_of`.

    Args:
        archive: a folder of products, in folders of any arrangement or in `.zip` files; or one
            product. A local path or a URL.
        tiles: MGRS tiles, such as `33UUU`.
        start: first day.
        end: last day.
        level: processing level.
        max_cloud: largest cloud cover of a scene in percent.
        problem: gives the reason why a scene cannot be used, or None.
        bands: the bands of each scene, `BANDS` or `TEN_BANDS`.

    Raises:
        SceneError: the archive itself cannot be listed.
    """
    wanted = Wanted(frozenset(tiles), start, end, level, max_cloud, bands)
    return scenes_of(Archive(archive), wanted, problem)


def scenes_of(
    catalogue: Catalogue,
    wanted: Wanted,
    problem: Callable[[Scene], str | None] = lambda scene: None,
) -> FoundScenes:
    """Find the scenes of MGRS tiles in a period, both days included, up to a cloud cover.

    A product is not opened if its name, or that of a folder around it, shows another tile, day,
    level or satellite. Warnings name everything that is not searched but may be wanted. In each
    pass only the products that `reduce_duplicates` keeps count, with their own cloud cover.

    Args:
        catalogue: the catalogue to ask.
        wanted: the products to ask for.
        problem: gives the reason why a scene cannot be used, or None.

    Raises:
        SceneError: the catalogue itself cannot be searched.
        StorageError: it does not answer now, or no storage with usable products answers.
    """
    named, unread = worth_reading(catalogue.search(wanted), wanted)

    def look(answer: Answer) -> list[_Result]:
        return list(_look(answer, wanted, problem))

    with ThreadPoolExecutor(catalogue.products_at_once) as pool:
        results = [result for group in pool.map(look, named) for result in group]
    results = list(dict.fromkeys(results))  # two links may lead to the same place
    scenes = [result for result in results if isinstance(result, Scene)]
    losses = [result for result in (*results, *unread) if isinstance(result, Loss)]
    later = [loss for loss in losses if isinstance(loss, _NotNow)]
    if later and not scenes:
        first = min(later, key=lambda loss: loss.file)
        raise StorageError(first.file, f"{first.reason}: run again later", passing=True)
    passed = [result for result in results if isinstance(result, PassedOver)]
    kept = reduce_duplicates(scenes)
    clear = clear_enough(kept, wanted.max_cloud)
    outdated, cloudy = set(scenes).difference(kept), set(kept).difference(clear)
    left_out = [one for one in unread if isinstance(one, LeftOut)]
    left_out += [LeftOut.of(scene, "another processing or copy is used") for scene in outdated]
    left_out += [LeftOut.of(scene, _too_cloudy(scene, wanted)) for scene in cloudy]
    return FoundScenes(
        clear,
        sorted(losses, key=lambda loss: (loss.file, loss.tile, loss.reason)),
        _warnings(passed, {scene.id for scene in scenes}),
        sorted(left_out, key=lambda one: (one.tile, one.name, one.location)),
    )


def _too_cloudy(scene: Scene, wanted: Wanted) -> str:
    if scene.cloud_cover > wanted.max_cloud:
        return f"cloud cover {scene.cloud_cover:.3g} %, at most {wanted.max_cloud:g} %"
    return "an older processing of a scene that is too cloudy"


def _look(
    answer: Answer,
    wanted: Wanted,
    problem: Callable[[Scene], str | None],
    above: tuple[str, ...] = (),
) -> Iterator[_Result]:
    """Scenes and losses of a candidate; nothing if its name shows that it is not wanted.

    A folder around products is searched, and so is a product inside another product. `above` are
    the folders around it, with links followed.
    """
    if isinstance(answer, PassedOver):
        yield answer
        return
    if isinstance(answer, SceneError):
        yield _loss(answer)
        return
    entry = answer.location
    name = parse_name(answer.name or storage.name(entry).lstrip("."))
    place = entry if storage.is_url(entry) else os.path.realpath(entry)
    if not wanted.by_name(name) or place in above:
        return
    if len(above) > MAX_DEPTH:
        yield PassedOver(entry, f"at most {MAX_DEPTH} levels of folders are searched")
        return
    tile = (name.tile or "") if name else ""
    try:
        products = [answer.files] if answer.files else open_products(entry)
    except SceneError as error:
        yield _loss(error, tile)
        return
    inner: list[str | PassedOver | SceneError] = []
    has_any = False
    if not products:
        inner += candidates(entry, wanted)
        has_any = bool(inner) and not tile
    for files in products:
        around = name if len(products) == 1 else None
        for result in _scenes_in(files, around, wanted, problem):
            has_any = True
            yield _with_checksums(result, answer) if isinstance(result, Scene) else result
        if files.in_folder and (name or entry.lower().endswith(ENDINGS)):
            names = [item for item in files.names("") if not is_part_folder(item)]
            entries = {item: not files.is_file(item) for item in names}
            inner += within(entry, entries, wanted)
    for product in inner:
        below = Candidate(product) if isinstance(product, str) else product
        for inner_result in _look(below, wanted, problem, (*above, place)):
            has_any = True
            yield inner_result
    if not has_any and (tile or not products):
        reason = "contains no product, expected MTD_MSIL1C.xml or MTD_MSIL2A.xml"
        if products or inner:
            reason = f"has the name of a product of tile {tile}, but contains no product"
        yield _loss(SceneError(entry, reason), tile)


def _with_checksums(scene: Scene, candidate: Candidate) -> Scene:
    """The scene, with the checksums that its catalogue has of its files."""
    files = candidate.files

    def place(name: str) -> str:
        return location_of(files.gdal_path(name)) if files else f"{candidate.location}/{name}"

    sums = {place(name): checksum for name, checksum in candidate.checksums}

    def known(file: SourceFile) -> SourceFile:
        return replace(file, checksum=sums.get(file.location, file.checksum))

    mask = scene.mask_file
    return replace(
        scene,
        band_files=tuple(known(file) for file in scene.band_files),
        mask_file=known(mask) if mask else None,
        mask_band_files=tuple(known(file) for file in scene.mask_band_files),
    )


def _scenes_in(
    files: ProductFiles,
    around: ProductName | None,
    wanted: Wanted,
    problem: Callable[[Scene], str | None],
) -> Iterator[Scene | Loss]:
    """Scenes of one product; `around` is the name of the archive that contains only it."""
    name = parse_name(files.name) or around
    if is_other_kind(files.name) or not wanted.by_name(name):
        return
    if not wanted.by_parts(files.name, files.names("")):
        return
    only = name.tile if name else None
    expected = frozenset((only,)) if only else wanted.tiles
    try:
        whole, faults = granules(files)
        tiles = [(granule, tile_of(files, granule)) for granule in whole]
        here = [(granule, tile) for granule, tile in tiles if tile in expected]
        lost = [fault for fault in faults if fault.tile is None or fault.tile in expected]
        yield from (_loss(fault, fault.tile or only or "") for fault in lost)
        if only and not here and not lost:
            others = ", ".join(sorted({tile for _, tile in tiles}))
            raise SceneError(
                files.path,
                f"has the name of a product of tile {only}, but contains tile {others[:80]}",
            )
        if not here:
            return
        product = read_product(files)
        _check_names(files, name, product, {tile for _, tile in tiles})
    except (SceneError, StorageError) as error:
        yield _loss(error, only or "")
        return
    if product.level is not wanted.level or not wanted.on(product.sensing):
        return
    for granule, tile in here:
        try:
            scene = read_granule(files, product, granule, tile, wanted.bands, wanted.mask_bands)
        except (SceneError, StorageError) as error:
            yield _loss(error, tile)
            continue
        reason = problem(scene)
        if reason is None:
            yield scene
        else:
            yield Loss(STAGE, tile, reason, scene.id, scene.path, cause=Cause.DAMAGED)


def _check_names(
    files: ProductFiles, name: ProductName | None, product: ProductMetadata, tiles: set[str]
) -> None:
    """Raise SceneError if a product's name, PRODUCT_URI and metadata describe two products.

    `tiles` are the tiles in it; the tile in `name` was already found to be one of them.
    """
    uri = parse_name(product.product_id)
    if uri and uri.tile and uri.tile not in tiles:
        inside = ", ".join(sorted(tiles))[:80]
        raise SceneError(
            files.path, f"has tile {uri.tile} in its PRODUCT_URI, but contains tile {inside}"
        )
    satellite = product.satellite
    for source, given in (("name", name), ("PRODUCT_URI", uri)):
        if given is None:
            continue
        satellite = satellite or given.satellite
        named = (given.level, given.satellite, f"{given.sensing:%Y-%m-%d}")
        actual = (product.level, satellite, f"{product.sensing:%Y-%m-%d}")
        apart = given.tile is not None and abs(product.sensing - given.sensing) >= SAME_PASS
        if named[:2] != actual[:2] or apart:
            raise SceneError(
                files.path,
                f"its metadata says {' '.join(actual)}, but its {source} says {' '.join(named)}; "
                "one of them is wrong",
            )


def _loss(error: SceneError | StorageError, tile: str = "") -> Loss:
    if keys_error := refused(error):  # nothing else can be read then
        raise keys_error
    kind = _NotNow if _does_not_answer(error) else Loss
    reason, file = printable(error.reason), printable(error.file)
    return kind(STAGE, tile, reason, file=file, cause=cause_of(error))


def _does_not_answer(error: BaseException | None) -> bool:
    """Whether an error, or one of its causes, is a storage that does not answer now."""
    while error is not None:
        if isinstance(error, StorageError) and error.passing:
            return True
        error = error.__cause__
    return False


def _warnings(passed: Iterable[PassedOver], scenes: Collection[str]) -> list[str]:
    """One line for each reason; a product that is used from elsewhere needs none."""
    by_reason: dict[str, list[str]] = {}
    for one in sorted(passed, key=lambda one: (one.reason, one.path)):
        name = parse_name(storage.name(one.path).lstrip("."))
        if name is None or name.text not in scenes:
            by_reason.setdefault(one.reason, []).append(printable(one.path))
    return [
        f"skipped, {reason}: {', '.join(paths[:_NAMED])}"
        + (f" and {len(paths) - _NAMED} more" if len(paths) > _NAMED else "")
        for reason, paths in by_reason.items()
    ]
