"""Compares the core time of a whole job with the work that no job can avoid.

A synthetic archive has ten scenes of one block row of an MGRS tile (1024 x 10 980 px), with the
JPEG 2000 tiles of real products (1024 px) and noise of about 7.5 bits a pixel. The job makes all
products of it, in one process on one core. So the seconds of a stage in the record of the run are
core seconds; where other programs take a part of the core, they are scaled by the core time of the
process. What is in no stage (start, plan, graph, report) is "the rest".

What cannot be avoided is measured in the same run, on the same core: each pixel of the scenes that
the record counts is decoded once by GDAL, each pixel is predicted once at the speed of the
engine, and each product is encoded once, without its overviews.

With `--tile` the tile is whole. Otherwise the numbers of a whole tile are extrapolated: stages by
pixels, the rest once. With `--year` there are 73 scenes in which 60 % of the pixels are clouded,
and the job runs a second time with `scenes.enough: null`, which reads all of them. With `--before`
the second run is that of an earlier version instead, whose checkout is named. `--set` then counts
for the first run alone. `--columns` takes a part of the row, for a quick look.

    python benchmarks/whole_job.py [--tile] [--year] [--columns N] [--set key.path=value ...]
    git worktree add ../before bac3f757
    python benchmarks/whole_job.py --year --before ../before
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import rasterio.shutil
import rasterio.windows
import yaml
from numpy.typing import NDArray
from synthetic import ROOT, machine

sys.path.insert(0, str(ROOT))

from ghsl_beam.area.mgrs_tiles import tile as mgrs_tile
from tests.support.archive import Product, write_product
from tests.support.jobs import lonlat_box, write_job
from tests.support.scenes import town
from transforms.inference.starter import starter_file
from transforms.inference.whole import load_engine, predict
from transforms.rasters.cog import level_of

TILE, SIDE, BLOCK = "33UUU", 10_980, 1024
NOISE = 14
"""Standard deviation of the noise in digital numbers; with the texture some 7.5 bits a pixel."""
DIFFERENT = 2
"""Scenes with pixels of their own; the others are the same files under other names."""
CLOUDED = 0.6
LIMITS = ("--direct_running_mode=in_memory", "--direct_num_workers=1")


@dataclass(frozen=True)
class Archive:
    """A written archive: its job file, the bands of one scene, and bits of a pixel."""

    job: Path
    bands: tuple[Path, ...]
    bits: float


def land(rows: int, cols: int, seed: int) -> NDArray[np.uint16]:
    """A town and its fields, repeated, with noise: axes (bands, rows, columns)."""
    rng = np.random.default_rng(seed)
    small = town(BLOCK, BLOCK).astype(np.int32)
    times = (1, -(-rows // BLOCK), -(-cols // BLOCK))
    whole = np.tile(small, times)[:, :rows, :cols]
    for band in whole:
        band += np.rint(rng.standard_normal(band.shape, np.float32) * NOISE).astype(np.int32)
    return np.clip(whole, 1, 65535).astype(np.uint16)


def clouds(rows: int, cols: int, ulx: float, uly: float, seed: int) -> list[str]:
    """Squares of 5 km that hide `CLOUDED` of the pixels."""
    rng, step = np.random.default_rng(seed), 512
    polygons = []
    for row in range(0, rows, step):
        for col in range(0, cols, step):
            if rng.random() < CLOUDED:
                left, top = ulx + 10 * col, uly - 10 * row
                right, bottom = left + 10 * step, top - 10 * step
                corners = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]
                polygons.append(" ".join(f"{x:.0f} {y:.0f}" for x, y in corners))
    return polygons


def write_archive(folder: Path, rows: int, cols: int, scenes: int, *, cloudy: bool) -> Archive:
    """Write the scenes of the upper rows of a tile, and a job over them."""
    place = mgrs_tile(TILE)
    ulx, uly = place.grid.pix2wld(0, 0)
    images: list[list[Path]] = []
    for scene in range(scenes):
        own = scene < DIFFERENT
        pixels = land(rows, cols, scene) if own else np.zeros((4, rows, cols), np.uint16)
        product = Product(
            TILE,
            place.epsg,
            ulx,
            uly,
            pixels,
            date(2020, 1, 3) + timedelta(days=5 * scene),
            cloud_cover=100 * CLOUDED if cloudy else 0.0,
            cloud_polygons=clouds(rows, cols, ulx, uly, scene) if cloudy else [],
            tiling=BLOCK,
        )
        safe = write_product(folder / "archive", product)
        bands = [next(safe.rglob(f"*_B0{band}.jp2")) for band in (4, 3, 2, 8)]
        for path, same in zip(bands, () if own else images[scene % DIFFERENT], strict=False):
            path.unlink()
            os.link(same, path)
        images.append(bands)
    box = lonlat_box(place.epsg, ulx, uly - 10 * rows, ulx + 10 * cols, uly)
    grids = [{"crs": "ESRI:54009", "resolutions": [10, 100, 1000]}]
    job = write_job(
        folder,
        f"POLYGON {box.removeprefix('POLYGON ')}",
        folder / "archive",
        grids=grids,
        residential={},  # the starter classifier
        period={"start": "2020-01-01", "end": "2020-12-31"},
    )
    size = sum(path.stat().st_size for path in images[0])
    return Archive(job, tuple(images[0]), 8 * size / (4 * rows * cols))


def launch(job: Path, settings: list[str], code: Path = ROOT) -> tuple[float, float]:
    """Run a job in one process by the code of a checkout; core seconds and wall seconds."""
    asked = [part for setting in settings for part in ("--set", setting)]
    command = [sys.executable, "-m", "ghsl_beam", "run", str(job), "--quiet", *asked, *LIMITS]
    start = time.perf_counter()
    environment = {**os.environ, "PYTHONPATH": str(code)}
    with subprocess.Popen(command, cwd=code, env=environment) as running:
        _, status, used = os.wait4(running.pid, 0)
        running.returncode = os.waitstatus_to_exitcode(status)
    if running.returncode not in (0, 3):  # 3: neighbours of the tile have no scenes
        raise SystemExit(f"{' '.join(command)} ended with {running.returncode}")
    return used.ru_utime + used.ru_stime, time.perf_counter() - start


def without_masks(job: Path) -> None:
    """Remove what earlier versions did not know: they take the masks of the products alone."""
    content = yaml.safe_load(job.read_text())
    del content["masks"]
    job.write_text(yaml.safe_dump(content))


def core_seconds(action: Callable[[], object]) -> float:
    """Core seconds of an action in this process."""
    start = time.process_time()
    action()
    return time.process_time() - start


def decode(bands: tuple[Path, ...]) -> None:
    """Decode each code block of the bands of a scene once."""
    for path in bands:
        with rasterio.open(path, driver="JP2OpenJPEG") as source:
            for _, window in source.block_windows(1):
                source.read(1, window=window)


def prediction_speed(pixels: NDArray[np.uint16]) -> float:
    """Core seconds for each pixel of a block, the better of two rounds."""
    engine = load_engine(starter_file())
    part = np.ascontiguousarray(pixels[:, :, :BLOCK])
    best = min(core_seconds(lambda: predict(part, engine)) for _ in range(3))
    return best / part[0].size


def encode(product: Path, folder: Path) -> float:
    """Core seconds of encoding a product once, without its overviews."""
    plain, made = folder / "plain.tif", folder / "made.tif"
    with rasterio.open(product) as source:
        profile = {k: v for k, v in source.profile.items() if k not in ("compress", "predictor")}
        kind = source.dtypes[0]
        with rasterio.open(plain, "w", **{**profile, "driver": "GTiff", "sparse_ok": True}) as raw:
            for row in range(0, source.height, 512):
                rows = min(512, source.height - row)
                strip = rasterio.windows.Window(0, row, source.width, rows)
                raw.write(source.read(window=strip), window=strip)
    options = {"compress": "DEFLATE", "predictor": "YES", "overviews": "NONE", "sparse_ok": "TRUE"}
    seconds = core_seconds(
        lambda: rasterio.shutil.copy(plain, made, driver="COG", level=level_of(kind), **options)
    )
    plain.unlink()
    made.unlink()
    return seconds


def decoded_scenes(record: dict[str, Any]) -> float:
    """Scenes decoded for a block, as a mean over the blocks."""
    stage = record["stages"]["assembly"]
    scenes, blocks = float(stage["scenes"]), float(stage["blocks"])
    return scenes / blocks


def main() -> None:
    """Write the archive, run the job, measure what cannot be avoided; print all of it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tile", action="store_true", help="a whole tile, not one block row")
    parser.add_argument("--year", action="store_true", help="73 scenes, 60 %% clouded")
    parser.add_argument("--scenes", type=int, default=10)
    parser.add_argument("--columns", type=int, default=SIDE, help="columns of the tile")
    parser.add_argument("--before", type=Path, help="checkout of an earlier version, for --year")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--folder", type=Path, help="where the archive is written; by default TMP")
    wanted = parser.parse_args()
    if wanted.before and not wanted.year:
        parser.error("--before is for --year")
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    rows, cols = SIDE if wanted.tile else BLOCK, wanted.columns
    scenes = 73 if wanted.year else wanted.scenes
    print(machine())
    with tempfile.TemporaryDirectory(dir=wanted.folder) as name:
        folder = Path(name)
        archive = write_archive(folder, rows, cols, scenes, cloudy=wanted.year)
        print(f"{rows} x {cols} px, {scenes} scenes, {archive.bits:.1f} bits a pixel", flush=True)
        used, wall = launch(archive.job, wanted.set)
        record = json.loads((folder / "output" / "run.json").read_text())
        if wanted.year:
            output = f"output={folder / 'other'}"
            if wanted.before:
                without_masks(archive.job)
                other = launch(archive.job, [output], wanted.before.resolve())
            else:
                other = launch(archive.job, [*wanted.set, "scenes.enough=null", output])
            second = json.loads((folder / "other" / "run.json").read_text())
            compare((record, used, wall), (second, *other))
            return
        products = sorted((folder / "output").glob("*/**/*.tif"))
        products = [path for path in products if "work" not in path.parts]
        taken = decoded_scenes(record)
        pixels = record["stages"]["inference"]["pixels"]
        one_scene = core_seconds(lambda: decode(archive.bands))
        unavoidable = {
            "decode": one_scene * taken * pixels / (rows * cols),
            "predict": prediction_speed(land(BLOCK, BLOCK, 0)) * pixels,
            "encode": sum(encode(path, folder) for path in products),
        }
    report(record, unavoidable, used, wall, pixels / SIDE**2, taken / scenes)


