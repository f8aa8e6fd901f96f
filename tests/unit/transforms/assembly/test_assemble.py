import dataclasses
from datetime import date, timedelta

import numpy as np
import pytest

from tests.support.archive import Product, write_product
from tests.support.grids import grid_at
from tests.support.scenes import town
from transforms.assembly import (
    assemble,
    assemble_block,
    percentile_of_stack,
    read_mask,
    read_scene,
    to_composite_dn,
)
from transforms.assembly.assemble import needs_bands
from transforms.elements import SceneError, SourceFile, Window, part_of
from transforms.storage.caching import Access, Cache

GRID = (32633, 300000, 5800020)
WHOLE = Window(0, 0, 96, 120)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Scenes, and the composite and count that are expected of them."""
    folder = tmp_path_factory.mktemp("archive")
    scenes, values, masks = [], [], []
    for number in range(5):
        dn = town(96, 120, seed=number)
        dn[:, :, : 10 * number] = 0
        offset = -1000 if number % 2 else None
        x, y = 300000 + 150 * number, 5800020 - 100 * number
        cloud = f"{x} {y} {x + 300} {y} {x + 300} {y - 400} {x} {y - 400} {x} {y}"
        product = Product(
            "33UUU",
            *GRID,
            dn,
            day=date(2020, 6, 15) + timedelta(days=number),
            offset=offset,
            cloud_polygons=[cloud],
        )
        scene = read_scene(str(write_product(folder, product)))
        scenes.append(scene)
        values.append(to_composite_dn(dn, scene.offsets, 10000))
        masks.append(read_mask(scene, part_of(scene.grid, WHOLE)))
    stack, masked = np.stack(values), np.stack(masks)
    valid = stack.all(axis=1) & ~masked
    return scenes, percentile_of_stack(stack, valid, 30), valid.sum(axis=0)


def test_composite_of_real_layout(made):
    scenes, expected, count = made
    found = assemble_block(scenes, grid_at(*GRID, WHOLE), 30)
    assert np.array_equal(found.composite, expected)
    assert np.array_equal(found.count, count)
    assert found.failures == []
    assert count.max() == 5
    assert count.min() < 5


def test_blocks_equal_the_whole(made):
    scenes, expected, count = made
    for part in WHOLE.split(50):
        found = assemble_block(scenes[::-1], grid_at(*GRID, part), 30)
        assert np.array_equal(found.composite, expected[(slice(None), *part.slices_in(WHOLE))])
        assert np.array_equal(found.count, count[part.slices_in(WHOLE)])


def test_beyond_the_tile(made):
    scenes, expected, _ = made
    found = assemble_block(scenes, grid_at(*GRID, WHOLE.expand(3)), 30)
    assert np.array_equal(found.composite[:, 3:-3, 3:-3], expected)
    assert not found.count[:3].any()
    outside = assemble_block(scenes, grid_at(*GRID, Window(500, 500, 8, 8)), 30)
    assert not outside.composite.any()
    assert outside.failures == []


def test_another_corner_of_the_same_grid(made):
    scenes, expected, _ = made
    found = assemble_block(scenes, grid_at(32633, 299800, 5800120, Window(10, 20, 96, 120)), 30)
    assert np.array_equal(found.composite, expected)


def test_a_bad_scene_is_set_aside_whole(made, tmp_path):
    scenes, expected, count = made
    broken = tmp_path / "B08.jp2"
    broken.write_bytes(b"no image")
    bad = [
        dataclasses.replace(scenes[0], bands=(*scenes[0].bands[:3], str(broken))),
        dataclasses.replace(scenes[1], mask=str(tmp_path / "absent.gml")),
        dataclasses.replace(scenes[2], epsg=32632),
        dataclasses.replace(scenes[3], ulx=300003.0),
    ]
    found = assemble_block([*bad, *scenes], grid_at(*GRID, WHOLE), 30)
    assert np.array_equal(found.composite, expected)
    assert np.array_equal(found.count, count)
    assert [scene for scene, _ in found.failures] == bad
    assert all(isinstance(error, SceneError) for _, error in found.failures)
    assert found.failures[0][1].file == str(broken)


def test_clouded_or_empty_scenes_are_not_decoded(made, monkeypatch):
    scenes, _, _ = made
    read = []
    real = assemble.read_band
    monkeypatch.setattr(
        assemble, "read_band", lambda path, *a, **k: read.append(path) or real(path, *a, **k)
    )
    assemble_block(scenes[:1], grid_at(*GRID, Window(0, 0, 30, 20)), 30)
    assert read == []
    assemble_block(scenes[4:], grid_at(*GRID, Window(60, 0, 20, 20)), 30)
    assert read == [scenes[4].bands[0]]


def test_real_product_in_blocks(shared_data):
    (path,) = (shared_data / "safe_products").glob("S2A_MSIL1C_20180629*.zip")
    scene = read_scene(str(path))
    window = Window(1000, 2000, 300, 300)
    grid = (scene.epsg, scene.ulx, scene.uly)
    whole = assemble_block([scene], grid_at(*grid, window), 30)
    assert whole.failures == []
    assert whole.count.mean() > 0.99
    assert np.array_equal(whole.count > 0, whole.composite.all(axis=0))
    for part in window.split(170):
        found = assemble_block([scene], grid_at(*grid, part), 30)
        rows, cols = part.slices_in(window)
        assert np.array_equal(found.composite, whole.composite[:, rows, cols])


def strips(folder, first, second, **more):
    """Two products of one pass, as scenes."""
    made = []
    for number, dn in enumerate((first, second)):
        product = Product(
            "33UUU",
            *GRID,
            dn,
            generation=f"T12000{number}",
            datastrip=f"20200615T1020{30 * number:02d}",
            **(more if number else {}),
        )
        made.append(read_scene(str(write_product(folder, product))))
    return made


def test_datastrips_that_overlap_are_one_observation(tmp_path):
    """Of a pixel that both have, the one made later counts, with its own mask."""
    first, second = town(96, 120, seed=1), town(96, 120, seed=2)
    first[:, :, 70:] = 0
    second[:, :, :50] = 0
    second[2, 40:44, 60:64] = 0  # one band without data: no observation
    corner = f"{GRID[1] + 550} {GRID[2]}"
    cloud = f"{corner} {GRID[1] + 650} {GRID[2]} {GRID[1] + 650} {GRID[2] - 100} {corner}"
    scenes = strips(tmp_path, first, second, cloud_polygons=[cloud])
    whole = assemble_block(scenes, grid_at(*GRID, WHOLE), 30)
    has = second.all(axis=0)
    masked = has & read_mask(scenes[1], part_of(scenes[1].grid, WHOLE))
    expected = np.where(has, second, np.where(first.all(axis=0), first, 0))
    expected[:, masked] = 0
    assert masked.any()
    assert np.array_equal(whole.composite, expected)
    assert np.array_equal(whole.count, expected.all(axis=0).astype("uint16"))
    for part in WHOLE.split(37):
        found = assemble_block(scenes[::-1], grid_at(*GRID, part), 30)
        rows, cols = part.slices_in(WHOLE)
        assert np.array_equal(found.composite, whole.composite[:, rows, cols])
        assert np.array_equal(found.count, whole.count[rows, cols])


def test_the_highest_baseline_counts_where_a_pass_overlaps(tmp_path):
    dn = np.full((4, 96, 120), 1000)
    scenes = strips(tmp_path, dn, dn + 500, baseline="05.00")
    older = dataclasses.replace(scenes[1], baseline="02.00")
    assert (assemble_block(scenes, grid_at(*GRID, WHOLE), 30).composite == 1500).all()
    assert (assemble_block([scenes[0], older], grid_at(*GRID, WHOLE), 30).composite == 1000).all()
    next_pass = dataclasses.replace(scenes[1], sensing=scenes[1].sensing + timedelta(minutes=100))
    assert (assemble_block([scenes[0], next_pass], grid_at(*GRID, WHOLE), 30).count == 2).all()


def test_a_strip_that_cannot_be_read_leaves_the_pass_to_the_other(tmp_path):
    dn = np.full((4, 96, 120), 1000)
    scenes = strips(tmp_path, dn, dn + 500)
    bad = dataclasses.replace(scenes[1], mask=str(tmp_path / "absent.gml"))
    found = assemble_block([scenes[0], bad], grid_at(*GRID, WHOLE), 30)
    assert (found.composite == 1000).all()
    assert [scene for scene, _ in found.failures] == [bad]


def test_a_wholly_clouded_block_of_one_scene_is_not_decoded_twice(made, monkeypatch):
    """What the pass's first scene holds everywhere is not read again from the second."""
    scenes, _, _ = made
    read = []
    real = assemble.read_band
    monkeypatch.setattr(
        assemble, "read_band", lambda path, *a, **k: read.append(path) or real(path, *a, **k)
    )
    newer = dataclasses.replace(scenes[0], baseline="05.00", path="/newer")
    assemble_block([scenes[0], newer], grid_at(*GRID, Window(50, 20, 30, 20)), 30)
    assert read == list(newer.bands)


