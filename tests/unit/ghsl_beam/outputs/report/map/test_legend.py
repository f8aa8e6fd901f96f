"""Legends: units, marks and colours."""

import pytest

from ghsl_beam.outputs.report.map.legend import highest_of, legend_of, marks
from transforms.elements import LAYERS


def labels(layer, highest):
    legend = legend_of(LAYERS[layer], highest)
    return [label for label, _ in legend.entries], legend.unit


@pytest.mark.parametrize(
    ("layer", "highest", "shown", "unit"),
    [
        ("BUFRAC", 100, ["0", "25", "50", "75", "100"], "%"),
        ("BUFRAC_RAW", 10000, ["0", "25", "50", "75", "100"], "%"),
        ("GREENNESS", 8000, ["-0.1", "0.2", "0.5", "0.8"], "NDVI"),
        ("BUILT_S", 8000, ["0", "2000", "4000", "6000", "8000"], "m²"),
        ("BUILT_S", 800_000, ["0", "20", "40", "60", "80"], "ha"),
        ("S2_COUNT", 0, ["0"], "clear observations"),
        ("S2_COUNT", 1, ["0", "1"], "clear observations"),
        ("S2_COUNT", 3, ["0", "1", "2", "3"], "clear observations"),
        ("S2_COUNT", 9, ["0", "3", "6", "9"], "clear observations"),
        ("S2_DAY", 366, ["1", "92", "184", "275", "366"], "day of the year"),
        ("S2", 0, [], ""),
    ],
)
def test_legends_are_in_the_units_of_a_reader(layer, highest, shown, unit):
    assert labels(layer, highest) == (shown, unit)


def test_classes_have_their_names():
    shown, unit = labels("RES_NRES", 0)
    assert (shown, unit) == (["not built-up", "residential", "non-residential"], "")
    assert legend_of(LAYERS["RES_NRES"], 0).reach == "not built-up, residential, non-residential"
    assert legend_of(LAYERS["BUFRAC"], 100).reach == "0 to 100 %"


def test_the_ends_of_a_scale_have_their_colours():
    legend = legend_of(LAYERS["S2_COUNT"], 4)
    assert [legend.entries[at][1] for at in (0, -1)] == ["#1d2b53", "#e6f2d5"]


@pytest.mark.parametrize(
    ("most", "cell", "highest"),
    [(700, 10_000, 800), (9500, 10_000, 10_000), (5045, 5311, 5311), (float("nan"), 0, 1)],
)
def test_the_end_of_a_scale_of_areas(most, cell, highest):
    assert highest_of(LAYERS["BUILT_S"], most, cell) == highest


def test_marks_lie_where_their_values_do():
    assert marks(0, 3, whole=True) == [(0, 0), (1, 1 / 3), (2, 2 / 3), (3, 1)]
    assert marks(0, 2, whole=False) == [(0, 0), (0.5, 0.25), (1, 0.5), (1.5, 0.75), (2, 1)]