def stage_seconds(record: dict[str, Any], scale: float) -> dict[str, float]:
    """Core seconds of each stage."""
    return {
        name: values["seconds"] * scale
        for name, values in record["stages"].items()
        if values.get("seconds")
    }


def compare(*runs: tuple[dict[str, Any], float, float]) -> None:
    """Print core seconds of two runs: each has a record, core seconds and wall seconds."""
    stages = [stage_seconds(record, min(1.0, used / wall)) for record, used, wall in runs]
    print("\n| stage | first run, core s | second run, core s |\n|---|---|---|")
    for name in sorted(stages[0] | stages[1], key=lambda name: -stages[1].get(name, 0)):
        print(f"| {name} | {stages[0].get(name, 0):.1f} | {stages[1].get(name, 0):.1f} |")
    tiles = []
    for seconds, (record, used, _) in zip(stages, runs, strict=True):
        part = record["stages"]["inference"]["pixels"] / SIDE**2
        stage = sum(seconds.values())
        tiles.append(stage / part + used - stage)
    print(f"a whole tile of a year (extrapolated): {tiles[0]:.0f} and {tiles[1]:.0f} core s")
    print(
        f"result: year_share={tiles[0] / tiles[1]:.3f} core_hours_per_tile={tiles[0] / 3600:.3f} "
        f"core_hours_of_second_run={tiles[1] / 3600:.3f}"
    )