def test_bands_are_needed_where_the_mask_leaves_a_clear_pixel(tmp_path):
    right, bottom = 300000 + 1200, 5800020 - 960
    cloud = f"300000 5800020 {right} 5800020 {right} {bottom} 300000 {bottom} 300000 5800020"
    half = cloud.replace(str(right), "300600")
    clouded, left, clear = (
        read_scene(str(write_product(tmp_path / name, product)))
        for name, product in (
            ("all", Product("33UUU", *GRID, town(96, 120), cloud_polygons=[cloud])),
            ("half", Product("33UUU", *GRID, town(96, 120), cloud_polygons=[half])),
            ("none", Product("33UUU", *GRID, town(96, 120))),
        )
    )
    west, whole = grid_at(*GRID, Window(0, 0, 96, 60)), grid_at(*GRID, WHOLE)
    assert not needs_bands(clouded, [west, whole])
    assert not needs_bands(left, [west])
    assert needs_bands(left, [west, whole])
    assert needs_bands(clear, [west])
    assert not needs_bands(clear, [grid_at(*GRID, Window(500, 500, 8, 8))])
    # Its bands say where the next scene of the pass fills a gap.
    assert needs_bands(clouded, [whole], last=False)


def test_a_scene_says_what_its_files_are(made):
    scene = made[0][0]
    assert [file.location for file in scene.band_files] == list(scene.bands)
    assert sum(file.size for file in scene.band_files) == scene.size
    assert scene.mask_file.location == scene.mask


