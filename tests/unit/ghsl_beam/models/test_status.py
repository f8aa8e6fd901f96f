"""Which models an area needs, and how it stands with them."""

import pytest

from ghsl_beam.models.manifest import PublishedModel, published_manifest
from ghsl_beam.models.status import State, ZoneStatus, status, zones_of_area
from transforms.elements import RequestError


@pytest.mark.parametrize(
    ("area", "zones"),
    [
        ("14.4,52.3,14.6,52.5", ["33U"]),
        ("5.2,60.3,5.4,60.5", ["32V"]),  # Bergen, west of 6 degrees: Norway's exception
        ("1.0,60.3,1.2,60.5", ["31V"]),
        ("15.5,78.1,15.7,78.3", ["33X"]),  # Longyearbyen; there is no 32X or 34X
        ("17.0,78.1,17.2,78.3", ["33X"]),
        ("25.0,78.1,25.2,78.3", ["35X"]),
        ("179.9,-17.0,-179.9,-16.8", ["01K", "60K"]),
    ],
)
def test_the_zone_is_the_start_of_the_tiles_names(area, zones):
    found = zones_of_area(area)
    assert list(found) == zones
    for zone, tiles in found.items():
        assert tiles
        assert all(tile.startswith(zone) for tile in tiles)


def test_an_area_is_a_file_or_wkt_too(tmp_path):
    wkt = "POLYGON ((14.4 52.3, 14.6 52.3, 14.6 52.5, 14.4 52.5, 14.4 52.3))"
    (tmp_path / "area.wkt").write_text(wkt)
    assert zones_of_area(wkt) == zones_of_area(str(tmp_path / "area.wkt"))
    with pytest.raises(RequestError, match="no such file"):
        zones_of_area("absent.gpkg")


def published(*zones):
    models = tuple(PublishedModel(zone=zone, file=f"MODEL_CNN_{zone}.h5") for zone in zones)
    return published_manifest().model_copy(update={"models": models})


def test_each_state():
    zones = {"33U": ("33UUU", "33UVU"), "32U": (), "34U": (), "05Q": ()}
    here = {"33U": "m/MODEL_CNN_33U.h5", "5Q": "m/MODEL_CNN_5Q.h5"}
    rows = status(zones, here, published("32U", "35U"))
    assert rows == [
        ZoneStatus("33U", ("33UUU", "33UVU"), State.HERE, "m/MODEL_CNN_33U.h5", None, None),
        ZoneStatus("32U", (), State.PUBLISHED, None, "33U", None),
        ZoneStatus("34U", (), State.NONE, None, "33U", "35U"),
        ZoneStatus("05Q", (), State.HERE, "m/MODEL_CNN_5Q.h5", None, None),
    ]


def test_zones_that_the_jrc_does_not_publish_need_a_fallback():
    rows = status({"43N": (), "20S": (), "33X": (), "33U": ()}, {}, published_manifest())
    assert [row.state for row in rows] == [State.NONE, State.NONE, State.NONE, State.PUBLISHED]
    assert rows[2].nearest_published in {"33W", "32W", "34W"}