def report(
    record: dict[str, Any],
    unavoidable: dict[str, float],
    used: float,
    wall: float,
    part: float,
    share: float,
) -> None:
    """Print core seconds by stage, what cannot be avoided, and the result line."""
    scale = min(1.0, used / wall)
    print(f"the process had {scale:.0%} of its core; {used:.1f} core s in all")
    stages = stage_seconds(record, scale)
    rest = used - sum(stages.values())
    print("\n| stage | core s | % |\n|---|---|---|")
    for name, seconds in sorted(stages.items(), key=lambda item: -item[1]):
        print(f"| {name} | {seconds:.1f} | {100 * seconds / used:.0f} |")
    print(f"| the rest | {rest:.1f} | {100 * rest / used:.0f} |")
    print("\n| cannot be avoided | core s |\n|---|---|")
    for name, seconds in unavoidable.items():
        print(f"| {name} | {seconds:.1f} |")
    tile = sum(stages.values()) / part + rest
    least = sum(unavoidable.values()) / part
    how = "measured" if part > 0.5 else "extrapolated"
    print(f"\na whole tile ({how}): {tile:.0f} core s, of which {least:.0f} cannot be avoided")
    print(
        f"result: ratio={tile / least:.3f} core_hours_per_tile={tile / 3600:.3f} "
        f"decoded_share={share:.3f} stages_ratio={(tile - rest) / least:.3f}"
    )


if __name__ == "__main__":
    main()
