"""Periods that are cut where a catalogue gives only so many products at a time."""

from __future__ import annotations

from datetime import date, timedelta

from transforms.elements import StorageError


def halves(
    start: date, end: date, place: str, count: int, most: int
) -> tuple[tuple[date, date], tuple[date, date]]:
    """The two halves of some days, each with its first and last day.

    Args:
        start: first day.
        end: last day.
        place: the catalogue, for the error.
        count: products of these days.
        most: that the catalogue gives at a time.

    Raises:
        StorageError: it is one day.
    """
    if start >= end:
        raise StorageError(
            place,
            f"has {count} products of one tile on {start}, more than the {most} that it gives",
        )
    middle = start + (end - start) // 2
    return (start, middle), (middle + timedelta(days=1), end)
