"""Metadata of products and tiles: found with all its numbers sound, or named."""

import math

from tests.fuzz import mutators, sound
from transforms.assembly.products.metadata import parse_product, parse_tile
from transforms.elements import SceneError


def prepare(folder):
    safe, _ = sound.product(folder)
    found, others = sound.scenes(folder)
    assert len(found) == 1
    assert not others
    real = sound.shared("safe_metadata")
    files = sorted(real.rglob("*.xml")) if real else []
    return safe, found[0], [file for file in files if b"User_Product" in file.read_bytes()[:2000]]


def case(state, dice, folder, tell):
    safe, scene, real = state
    if real and dice.random() < 0.3:
        file = dice.choice(real)
        mutation = mutators.text(file.read_bytes(), dice)
        tell(f"{file.parent.name}/{file.name}: {mutation.what}")
        about = parse_product(mutation.data, "MTD.xml")
        assert about.level in ("L1C", "L2A")
        return "taken"
    file = dice.choice((safe / "MTD_MSIL1C.xml", next(safe.glob("GRANULE/*/MTD_TL.xml"))))
    mutation = mutators.text(file.read_bytes(), dice)
    tell(f"{file.name}: {mutation.what}")
    for parse in (parse_product, parse_tile):
        try:
            parse(mutation.data, file.name)
        except SceneError:  # the other kind of document, or spoiled
            continue
    found, others = sound.scenes(sound.archive_with(safe, folder, file, mutation.data))
    assert found or others, "the scene is gone, and nothing says so"
    if not found:
        return "refused"
    (one,) = found
    assert all(math.isfinite(number) for number in (one.quantification, *one.offsets))
    assert one.quantification > 0
    assert (one.tile, one.epsg) == (scene.tile, scene.epsg), "another tile"
    assert abs(one.cloud_cover) <= 100
    grid = [(of.ulx, of.uly, of.rows, of.cols) for of in (one, scene)]
    return "taken" if grid[0] == grid[1] else "another grid"  # which its bands will not fit
