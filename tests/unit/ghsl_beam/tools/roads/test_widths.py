import pytest
from hypothesis import given
from hypothesis import strategies as st

from ghsl_beam.tools.roads.classes import CLASSES
from ghsl_beam.tools.roads.widths import MOST_LANES, Ignored, Source, Width, lanes, metres, width_of

ROADS = st.sampled_from(list(CLASSES.values()))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("7.5", 7.5),
        ("7,5", 7.5),
        (" 7.5 m ", 7.5),
        ("7.5m", 7.5),
        ("7 metres", 7.0),
        ("7 Meter", 7.0),
        ("350 cm", 3.5),
        ("0.01 km", 10.0),
        ("24'", 7.3152),
        ("24 ft", 7.3152),
        ("24 feet", 7.3152),
        ("1 foot", 0.3048),
        ("24'6\"", 7.4676),
        ("24 ft 6 in", 7.4676),
        ("24′6″", 7.4676),
        ("24'6''", 7.4676),
        ('96"', 2.4384),
        ("96''", 2.4384),
        ("3.5;4", 3.5),
        ("4; 3,5 m", 3.5),
        ("3;wide", None),
        ("", None),
        (";", None),
        ("wide", None),
        ("-3", None),
        ("~5", None),
        ("3-4", None),
        ("1e3", None),
        ("nan", None),
        ("7.5 m²", None),
        ("7.5 yd", None),
        ("٣", 3.0),
        ("3" * 300, None),
        ("3;" * 200, None),
    ],
)
def test_what_a_text_says(text, expected):
    assert metres(text) == expected


@given(
    st.decimals(0, 99_999, places=2),
    st.sampled_from(["{}", "{} m", "{}m", "{} metres", " {} "]),
    st.booleans(),
)
def test_metres_are_read_as_they_are_written(width, form, comma):
    text = form.format(width)
    assert metres(text.replace(".", ",") if comma else text) == float(width)


@given(st.integers(0, 999), st.integers(0, 11), st.sampled_from(["{}'{}\"", "{} ft {} in"]))
def test_feet_are_read_as_they_are_written(feet, inches, form):
    assert metres(form.format(feet, inches)) == pytest.approx(0.3048 * feet + 0.0254 * inches)


@given(st.lists(st.integers(0, 500), min_size=1, max_size=9))
def test_of_several_the_smallest_counts(widths):
    assert metres(";".join(map(str, widths))) == min(widths)


@given(st.text(max_size=300))
def test_any_text_is_understood_or_not(text):
    for found in (metres(text), lanes(text)):
        assert found is None or found >= 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [("2", 2), ("1.5", 1.5), ("2;3", 2), ("0", None), ("17", None), ("-1", None), ("two", None)],
)
def test_lanes(text, expected):
    assert lanes(text) == expected


@given(ROADS, st.lists(st.text(max_size=20) | st.floats(0, 300).map(str)), st.none() | st.text())
def test_every_road_has_a_sane_width(road, stated, of_lanes):
    found = width_of(road, stated, of_lanes)
    assert road.is_sane(found.metres)
    assert (found.source is Source.TABLE) <= (found.metres == road.width)


@given(ROADS, st.integers(1, MOST_LANES))
def test_more_lanes_are_wider(road, number):
    if road.lane is None:
        assert width_of(road, [], str(number)) == Width(road.width, Source.TABLE)
    elif road.is_sane(expected := number * road.lane + road.shoulders):
        assert width_of(road, [], str(number)) == Width(expected, Source.LANES)
    else:
        assert width_of(road, [], str(number)) == Width(road.width, Source.TABLE, Ignored.ODD)


@pytest.mark.parametrize(
    ("stated", "of_lanes", "expected"),
    [
        (["6"], "4", Width(6.0, Source.TAG)),
        (["27.5"], None, Width(27.5, Source.TAG)),
        (["27.51"], None, Width(5.5, Source.TABLE, Ignored.ODD)),
        (["0.5"], None, Width(0.5, Source.TAG)),
        (["0"], "2", Width(5.5, Source.LANES, Ignored.ODD)),
        (["0"], "3", Width(8.25, Source.LANES, Ignored.ODD)),
        (["narrow", "4"], None, Width(4.0, Source.TAG, Ignored.UNCLEAR)),
        (["narrow"], None, Width(5.5, Source.TABLE, Ignored.UNCLEAR)),
        ([], "many", Width(5.5, Source.TABLE, Ignored.UNCLEAR)),
        (["20 ft"], None, Width(6.1, Source.TAG)),
        ([], None, Width(5.5, Source.TABLE)),
    ],
)
def test_the_first_that_is_sane_wins(stated, of_lanes, expected):
    assert width_of(CLASSES["residential"], stated, of_lanes) == expected
