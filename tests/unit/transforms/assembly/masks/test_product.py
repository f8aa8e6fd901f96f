import dataclasses

import numpy as np
import pytest
import rasterio
import shapely
import shapely.affinity
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.support.archive import Product, write_product
from tests.support.grids import grid_at
from transforms.assembly import (
    cloud_from_classification,
    cloud_from_gml,
    cloud_from_scl,
    rasterize,
    read_mask,
    read_scene,
)
from transforms.elements import MaskKind, SceneError, Window, part_of

HEAD = '<Mask xmlns:g="urn:g"><g:Envelope srsName="urn:ogc:def:crs:EPSG:8.7.1:32633"/>'


def gml(*polygons, head=HEAD):
    return f"{head}{''.join(polygons)}</Mask>".encode()


def polygon(exterior, *interiors, dimension=2):
    def side(name, ring):
        return f'<g:{name}><g:posList srsDimension="{dimension}">{ring}</g:posList></g:{name}>'

    inner = "".join(side("interior", ring) for ring in interiors)
    return f"<g:Polygon>{side('exterior', exterior)}{inner}</g:Polygon>"


def pixel_by_pixel(polygons, window):
    x = (np.arange(window.col, window.right) + 0.5) * 10
    y = 1000 - (np.arange(window.row, window.bottom) + 0.5) * 10
    xs, ys = np.meshgrid(x, y)
    out = np.zeros(window.shape, bool)
    for shape in polygons:
        # GEOS takes every ring of five corners of its box for a rectangle, so a point is added.
        first, second, *others = shape.exterior.coords
        between = tuple(sum(pair) / 2 for pair in zip(first, second, strict=True))
        ring = [first, between, second, *others]
        out |= shapely.contains_xy(shapely.Polygon(ring, shape.interiors), xs, ys)
    return out


def test_scl_classes():
    scl = np.arange(14, dtype=np.uint16).reshape(2, 7)
    masked = cloud_from_scl(scl)
    assert scl[masked].tolist() == [0, 1, 3, 8, 9, 10, 12, 13]
    assert scl[cloud_from_scl(scl, (9,))].tolist() == [9, 12, 13]


def test_classification_bands():
    bands = np.array([[[1, 0, 0, 0]], [[0, 1, 0, 0]], [[0, 0, 1, 0]]], np.uint16)
    assert cloud_from_classification(bands).tolist() == [[True, True, False, False]]
    assert cloud_from_classification(bands, snow=True).tolist() == [[True, True, True, False]]
    with pytest.raises(ValueError, match="expected"):
        cloud_from_classification(bands[:2])


def test_gml_with_a_hole_and_heights():
    ring, hole = "0 0 0 100 0 0 100 100 0 0 100 0", "20 20 0 40 20 0 40 40 0 20 40 0"
    epsg, (found,) = cloud_from_gml(gml(polygon(ring, hole, dimension=3)), "m.gml")
    assert epsg == 32633
    assert found.area == 100 * 100 - 20 * 20


