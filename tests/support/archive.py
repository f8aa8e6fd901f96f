"""Small archives of synthetic Sentinel-2 products, in the real layout and formats."""

from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import numpy as np
import pyproj
import rasterio
from rasterio.transform import from_origin

ORDER = ("B04", "B03", "B02", "B08")
ORDER_20M = ("B05", "B06", "B07", "B8A", "B11", "B12")


@dataclass
class Product:
    """One product: `dn` is (4, rows, columns) in the order R G B NIR, on the tile's 10 m grid."""

    tile: str
    epsg: int
    ulx: float
    uly: float
    dn: np.ndarray
    day: date = date(2020, 6, 15)
    baseline: str = "02.09"
    offset: int | None = None
    cloud_cover: float = 0.0
    cloud_polygons: list[str] = field(default_factory=list)
    """GML posLists (x y x y ...) of clouds in the tile's CRS."""
    generation: str = "T120000"
    scl: np.ndarray | None = None
    """Scene classification (rows, columns) at 20 m: makes it an L2A product."""
    coarse: np.ndarray | None = None
    """The bands at 20 m (6, rows, columns), in the order of `ORDER_20M`; None writes none."""
    tiling: int = 256
    """Side of the JPEG 2000 tiles in pixels; 1024 in real products."""
    datastrip: str = ""
    """Sensing start of its datastrip, `YYYYMMDDTHHMMSS`; without one it has no DATASTRIP_ID."""
    footprint: str | None = ""
    """The positions of its footprint; empty: those of its four corners; None: not stated."""

    @property
    def level(self) -> str:
        return "1C" if self.scl is None else "2A"

    @property
    def name(self) -> str:
        stamp = f"{self.day:%Y%m%d}T102101"
        baseline = self.baseline.replace(".", "")
        made = f"{self.day:%Y%m%d}{self.generation}"
        return f"S2A_MSIL{self.level}_{stamp}_N{baseline}_R065_T{self.tile}_{made}"


def write_product(folder: Path, product: Product) -> Path:
    """Write a product as an unpacked SAFE; returns its folder."""
    safe = folder / f"{product.name}.SAFE"
    stamp = f"{product.day:%Y%m%d}T102101"
    granule = safe / "GRANULE" / f"L{product.level}_T{product.tile}_A008640_{stamp}"
    images = granule / "IMG_DATA"
    (granule / "QI_DATA").mkdir(parents=True)
    rows, cols = product.dn.shape[1:]
    for name, values in zip(_image_names(product, stamp, 10), product.dn, strict=True):
        _write_image(images / f"{name}.jp2", values.astype("uint16"), product, 10)
    if product.coarse is not None:
        for name, values in zip(_image_names(product, stamp, 20), product.coarse, strict=True):
            _write_image(images / f"{name}.jp2", values.astype("uint16"), product, 20)
    if product.scl is not None:
        path = images / "R20m" / f"T{product.tile}_{stamp}_SCL_20m.jp2"
        _write_image(path, product.scl.astype("uint8"), product, 20)
    (safe / f"MTD_MSIL{product.level}.xml").write_text(_product_xml(product, granule.name, stamp))
    (granule / "MTD_TL.xml").write_text(_tile_xml(product, rows, cols))
    (granule / "QI_DATA" / "MSK_CLOUDS_B00.gml").write_text(_clouds(product))
    return safe


def _image_names(product: Product, stamp: str, metres: int) -> list[str]:
    """Band images below IMG_DATA, in the order of the bands, without extension."""
    folder, end = ("", "") if product.scl is None else (f"R{metres}m/", f"_{metres}m")
    bands = ORDER if metres == 10 else ORDER_20M
    return [f"{folder}T{product.tile}_{stamp}_{band}{end}" for band in bands]


