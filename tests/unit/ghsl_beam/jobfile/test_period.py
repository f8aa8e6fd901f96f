import calendar
import re
from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ghsl_beam.jobfile.period import FORMS, days_of, label

TODAY = date(2026, 5, 20)
days = st.dates(date(2015, 1, 1), date(2100, 12, 31))
years = st.integers(2015, 2100)
DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("2025", "2025-01-01", "2025-12-31"),
        ("2025-Q1", "2025-01-01", "2025-03-31"),
        ("2025-Q4", "2025-10-01", "2025-12-31"),
        ("2025-06", "2025-06-01", "2025-06-30"),
        ("2024-02", "2024-02-01", "2024-02-29"),
        ("2100-02", "2100-02-01", "2100-02-28"),
        ("2025-01-01/2025-03-31", "2025-01-01", "2025-03-31"),
        ("2025-06-01/2025-06-01", "2025-06-01", "2025-06-01"),
        ("2025-01-01/P3M", "2025-01-01", "2025-03-31"),
        ("P3M/2025-03-31", "2025-01-01", "2025-03-31"),
        ("P1Y/2024-12-31", "2024-01-01", "2024-12-31"),
        ("2024-02-01/P1M", "2024-02-01", "2024-02-29"),
        ("2025-01-31/P1M", "2025-01-31", "2025-02-27"),
        ("2025-01-01/P2W", "2025-01-01", "2025-01-14"),
        ("2025-01-01/P1Y2M3D", "2025-01-01", "2026-03-03"),
        ("P1D/2025-03-31", "2025-03-31", "2025-03-31"),
    ],
)
def test_what_a_text_stands_for(text, first, last):
    assert days_of(text, TODAY) == (date.fromisoformat(first), date.fromisoformat(last))


@pytest.mark.parametrize(
    ("today", "month", "quarter"),
    [
        ("2026-01-01", "2025-12", "2025-Q4"),
        ("2026-01-31", "2025-12", "2025-Q4"),
        ("2024-03-31", "2024-02", "2023-Q4"),
        ("2026-04-01", "2026-03", "2026-Q1"),
        ("2026-12-31", "2026-11", "2026-Q3"),
    ],
)
def test_the_last_month_and_quarter(today, month, quarter):
    day = date.fromisoformat(today)
    assert days_of("last_month", day) == days_of(month, day)
    assert days_of("last_quarter", day) == days_of(quarter, day)


@given(years)
def test_months_tile_quarters_and_quarters_tile_the_year(year):
    months = [days_of(f"{year}-{month:02}", TODAY) for month in range(1, 13)]
    quarters = [days_of(f"{year}-Q{quarter}", TODAY) for quarter in range(1, 5)]
    for parts in (months, quarters):
        assert parts[0][0] == date(year, 1, 1)
        assert parts[-1][1] == date(year, 12, 31)
        for (_, last), (first, _) in pairwise(parts):
            assert first == last + DAY
    for index, (first, last) in enumerate(quarters):
        assert (first, last) == (months[3 * index][0], months[3 * index + 2][1])
    assert days_of(str(year), TODAY) == (months[0][0], months[-1][1])
    assert [last.day for _, last in months] == [
        calendar.monthrange(year, month)[1] for month in range(1, 13)
    ]


@given(days)
def test_the_last_month_ends_the_day_before_this_month(today):
    first, last = days_of("last_month", today)
    assert last + DAY == today.replace(day=1)
    assert (first.day, first.year, first.month) == (1, last.year, last.month)


@given(days)
def test_the_last_quarter_is_over_and_less_than_a_quarter_ago(today):
    first, last = days_of("last_quarter", today)
    assert last < today
    assert (today - last).days <= 92
    assert label(first, last) == f"{first.year}-Q{(first.month + 2) // 3}"
    assert 90 <= (last - first).days + 1 <= 92


@given(days, days)
def test_an_interval_includes_both_days(one, other):
    first, last = sorted((one, other))
    assert days_of(f"{first}/{last}", TODAY) == (first, last)
    length = (last - first).days + 1
    if length <= 9999:
        assert days_of(f"{first}/P{length}D", TODAY) == (first, last)
        assert days_of(f"P{length}D/{last}", TODAY) == (first, last)


@given(years, st.one_of(st.none(), st.integers(1, 4)), st.integers(1, 12))
def test_a_calendar_period_is_named_as_it_is_written(year, quarter, month):
    for text in (str(year), f"{year}-{month:02}", *([f"{year}-Q{quarter}"] if quarter else [])):
        assert label(*days_of(text, TODAY)) == text


@given(days, days)
def test_different_periods_have_different_names_fit_for_files(one, other):
    first, last = sorted((one, other))
    assert set(label(first, last)) <= set("0123456789-Q")
    assert label(first, last) != label(first, last + DAY)


@given(st.dates(), st.dates())
@example(date(2025, 1, 1), date.max)
@example(date(9999, 1, 1), date.max)
@example(date.min, date.max)
def test_any_two_days_have_a_name_of_which_they_can_be_read(one, other):
    first, last = sorted((one, other))
    name = label(first, last)
    found = re.fullmatch(r"(\d{4})(\d\d)(\d\d)-(\d{4})(\d\d)(\d\d)", name)
    if found:
        y, m, d, *rest = map(int, found.groups())
        assert (date(y, m, d), date(*rest)) == (first, last)
    elif last < date(9999, 12, 1):
        assert days_of(name, TODAY) == (first, last)


@pytest.mark.parametrize(
    ("first", "name"), [((9999, 12), "9999-12"), ((9999, 10), "9999-Q4"), ((9999, 1), "9999")]
)
def test_the_last_of_all_periods_has_its_name(first, name):
    assert label(date(*first, 1), date.max) == name


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "LAST_MONTH",
        "2025-Q5",
        "2025-q1",
        "2025-13",
        "2025-6",
        "25",
        "0000",
        "9999",
        "2025-06-01",
        "2025-02-29/2025-03-31",
        "2025-01-01/",
        "/2025-01-01",
        "2025-01-01/03-31",
        "2025-01-01/2025-03-31/2025-06-30",
        "2025-01-01/P",
        "2025-01-01/P3",
        "2025-01-01/PT3H",
        "2025-01-01/-P3M",
        "P3M/P3M",
        "P9999Y/2025-01-01",
        "2025-01-01/P9999Y",
        "٢٠٢٥",
    ],
)
def test_what_is_no_period_says_what_is(text):
    with pytest.raises(ValueError, match="not a period; allowed: ") as caught:
        days_of(text, TODAY)
    assert FORMS in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["2025-03-31/2025-01-01", "2025-01-01/P0D", "P0M/2025-01-01"])
def test_a_period_goes_forward(text):
    with pytest.raises(ValueError, match="before it starts"):
        days_of(text, TODAY)
