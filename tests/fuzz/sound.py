"""Sound inputs that several targets spoil."""

from __future__ import annotations

import os
import shutil
from datetime import date
from pathlib import Path

import numpy as np
from affine import Affine

from tests.support.archive import Product, write_product
from tests.support.scenes import town
from transforms import assembly
from transforms.elements import Level, Window
from transforms.elements.scene import Scene

ULX, ULY, ROWS, COLS = 330000, 5820000, 600, 780
DAYS = (date(2020, 6, 1), date(2020, 6, 30))
WHOLE = Window(0, 0, ROWS, COLS)
GRID = Affine(10, 0, ULX, 0, -10, ULY)
CLOUD = "331000 5819000 333000 5819000 333000 5817000 331000 5817000 331000 5819000"


def product(folder: Path) -> tuple[Path, np.ndarray]:
    """A product of several JPEG 2000 tiles a band, and its pixels (4, rows, columns)."""
    dn = town(ROWS, COLS)
    about = Product("33UUU", 32633, ULX, ULY, dn, date(2020, 6, 15), cloud_polygons=[CLOUD] * 3)
    return write_product(folder, about), dn


def archive_with(safe: Path, folder: Path, spoiled: Path, data: bytes) -> Path:
    """The product in a folder, all files linked but for a spoiled one."""
    archive = folder / "archive"
    copy = archive / safe.name
    shutil.copytree(safe, copy, copy_function=os.link)
    target = copy / spoiled.relative_to(safe)
    target.unlink()
    target.write_bytes(data)
    return archive


def scenes(archive: Path) -> tuple[list[Scene], list[str]]:
    """The scenes of tile 33UUU that are found, and all that is said of the others."""
    found, *others = assembly.find_scenes(str(archive), ["33UUU"], *DAYS, Level.L1C, 100.0)
    return list(found), [str(one) for other in others for one in other]


def shared(*parts: str) -> Path | None:
    """A file or folder of the shared test data, None where there is none."""
    root = Path(__file__).resolve().parents[2]
    base = os.environ.get("GHSL_BEAM_TEST_DATA", root / ".." / "shared" / "data")
    path = Path(base, *parts).resolve()
    return path if path.exists() else None
