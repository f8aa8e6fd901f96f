"""Rasters that somebody names reach no other file and no other host."""

import os
import socket
from pathlib import Path

import numpy as np
import pytest
import rasterio
import shapely
from pyproj import Transformer
from rasterio.transform import from_origin

from ghsl_beam.planning.mosaic import write_vrt
from ghsl_beam.tools.plain_rasters import opened_product, opened_reference, read_all
from ghsl_beam.tools.validate import validate
from tests.unit.ghsl_beam.tools.test_validate import PERCENT, boxes, layer, write
from transforms.elements import RasterError, RequestError
from transforms.rasters.tile_sums import SUMS_TAG, as_tag, sums_of

GRID = {"crs": "ESRI:54009", "transform": from_origin(900000, 6200000, 10, 10)}
WHOLE = np.full((30, 40), 50, "uint8")


class Host:
    """A host of this machine that counts nothing but whether it was asked."""

    def __init__(self) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.socket.settimeout(0.05)
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"

    def was_asked(self) -> bool:
        try:
            self.socket.accept()[0].close()
        except TimeoutError:
            return False
        return True


@pytest.fixture
def host():
    made = Host()
    yield made
    made.socket.close()


def in_degrees(shape: shapely.Geometry) -> shapely.Geometry:
    into = Transformer.from_crs("EPSG:32633", "OGC:CRS84", always_xy=True)
    return shapely.transform(shape, into.transform, interleaved=False)


def virtual(source: str, **attributes: str) -> str:
    """A virtual raster of one source, as GDAL takes it."""
    more = "".join(f' {key}="{value}"' for key, value in attributes.items())
    return (
        '<VRTDataset rasterXSize="40" rasterYSize="30"><SRS>EPSG:32633</SRS>'
        "<GeoTransform>330000, 10, 0, 5822040, 0, -10</GeoTransform>"
        '<VRTRasterBand dataType="Byte" band="1"><SimpleSource>'
        f"<SourceFilename{more}>{source}</SourceFilename><SourceBand>1</SourceBand>"
        "</SimpleSource></VRTRasterBand></VRTDataset>"
    )


def tiled(url: str) -> str:
    return (
        f'<GDAL_WMS><Service name="TMS"><ServerUrl>{url}/${{z}}/${{x}}/${{y}}.png</ServerUrl>'
        "</Service><DataWindow><UpperLeftX>330000</UpperLeftX><UpperLeftY>5822040</UpperLeftY>"
        "<LowerRightX>330400</LowerRightX><LowerRightY>5821740</LowerRightY><SizeX>40</SizeX>"
        "<SizeY>30</SizeY></DataWindow><Projection>EPSG:32633</Projection></GDAL_WMS>"
    )


@pytest.mark.parametrize("name", ["ref.tif", "ref.vrt", "ref"])
@pytest.mark.parametrize("kind", ["host", "tiles", "file of this machine"])
def test_a_reference_leads_nowhere(tmp_path: Path, host: Host, name: str, kind: str) -> None:
    layer(tmp_path / "out", PERCENT)
    write(tmp_path / "other.tif", PERCENT, None)
    (tmp_path / name).write_text(
        {
            "host": virtual(f"/vsicurl/{host.url}/x.tif"),
            "tiles": tiled(host.url),
            "file of this machine": virtual(str(tmp_path / "other.tif")),
        }[kind]
    )
    said = "GeoTIFFs beside it|not a plain virtual raster" if name == "ref.vrt" else "not a GeoTIFF"
    with pytest.raises(RequestError, match=said):
        validate(str(tmp_path / "out"), f"{tmp_path}/{name}", unit="percent")
    assert not host.was_asked()


def test_a_layer_of_the_output_leads_nowhere(tmp_path: Path, host: Host) -> None:
    write(tmp_path / "ref.tif", PERCENT, None)
    path = tmp_path / "out/utm/33UUU/BUFRAC_E2017_x_33UUU.tif"
    path.parent.mkdir(parents=True)
    path.write_text(virtual(f"/vsicurl/{host.url}/x.tif"))
    with pytest.raises(
        RasterError, match=r"BUFRAC_E2017_x_33UUU.tif: is damaged, .* not a GeoTIFF"
    ):
        validate(str(tmp_path / "out"), f"{tmp_path}/ref.tif", unit="percent")
    assert not host.was_asked()
    path.unlink()
    path.symlink_to(tmp_path / "ref.tif")
    with pytest.raises(RasterError, match="a link leads out of the output"):
        validate(str(tmp_path / "out"), f"{tmp_path}/ref.tif", unit="percent")


def test_files_beside_a_raster_are_not_opened(tmp_path: Path, host: Host) -> None:
    path = tmp_path / "out/utm/33UUU/BUFRAC_E2017_x_33UUU.tif"
    layer(tmp_path / "out", PERCENT)
    for name in (f"{path}.msk", f"{path}.ovr"):
        Path(name).write_text(virtual(f"/vsicurl/{host.url}/x.tif"))
    with opened_product(str(path), str(tmp_path / "out")) as source:
        assert source.read_masks(1).any()
        assert source.overviews(1) == []
    assert not host.was_asked()


