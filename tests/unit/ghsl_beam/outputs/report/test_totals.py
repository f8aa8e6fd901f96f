"""Totals in the words and units of a reader."""

import pytest

from ghsl_beam.outputs.report.totals import MAX_ROWS, headline, tables

AREA = {
    "area_ha": 2000.0, "observed_ha": 1500.0, "built_up_ha": 123.45, "residential_ha": 98.76,
    "non_residential_ha": 24.69, "built_up_sum_ha": 77.7, "greenness": 0.3456,
}  # fmt: skip
NOTHING = dict.fromkeys(AREA, None) | {"area_ha": 5.0, "observed_ha": 0.0}


def totals(calibrated, **over):
    named = {"name": "33UUU", **AREA}
    return {"calibrated": calibrated, "area": AREA, "tiles": [named], "zones": [], **over}


def test_the_headline_has_hectares_and_shares():
    shown = {name: cell.text for name, cell in headline(totals(False))}
    assert shown == {
        "Built-up, ha": "123.5",
        "Residential share of built-up": "80.0\N{NO-BREAK SPACE}%",
        "Mean greenness of the built-up domain, NDVI": "0.35",
        "Observed share of the area": "75.0\N{NO-BREAK SPACE}%",
        "Area, ha": "2,000",
    }


def test_a_sum_of_probabilities_is_never_called_an_area():
    for calibrated in (True, False):
        (table,) = tables(totals(calibrated))
        head = table.columns[-1]
        assert ("ha" in head.split()) == calibrated
        assert ("no area" in head) != calibrated
        named = [name for name, _ in headline(totals(calibrated))]
        assert ("Built-up by calibrated fraction, ha" in named) == calibrated


def test_parts_have_tables_with_exact_values():
    districts = [{"name": "Mitte", **AREA}, {"name": "sea", **NOTHING}]
    first, second = tables(totals(False, districts=districts))
    assert (first.kind, second.kind) == ("Tile", "District")
    assert [name for name, _ in first.rows] == ["33UUU", "Whole area"]
    values = dict(zip(second.columns, second.rows[0][1], strict=True))
    assert values["Residential, ha"].value == 98.76
    assert [cell.text for cell in second.rows[1][1]][2:] == ["–"] * 6
    assert second.rows[1][1][1].value == 0


def test_a_record_without_totals_shows_none():
    assert headline({}) == []
    assert tables({}) == []


def test_a_continent_has_some_rows():
    (table,) = tables(totals(False, tiles=[{"name": "x", **AREA}] * (MAX_ROWS + 7)))
    assert (len(table.rows), table.more) == (MAX_ROWS + 1, 7)


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), "12", None])
def test_what_is_no_number_is_a_dash(odd):
    named = dict.fromkeys(AREA, odd) | {"name": "x"}
    (table,) = tables({"tiles": [named]})
    assert {cell.text for cell in table.rows[0][1]} == {"–"}
