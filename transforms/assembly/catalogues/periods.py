"""Splits a period if a catalogue limits the number of products in an answer."""

from __future__ import annotations

from datetime import date, timedelta

from transforms.elements import StorageError


def halves(
    start: date, end: date, place: str, count: int, most: int
) -> tuple[tuple[date, date], tuple[date, date]]:
    """Split a period into two halves, each with its first and last day.

    Args:
        start: first day.
        end: last day.
        place: the catalogue, for the error.
        count: number of products in the period.
        most: largest number that the catalogue gives at a time.

    Raises:
        StorageError: the period is one day.
    """
    if start >= end:
        raise StorageError(
            place,
            f"has {count} products of one tile on {start}, more than the {most} that it gives: its "
            "list of products cannot be read whole; run again later",
            passing=True,
        )
    middle = start + (end - start) // 2
    return (start, middle), (middle + timedelta(days=1), end)