def _write_image(path: Path, values: np.ndarray, product: Product, resolution: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    profile = {
        "driver": "JP2OpenJPEG",
        "height": values.shape[0],
        "width": values.shape[1],
        "count": 1,
        "dtype": values.dtype.name,
        "crs": f"EPSG:{product.epsg}",
        "transform": from_origin(product.ulx, product.uly, resolution, resolution),
        "quality": 100,
        "reversible": "YES",
        "blockxsize": product.tiling,
        "blockysize": product.tiling,
    }
    with rasterio.open(path, "w", **profile) as target:
        target.write(values, 1)


def _product_xml(product: Product, granule: str, stamp: str) -> str:
    if product.scl is None:
        offset_list, tag = "Radiometric_Offset_List", "RADIO_ADD_OFFSET"
        scale = '<QUANTIFICATION_VALUE unit="none">10000</QUANTIFICATION_VALUE>'
    else:
        offset_list, tag = "BOA_ADD_OFFSET_VALUES_LIST", "BOA_ADD_OFFSET"
        scale = (
            '<QUANTIFICATION_VALUES_LIST><BOA_QUANTIFICATION_VALUE unit="none">10000'
            "</BOA_QUANTIFICATION_VALUE></QUANTIFICATION_VALUES_LIST>"
        )
    offsets = ""
    if product.offset is not None:
        lines = "".join(f'<{tag} band_id="{i}">{product.offset}</{tag}>' for i in range(13))
        offsets = f"<{offset_list}>{lines}</{offset_list}>"
    images = "".join(
        f"<IMAGE_FILE>GRANULE/{granule}/IMG_DATA/{name}</IMAGE_FILE>"
        for metres in ((10,) if product.coarse is None else (10, 20))
        for name in _image_names(product, stamp, metres)
    )
    names = ("B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B8A", "B9", "B10", "B11", "B12")
    bands = "".join(
        f'<Spectral_Information bandId="{i}" physicalBand="{name}"/>'
        for i, name in enumerate(names)
    )
    moment = f"{product.day:%Y-%m-%d}T10:21:01.026Z"
    level = product.level
    place = "" if product.footprint is None else f"<EXT_POS_LIST>{_corners(product)}</EXT_POS_LIST>"
    return f"""<?xml version="1.0" encoding="UTF-8" standalone="no"?>
<n1:Level-{level}_User_Product xmlns:n1="https://psd-14.sentinel2.eo.esa.int/PSD/User_Product_Level-{level}.xsd">
<n1:General_Info><Product_Info>
<PRODUCT_START_TIME>{moment}</PRODUCT_START_TIME><PRODUCT_STOP_TIME>{moment}</PRODUCT_STOP_TIME>
<PRODUCT_URI>{product.name}.SAFE</PRODUCT_URI>
<PROCESSING_LEVEL>Level-{level}</PROCESSING_LEVEL><PRODUCT_TYPE>S2MSI{level}</PRODUCT_TYPE>
<PROCESSING_BASELINE>{product.baseline}</PROCESSING_BASELINE>
<GENERATION_TIME>{product.day:%Y-%m-%d}T12:00:00.000000Z</GENERATION_TIME>
<Datatake datatakeIdentifier="GS2A_{stamp}_008640_N{product.baseline}">
<SPACECRAFT_NAME>Sentinel-2A</SPACECRAFT_NAME><DATATAKE_TYPE>INS-NOBS</DATATAKE_TYPE>
<DATATAKE_SENSING_START>{moment}</DATATAKE_SENSING_START>
<SENSING_ORBIT_NUMBER>65</SENSING_ORBIT_NUMBER>
<SENSING_ORBIT_DIRECTION>DESCENDING</SENSING_ORBIT_DIRECTION></Datatake>
<Product_Organisation><Granule_List><Granule imageFormat="JPEG2000"
 granuleIdentifier="S2A_OPER_MSI_L{level}_TL_SGS__{stamp}_A008640_T{product.tile}_N{product.baseline}">
{images}</Granule></Granule_List></Product_Organisation></Product_Info>
<Product_Image_Characteristics>
{scale}{offsets}
<Spectral_Information_List>{bands}</Spectral_Information_List>
</Product_Image_Characteristics></n1:General_Info>
<n1:Geometric_Info>{place}</n1:Geometric_Info>
<n1:Quality_Indicators_Info>
<Cloud_Coverage_Assessment>{product.cloud_cover}</Cloud_Coverage_Assessment>
</n1:Quality_Indicators_Info></n1:Level-{level}_User_Product>
"""


def _corners(product: Product) -> str:
    if product.footprint:
        return product.footprint
    rows, cols = product.dn.shape[1:]
    xs = np.array([0, cols, cols, 0, 0]) * 10 + product.ulx
    ys = product.uly - np.array([0, 0, rows, rows, 0]) * 10
    lon, lat = pyproj.Transformer.from_crs(product.epsg, 4326, always_xy=True).transform(xs, ys)
    return " ".join(f"{y!r} {x!r}" for x, y in zip(lon.tolist(), lat.tolist(), strict=True))


def _tile_xml(product: Product, rows: int, cols: int) -> str:
    sizes = "".join(
        f'<Size resolution="{r}"><NROWS>{rows * 10 // r}</NROWS>'
        f"<NCOLS>{cols * 10 // r}</NCOLS></Size>"
        for r in (10, 20, 60)
    )
    places = "".join(
        f'<Geoposition resolution="{r}"><ULX>{product.ulx:.0f}</ULX><ULY>{product.uly:.0f}</ULY>'
        f"<XDIM>{r}</XDIM><YDIM>-{r}</YDIM></Geoposition>"
        for r in (10, 20, 60)
    )
    level = product.level
    strip = ""
    if product.datastrip:
        made = f"{product.day:%Y%m%d}{product.generation}"
        code = f"{made}_S{product.datastrip}_N{product.baseline}"
        name = f"S2A_OPER_MSI_L{level}_DS_SGS__{code}"
        strip = f'<DATASTRIP_ID metadataLevel="Standard">{name}</DATASTRIP_ID>\n'
    identity = f"S2A_OPER_MSI_L{level}_TL_SGS__20200615T102101_A008640_T{product.tile}"
    return f"""<?xml version="1.0" encoding="UTF-8" standalone="no"?>
<n1:Level-{level}_Tile_ID xmlns:n1="https://psd-14.sentinel2.eo.esa.int/PSD/S2_PDI_Level-{level}_Tile_Metadata.xsd">
<n1:General_Info>
<TILE_ID metadataLevel="Brief">{identity}_N{product.baseline}</TILE_ID>
{strip}<SENSING_TIME metadataLevel="Standard">{product.day:%Y-%m-%d}T10:21:01.026Z</SENSING_TIME>
</n1:General_Info>
<n1:Geometric_Info><Tile_Geocoding metadataLevel="Brief">
<HORIZONTAL_CS_NAME>WGS84 / UTM</HORIZONTAL_CS_NAME>
<HORIZONTAL_CS_CODE>EPSG:{product.epsg}</HORIZONTAL_CS_CODE>{sizes}{places}
</Tile_Geocoding></n1:Geometric_Info>
<n1:Quality_Indicators_Info><Image_Content_QI>
<CLOUDY_PIXEL_PERCENTAGE>{product.cloud_cover}</CLOUDY_PIXEL_PERCENTAGE>
</Image_Content_QI></n1:Quality_Indicators_Info></n1:Level-{level}_Tile_ID>
"""


def _clouds(product: Product) -> str:
    members = "".join(
        f"""<eop:MaskFeature gml:id="OPAQUE.{number}">
<eop:maskType codeSpace="urn:gs2:S2PDGS:maskType">OPAQUE</eop:maskType>
<eop:extentOf><gml:Polygon gml:id="OPAQUE.{number}_Polygon"><gml:exterior><gml:LinearRing>
<gml:posList srsDimension="2">{positions}</gml:posList>
</gml:LinearRing></gml:exterior></gml:Polygon></eop:extentOf>
</eop:MaskFeature>"""
        for number, positions in enumerate(product.cloud_polygons)
    )
    envelope = ""
    if members:
        members = f"<eop:maskMembers>{members}</eop:maskMembers>"
        envelope = (
            f'<gml:boundedBy><gml:Envelope srsName="urn:ogc:def:crs:EPSG:8.7.1:{product.epsg}">'
            "<gml:lowerCorner>0 0</gml:lowerCorner><gml:upperCorner>1 1</gml:upperCorner>"
            "</gml:Envelope></gml:boundedBy>"
        )
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<eop:Mask xmlns:eop="http://www.opengis.net/eop/2.0" xmlns:gml="http://www.opengis.net/gml/3.2"
 xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" gml:id="mask">
<gml:name>MSK_CLOUDS_pixels_TECQUA_B00</gml:name>{envelope}{members}</eop:Mask>
"""
