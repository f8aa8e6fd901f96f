"""Products in a zip, whose members have checksums: the pixels are those packed, or it is named."""

import io
import zipfile

import numpy as np

from tests.fuzz import mutators, sound
from tests.support.grids import grid_at
from transforms.assembly.reading import read_band
from transforms.elements import SceneError


def prepare(folder):
    safe, dn = sound.product(folder / "made")
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(safe.rglob("*")):
            if file.is_file():
                archive.write(file, file.relative_to(safe.parent))
    assert _look(out.getvalue(), safe.name, folder, dn, checked=True) == "equal"
    return out.getvalue(), safe.name, dn


def case(state, dice, folder, tell):
    data, name, dn = state
    mutation = mutators.of_zip(data, dice)
    tell(mutation.what)
    if mutation.data == data:
        return "the same"
    checked = not mutation.what.startswith("member")  # a sound zip of other content
    return _look(mutation.data, name, folder, dn, checked)


def _look(data, name, folder, dn, checked):
    archive = folder / "archive"
    archive.mkdir()
    (archive / f"{name.removesuffix('.SAFE')}.zip").write_bytes(data)
    found, others = sound.scenes(archive)
    assert found or others, "the scene is gone, and nothing says so"
    if not found:
        return "refused"
    (scene,) = found
    equal = True
    refused = False
    for band, pixels in zip(("B04", "B03", "B02", "B08"), dn, strict=True):
        path = next(path for path in scene.bands if band in path)
        try:
            read = read_band(path, grid_at(32633, sound.ULX, sound.ULY, sound.WHOLE))
        except SceneError:
            refused = True
            continue
        equal = equal and np.array_equal(read, pixels)
    assert equal or not checked, "other pixels than were packed"
    return "refused" if refused else "equal" if equal else "other content"
