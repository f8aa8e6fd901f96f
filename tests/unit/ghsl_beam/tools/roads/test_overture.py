import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ghsl_beam.tools.roads.classes import chosen_classes
from ghsl_beam.tools.roads.overture import LONGEST_RULES, OVERTURE_FIELDS, overture_road
from ghsl_beam.tools.roads.tags import LeftOut

ROADS = chosen_classes("roads")
SHARES = st.lists(st.floats(0, 1), min_size=2, max_size=2, unique=True).map(sorted)
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["value", "values", "between"]), inner)
    ),
)


def read(classes=ROADS, **fields):
    values = {"subtype": "road", "class": "residential", **fields}
    texts = (values.get(name) for name in OVERTURE_FIELDS)
    return overture_road(
        tuple(v if v is None or isinstance(v, str) else json.dumps(v) for v in texts), classes
    )


def parts(reading):
    return [
        (road.start, road.end, road.width.metres, str(road.width.source)) for road in reading.roads
    ]


def flags(*values, between=None):
    return [{"values": list(values), "between": between}]


def test_without_rules():
    assert parts(read()) == [(0, 1, 5.5, "table")]
    assert parts(read(width_rules="null", road_flags="[]")) == [(0, 1, 5.5, "table")]
    assert not read(width_rules="null").unclear


def test_a_width_of_the_whole():
    assert parts(read(width_rules=[{"value": 7, "between": None}])) == [(0, 1, 7, "tag")]
    assert parts(read(width_rules=[{"value": 7}])) == [(0, 1, 7, "tag")]
    assert parts(read(width_rules=[{"value": 70}])) == [(0, 1, 5.5, "table")]


def test_widths_of_parts():
    """The example of Overture's schema, and one that says nothing of the rest."""
    rules = [{"between": [0, 0.5], "value": 1.5}, {"between": [0.5, 1], "value": 2.0}]
    assert parts(read(width_rules=rules)) == [(0, 0.5, 1.5, "tag"), (0.5, 1, 2.0, "tag")]
    assert parts(read(width_rules=rules[1:])) == [(0, 0.5, 5.5, "table"), (0.5, 1, 2.0, "tag")]


@pytest.mark.parametrize(
    ("flag", "why"),
    [
        ("is_tunnel", LeftOut.TUNNEL),
        ("is_covered", LeftOut.COVERED),
        ("is_indoor", LeftOut.COVERED),
        ("is_under_construction", LeftOut.PLANNED),
        ("is_abandoned", LeftOut.GONE),
    ],
)
def test_what_is_not_seen(flag, why):
    assert read(road_flags=flags(flag)).left_out == (why,)
    assert read(road_flags=[flag]).left_out == (why,)
    found = read(road_flags=flags(flag, "is_bridge", between=[0.25, 0.5]))
    assert parts(found) == [(0, 0.25, 5.5, "table"), (0.5, 1, 5.5, "table")]
    assert found.left_out == (why,)


def test_bridges_are_roads_in_one_piece():
    assert parts(read(road_flags=flags("is_bridge", between=[0.2, 0.4]))) == [(0, 1, 5.5, "table")]


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"class": "motorway", "road_flags": flags("is_link")}, "motorway_link"),
        ({"class": "primary", "subclass": "link"}, "primary_link"),
        ({"class": "residential", "road_flags": flags("is_link")}, "residential"),
        ({"class": "service", "subclass": "parking_aisle"}, "parking_aisle"),
        ({"class": "footway", "subclass": "sidewalk"}, "footway"),
        ({"class": "unknown"}, "road"),
    ],
)
def test_classes(fields, name):
    (road,) = read(chosen_classes("all"), **fields).roads
    assert road.road.name == name


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"subtype": "rail", "class": "tram"}, LeftOut.NO_ROAD),
        ({"class": None}, LeftOut.NO_CLASS),
        ({"class": "canal"}, LeftOut.UNKNOWN),
        ({"class": "footway"}, LeftOut.NOT_ASKED),
    ],
)
def test_what_is_left_out(fields, why):
    assert read(**fields).left_out == (why,)


@pytest.mark.parametrize(
    "rules",
    [
        "3.5",
        "no JSON",
        "[" * 5000,
        " " * LONGEST_RULES + "[]",
        [{"value": None}],
        [{"value": [3]}],
        [{"value": 3, "between": [0.5]}],
        [{"value": 3, "between": [0.5, 0.5]}],
        [{"value": 3, "between": [-1, 2]}],
        [{"value": 3, "between": [0, "1"]}],
        [7],
    ],
)
def test_rules_that_cannot_be_read_are_not_taken(rules):
    found = read(width_rules=rules)
    assert parts(found) == [(0, 1, 5.5, "table")]
    assert found.unclear


@given(st.lists(SHARES, max_size=4), st.lists(SHARES, max_size=4))
def test_parts_cover_all_that_is_seen(widths, tunnels):
    """Each point of a line is on one road, or in a tunnel."""
    found = read(
        width_rules=[{"value": 3 + i, "between": part} for i, part in enumerate(widths)],
        road_flags=[{"values": ["is_tunnel"], "between": part} for part in tunnels],
    )
    edges = {0.0, 1.0, *(edge for part in (*widths, *tunnels) for edge in part)}
    ordered = sorted(edges)
    for start, end in pairwise(ordered):
        over = [road for road in found.roads if road.start <= start and end <= road.end]
        under = any(a <= start and end <= b for a, b in tunnels)
        assert len(over) == (0 if under else 1)
        if over:
            stated = [3 + i for i, (a, b) in enumerate(widths) if a <= start and end <= b]
            assert over[0].width.metres == (stated[0] if stated else 5.5)


@given(JSON, JSON)
def test_any_rules_are_read_or_not(widths, road_flags):
    found = read(width_rules=widths, road_flags=road_flags)
    assert found.roads or found.left_out
