import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ghsl_beam.tools.roads.classes import CLASSES, chosen_classes
from ghsl_beam.tools.roads.tags import OSM_TAGS, LeftOut, osm_road, other_tags

ROADS, ALL = chosen_classes("roads"), chosen_classes("all")
TEXTS = st.text(max_size=20)


def read(classes=ROADS, **tags):
    values = {key.replace("__", ":"): value for key, value in tags.items()}
    assert set(values) <= set(OSM_TAGS)
    return osm_road(tuple(values.get(tag) for tag in OSM_TAGS), classes)


def width(**tags):
    (road,) = read(**tags).roads
    return road.width.metres, str(road.width.source)


def test_the_best_of_several_tags():
    assert width(highway="residential", width="6", est_width="5", lanes="2") == (6.0, "tag")
    assert width(highway="residential", width__carriageway="4", width="6") == (4.0, "tag")
    assert width(highway="residential", est_width="5", lanes="2") == (5.0, "tag")
    assert width(highway="motorway", lanes="3") == (15.75, "lanes")
    assert width(highway="motorway") == (12.0, "table")
    assert width(highway="motorway", width="900", lanes="3") == (15.75, "lanes")


@pytest.mark.parametrize(
    ("tags", "why"),
    [
        ({"tunnel": "yes"}, LeftOut.TUNNEL),
        ({"tunnel": "building_passage"}, LeftOut.TUNNEL),
        ({"tunnel": "T"}, LeftOut.TUNNEL),
        ({"covered": "yes"}, LeftOut.COVERED),
        ({"indoor": "yes"}, LeftOut.COVERED),
        ({"area": "yes"}, LeftOut.AREA),
        ({"highway": "proposed"}, LeftOut.PLANNED),
        ({"highway": "construction"}, LeftOut.PLANNED),
        ({"highway": "abandoned"}, LeftOut.GONE),
        ({"highway": "razed"}, LeftOut.GONE),
        ({"highway": "footway"}, LeftOut.NOT_ASKED),
        ({"highway": "footway", "tunnel": "yes"}, LeftOut.NOT_ASKED),
        ({"highway": "service", "service": "driveway"}, LeftOut.NOT_ASKED),
        ({"highway": "platform"}, LeftOut.UNKNOWN),
        ({"highway": None}, LeftOut.NO_CLASS),
    ],
)
def test_what_is_left_out(tags, why):
    found = read(**{"highway": "residential", **tags})
    assert (found.roads, found.left_out) == ((), (why,))
    assert found.named == ("platform" if why is LeftOut.UNKNOWN else None)


@pytest.mark.parametrize("tag", ["tunnel", "covered", "indoor", "area"])
@pytest.mark.parametrize("no", ["no", "F", "false", "0", ""])
def test_a_tag_may_say_no(tag, no):
    assert read(highway="residential", **{tag: no}).roads


def test_every_class_can_be_asked_for():
    for name, road in CLASSES.items():
        service = road.group == "access" and name != "track"
        tags = {"highway": "service", "service": name} if service else {"highway": name}
        for classes in (ALL, frozenset({name})):
            (found,) = read(classes, **tags).roads
            assert found.road is road


def hstore(tags):
    def quoted(text):
        escaped = text.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'

    return ",".join(f"{quoted(key)}=>{quoted(value)}" for key, value in tags.items())


@given(st.dictionaries(TEXTS, TEXTS))
def test_tags_are_read_as_they_are_written(tags):
    assert other_tags(hstore(tags)) == tags
    assert other_tags(json.dumps(tags)) == tags


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ("", {}),
        ('"a"=>NULL', {}),
        ('"a"=>NULL, "b" => "c"', {"b": "c"}),
        ('"name"=>"x\\"=>\\"y, \\\\","width"=>"3"', {"name": 'x"=>"y, \\', "width": "3"}),
        ('{"a": "b", "n": 1}', {"a": "b"}),
    ],
)
def test_forms_of_tags(text, tags):
    assert other_tags(text) == tags


@pytest.mark.parametrize("text", ["width=3", '"a"=>"b', '"a"="b"', '"a"=>"b" "c"=>"d"', "{", "[1]"])
def test_what_are_no_tags(text):
    with pytest.raises(ValueError):  # noqa: PT011 - of json or ours
        other_tags(text)
