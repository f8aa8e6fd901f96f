"""Outputs that somebody else wrote: `report` shows what lies in them, and nothing else."""

import json
import os
import re
import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from ghsl_beam.outputs.report import write_report
from ghsl_beam.outputs.stored_record import MAX_RECORD_BYTES
from ghsl_beam.tools.validate import validate
from tests.pipeline.faults.table import fault
from transforms.elements import GhslBeamError, RasterError, RequestError
from transforms.rasters.tile_sums import SUMS_TAG, as_tag, sums_of

OWN = "utm/33UUU/BUFRAC_E2017_x_33UUU.tif"
ONE_LINE = (
    "the product has one line in the report in place of a picture; nothing is asked for or read"
)


def raster(path: Path, side: int = 40, **tags: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    place = {"crs": "EPSG:32633", "transform": from_origin(330000, 5822040, 10, 10)}
    size = {"height": side, "width": side, "count": 1, "dtype": "uint8", "nodata": 255}
    with rasterio.open(path, "w", driver="GTiff", **size, **place) as target:
        target.write(np.full((1, side, side), 40, "uint8"))
        target.update_tags(ns="OVERVIEWS", **tags)


@pytest.fixture
def asked():
    """What was asked of a server on this machine, and its address."""
    paths: list[str] = []

    class Listener(BaseHTTPRequestHandler):
        def do_GET(self):
            paths.append(self.path)
            self.send_error(404)

        do_HEAD = do_GET  # noqa: N815

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Listener)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield paths, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def output(tmp_path) -> Path:
    """An output with one product, beside a raster that is nobody's business."""
    raster(tmp_path / "private.tif")
    raster(tmp_path / "output" / OWN)
    return tmp_path / "output"


def record(output: Path, path: str = OWN, **over) -> None:
    product = {"layer": "BUFRAC", "tile": "33UUU", "grid": "utm", "path": path}
    (output / "run.json").write_text(json.dumps({"products": [product], **over}))


def page(output: Path) -> str:
    return Path(write_report(str(output))).read_text()


def pictures(text: str) -> int:
    return text.count('src="data:image/')


def test_its_own_product_is_shown(output):
    record(output)
    assert pictures(page(output)) == 1


PATHS = {
    "at another host": "/vsicurl/{address}/inside.tif",
    "a URL": "{address}/inside.tif",
    "a bucket": "s3://bucket/inside.tif",
    "within a zip at another host": "/vsizip//vsicurl/{address}/a.zip/inside.tif",
    "absolute": "{folder}/private.tif",
    "that leads up": "../private.tif",
    "that leads up from within": "utm/33UUU/../../../private.tif",
    "that leads up behind a product's name": "utm/33UUU/BUFRAC_E2017_../../../private_33UUU.tif",
    "a list of rasters": '<VRTDataset><SourceFilename>{address}/i.tif</SourceFilename>',
    "a driver's name": "GTIFF_RAW:{folder}/private.tif",
    "of another layer": "utm/33UUU/S2_E2017_x_33UUU.tif",
    "of another tile": "utm/33UVU/BUFRAC_E2017_x_33UVU.tif",
    "of another grid": "grid/54009_100/BUFRAC_E2017_x_54009_100_33UUU.tif",
    "of a block file": "work/blocks/BUFRAC/33UUU/r0_c0_40x40.tif",
    "empty": "",
    "with a newline": "utm/33UUU/BUFRAC_E2017_x_33UUU.tif\n",
}  # fmt: skip
for case in PATHS:
    fault("outputs", f"foreign run.json: a path {case}", ONE_LINE)


@pytest.mark.parametrize("case", PATHS)
def test_paths_of_a_foreign_record(case, output, asked):
    hits, address = asked
    for beside in ("utm/33UUU/S2_E2017_x_33UUU.tif", "utm/33UVU/BUFRAC_E2017_x_33UVU.tif"):
        raster(output / beside)
    record(output, PATHS[case].format(address=address, folder=output.parent))
    text = page(output)
    assert not hits
    assert pictures(text) == 0
    assert "not the path of a product of the output, expected utm/33UUU/BUFRAC_E" in text


def linked_file(output: Path) -> None:
    (output / OWN).unlink()
    (output / OWN).symlink_to(output.parent / "private.tif")


def linked_folder(output: Path) -> None:
    shutil.move(output / "utm", output.parent / "elsewhere")
    (output / "utm").symlink_to(output.parent / "elsewhere")


def linked_back(output: Path) -> None:
    (output / OWN).rename(output / "utm/33UUU/kept.tif")
    (output / OWN).symlink_to(output / "utm/33UUU/kept.tif")


def fifo(output: Path) -> None:
    (output / OWN).unlink()
    os.mkfifo(output / OWN)


def virtual(output: Path, address: str) -> None:
    (output / OWN).write_text(
        '<VRTDataset rasterXSize="9" rasterYSize="9"><VRTRasterBand dataType="Byte" band="1">'
        f"<SimpleSource><SourceFilename>/vsicurl/{address}/i.tif</SourceFilename></SimpleSource>"
        "</VRTRasterBand></VRTDataset>"
    )


def overviews_elsewhere(output: Path, address: str) -> None:
    raster(output / OWN, 2000, OVERVIEW_FILE=f"/vsicurl/{address}/o.tif")


