"""Periods as people write them, and the days that they mean on the day of a launch.

Calendar periods are whole: a month, a quarter and a year end on their last day. In an interval both
days are included, so `2025-01-01/P3M` and `P3M/2025-03-31` are the first quarter of 2025.
"""

from __future__ import annotations

import re
from datetime import date, timedelta

from dateutil.relativedelta import relativedelta

FORMS = (
    "last_month, last_quarter, YYYY, YYYY-Qn, YYYY-MM, or an ISO 8601 interval: "
    "YYYY-MM-DD/YYYY-MM-DD, YYYY-MM-DD/PnYnMnWnD, PnYnMnWnD/YYYY-MM-DD"
)
"""The allowed texts."""

_DAY = timedelta(days=1)
_MONTH, _QUARTER, _YEAR = (relativedelta(months=count) for count in (1, 3, 12))
_TO_MONTH_S_END = relativedelta(day=31)
_CALENDAR = re.compile(r"(?P<year>\d{4})(-Q(?P<quarter>[1-4])|-(?P<month>0[1-9]|1[0-2]))?", re.A)
_DURATION = re.compile(
    r"P(?=\d)(?:(?P<years>\d{1,4})Y)?(?:(?P<months>\d{1,4})M)?"
    r"(?:(?P<weeks>\d{1,4})W)?(?:(?P<days>\d{1,4})D)?",
    re.A,
)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.A)


def days_of(text: str, today: date) -> tuple[date, date]:
    """First and last day of a period, both included.

    Args:
        text: one of `FORMS`.
        today: the day of the launch; `last_month` and `last_quarter` are the last whole month or
            quarter before it.

    Raises:
        ValueError: the text is not a period; one line that says what is allowed.
    """
    try:
        first, after = _relative(text, today) or _calendar(text) or _interval(text)
        last = after - _DAY
    except (ValueError, OverflowError) as error:
        raise ValueError(f"not a period; allowed: {FORMS}") from error
    if last < first:
        raise ValueError(f"the period ends on {last}, before it starts on {first}")
    return first, last


def label(first: date, last: date) -> str:
    """A short name for the days: `2025`, `2025-Q1`, `2025-06`, or `20250115-20250331`."""
    start, end = first.isoformat(), last.isoformat()
    # Computed without the day after the last, because the last possible day has none.
    if first.day == 1 and last == last + _TO_MONTH_S_END:
        months = 12 * (last.year - first.year) + last.month - first.month + 1
        if months == 12 and first.month == 1:
            return start[:4]
        if months == 3 and first.month % 3 == 1:
            return f"{start[:4]}-Q{first.month // 3 + 1}"
        if months == 1:
            return start[:7]
    return f"{start.replace('-', '')}-{end.replace('-', '')}"


def _relative(text: str, today: date) -> tuple[date, date] | None:
    month = today.replace(day=1)
    if text == "last_month":
        return month - _MONTH, month
    if text == "last_quarter":
        quarter = month.replace(month=month.month - (month.month - 1) % 3)
        return quarter - _QUARTER, quarter
    return None


def _calendar(text: str) -> tuple[date, date] | None:
    match = _CALENDAR.fullmatch(text)
    if not match:
        return None
    year = int(match["year"])
    if match["quarter"]:
        first = date(year, 3 * int(match["quarter"]) - 2, 1)
        return first, first + _QUARTER
    if match["month"]:
        first = date(year, int(match["month"]), 1)
        return first, first + _MONTH
    return date(year, 1, 1), date(year, 1, 1) + _YEAR


def _interval(text: str) -> tuple[date, date]:
    """First day and the day after the last; a text without a slash is not an interval."""
    start, _, end = text.partition("/")
    if start.startswith("P"):
        after = _date(end) + _DAY
        return after - _duration(start), after
    first = _date(start)
    return first, first + _duration(end) if end.startswith("P") else _date(end) + _DAY


def _date(text: str) -> date:
    if not _DATE.fullmatch(text):
        raise ValueError(text)
    return date.fromisoformat(text)


def _duration(text: str) -> relativedelta:
    match = _DURATION.fullmatch(text)
    if not match:
        raise ValueError(text)
    return relativedelta(**{unit: int(count) for unit, count in match.groupdict("0").items()})
