"""Pictures of layers: each value in its place, in its colour, within the budget."""

import io
from pathlib import Path

import numpy as np
import pytest
import rasterio
from PIL import Image
from pyproj import Transformer
from rasterio.transform import from_origin

from ghsl_beam.outputs.report.map.colours import categories, in_colour, on_scale
from ghsl_beam.outputs.report.map.frame import Frame, footprint_of, frame_around
from ghsl_beam.outputs.report.map.mosaic import mosaic
from ghsl_beam.outputs.report.map.pictures import coloured, encoded
from transforms.elements import LAYERS, Layer

TOWN = ("EPSG:32633", 330000.0, 5822040.0)
FIJI = ("EPSG:32760", 827000.0, 8010000.0)  # reaches from 180 W to 180 E
NORTH = ("EPSG:32633", 480000.0, 9300000.0)  # 83.8 N
MOLLWEIDE = ("ESRI:54009", 868000.0, 6188000.0)
DEGREES = ("EPSG:4326", 12.3, 52.6)


def layer_file(
    path: Path, values: np.ndarray, nodata: float, place: tuple, pixel: float = 10.0
) -> str:
    crs, left, top = place
    bands = values if values.ndim == 3 else values[np.newaxis]
    profile = {"driver": "GTiff", "count": len(bands), "dtype": values.dtype.name}
    profile |= {"height": bands.shape[1], "width": bands.shape[2], "crs": crs, "nodata": nodata}
    with rasterio.open(
        path, "w", **profile, transform=from_origin(left, top, pixel, pixel), tiled=True
    ) as target:
        target.write(bands)
    return str(path)


def frame_of(path: str) -> Frame:
    with rasterio.open(path) as source:
        ground = footprint_of(source.crs.to_wkt(), tuple(source.bounds))
    parts = getattr(ground, "geoms", [ground])
    return frame_around([part.bounds for part in parts])


def in_frame(layer: str, *paths: str, frame: Frame | None = None) -> np.ndarray:
    made = mosaic(
        [(path, lambda path=path: path) for path in paths],
        LAYERS[layer],
        frame or frame_of(paths[0]),
    )
    assert not made.errors
    return made.values


def place_in(frame: Frame, place: tuple, x: float, y: float) -> tuple[float, float]:
    """Row and column in the frame of a point of a CRS, by way of degrees."""
    lon, lat = Transformer.from_crs(place[0], 4326, always_xy=True).transform(x, y)
    west, _, east, _ = frame.degrees
    turn = next(t for t in (0, 360, -360) if west <= lon + t <= east)
    col, row = frame.place(lon + turn, lat)
    return row, col


