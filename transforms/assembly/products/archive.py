"""Scenes of an archive: products in folders, arranged in any way, and in `.zip` files.

It may lie on a local disk or on object storage.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import NamedTuple

from transforms.elements import Level, Loss, Scene, SceneError, StorageError
from transforms.storage import storage
from transforms.storage.services import refused

from .candidates import ENDINGS, MAX_DEPTH, PassedOver, Wanted, candidates, within
from .metadata import ProductMetadata
from .naming import ProductName, is_other_kind, is_part_folder, parse_name, printable
from .passes import SAME_PASS, clear_enough, reduce_duplicates
from .product import granules, read_granule, read_product, tile_of
from .product_files import ProductFiles, open_products

STAGE = "catalogue"
"""Of the losses."""
_AT_A_TIME = 16
"""Products of object storage that are looked at together: each is a few short requests."""
_NAMED = 3
"""Of what is passed over for one reason, so many are named in its warning."""
_Looked = Scene | Loss | PassedOver


class Found(NamedTuple):
    """Scenes by tile, sensing and name; what cannot be used, by file; warnings, one line each."""

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
) -> Found:
    """Scenes of MGRS tiles (`33UUU`) in a period, both days included, up to a cloud cover.

    `archive` is a folder that holds products, in folders of any arrangement or in `.zip` files, or
    one product; `max_cloud` is in percent; `problem` tells why a scene cannot be used. What the
    name of a product, or of a folder around it, tells not to be wanted (another tile, day, level or
    satellite) is not opened. What may be wanted and is not looked into is in the warnings. Of a
    pass only what `reduce_duplicates` keeps counts, with its own cloud cover. Raises SceneError
    where the archive itself cannot be listed.
    """
    archive = archive.rstrip("/") if storage.is_url(archive) else os.path.abspath(archive)
    wanted = Wanted(frozenset(tiles), start, end, level)

    def look(found: str | PassedOver | SceneError) -> list[_Looked]:
        return list(_look(found, wanted, problem))

    with ThreadPoolExecutor(_AT_A_TIME if storage.is_url(archive) else 1) as pool:
        looked = [one for found in pool.map(look, _candidates(archive, wanted)) for one in found]
    looked = list(dict.fromkeys(looked))  # links lead to the same place twice
    scenes = [one for one in looked if isinstance(one, Scene)]
    losses = [one for one in looked if isinstance(one, Loss)]
    passed = [one for one in looked if isinstance(one, PassedOver)]
    return Found(
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
            raise SceneError(archive, "not a readable archive: no such folder")
    except StorageError as error:
        raise SceneError(archive, f"not a readable archive: {error.reason}") from error
    for found in candidates(archive, wanted):
        if isinstance(found, SceneError) and found.file == archive:
            raise SceneError(archive, f"not a readable archive: {found.reason}")
        yield found


def _look(
    found: str | PassedOver | SceneError,
    wanted: Wanted,
    problem: Callable[[Scene], str | None],
    above: tuple[str, ...] = (),
) -> Iterator[_Looked]:
    """Scenes of what may be a product, and what cannot be used of it; nothing if its name says so.

    A folder around products is looked into, and so is what is named as a product within another;
    `above` are the folders that it lies in, links followed.
    """
    if isinstance(found, PassedOver):
        yield found
        return
    if isinstance(found, SceneError):
        yield _loss(found)
        return
    name = parse_name(storage.name(found).lstrip("."))
    place = found if storage.is_url(found) else os.path.realpath(found)
    if not wanted.by_name(name) or place in above:
        return
    if len(above) > MAX_DEPTH:
        yield PassedOver(found, f"a folder that is not searched (at most {MAX_DEPTH} deep)")
        return
    tile = (name.tile or "") if name else ""
    try:
        products = open_products(found)
    except SceneError as error:
        yield _loss(error, tile)
        return
    inner: list[str | PassedOver | SceneError] = []
    anything = False
    if not products:
        inner += candidates(found, wanted)
        anything = bool(inner) and not tile
    for files in products:
        around = name if len(products) == 1 else None
        for scene in _scenes_in(files, around, wanted, problem):
            anything = True
            yield scene
        if files.in_folder and (name or found.lower().endswith(ENDINGS)):
            names = [entry for entry in files.names("") if not is_part_folder(entry)]
            entries = {entry: not files.is_file(entry) for entry in names}
            inner += within(found, entries, wanted)
    for product in inner:
        for one in _look(product, wanted, problem, (*above, place)):
            anything = True
            yield one
    if not anything and (tile or not products):
        reason = "no product in it, expected MTD_MSIL1C.xml or MTD_MSIL2A.xml"
        if products or inner:
            reason = f"its name says that it holds a product of {tile}, but none is in it"
        yield _loss(SceneError(found, reason), tile)


def _scenes_in(
    files: ProductFiles,
    around: ProductName | None,
    wanted: Wanted,
    problem: Callable[[Scene], str | None],
) -> Iterator[Scene | Loss]:
    """Scenes of one product; `around` is the name of the archive that holds it alone."""
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
            raise SceneError(files.path, f"its name says tile {only}, but it holds {others[:80]}")
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
    """Raises SceneError where a product's name, its PRODUCT_URI and its metadata tell two products.

    `tiles` are those that it holds; `name` is already known to tell one of them.
    """
    uri = parse_name(product.product_id)
    if uri and uri.tile and uri.tile not in tiles:
        holds = ", ".join(sorted(tiles))[:80]
        raise SceneError(files.path, f"its PRODUCT_URI says tile {uri.tile}, but it holds {holds}")
    satellite = product.satellite
    for whose, given in (("name", name), ("PRODUCT_URI", uri)):
        if given is None:
            continue
        satellite = satellite or given.satellite
        told = (given.level, given.satellite, f"{given.sensing:%Y-%m-%d}")
        found = (product.level, satellite, f"{product.sensing:%Y-%m-%d}")
        apart = given.tile is not None and abs(product.sensing - given.sensing) >= SAME_PASS
        if told[:2] != found[:2] or apart:
            raise SceneError(
                files.path,
                f"its metadata say {' '.join(found)}, its {whose} says {' '.join(told)}: "
                "one of them is wrong",
            )


def _loss(error: SceneError | StorageError, tile: str = "") -> Loss:
    if keys_error := refused(error):  # then nothing can be read
        raise keys_error
    return Loss(STAGE, tile, printable(error.reason), file=printable(error.file))


def _warnings(passed: Iterable[PassedOver], scenes: Collection[str]) -> list[str]:
    """One line for each reason; a product that is used anyway is not worth one."""
    by_reason: dict[str, list[str]] = {}
    for one in sorted(passed, key=lambda one: (one.reason, one.path)):
        name = parse_name(storage.name(one.path).lstrip("."))
        if name is None or name.text not in scenes:
            by_reason.setdefault(one.reason, []).append(printable(one.path))
    return [
        f"passed over, {reason}: {', '.join(paths[:_NAMED])}"
        + (f" and {len(paths) - _NAMED} more" if len(paths) > _NAMED else "")
        for reason, paths in by_reason.items()
    ]