@pytest.mark.parametrize(
    ("xml", "reason"),
    [
        (b"<Other/>", "expected Mask"),
        (gml(polygon("0 0 1 0 1")), "5 coordinates"),
        (gml(polygon("0 0 1 0 x 1")), "expected a number"),
        (gml(polygon("0 0 1 0 inf 1")), "expected a number"),
        (gml("<g:Polygon/>"), "without exterior"),
        (gml(polygon("0 0 1 0 1 1"), head='<Mask xmlns:g="urn:g">'), "without srsName"),
        (gml('<g:Point srsName="urn:x"/>'), "expected an EPSG code"),
        (gml('<g:Point srsName="EPSG:32634"/>'), "more than one CRS"),
        (gml(polygon("0 0 1 0 1e9 1")), "position beyond"),
        (
            gml(f"<g:Polygon><g:exterior>{polygon('0 0 1 0 1 1')}</g:exterior></g:Polygon>"),
            "inside a polygon",
        ),
        (gml("<g:MaskFeature><g:PolygonPatch/></g:MaskFeature>"), "feature without"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><Mask>&b;</Mask>', "unsafe XML"),
    ],
)
def test_broken_gml(xml, reason):
    with pytest.raises(SceneError, match=reason):
        cloud_from_gml(xml, "m.gml")


def test_rings_that_enclose_nothing_are_no_cloud():
    assert cloud_from_gml(gml(polygon("0 0 1 0")), "m.gml") == (32633, [])


coordinates = st.integers(-60, 260).map(lambda i: i * 5)  # on centres, and between them
points = st.lists(st.tuples(coordinates, coordinates), min_size=3, max_size=8)


@settings(deadline=None, max_examples=60)
@example([[(0, 0), (570, 0), (570, 570), (570, 0)]], Window(0, 0, 44, 1))
@given(
    rings=st.lists(points, max_size=4),
    window=st.builds(
        Window, st.integers(-30, 60), st.integers(-30, 60), st.integers(1, 150), st.integers(1, 150)
    ),
)
def test_polygons_by_pixel_centre_in_any_window(rings, window):
    shapes = [shapely.Polygon(ring) for ring in rings]
    assert np.array_equal(
        rasterize(shapes, grid_at(32633, 0, 1000, window)), pixel_by_pixel(shapes, window)
    )


def test_polygons_that_touch_pixel_centres():
    rng = np.random.default_rng(4)
    window = Window(0, 0, 40, 40)
    shapes = [
        shapely.box(*(rng.integers(0, 30, 2) * 10 + 605), *(rng.integers(31, 39, 2) * 10 + 605))
        for _ in range(20)
    ]
    shapes += [shapely.affinity.translate(shape, -600.5, 3) for shape in shapes]
    diamond = shapely.Polygon([(105, 605), (205, 705), (105, 805), (5, 705)])
    shapes.append(diamond.difference(shapely.box(85, 695, 125, 715)))
    for shape in shapes:
        assert np.array_equal(
            rasterize([shape], grid_at(32633, 0, 1000, window)), pixel_by_pixel([shape], window)
        )
    assert np.array_equal(
        rasterize(shapes, grid_at(32633, 0, 1000, window)), pixel_by_pixel(shapes, window)
    )


def zigzag(edges, side):
    """A polygon of edges that each cross all rows of a square."""
    xs = np.linspace(0, side, edges)
    ys = np.where(np.arange(edges) % 2, -7.0, side + 7.0)
    return shapely.Polygon([*zip(xs, ys, strict=True), (side, -9), (0, -9)])


def test_work_grows_with_the_edges_and_not_with_edges_times_pixels():
    """A mask of half a megabyte whose edges all cross all rows took minutes a block."""
    window = Window(0, 0, 512, 512)
    found = rasterize([zigzag(1001, 5120)], grid_at(32633, 0, 5120, window))
    rows = slice(100, 102)
    part = Window(100, 0, 2, 512)
    y = 5120 - (np.arange(part.row, part.bottom) + 0.5) * 10
    x = (np.arange(512) + 0.5) * 10
    expected = shapely.contains_xy(zigzag(1001, 5120), *np.meshgrid(x, y))
    assert np.array_equal(found[rows], expected)
    with pytest.raises(ValueError, match=r"edges in 512 x 512 pixels, expected at most"):
        rasterize([zigzag(14_000, 5120)], grid_at(32633, 0, 5120, window))


def test_a_mask_of_too_many_edges_is_named(tmp_path):
    ring = " ".join(f"{x:.2f} {y:.0f}" for x, y in zigzag(20_000, 960).exterior.coords)
    product = Product("33UUU", 32633, 0, 960, np.ones((4, 96, 96)), cloud_polygons=[ring])
    scene = read_scene(str(write_product(tmp_path, product)))
    with pytest.raises(SceneError, match=r"MSK_CLOUDS_B00.gml: .* edges in 96 x 96 pixels"):
        read_mask(scene, part_of(scene.grid, Window(0, 0, 96, 96)))


def test_large_cloud_with_a_hole():
    outer = shapely.Point(3000, -2000).buffer(2700)
    shapes = [outer.difference(shapely.Point(2500, -1500).buffer(900))]
    window = Window(0, 0, 600, 600)
    assert np.array_equal(
        rasterize(shapes, grid_at(32633, 0, 1000, window)), pixel_by_pixel(shapes, window)
    )


@pytest.mark.parametrize("corner", [(0, 0), (5000, 5000)])
def test_real_gml_block_by_block(shared_data, corner):
    (path,) = (shared_data / "safe_products").glob("S2A_MSIL1C_20201031*.zip")
    scene = read_scene(str(path))
    assert scene.mask_kind is MaskKind.CLOUDS_GML
    window = Window(*corner, 700, 700)
    whole = read_mask(scene, part_of(scene.grid, window))
    for part in window.split(256):
        assert np.array_equal(
            read_mask(scene, part_of(scene.grid, part)), whole[part.slices_in(window)]
        )


@pytest.mark.parametrize(("day", "cover"), [("20201031", 11.1), ("20210713", 98.9)])
def test_real_gml_covers_what_the_metadata_say(shared_data, day, cover):
    """The product's cloud cover is the mask's, as a share of the part that has data."""
    (path,) = (shared_data / "safe_products").glob(f"S2A_MSIL1C_{day}*.zip")
    scene = read_scene(str(path))
    assert scene.cloud_cover == pytest.approx(cover, abs=0.05)
    whole = Window(0, 0, scene.rows, scene.cols)
    masked = sum(read_mask(scene, part_of(scene.grid, part)).sum() for part in whole.split(4096))
    with rasterio.open(scene.bands[0]) as source:
        covered = (source.read(1) > 0).mean()
    assert 100 * masked / covered / (scene.rows * scene.cols) == pytest.approx(cover, abs=1)


def test_real_classification_and_scl(shared_data):
    fakes = shared_data / "gdal_fake_safe"
    (top,) = (fakes / "fake_l1c_processing_baseline_5_09").glob("*.SAFE")
    (surface,) = (fakes / "fake_l2a_processing_baseline_5_09").glob("*.SAFE")
    for path, kind in ((top, MaskKind.CLASSIFICATION), (surface, MaskKind.SCL)):
        scene = read_scene(str(path))
        assert scene.mask_kind is kind
        assert read_mask(scene, part_of(scene.grid, Window(10970, 5, 20, 20))).shape == (20, 20)


def test_no_mask_and_wrong_crs(tmp_path):
    cloud = "300000 5800020 300100 5800020 300100 5799920 300000 5799920"
    dn = np.ones((4, 32, 32), np.uint16)
    product = Product("33UUU", 32633, 300000, 5800020, dn, cloud_polygons=[cloud])
    scene = read_scene(str(write_product(tmp_path, product)))
    window = Window(0, 0, 16, 16)
    masked = read_mask(scene, part_of(scene.grid, window))
    assert masked[:10, :10].all()
    assert masked.sum() == 100
    bare = dataclasses.replace(scene, mask=None, mask_kind=None)
    assert not read_mask(bare, part_of(bare.grid, window)).any()
    with pytest.raises(SceneError, match="EPSG:32633, expected EPSG:32632"):
        read_mask(
            dataclasses.replace(scene, epsg=32632),
            part_of(dataclasses.replace(scene, epsg=32632).grid, window),
        )