@pytest.mark.parametrize(("suffix", "text"), [
    (".msk", "any"),
    (".aux.xml", '<PAMDataset><PAMRasterBand band="1"><NoDataValue>7</NoDataValue>'
     "</PAMRasterBand></PAMDataset>"),
])  # fmt: skip
def test_what_a_file_beside_a_reference_says_is_not_passed_over(
    tmp_path: Path, suffix: str, text: str
) -> None:
    layer(tmp_path / "out", PERCENT)
    write(tmp_path / "ref.tif", PERCENT, None)
    beside = tmp_path / f"ref.tif{suffix}"
    beside.write_text(text)
    with pytest.raises(RequestError, match=rf"ref\.tif{suffix} beside it is not read"):
        validate(str(tmp_path / "out"), f"{tmp_path}/ref.tif", unit="percent")
    beside.rename(tmp_path / "moved")
    statistics = '<PAMDataset><PAMRasterBand band="1"><Metadata /></PAMRasterBand></PAMDataset>'
    (tmp_path / "ref.tif.aux.xml").write_text(statistics)
    assert validate(str(tmp_path / "out"), f"{tmp_path}/ref.tif", unit="percent")["rmse"] == 0


def part(path: Path, layer: str, **tags: str) -> None:
    with rasterio.open(
        path, "w", driver="GTiff", width=40, height=30, count=1, dtype="uint8", nodata=255, **GRID
    ) as target:
        target.write(WHOLE, 1)
        target.update_tags(LAYER=layer, GHSL_FINGERPRINT="f", **tags)


def test_a_mosaic_proves_what_its_files_prove(tmp_path: Path) -> None:
    """As the files say it: layer, credits, colour; a class layer is refused by its name."""
    folder = tmp_path / "grid/54009_10"
    folder.mkdir(parents=True)
    part(folder / "BUILT_S_E2017_x_a.tif", "BUILT_S", CREDITS="Sentinel; network A")
    part(folder / "BUILT_S_E2017_x_b.tif", "BUILT_S", CREDITS="Sentinel; network B")
    write_vrt(str(folder), "all.vrt", ["BUILT_S_E2017_x_a.tif", "BUILT_S_E2017_x_b.tif"])
    with rasterio.open(folder / "all.vrt") as made:
        tags = made.tags()
        assert [c.name for c in made.colorinterp] == ["gray"]
    assert tags["LAYER"] == "BUILT_S"
    assert tags["CREDITS"] == "Sentinel; network A; network B"
    assert tags["GHSL_FINGERPRINT"] not in ("", "f")
    (folder / "BUILT_S_E2017_x_b.tif").unlink()
    write_vrt(str(folder), "all.vrt", ["BUILT_S_E2017_x_a.tif"])
    found = validate(str(tmp_path), f"{folder}/all.vrt", layer="BUILT_S")
    assert (found["rmse"], found["unit"]) == (0, "m2")
    part(folder / "LAND_a.tif", "BUILT_C_FUN")
    write_vrt(str(folder), "classes.vrt", ["LAND_a.tif"])
    with pytest.raises(RequestError, match="is BUILT_C_FUN, which does not measure"):
        validate(str(tmp_path), f"{folder}/classes.vrt", layer="BUILT_S", unit="m2")


@pytest.mark.parametrize("change", [
    ("<SimpleSource>", "<ComplexSource><LUT>0:1,255:0</LUT>"),
    ("<SimpleSource>", "<ComplexSource><UseMaskBand>true</UseMaskBand>"),
    (">a.tif<", ">../a.tif<"),
    (">a.tif<", ">/vsicurl/http://127.0.0.1:9/a.tif<"),
    ('relativeToVRT="1"', 'relativeToVRT="0"'),
    ("<SourceBand>", "<OpenOptions><OOI key='a'>b</OOI></OpenOptions><SourceBand>"),
    ("<VRTDataset ", '<VRTDataset subClass="VRTWarpedDataset" '),
    ("<VRTRasterBand ", '<VRTRasterBand subClass="VRTRawRasterBand" '),
    ("<VRTRasterBand ", "<OverviewList>2</OverviewList><VRTRasterBand "),
    ("<VRTDataset ", "<!DOCTYPE a><VRTDataset "),
    ("</VRTDataset>", ""),
])  # fmt: skip
def test_a_mosaic_that_is_none_of_ours(tmp_path: Path, change: tuple[str, str]) -> None:
    part(tmp_path / "a.tif", "BUILT_S")
    write_vrt(str(tmp_path), "all.vrt", ["a.tif"])
    with opened_reference(f"{tmp_path}/all.vrt") as source:
        assert (source.read(1) == WHOLE).all()
    (tmp_path / "33UUU").mkdir()  # as the tiles of a UTM zone are
    part(tmp_path / "33UUU" / "a.tif", "BUILT_S")
    ours = (tmp_path / "all.vrt").read_text().replace("SimpleSource", "ComplexSource")
    ours = ours.replace("</ComplexSource>", "<NODATA>255</NODATA></ComplexSource>")
    (tmp_path / "zone.vrt").write_text(ours.replace(">a.tif<", ">33UUU/a.tif<"))
    with opened_reference(f"{tmp_path}/zone.vrt") as source:
        assert (source.read(1) == WHOLE).all()
    text = (tmp_path / "all.vrt").read_text()
    assert change[0] in text
    changed = text.replace(*change)
    if "Complex" in change[1]:
        changed = changed.replace("</SimpleSource>", "</ComplexSource>")
    (tmp_path / "all.vrt").write_text(changed)
    with pytest.raises(RequestError), opened_reference(f"{tmp_path}/all.vrt"):
        pass


