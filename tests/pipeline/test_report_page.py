"""The report in a real browser, without a network: map, slider, layers, phone and print."""

import re
import shutil

import numpy as np
import pytest
import rasterio

from ghsl_beam.outputs.report import write_report
from tests.unit.ghsl_beam.outputs.report.map.test_pictures import layer_file

sync_api = pytest.importorskip(
    "playwright.sync_api", reason="no Playwright: pip install playwright"
)
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine: install Debian's package chromium")
    with sync_api.sync_playwright() as started:
        launched = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield launched
        launched.close()


def opened(browser, output, pictures):
    """The report of an output at the size of a screen; what it complains of is in `faults`."""
    page = browser.new_context(viewport={"width": 1280, "height": 900}, offline=True).new_page()
    page.faults = []
    page.on("console", lambda message: page.faults.append(message.text))
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    page.on("request", lambda request: page.faults.append(request.url))
    address = (output / "report" / "index.html").as_uri()
    page.goto(address)
    page.wait_for_function(
        f"document.querySelectorAll('#map img.leaflet-image-layer').length == {pictures}"
    )
    page.faults = [text for text in page.faults if text != address and text[:5] != "data:"]
    return page


@pytest.fixture(scope="module")
def page(browser, made):
    return opened(browser, made[0], 2)


def right(page):
    return page.locator("#map .leaflet-right-pane img")


def test_it_loads_without_a_complaint_and_without_a_network(page, made):
    assert page.faults == []
    assert (made[0] / "report" / "index.html").stat().st_size < 5_000_000
    assert page.locator("[onclick], [onload], [onerror], [oninput]").count() == 0


def test_layers_slider_and_opacity_work(page):
    names = page.locator("#map-layer option").all_text_contents()
    assert len(names) == page.locator("figure[data-layer]").count() >= 10
    before = right(page).get_attribute("src")
    page.select_option("#map-layer", label="Residential and non-residential, UTM tiles")
    assert right(page).get_attribute("src") != before
    assert "non-residential" in page.inner_text("#map-legend")
    page.locator("#map-opacity").fill("40")
    assert float(right(page).evaluate("e => e.style.opacity")) == pytest.approx(0.4)
    page.locator("#map-opacity").fill("100")
    width = page.locator("#map").bounding_box()["width"]
    for share in (25, 75):
        page.locator("#map-swipe").fill(str(share))
        clip = page.evaluate("document.querySelector('.leaflet-right-pane').style.clipPath")
        assert float(re.search(r"[-\d.]+", clip)[0]) == pytest.approx(share / 100 * width, abs=2)
    page.locator("#map-swipe").press("ArrowRight")
    assert page.locator("#map-swipe").input_value() == "76"