def overviews_beside(output: Path, address: str) -> None:
    raster(output / OWN, 2000)
    virtual(output, address)
    (output / OWN).rename(output / f"{OWN}.ovr")
    raster(output / OWN, 2000)
    (output / f"{OWN}.aux.xml").write_text(
        '<PAMDataset><Metadata domain="OVERVIEWS"><MDI key="OVERVIEW_FILE">'
        f"/vsicurl/{address}/o.tif</MDI></Metadata></PAMDataset>"
    )


FILES = {
    "a link to a file elsewhere": (linked_file, "a link leads out of the output"),
    "a file below a link to a folder elsewhere": (linked_folder, "a link leads out of the output"),
    "a FIFO": (fifo, "not a regular file"),
    "a virtual raster of another host": (virtual, "not recognized"),
    "a raster with overviews at another host": (
        overviews_elsewhere,
        "names overviews in another file",
    ),
}
for case in FILES:
    fault(
        "outputs", f"foreign output: a product that is {case}".replace("is with", "has"), ONE_LINE
    )
fault(
    "outputs",
    "foreign output: files beside a product that lead to another host",
    "they are not looked at; the product is shown; 0",
)


@pytest.mark.parametrize("case", FILES)
def test_products_that_lead_elsewhere(case, output, asked):
    hits, address = asked
    change, said = FILES[case]
    change(*(output, address)[: change.__code__.co_argcount])
    record(output)
    text = page(output)
    assert not hits
    assert pictures(text) == 0
    assert said in text


def test_files_beside_a_product_are_not_looked_at(output, asked):
    overviews_beside(output, asked[1])
    record(output)
    assert pictures(page(output)) == 1
    assert not asked[0]


def test_a_link_within_the_output_is_followed(output):
    linked_back(output)
    record(output)
    assert pictures(page(output)) == 1


NESTED = '{"configuration": ' + '{"a": ' * 100_000 + "1" + "}" * 100_001
RECORDS = {
    "nested too deep": (NESTED, "cannot be read"),
    "no object": ("[]", "is not the record of a run"),
    "tiles that are none": ('{"tiles": [1]}', r"tiles\.0: found 1, expected"),
    "a time that is text": ('{"seconds": "1"}', "seconds: found '1', expected"),
    "a time of 400 digits": (f'{{"seconds": 1{"0" * 400}}}', "seconds: found 10"),
    "a path that is a list": ('{"products": [{"path": ["a"]}]}', r"products\.0\.path: found"),
    "stages that are numbers": ('{"stages": {"a": 1}}', r"stages\.a: found 1, expected"),
}
for case in RECORDS:
    fault("outputs", f"foreign run.json: {case}", "one line, no report; 2")
fault("outputs", "foreign run.json: larger than 128 MiB", "one line, no report; 2")


@pytest.mark.parametrize("case", RECORDS)
def test_records_that_are_none(case, output):
    text, said = RECORDS[case]
    (output / "run.json").write_text(text)
    with pytest.raises(RequestError, match=said) as caught:
        write_report(str(output))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500
    assert not (output / "report").exists()


def test_a_record_that_is_too_large(output):
    with open(output / "run.json", "wb") as file:
        file.truncate(MAX_RECORD_BYTES + 1)
    with pytest.raises(RequestError, match="larger than"):
        write_report(str(output))


fault("outputs", "foreign run.json: HTML, scripts and half characters", "shown as text; 0")


def test_text_of_a_foreign_record_is_text(output):
    evil = '"><img src=x onerror=alert(1)><script>alert(2)</script>javascript:alert(3)\ud800'
    tile = {"tile": evil, "zone": evil, "model": {"file": evil, "sha256": evil}}
    tile["scenes"] = [{"id": evil, "sensing": evil, "baseline": evil}]
    record(
        output, evil, name=evil, job=evil, error=evil, started=evil, exit_code=1, tiles=[tile],
        warnings=[evil], credits=[evil], counts={evil: 1}, stages={evil: {"seconds": 1}},
        losses=[{"stage": evil, "tile": evil, "reason": evil}], configuration={evil: evil},
        versions={evil: evil}, machine={"system": evil},
    )  # fmt: skip
    text = page(output)
    markup = re.sub(r"<(script|style)\b.*?</\1>", "", text, flags=re.DOTALL)
    assert text.count("<script") == 2  # the page's own
    assert "alert" not in "".join(re.findall(r"<script.*?</script>", text, flags=re.DOTALL))
    assert "<img" not in markup
    assert not re.search(r"\b(src|href|on\w+)\s*=\s*[\"'](?!data:|#)", markup)
    assert "default-src 'none'" in text


fault("outputs", "foreign output: report is a link to a folder elsewhere", "one line, no report; 1")


def test_a_report_folder_that_lies_elsewhere(output):
    (output.parent / "other").mkdir()
    (output / "report").symlink_to(output.parent / "other")
    record(output)
    with pytest.raises(GhslBeamError, match="a link leads out of the output"):
        write_report(str(output))
    assert not list((output.parent / "other").iterdir())


fault(
    "outputs",
    "a flipped bit in a product that `validate` or `train` reads",
    "one line that names the product; 1",
)


def test_a_flipped_bit_in_a_product_that_a_tool_reads(tmp_path):
    path = tmp_path / OWN
    raster(path)
    with rasterio.open(path, "r+") as made:
        pixels = made.read()
        made.update_tags(**{SUMS_TAG: as_tag(sums_of(pixels, 40))})
        made.write(pixels ^ 4 * (np.arange(40) == 20).astype("uint8"))
    with pytest.raises(RasterError, match=f"{OWN}: is damaged.*match their checksum") as no:
        validate(str(tmp_path), str(path))
    assert str(no.value).isprintable()