def test_through_a_cache_the_pixels_are_the_same(made, tmp_path):
    scenes, expected, count = made
    access = Access(Cache(str(tmp_path / "cache"), 10**9))
    found = assemble_block(scenes, grid_at(*GRID, WHOLE), 30, access)
    assert np.array_equal(found.composite, expected)
    assert np.array_equal(found.count, count)
    assert len(list((tmp_path / "cache").glob("*.file"))) == 25
    bands_alone = Access(Cache(str(tmp_path / "bands"), 10**9), masks=False)
    assert not assemble_block(scenes, grid_at(*GRID, WHOLE), 30, bands_alone).failures
    assert len(list((tmp_path / "bands").glob("*.file"))) == 20
    bare = [dataclasses.replace(s, band_files=(), mask_file=None) for s in scenes]
    assert not assemble_block(bare, grid_at(*GRID, WHOLE), 30, access).failures


def test_a_file_that_the_archive_does_not_give_sets_the_scene_aside(made, tmp_path):
    scenes = made[0]
    gone = str(tmp_path / "B04.jp2")
    bands = (gone, *scenes[0].bands[1:])
    files = (SourceFile(gone, 5), *scenes[0].band_files[1:])
    bad = dataclasses.replace(scenes[0], bands=bands, band_files=files)
    access = Access(Cache(str(tmp_path / "cache"), 10**9))
    found = assemble_block([bad, *scenes[1:]], grid_at(*GRID, WHOLE), 30, access)
    ((scene, error),) = found.failures
    assert scene == bad
    assert error.file == gone
    assert "No such file" in error.reason