def test_the_cursor_has_coordinates_and_the_map_a_scale(page, made):
    box = page.locator("#map").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    said = page.inner_text("#map-position")
    lat, lon = (float(text) for text in re.findall(r"(\d+\.\d+)° [NE]", said))
    with rasterio.open(next(made[0].glob("utm/33UUU/BUFRAC_*.tif"))) as source:
        x, y = source.xy(source.height // 2, source.width // 2)
        ((east,), (north,)) = rasterio.warp.transform(source.crs, 4326, [x], [y])
    assert (lat, lon) == pytest.approx((north, east), abs=0.002)
    assert page.locator(".leaflet-control-scale-line").inner_text().endswith("m")
    assert page.locator("#map .outline").count() == 1
    assert page.locator("#map .degree").count() >= 4


def test_pictures_lie_where_the_rasters_do(page, made):
    """Where the picture has data, in degrees, is where the raster has data, to a pixel or two."""
    data = page.evaluate("JSON.parse(document.getElementById('map-data').textContent)")
    (south, west), (north, east) = data["frame"]
    page.select_option("#map-layer", label="Clear observations per pixel, UTM tiles")
    seen = page.evaluate(
        """async () => {
          const image = document.querySelector("#map .leaflet-right-pane img");
          await image.decode();
          const canvas = document.createElement("canvas");
          canvas.width = image.naturalWidth; canvas.height = image.naturalHeight;
          const pen = canvas.getContext("2d");
          pen.drawImage(image, 0, 0);
          const all = pen.getImageData(0, 0, canvas.width, canvas.height).data;
          const rows = [], cols = [];
          for (let i = 3; i < all.length; i += 4) if (all[i]) {
            rows.push((i >> 2) / canvas.width | 0); cols.push((i >> 2) % canvas.width); }
          return [canvas.width, canvas.height, Math.min(...cols.slice(0, 1e5)),
                  rows[0], rows[rows.length - 1]];
        }"""
    )
    cols, rows, _, top, bottom = seen
    with rasterio.open(next(made[0].glob("utm/33UUU/S2_COUNT_*.tif"))) as source:
        down, across = np.nonzero(source.read_masks(1))
        x, y = source.xy(down, across)
        _, lat = rasterio.warp.transform(source.crs, 4326, x, y)
    mercator = [np.arcsinh(np.tan(np.radians(value))) for value in (south, north)]
    step = (mercator[1] - mercator[0]) / rows
    expected = [
        (mercator[1] - np.arcsinh(np.tan(np.radians(v)))) / step for v in (max(lat), min(lat))
    ]
    assert (top + 0.5, bottom + 0.5) == pytest.approx(expected, abs=1.5)
    assert east > west
    assert cols / rows == pytest.approx(
        (np.radians(east - west)) / (mercator[1] - mercator[0]), rel=0.02
    )


def numbers(page, table):
    """The numbers of a table by the first cell of their row."""
    rows = page.locator(f"table.{table} tbody tr")
    return dict(
        rows.evaluate_all(
            """rows => rows.map(row => [row.querySelector("th").textContent,
              [...row.querySelectorAll("[data-value]")].map(cell => Number(cell.dataset.value))])"""
        )
    )


def test_its_numbers_are_those_of_the_rasters(page, made):
    def read(layer):
        with rasterio.open(next(made[0].glob(f"utm/33UUU/{layer}_*.tif"))) as source:
            return source.read(1, masked=True)

    count = read("S2_COUNT").compressed()
    shown = {int(name): values[0] for name, values in numbers(page, "counts").items()}
    assert shown == dict(enumerate(np.bincount(count).tolist()))
    classes, green = read("RES_NRES").compressed(), read("GREENNESS").compressed()
    hectares = [(classes == value).sum() / 100 for value in (1, 2)]
    whole = numbers(page, "totals")["Whole area"]
    _, observed, built, residential, other, share, greenness, _ = whole
    assert 0 < observed <= 1
    # The rim of the rasters lies outside the area.
    assert (residential, other) == pytest.approx(hectares, rel=0.02)
    assert built == pytest.approx(sum(hectares), rel=0.02)
    assert share == pytest.approx(residential / built)
    assert greenness == pytest.approx(green.mean() / 1e4, abs=0.005)
    record = made[1]["totals"]["area"]
    keys = ("built_up_ha", "residential_ha", "non_residential_ha")
    assert whole[2:5] == [record[key] for key in keys]
    facts = page.locator(".facts.main dd").evaluate_all("all => all.map(e => e.dataset.value)")
    assert float(facts[0]) == record["built_up_ha"]


def test_it_fits_a_phone(page):
    page.set_viewport_size({"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.set_viewport_size({"width": 1280, "height": 900})


def test_it_prints_pictures_in_place_of_the_map(page):
    page.emulate_media(media="print")
    assert not page.locator("#map").is_visible()
    assert page.locator("figure img").first.is_visible()
    page.emulate_media(media="screen")
    assert page.pdf(format="A4").startswith(b"%PDF")


def test_it_can_be_used_with_the_keyboard_and_heard(page):
    unnamed = page.evaluate(
        """[...document.querySelectorAll("input, select, button, [role=region], img, table")]
          .filter(e => !e.closest(".leaflet-pane") && !(e.labels && e.labels.length)
            && !e.getAttribute("aria-label") && !e.alt && !e.caption && !e.textContent.trim())
          .map(e => e.outerHTML.slice(0, 80))"""
    )
    assert unnamed == []
    assert page.locator("main, header, footer").count() == 3
    page.locator("#map-layer").focus()
    for expected in ("map-opacity", "map-all", "map"):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.id") == expected
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_180_degrees_are_no_edge(browser, tmp_path):
    products = []
    for tile, epsg, left in (("60KYF", 32760, 780_000), ("01KAA", 32701, 180_000)):
        path = f"utm/{tile}/BUFRAC_E2020_fiji_{tile}.tif"
        (tmp_path / path).parent.mkdir(parents=True)
        layer_file(
            tmp_path / path, np.full((300, 300), 50, "uint8"), 255,
            (f"EPSG:{epsg}", left, 8_100_040), 100.0,
        )  # fmt: skip
        products.append({"layer": "BUFRAC", "tile": tile, "grid": "utm", "path": path})
    write_report(str(tmp_path), {"name": "fiji", "products": products, "ended": "2020"})
    page = opened(browser, tmp_path, 1)
    assert page.faults == []
    image, whole = right(page).bounding_box(), page.locator("#map").bounding_box()
    assert image["width"] > 0.5 * whole["width"]
    assert page.locator("#map .coast").count() == 1
    degrees = page.locator("#map .degree.lon").all_text_contents()
    assert any("E" in text for text in degrees)
    assert any("W" in text for text in degrees)