def test_a_mosaic_of_virtual_rasters(tmp_path: Path, host: Host) -> None:
    part(tmp_path / "a.tif", "BUILT_S")
    write_vrt(str(tmp_path), "all.vrt", ["a.tif"])
    (tmp_path / "a.tif").write_text(virtual(f"/vsicurl/{host.url}/x.tif"))
    with pytest.raises(RequestError, match=r"a\.tif"), opened_reference(f"{tmp_path}/all.vrt"):
        pass
    assert not host.was_asked()


@pytest.mark.parametrize("kind", ["cut", "empty", "text", "pipe", "folder"])
def test_a_reference_that_cannot_be_read(tmp_path: Path, kind: str) -> None:
    """One line that names the file and the cause, exit code 2."""
    layer(tmp_path / "out", np.resize(PERCENT, (300, 400)))
    path = tmp_path / "ref.tif"
    if kind == "cut":
        noise = np.random.default_rng(2).integers(0, 101, (300, 400)).astype("uint8")
        write(path, noise, None, compress="deflate")
        os.truncate(path, path.stat().st_size // 2)
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.write_text("" if kind == "empty" else "no raster")
    said = {
        "cut": r"damaged, truncated or not a raster \((?!Read failed)",
        "pipe": "a pipe or a device, expected a file",
        "folder": "is a directory, expected a file",
    }.get(kind, "not a GeoTIFF by its first bytes")
    with pytest.raises(RequestError, match=said) as caught:
        validate(str(tmp_path / "out"), str(path), unit="percent")
    assert "ref.tif" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("reference", ["ref.tif", "ref.gpkg"])
def test_the_layer_that_is_damaged_is_named(tmp_path: Path, reference: str) -> None:
    noise = np.random.default_rng(2).integers(0, 101, (300, 400)).astype("uint8")
    layer(tmp_path / "out", noise, compress="deflate")
    path = tmp_path / "out/utm/33UUU/BUFRAC_E2017_x_33UUU.tif"
    os.truncate(path, path.stat().st_size // 2)
    write(tmp_path / "ref.tif", noise, None)
    boxes(tmp_path / "ref.gpkg", in_degrees(shapely.box(330100, 5821000, 330500, 5821900)))
    unit = "percent" if reference.endswith("tif") else None
    with pytest.raises(RasterError, match=r"BUFRAC_E2017_x_33UUU\.tif: is damaged") as caught:
        validate(str(tmp_path / "out"), f"{tmp_path}/{reference}", unit=unit)
    assert reference not in str(caught.value)


def test_a_flipped_bit_in_a_product_is_noticed(tmp_path: Path) -> None:
    """Its pixels decode to others than were written: the checksums tell."""
    layer(tmp_path / "out", PERCENT, tiled=True, blockxsize=16, blockysize=16)
    write(tmp_path / "ref.tif", PERCENT, None)
    path = f"{tmp_path}/out/utm/33UUU/BUFRAC_E2017_x_33UUU.tif"
    with rasterio.open(path, "r+") as made:
        made.update_tags(**{SUMS_TAG: as_tag(sums_of(PERCENT[np.newaxis], 16))})
    found = validate(f"{tmp_path}/out", f"{tmp_path}/ref.tif", unit="percent")
    assert found["rmse"] == 0
    with rasterio.open(path, "r+") as made:
        made.write(PERCENT ^ (np.arange(40) == 20), 1)
    said = "BUFRAC_E2017_x_33UUU.tif: is damaged.*do not match their checksum.*run the job again"
    with pytest.raises(RasterError, match=said):
        validate(f"{tmp_path}/out", f"{tmp_path}/ref.tif", unit="percent")
    with opened_product(path) as made, pytest.raises(RasterError, match=said):
        read_all(made, path)


def test_what_is_wrong_with_polygons_is_said(tmp_path: Path) -> None:
    """A polygon that crosses itself is taken as two, and `validate` says so as `plan` does."""
    layer(tmp_path / "out", PERCENT)
    bow = shapely.Polygon([(330000, 5822000), (330200, 5821800), (330200, 5822000),
                           (330000, 5821800)])  # fmt: skip
    boxes(tmp_path / "bow.gpkg", in_degrees(bow))
    found = validate(str(tmp_path / "out"), f"{tmp_path}/bow.gpkg")
    assert any("not valid" in warning for warning in found["warnings"])
