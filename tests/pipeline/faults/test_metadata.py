"""Products whose metadata has a wrong number or name: the scene is set aside, the grid stays."""

import re
from dataclasses import replace

import pytest

from tests.pipeline.faults.conftest import planned
from tests.pipeline.faults.table import fault
from transforms.elements import RequestError, utm_grid


def stated(tag, value):
    """Replaces a number of the tile's grid, at 10 m."""

    def spoil(job):
        (tile,) = job.spoiled.glob("GRANULE/*/MTD_TL.xml")
        text, times = re.subn(rf"<{tag}>[^<]*<", f"<{tag}>{value}<", tile.read_text(), count=1)
        assert times == 1
        tile.write_text(text)

    return spoil


def of_the_product(old, new):
    def spoil(job):
        file = job.spoiled / "MTD_MSIL1C.xml"
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))

    return spoil


OFFSET = '<Radiometric_Offset_List><RADIO_ADD_OFFSET band_id="{}">{}</RADIO_ADD_OFFSET>'
OFFSETS = "".join(
    OFFSET.format(band, -1e300)[len("<Radiometric_Offset_List>") * bool(band) :]
    for band in range(13)
)
DAMAGED = {
    "west edge of 10 m": stated("ULX", "10"),
    "west edge of 10 km": stated("ULX", "10000"),
    "west edge of 1e15 m": stated("ULX", "1e15"),
    "west edge of -1e300 m": stated("ULX", "-1e300"),
    "west edge no number": stated("ULX", "NaN"),
    "west edge 3 m off": stated("ULX", "330003"),
    "north edge 7 m off": stated("ULY", "5820007"),
    "north edge of a tile beside": stated("ULY", "5920000"),
    "more rows than a tile": stated("NROWS", "10981"),
    "columns past the tile": stated("NCOLS", "9000"),
    "half a row": stated("NROWS", "95.5"),
    "tile of another name": lambda job: [
        file.write_text(file.read_text().replace("_T33UUU_", "_T33UVU_"))
        for file in job.spoiled.glob("GRANULE/*/MTD_TL.xml")
    ],
    "quantification of 0": of_the_product(">10000</QUANT", ">0</QUANT"),
    "quantification of 1e300": of_the_product(">10000</QUANT", ">1e300</QUANT"),
    "quantification no number": of_the_product(">10000</QUANT", ">NaN</QUANT"),
    "offset of -1e300": of_the_product(
        "<Spectral_Information_List>",
        f"{OFFSETS}</Radiometric_Offset_List><Spectral_Information_List>",
    ),
    "cloud cover no number": of_the_product(">0.0</Cloud", ">NaN</Cloud"),
    "cloud cover of 130 %": of_the_product(">0.0</Cloud", ">130</Cloud"),
    "sensing in the year 9999": of_the_product("SENSING_START>2020", "SENSING_START>9999"),
    "SPACECRAFT_NAME of another satellite": of_the_product("Sentinel-2A", "SENTINEL-2B"),
    "PRODUCT_URI of another satellite": of_the_product("URI>S2A", "URI>S2B"),
    "PRODUCT_URI of another satellite, named nowhere else": lambda job: [
        of_the_product(*change)(job) for change in (("URI>S2A", "URI>S2B"), ("Sentinel-2A", ""))
    ],
    "PRODUCT_URI of another tile": of_the_product("R065_T33UUU", "R065_T33UVU"),
    "PRODUCT_URI of another day": of_the_product("L1C_20200615", "L1C_20200616"),
    "level of another product": of_the_product("Level-1C_User", "Level-2A_User"),
}
for name in DAMAGED:
    fault("metadata", name, "the damaged scene is set aside, the grid stays; 3")


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_number_sets_its_own_scene_aside(job, name):
    DAMAGED[name](job)
    plan, days = planned(job)
    assert days == [10]
    (loss,) = plan.losses
    assert (loss.stage, loss.tile) == ("catalogue", "33UUU")
    assert job.spoiled.name in loss.file
    (tile,) = plan.tiles
    assert tile.grid == utm_grid(32633, 330000, 5820000, 96, 120)


def test_scenes_that_all_miss_their_tile_are_a_wrong_request(job):
    for folder in (job.good, job.spoiled):
        stated("ULX", "10")(replace(job, spoiled=folder))
    with pytest.raises(RequestError, match=r"no scene can be used.*corner 10 5820000.*33UUU's"):
        planned(job)
