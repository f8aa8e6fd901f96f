"""Requests and bytes of one scene on object storage, read where it lies and through the cache.

An S3 service of the loopback answers, with a front that counts. The bands are JPEG 2000 of 1024 px
tiles, as products have them. Both ways go through all blocks of the scene in one process, and come
to the same pixels. The time is that of the loopback: a service far away adds its own to each
request.

    python benchmarks/fetching.py [--side 5120] [--block 1024]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tests.support.archive import Product, write_product
from tests.support.jpeg2000 import EPSG, ULX, ULY, land, write_band
from tests.support.object_storage import Front, make_bucket, put_folder, s3_service, using
from transforms.assembly import assemble_block, read_scene
from transforms.elements import Scene, extent_of, part_of
from transforms.storage.caching import DIRECT, Access, Cache

JP2_TILE = 1024
MOST_REQUESTS_A_SCENE = 40


class Cost(NamedTuple):
    """What one way of reading asked for: requests, bytes, seconds."""

    requests: int
    bytes: int
    seconds: float


def product(folder: Path, side: int) -> Path:
    """A product whose bands compress as those of real ones do: about a byte a pixel."""
    flat = np.ones((4, side, side), np.uint16)
    safe = write_product(folder, Product("33UUU", EPSG, ULX, ULY, flat))
    first, *others = sorted(safe.rglob("*_B0?.jp2"))
    data = write_band(first, land(side, side), JP2_TILE, quality=40, reversible="NO")
    for other in others:
        other.write_bytes(data)
    return safe


def cost(front: Front, scene: Scene, block: int, access: Access) -> tuple[Cost, int]:
    """Cost of all blocks of a scene, and a sum of their pixels."""
    front.asked.clear()
    front.served, total, start = 0, 0, time.perf_counter()
    for window in extent_of(scene.grid).split(block):
        made = assemble_block([scene], part_of(scene.grid, window), 30.0, access)
        if made.failures:
            raise SystemExit(f"not read: {made.failures[0][1]}")
        total += int(made.composite.sum(dtype=np.int64))
    return Cost(len(front.asked), front.served, time.perf_counter() - start), total


def main() -> None:
    """Print both ways side by side."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=5120, help="pixels of the scene's side")
    parser.add_argument("--block", type=int, default=1024, help="pixels of a block's side")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, s3_service() as service, using(service):
        safe = product(Path(folder), given.side)
        url = put_folder(safe, f"{make_bucket('eodata')}/{safe.name}")
        front = Front(service)
        with using(front.address):
            scene = read_scene(url)
            plan = len(front.asked)
            cache = Access(Cache(str(Path(folder, "cache")), 10**11))
            direct, pixels = cost(front, scene, given.block, DIRECT)
            fetched, same = cost(front, scene, given.block, cache)
            again, _ = cost(front, scene, given.block, cache)
        front.close()
    if pixels != same:
        raise SystemExit("both ways come to other pixels")
    pixels = 4 * given.side**2
    print(f"one scene of {given.side} x {given.side} px, {scene.size / pixels:.2f} bytes a pixel")
    print(f"found and described by {plan} requests")
    print(f"{'':12}{'requests':>10}{'MB':>10}{'bytes/px':>10}{'seconds':>10}")
    for name, one in (("direct", direct), ("download", fetched), ("again", again)):
        per_pixel = f"{one.bytes / pixels:10.2f}"
        print(f"{name:12}{one.requests:10}{one.bytes / 1e6:10.1f}{per_pixel}{one.seconds:10.1f}")
    if plan + fetched.requests > MOST_REQUESTS_A_SCENE:
        raise SystemExit(f"more than {MOST_REQUESTS_A_SCENE} requests a scene")
    print(
        f"result: plan_requests={plan} direct_requests={direct.requests} "
        f"download_requests={fetched.requests} again_requests={again.requests} "
        f"direct_bytes_per_pixel={direct.bytes / pixels:.2f} "
        f"download_bytes_per_pixel={fetched.bytes / pixels:.2f} "
        f"direct_seconds={direct.seconds:.1f} download_seconds={fetched.seconds:.1f}"
    )


if __name__ == "__main__":
    main()
