"""Grid zones, Norway's and Svalbard's exceptions among them."""

import pytest

from transforms.elements import RequestError
from transforms.inference.zones import is_zone, nearest, zone_bounds, zone_centre, zone_distance


def test_bounds_and_centres() -> None:
    assert zone_bounds("33U") == (12, 48, 18, 56)
    assert zone_centre("33U") == (15.0, 52.0)
    assert zone_centre("01C") == zone_centre("1C") == (-177.0, -76.0)
    assert zone_centre("32V") == (7.5, 60.0)
    assert zone_centre("31V") == (1.5, 60.0)
    assert zone_bounds("35X") == (21, 72, 33, 84)
    assert zone_centre("40X") == (57.0, 78.0)


@pytest.mark.parametrize(
    "wrong", ["32X", "34X", "36X", "61U", "0U", "33I", "33O", "33", "", "33UU"]
)
def test_what_is_no_zone(wrong: str) -> None:
    assert not is_zone(wrong)
    with pytest.raises(RequestError, match="expected"):
        zone_centre(wrong)


def test_the_zones_cover_every_place_once() -> None:
    zones = [f"{number:02d}{band}" for number in range(1, 61) for band in "CDEFGHJKLMNPQRSTUVWX"]
    boxes = [zone_bounds(zone) for zone in zones if is_zone(zone)]
    assert len(boxes) == 1197
    area = sum((east - west) * (north - south) for west, south, east, north in boxes)
    assert area == 360 * 164
    for lon, lat in ((5.9, 60.1), (2.9, 60.1), (8.9, 78.0), (9.1, 78.0), (41.9, 80), (42.1, 80)):
        inside = [b for b in boxes if b[0] <= lon < b[2] and b[1] <= lat < b[3]]
        assert len(inside) == 1


def test_distance_goes_the_short_way_round() -> None:
    assert zone_distance("01N", "60N") == pytest.approx(6, abs=0.1)
    assert zone_distance("33U", "33T") == pytest.approx(8)
    assert nearest("60N", ["01N", "57N"]) == "01N"
    assert nearest("33U", ["34U", "32U"]) == "32U"
    assert nearest("33U", []) is None
