"""A scene's bands against the checksums of its product's manifest."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from ghsl_beam.planning.scenes.manifest import manifest_problem
from tests.support.archive import Product, write_product
from tests.support.manifest import HEAD, write_manifest
from transforms.assembly import find_scenes
from transforms.elements import Level, Scene


@pytest.fixture
def safe(tmp_path: Path) -> Path:
    values = np.random.default_rng(0).integers(1, 4000, (4, 60, 80)).astype(np.uint16)
    ring = "330000 5820000 330400 5820000 330400 5819700 330000 5820000"
    product = Product(
        "33UUU", 32633, 330000, 5820000, values, date(2020, 6, 10), cloud_polygons=[ring]
    )
    return write_product(tmp_path / "archive", product)


def scene_of(safe: Path) -> Scene:
    day = date(2020, 6, 10)
    found, losses, *_ = find_scenes(str(safe.parent), {"33UUU"}, day, day, Level.L1C, 100.0)
    (scene,) = found
    assert losses == []
    return scene


@pytest.mark.parametrize(
    ("kind", "made", "dot"),
    [("MD5", "md5", "./"), ("SHA3-256", "sha3_256", "./"), ("sha-256", "sha256", "")],
)
def test_what_differs_from_the_manifest_is_named(
    safe: Path, kind: str, made: str, dot: str
) -> None:
    scene = scene_of(safe)
    assert manifest_problem(scene) is None  # it has none
    write_manifest(safe, kind, made, dot)
    assert manifest_problem(scene) is None
    assert scene.mask is not None
    for path in (scene.bands[2], scene.mask):
        data = Path(path).read_bytes()
        Path(path).write_bytes(data[:-30] + bytes([data[-30] ^ 1]) + data[-29:])
        problem = manifest_problem(scene)
        assert problem is not None
        assert problem.startswith(f"{Path(path).relative_to(safe)} has {kind.upper()} ")
        assert problem.endswith("by its manifest.safe; copy the product again")
        Path(path).write_bytes(data)
    assert manifest_problem(scene) is None


def test_what_cannot_be_compared(safe: Path) -> None:
    scene = scene_of(safe)
    write_manifest(safe, "CRC-8", "md5")
    assert manifest_problem(scene) is None
    (safe / "manifest.safe").write_text(f"{HEAD}</dataObjectSection></xfdu:XFDU>")
    assert manifest_problem(scene) is None
    assert manifest_problem(replace(scene, path="s3://bucket/x.SAFE")) is None
    assert manifest_problem(replace(scene, path=f"{safe}.zip")) is None
    (safe / "manifest.safe").write_text(HEAD)
    problem = manifest_problem(scene)
    assert problem is not None
    assert problem.startswith("manifest.safe: is not well-formed XML")
    write_manifest(safe, "MD5", "md5")
    Path(scene.bands[0]).unlink()
    assert manifest_problem(scene) == "cannot be read: No such file or directory"


@pytest.mark.parametrize("archive", ["archive", "archive/product.SAFE", "archive/product.SAFE/.."])
def test_a_manifest_is_no_product(safe: Path, archive: str) -> None:
    """Every product has one when it is delivered, and `.safe` ends the names of products too."""
    write_manifest(safe, "MD5", "md5")
    place = str(safe.parent.parent / archive.replace("product.SAFE", safe.name))
    day = date(2020, 6, 10)
    found, losses, warnings, _ = find_scenes(place, {"33UUU"}, day, day, Level.L1C, 100.0)
    assert (len(found), losses, warnings) == (1, [], [])


def test_a_product_without_a_name_has_a_manifest_too(safe: Path) -> None:
    write_manifest(safe, "MD5", "md5")
    safe = safe.rename(safe.with_name("download"))
    assert manifest_problem(scene_of(safe)) is None
