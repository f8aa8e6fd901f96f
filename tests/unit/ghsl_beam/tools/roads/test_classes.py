import pytest

from ghsl_beam.tools.roads.classes import (
    CLASSES,
    GROUPS,
    SMALLEST_WIDTH,
    chosen_classes,
    class_of,
)
from tests.conftest import ROOT
from transforms.cleaning.road_file import RoadSource
from transforms.elements import RequestError


def documented():
    lines = (ROOT / "docs" / "roads.md").read_text().splitlines()
    begin = next(i for i, line in enumerate(lines) if line.startswith("| class | group"))
    for line in lines[begin + 2 :]:
        if not line.startswith("|"):
            return
        name, group, width, lane, shoulders = (cell.strip() for cell in line.strip("|").split("|"))
        yield (
            name.strip("`"),
            group,
            float(width),
            *(float(cell) if cell else None for cell in (lane, shoulders)),
        )


def test_the_documentation_has_the_table():
    table = [
        (road.name, road.group, road.width, road.lane, road.shoulders if road.lane else None)
        for road in CLASSES.values()
    ]
    assert list(documented()) == table


@pytest.mark.parametrize("road", CLASSES.values(), ids=list(CLASSES))
def test_a_class_is_as_wide_as_some_of_its_lanes_and_the_cleaning_takes_it(road):
    assert road.is_sane(road.width)
    assert road.is_sane(SMALLEST_WIDTH)
    assert road.widest <= RoadSource("", "").widest
    if road.lane is not None:
        assert (road.width - road.shoulders) / road.lane in (1, 2)


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        ("motorway_link", None, "motorway_link"),
        ("service", "driveway", "driveway"),
        ("service", "drive_through", "drive-through"),
        ("service", "slipway", "service"),
        ("service", "motorway", "service"),
        ("service", "track", "service"),
        ("residential", "driveway", "residential"),
        ("track_grade3", None, "track"),
        ("unknown", None, "road"),
        ("bus_guideway", None, "busway"),
    ],
)
def test_names_of_others(name, kind, expected):
    assert class_of(name, kind).name == expected


def test_what_is_no_class():
    assert class_of("platform") is None


def test_chosen():
    assert chosen_classes("all") == set(CLASSES)
    assert chosen_classes(", ".join(GROUPS)) == set(CLASSES)
    assert chosen_classes("motorway, path") == {"motorway", "path"}
    assert "footway" not in chosen_classes("roads")
    assert "service" in chosen_classes("roads")


@pytest.mark.parametrize("asked", ["", " , ", "motorways", "roads,autobahn"])
def test_unknown_classes_are_a_wrong_request(asked):
    with pytest.raises(RequestError, match=r"--classes.*expected") as refused:
        chosen_classes(asked)
    assert "\n" not in str(refused.value)