@pytest.mark.parametrize(
    ("place", "pixel"),
    [(TOWN, 10.0), (FIJI, 10.0), (NORTH, 10.0), (MOLLWEIDE, 100.0), (DEGREES, 3 / 3600)],
)
@pytest.mark.parametrize("side", [150, 3000])
def test_a_pixel_lies_where_it_belongs(place, pixel, side, tmp_path):
    values = np.zeros((side, side), "uint8")
    points = [(side // 5, side // 3), (side // 2, 4 * side // 5), (side - 9, 9)]
    size = max(1, side // 300)
    for row, col in points:
        values[row : row + size, col : col + size] = 100
    path = layer_file(tmp_path / "x.tif", values, 255, place, pixel)
    frame = frame_of(path)
    shown = in_frame("BUFRAC", path)[0]
    for row, col in points:
        x = place[1] + (col + size / 2) * pixel
        y = place[2] - (row + size / 2) * pixel
        at_row, at_col = place_in(frame, place, x, y)
        rows, cols = np.nonzero(shown > 20)
        near = np.hypot(rows + 0.5 - at_row, cols + 0.5 - at_col)
        # The middle of the nearest pixels that are shown, to a pixel of the picture.
        reach = 4 + size * pixel * (111_320 if place is DEGREES else 1) / frame.ground
        mine = near < reach
        assert mine.any()
        assert rows[mine].mean() + 0.5 == pytest.approx(at_row, abs=1.0)
        assert cols[mine].mean() + 0.5 == pytest.approx(at_col, abs=1.0)


def test_only_what_has_no_data_is_transparent(tmp_path):
    values = np.full((300, 250), 255, "uint8")
    values[20:150, 70:110] = 40
    values[30:50, 80:100] = 255
    path = layer_file(tmp_path / "x.tif", values, 255, TOWN)
    found = in_frame("BUFRAC", path)
    part = (130 * 40 - 20 * 20) * 100  # m²
    assert np.isfinite(found).sum() * frame_of(path).ground ** 2 == pytest.approx(part, rel=0.03)


@pytest.mark.parametrize("layer", ["BUILT_S", "GREENNESS"])
def test_a_lone_cell_is_seen_in_a_large_picture(layer, tmp_path):
    kind, nodata = ("int16", -32768) if layer == "GREENNESS" else ("uint16", 65535)
    values = np.zeros((4000, 4000), kind)
    values[1234, 2345] = 300
    values[0] = nodata
    path = layer_file(tmp_path / "x.tif", values, nodata, MOLLWEIDE, 100.0)
    made = mosaic([(path, lambda: path)], LAYERS[layer], frame_of(path))
    shown, _ = coloured(made, LAYERS[layer])
    known = shown[shown[..., 3] == 255]
    other = (known != np.median(known, axis=0)).any(axis=1)
    assert 1 <= other.sum() <= 9


def test_two_tiles_make_one_picture(tmp_path):
    left = layer_file(tmp_path / "a.tif", np.full((100, 100), 10, "uint8"), 255, TOWN)
    beside = (TOWN[0], TOWN[1] + 1000, TOWN[2])
    right = layer_file(tmp_path / "b.tif", np.full((100, 100), 90, "uint8"), 255, beside)
    ground = [footprint_of(TOWN[0], (330000, 5821040, 332000, 5822040))]
    frame = frame_around([g.bounds for g in ground])
    shown = in_frame("BUFRAC", left, right, frame=frame)[0]
    known = np.isfinite(shown)
    assert known.sum() * frame.ground**2 == pytest.approx(2e6, rel=0.03)
    assert (shown[known] == 10).mean() == pytest.approx(0.5, abs=0.02)


def test_what_cannot_be_shown_is_said(tmp_path):
    (tmp_path / "bad.tif").write_bytes(b"nothing")
    good = layer_file(tmp_path / "good.tif", np.ones((9, 9), "uint8"), 255, TOWN)
    paths = [str(tmp_path / "bad.tif"), str(tmp_path / "gone.tif"), good]
    made = mosaic([(p, lambda p=p: p) for p in paths], LAYERS["BUFRAC"], frame_of(good))
    assert [path for path, _ in made.errors] == paths[:2]
    assert made.products == 1


def test_colours_of_classes_and_of_nothing():
    classes = Layer.RES_NRES.spec.picture.classes
    shown = categories(np.array([[0, 1, 2, np.nan]], "float32"), classes)
    assert shown[..., 3].tolist() == [[255, 255, 255, 0]]
    assert not in_colour(np.full((3, 4, 5), np.nan)).any()


def test_a_faint_value_is_drawn():
    picture = LAYERS["BUFRAC"].picture
    shown = on_scale(np.array([[0, 1, 100, np.nan]], "float32"), picture, 100)
    assert shown[0, 0].tolist() == [255, 255, 255, 255]
    assert (shown[0, 1] == on_scale(np.array([[10.0]]), picture, 100)[0, 0]).all()
    assert shown[..., 3].tolist() == [[255, 255, 255, 0]]


@pytest.mark.parametrize("exact", [True, False])
def test_a_picture_stays_in_its_budget(exact):
    noise = np.random.default_rng(0).integers(0, 256, (400, 600, 4)).astype("uint8")
    noise[..., 3] = 255
    for budget in (10_000, 100_000):
        data = encoded(noise, budget, exact=exact)
        assert len(data) <= budget
        width, height = Image.open(io.BytesIO(data)).size
        assert width / height == pytest.approx(1.5, rel=0.05)


def test_a_picture_of_few_colours_is_exact():
    shown = categories(np.arange(400 * 300).reshape(300, 400) % 3 * 1.0,
                       LAYERS["RES_NRES"].picture.classes)  # fmt: skip
    image = Image.open(io.BytesIO(encoded(shown, 50_000, exact=True)))
    np.testing.assert_array_equal(np.asarray(image.convert("RGBA")), shown)
