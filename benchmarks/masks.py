"""Compares the methods that mask clouds and their shadows: what they miss, what they take, costs.

Three samples: the demonstration's scene, labelled by hand with the polygons of
`benchmarks/data/clouds_33UUU_20170216.geojson`; a scene of 512 x 512 cells of 30 m, labelled whole
by hand; and two series of L2A dates, labelled by a rule that compares each date with the dates
around it (`labels_of_series`). Pixels without a label do not count. The last two are real data that
the project does not hold: `GHSL_BEAM_TEST_DATA` names their folder.

It prints, for each sample, method and distance by which clouds and shadows grow, in percent: the
labelled cloud and shadow that stay clear, and the labelled clear land that is called cloud or
shadow; the same for bright clear land; then the costs of a whole tile (109.8 km).

    python benchmarks/masks.py [--quick]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import rasterio
import shapely
from synthetic import ROOT, machine

from tests.support.jpeg2000 import EPSG, ULX, ULY, write_band
from transforms.assembly import cloud_from_scl, rasterize, read_band, read_scene
from transforms.assembly.masks.classes import MaskClass
from transforms.assembly.masks.dilation import dilated
from transforms.assembly.masks.methods import csmask, s2cloudless
from transforms.assembly.masks.methods.coarse import read_coarse
from transforms.assembly.masks.product import read_classes
from transforms.elements import S2CLOUDLESS_BANDS, Level, Scene, Window

CLEAR, CLOUD, SHADOW, NODATA = map(int, MaskClass)
UNKNOWN = 255
GROWN = (0, 0), (60, 60), (120, 120), (180, 120)
"""Distances in metres by which clouds and shadows grow."""
BRIGHT = 0.99
"""Bright land is the last hundredth of the clear land by its visible light: roofs, sand, ice."""
LABELS = ROOT / "benchmarks/data/clouds_33UUU_20170216.geojson"
DATA = Path(os.environ.get("GHSL_BEAM_TEST_DATA", ROOT.parent / "shared" / "data"))


@dataclass
class Sample:
    """Labels (h, w) of pixels of `pixel` metres, and the classes that each method finds there."""

    labels: np.ndarray
    bright: np.ndarray
    pixel: float
    found: dict[str, np.ndarray] = field(default_factory=dict)


def main() -> None:
    """Print the tables and the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="measure no costs")
    parser.add_argument("--cost", choices=COSTS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.cost:
        print(json.dumps(COSTS[options.cost]()))
        return
    print(machine())
    samples = {"demonstration": [demonstration()]}
    if DATA.is_dir():
        samples["clouds"] = [labelled_scene()]
        for name in ("wc1_31UDS", "wc2_31UES"):
            samples[name] = list(series(DATA / "s2_l2a_timeseries" / name))
    else:
        print(f"{DATA}: does not exist, so only the demonstration is measured")
    result = accuracy(samples)
    if not options.quick:
        result |= costs()
    print("result: " + " ".join(f"{key}={value}" for key, value in result.items()))


def accuracy(samples: dict[str, list[Sample]]) -> dict[str, str]:
    """Print the table of errors; return those of the demonstration and the labelled scene."""
    heading = "sample", "method", "grown m", "cloud", "shadow", "as cloud", "as shadow", "bright"
    print("|", " | ".join(heading), "|")
    print("|---|---|---|" + "---:|" * 5)
    result = {}
    for name, of_sample in samples.items():
        for method in of_sample[0].found:
            for grown in GROWN:
                errors = errors_of(of_sample, method, *grown)
                cells = ["-" if np.isnan(error) else f"{error:.1f}" for error in errors]
                print("|", " | ".join([name, method, f"{grown[0]}/{grown[1]}", *cells]), "|")
                if grown == GROWN[1] and name in ("demonstration", "clouds"):
                    key = f"{name}_{method}".replace(" ", "_")
                    result[f"{key}_cloud_left"] = cells[0]
                    result[f"{key}_shadow_left"] = cells[1]
    return result


def errors_of(samples: list[Sample], method: str, cloud_m: float, shadow_m: float) -> list[float]:
    """In percent: cloud and shadow left clear, clear as cloud and as shadow, bright masked."""
    counts = np.zeros((5, 2))
    for sample in samples:
        found = dilated(sample.found[method], cloud_m, shadow_m, sample.pixel)
        seen = (found != NODATA) & (sample.labels != UNKNOWN)
        clear = seen & (sample.labels == CLEAR)
        pairs = (
            (seen & (sample.labels == CLOUD), found == CLEAR),
            (seen & (sample.labels == SHADOW), found == CLEAR),
            (clear, found == CLOUD),
            (clear, found == SHADOW),
            (clear & sample.bright, found != CLEAR),
        )
        counts += [(np.count_nonzero(of & wrong), np.count_nonzero(of)) for of, wrong in pairs]
    with np.errstate(invalid="ignore"):
        return list(100 * counts[:, 0] / counts[:, 1])


def demonstration() -> Sample:
    """The demonstration's scene with its labels."""
    scene = demonstration_scene()
    whole = Window(0, 0, scene.rows, scene.cols)
    labels = np.full(whole.shape, UNKNOWN, np.uint8)
    for feature in json.loads(LABELS.read_text())["features"]:
        inside = rasterize([shapely.geometry.shape(feature["geometry"])], scene.grid)
        labels[inside] = MaskClass[feature["properties"]["class"].upper()]
    fine = read_coarse(scene, whole, 1)[:3].mean(axis=0)
    sample = Sample(labels, brightest(np.where(labels == CLEAR, fine, np.nan)), 10)
    sample.found["product"] = read_classes(scene, scene.grid)
    cells = Window(0, 0, scene.rows // csmask.CELL, scene.cols // csmask.CELL)
    dn = read_coarse(scene, cells, csmask.CELL)
    found = csmask.classify(dn, cells, cells, cells.shape, scene.level)
    sample.found["csmask"] = finer(found, csmask.CELL)
    if has_s2cloudless():
        dn = bands_at_60_m(scene)
        cells = Window(0, 0, *dn.shape[1:])
        found = s2cloudless.classify(dn, cells, cells, cells.shape)
        sample.found["s2cloudless"] = finer(found, s2cloudless.CELL)
    return sample


def demonstration_scene() -> Scene:
    """The scene that `./run_local.sh` arranges."""
    folders = sorted((ROOT / "data/sample").rglob("*.SAFE"))
    if not folders:
        sys.exit("data/sample: holds no product, run ./run_local.sh once to arrange it")
    return read_scene(str(folders[0]))


def bands_at_60_m(scene: Scene) -> np.ndarray:
    """The bands of s2cloudless, uint16 (10, h, w); the product's offsets are 0."""
    folder, bands = Path(scene.bands[0]).parent, []
    for band in S2CLOUDLESS_BANDS:
        with rasterio.open(next(folder.glob(f"*_{band}.jp2"))) as source:
            bands.append(mean_of(source.read(1), source.width * s2cloudless.CELL // scene.cols))
    return np.stack(bands)


def labelled_scene() -> Sample:
    """The scene of `clouds`, with cells of about 30 m; it has no product and so no mask of one."""
    held = np.load(DATA / "clouds" / "ukis_sentinel2.npz")
    dn = np.moveaxis(held["img"][..., [2, 1, 0, 3]], -1, 0) * 10_000
    dn = np.clip(np.rint(dn), 1, 65535).astype(np.uint16)
    labels = np.select([held["msk"][..., 0] == 4, held["msk"][..., 0] == 0], [CLOUD, SHADOW], CLEAR)
    # Its brightest clear cells are the edges of clouds.
    sample = Sample(labels, np.zeros(labels.shape, np.bool_), 30)
    cells = Window(0, 0, *labels.shape)
    for level in Level:
        sample.found[f"csmask {level}"] = csmask.classify(dn, cells, cells, labels.shape, level)
    return sample


def series(folder: Path) -> Iterator[Sample]:
    """Each date of a series of L2A."""
    paths = sorted(folder.glob("*_B02B03B04B08_10m.tif"))
    days = [date.fromisoformat(path.name[:8]) for path in paths]
    stack = np.stack([rasterio.open(path).read() for path in paths])[:, [2, 1, 0, 3]]
    labels = labels_of_series(stack, days)
    clear = np.where(labels == CLEAR, stack[:, :3].mean(axis=1), np.nan)
    bright = brightest(np.nanmedian(clear, axis=0))
    side = stack.shape[-1] // csmask.CELL
    cells, inside = Window(0, 0, side, side), np.s_[: side * csmask.CELL, : side * csmask.CELL]
    for path, dn, label in zip(paths, stack, labels, strict=True):
        sample = Sample(label[inside], bright[inside], 10)
        with rasterio.open(path.with_name(f"{path.name[:8]}_SCL_20m.tif")) as source:
            scl = finer(source.read(1), 2)[inside].astype(np.uint16)
        sample.found["SCL"] = np.where(cloud_from_scl(scl), CLOUD, CLEAR).astype(np.uint8)
        sample.found["SCL"][scl == 3] = SHADOW
        sample.found["SCL"][scl == 0] = NODATA
        coarse = np.stack([mean_of(band[inside], csmask.CELL) for band in dn])
        found = csmask.classify(coarse, cells, cells, cells.shape, Level.L2A)
        sample.found["csmask"] = finer(found, csmask.CELL)
        yield sample


def labels_of_series(stack: np.ndarray, days: list[date]) -> np.ndarray:
    """Labels of each date of a series, uint8 (dates, h, w), by the dates up to 60 days away.

    What a pixel is without clouds: the 30th percentile of red and of blue, and the median of near
    infrared where blue is near its percentile. Cloud: blue and red are more than 0.06 and 0.05
    brighter. Shadow: near infrared is less than 0.65 of it, and red and blue less than 0.8. Clear:
    blue differs by less than 0.015, and near infrared by less than 15 %. All else has no label.
    """
    values = np.where((stack == 0).any(axis=1, keepdims=True), np.nan, stack / 10_000)
    labels = np.full((len(stack), *stack.shape[2:]), UNKNOWN, np.uint8)
    for number, day in enumerate(days):
        near = values[[abs((other - day).days) <= 60 for other in days]]
        red, blue = np.nanpercentile(near[:, [0, 2]], 30, axis=0)
        usual = np.where(np.abs(near[:, 2] - blue) < 0.02, near[:, 3], np.nan)
        with warnings.catch_warnings(action="ignore", category=RuntimeWarning):
            infrared = np.nanmedian(usual, axis=0)  # nan where no date is near
        own = values[number]
        share = own[3] / infrared
        cloud = (own[2] > blue + 0.06) & (own[0] > red + 0.05)
        shadow = (share < 0.65) & (own[0] < 0.8 * red) & (own[2] < 0.8 * blue)
        clear = (np.abs(own[2] - blue) < 0.015) & (np.abs(share - 1) < 0.15)
        for kind, where in ((CLEAR, clear), (SHADOW, shadow), (CLOUD, cloud)):
            labels[number][where] = kind
    return labels


def brightest(light: np.ndarray) -> np.ndarray:
    """The last hundredth of the pixels; nan where a pixel does not count."""
    return light > np.nanquantile(light, BRIGHT)


def mean_of(band: np.ndarray, side: int) -> np.ndarray:
    """Means of cells of `side` x `side` pixels; 0 where a pixel is 0."""
    cells = band.reshape(band.shape[0] // side, side, -1, side)
    means = np.rint(cells.mean(axis=(1, 3)))
    return np.where(cells.all(axis=(1, 3)), means, 0).astype(np.uint16)


def finer(cells: np.ndarray, side: int) -> np.ndarray:
    """Each cell as `side` x `side` pixels."""
    return cells.repeat(side, axis=0).repeat(side, axis=1)


def has_s2cloudless() -> bool:
    """Whether the extra s2cloudless is installed."""
    there = all(map(find_spec, ("s2cloudless", "lightgbm")))
    if not there:
        print("s2cloudless is not measured: pip install 'ghsl-beam[s2cloudless]' installs it")
    return there


def costs() -> dict[str, str]:
    """Print what a whole tile costs, each method in a process of its own."""
    print("| a whole tile | core seconds | MB above the input |")
    print("|---|---:|---:|")
    result = {}
    for name in COSTS:
        if name == "s2cloudless" and not all(map(find_spec, ("s2cloudless", "lightgbm"))):
            continue
        command = [sys.executable, __file__, "--cost", name]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        seconds, megabytes = json.loads(done.stdout.splitlines()[-1])
        print(f"| {name} | {seconds:.1f} | {megabytes:.0f} |")
        result[f"{name.replace(' ', '_')}_s"] = f"{seconds:.1f}"
    return result


def measured(work: Callable[[], object], scale: float = 1) -> tuple[float, float]:
    """Processor seconds times `scale`, and growth of the largest memory in MB."""
    Path("/proc/self/clear_refs").write_text("5")  # forget the largest memory so far
    before = largest_memory()
    start = time.process_time()
    work()
    return (time.process_time() - start) * scale, largest_memory() - before


def largest_memory() -> float:
    """Of this process, in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def whole_tile(part: np.ndarray, cell: int) -> tuple[np.ndarray, Window]:
    """A whole tile of cells with the texture of a part, mirrored."""
    side = 10980 // cell
    rest = [(0, 0), (0, side - part.shape[1]), (0, side - part.shape[2])]
    return np.pad(part, rest, mode="symmetric"), Window(0, 0, side, side)


def cost_of_csmask() -> tuple[float, float]:
    """The network alone."""
    scene, cell = demonstration_scene(), csmask.CELL
    part = read_coarse(scene, Window(0, 0, scene.rows // cell, scene.cols // cell), cell)
    dn, cells = whole_tile(part, cell)
    return measured(lambda: csmask.classify(dn, cells, cells, cells.shape, Level.L1C))


def cost_of_s2cloudless() -> tuple[float, float]:
    """The classifier alone."""
    dn, cells = whole_tile(bands_at_60_m(demonstration_scene()), s2cloudless.CELL)
    return measured(lambda: s2cloudless.classify(dn, cells, cells, cells.shape))


def cost_of_reading(cell: int) -> tuple[float, float]:
    """Four bands as JPEG 2000, tiled as in products; measured on a part of the tile."""
    side, scale = 3072, (10980 / 3072) ** 2
    scene = demonstration_scene()
    band = read_band(scene.bands[0], scene.grid)
    rest = [(0, side - band.shape[0]), (0, side - band.shape[1])]
    noise = np.random.default_rng(0).integers(-16, 17, (side, side))
    values = np.clip(np.pad(band, rest, mode="symmetric").astype(int) + noise, 1, 65535)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "band.jp2"
        write_band(path, values.astype(np.uint16), 1024)
        scene = replace(
            scene,
            bands=(str(path),) * 4,
            band_files=(),
            epsg=EPSG,
            ulx=ULX,
            uly=ULY,
            rows=side,
            cols=side,
        )
        if cell == 1:
            return measured(lambda: read_band(str(path), scene.grid, scene.grid), 4 * scale)
        cells = Window(0, 0, side // cell, side // cell)
        return measured(lambda: read_coarse(scene, cells, cell), scale)


COSTS: dict[str, Callable[[], tuple[float, float]]] = {
    "four bands at 10 m": partial(cost_of_reading, 1),
    "four bands at 30 m": partial(cost_of_reading, csmask.CELL),
    "csmask": cost_of_csmask,
    "s2cloudless": cost_of_s2cloudless,
}


if __name__ == "__main__":
    main()
