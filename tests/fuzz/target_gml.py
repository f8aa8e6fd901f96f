"""Cloud masks of polygons: drawn, or refused."""

import zipfile

from tests.fuzz import mutators, sound
from transforms.assembly.masks.product import read_mask
from transforms.elements import part_of


def prepare(folder):
    safe, _ = sound.product(folder)
    mask = next(safe.glob("GRANULE/*/QI_DATA/*.gml"))
    (scene,), _ = sound.scenes(folder)
    assert read_mask(scene, part_of(scene.grid, sound.WHOLE)).any()
    real = sound.shared("safe_products")
    texts = [mask.read_bytes()]
    if real:
        for archive in sorted(real.glob("*.zip")):
            with zipfile.ZipFile(archive) as opened:
                texts += [
                    opened.read(name)
                    for name in opened.namelist()
                    if "MSK_CLOUDS" in name and name.endswith(".gml")
                ]
    return safe, mask, [text for text in texts if len(text) > 1000] or texts


def case(state, dice, folder, tell):
    safe, mask, texts = state
    data = dice.choice((texts[0], dice.choice(texts)))
    kind = dice.random()
    if kind < 0.15:
        data, what = _many(data, dice)
        tell(what)
    else:
        mutation = mutators.text(data, dice)
        data = mutation.data
        tell(mutation.what)
    archive = sound.archive_with(safe, folder, mask, data)
    found, others = sound.scenes(archive)
    assert found or others, "the scene is gone, and nothing says so"
    if not found:
        return "refused"
    drawn = read_mask(found[0], part_of(found[0].grid, sound.WHOLE))
    assert drawn.shape == sound.WHOLE.shape
    assert drawn.dtype == bool
    return "drawn"


def _many(data, dice):
    """Many vertices anywhere, or many polygons of much overlap, in some megabytes at most."""
    west, south = sound.ULX, sound.ULY - 10 * sound.ROWS
    points = [
        f"{dice.uniform(west, west + 7800):.1f} {dice.uniform(south, sound.ULY):.1f}"
        for _ in range(dice.choice((500, 5000, 20000)))
    ]
    ring = " ".join((*points, points[0]))
    old = sound.CLOUD.encode()
    if old not in data:
        return data, "as it is"
    return data.replace(old, ring.encode(), dice.choice((1, -1))), f"{len(points)} random vertices"
