"""Finds scenes in an archive: products in folders of any arrangement, and in `.zip` files.

The archive may be on a local disk or on object storage.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import NamedTuple

from transforms.elements import Level, Loss, Scene, SceneError, StorageError
from transforms.storage import storage

from .candidates import ENDINGS, MAX_DEPTH, PassedOver, Wanted, candidates, within
from .metadata import ProductMetadata
from .naming import ProductName, is_other_kind, is_part_folder, parse_name, printable
from .passes import SAME_PASS, clear_enough, reduce_duplicates
from .product import granules, read_granule, read_product, tile_of
from .product_files import ProductFiles, open_products

STAGE = "catalogue"
"""Stage of the losses."""
_AT_A_TIME = 16
"""Products on object storage that are opened in parallel; each takes a few short requests."""
_NAMED = 3
"""For each reason, a warning names so many of the skipped products."""
_Result = Scene | Loss | PassedOver


class FoundScenes(NamedTuple):
    """Scenes sorted by tile, sensing and name; losses sorted by file; warnings, one line each."""

    scenes: list[Scene]
    losses: list[Loss]
    warnings: list[str]


def find_scenes(
    archive: str,
    tiles: Collection[str],
    start: date,
    end: date,
    level: Level,
    max_cloud: float,
    problem: Callable[[Scene], str | None] = lambda scene: None,
) -> FoundScenes:
    """Find the scenes of MGRS tiles in a period, up to a cloud cover.

    A product is not opened if its name, or that of a folder around it, shows another tile, day,
    level or satellite. Warnings name everything that may be wanted but is not searched. In each
    pass only the products that `reduce_duplicates` keeps count, with their own cloud cover.

    Args:
        archive: a folder of products, in folders of any arrangement or in `.zip` files; or one
            product.
        tiles: MGRS tiles (`33UUU`).
        start: first day.
        end: last day, included.
        level: processing level.
        max_cloud: largest cloud cover in percent.
        problem: gives the reason why a scene cannot be used, or None.

    Raises:
        SceneError: the archive itself cannot be listed.
    """
    archive = archive.rstrip("/") if storage.is_url(archive) else os.path.abspath(archive)
    wanted = Wanted(frozenset(tiles), start, end, level)

    def look(entry: str | PassedOver | SceneError) -> list[_Result]:
        return list(_look(entry, wanted, problem))

    with ThreadPoolExecutor(_AT_A_TIME if storage.is_url(archive) else 1) as pool:
        results = [
            result for group in pool.map(look, _candidates(archive, wanted)) for result in group
        ]
    results = list(dict.fromkeys(results))  # two links may lead to the same place
    scenes = [result for result in results if isinstance(result, Scene)]
    losses = [result for result in results if isinstance(result, Loss)]
    passed = [result for result in results if isinstance(result, PassedOver)]
    return FoundScenes(
        clear_enough(reduce_duplicates(scenes), max_cloud),
        sorted(losses, key=lambda loss: (loss.file, loss.tile, loss.reason)),
        _warnings(passed, {scene.id for scene in scenes}),
    )


def _candidates(archive: str, wanted: Wanted) -> Iterator[str | PassedOver | SceneError]:
    if archive.lower().endswith(ENDINGS):
        yield archive
        return
    try:
        if not storage.is_folder(archive):
            raise SceneError(archive, "cannot be read as an archive: there is no such folder")
    except StorageError as error:
        raise SceneError(archive, f"cannot be read as an archive: {error.reason}") from error
    for entry in candidates(archive, wanted):
        if isinstance(entry, SceneError) and entry.file == archive:
            raise SceneError(archive, f"cannot be read as an archive: {entry.reason}")
        yield entry


def _look(
    entry: str | PassedOver | SceneError,
    wanted: Wanted,
    problem: Callable[[Scene], str | None],
    above: tuple[str, ...] = (),
) -> Iterator[_Result]:
    """Scenes and losses of a candidate; nothing if its name shows that it is not wanted.

    A folder around products is searched, and so is a product inside another product. `above` are
    the folders around it, with links followed.
    """
    if isinstance(entry, PassedOver):
        yield entry
        return
    if isinstance(entry, SceneError):
        yield _loss(entry)
        return
    name = parse_name(storage.name(entry).lstrip("."))
    place = entry if storage.is_url(entry) else os.path.realpath(entry)
    if not wanted.by_name(name) or place in above:
        return
    if len(above) > MAX_DEPTH:
        yield PassedOver(entry, f"a folder that is not searched (at most {MAX_DEPTH} deep)")
        return
    tile = (name.tile or "") if name else ""
    try:
        products = open_products(entry)
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
        for scene in _scenes_in(files, around, wanted, problem):
            has_any = True
            yield scene
        if files.in_folder and (name or entry.lower().endswith(ENDINGS)):
            names = [item for item in files.names("") if not is_part_folder(item)]
            entries = {item: not files.is_file(item) for item in names}
            inner += within(entry, entries, wanted)
    for product in inner:
        for result in _look(product, wanted, problem, (*above, place)):
            has_any = True
            yield result
    if not has_any and (tile or not products):
        reason = "contains no product, expected MTD_MSIL1C.xml or MTD_MSIL2A.xml"
        if products or inner:
            reason = f"is named as a product of tile {tile}, but contains none"
        yield _loss(SceneError(entry, reason), tile)


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
                files.path, f"is named as tile {only}, but contains tile {others[:80]}"
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
            scene = read_granule(files, product, granule, tile)
        except (SceneError, StorageError) as error:
            yield _loss(error, tile)
            continue
        reason = problem(scene)
        if reason is None:
            yield scene
        else:
            yield Loss(STAGE, tile, reason, scene.id, scene.path)


def _check_names(
    files: ProductFiles, name: ProductName | None, product: ProductMetadata, tiles: set[str]
) -> None:
    """Raise SceneError if a product's name, PRODUCT_URI and metadata describe two products.

    `tiles` are the tiles in it; `name` is already known to name one of them.
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
    return Loss(STAGE, tile, printable(error.reason), file=printable(error.file))


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
