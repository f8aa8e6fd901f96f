"""What the cleaning does, and how far it reaches."""

from __future__ import annotations

import math
from dataclasses import dataclass

MILLIONTHS = 1_000_000
"""Thresholds are compared as whole millionths, so that 0.1 means one tenth exactly."""


@dataclass(frozen=True, slots=True)
class CleaningParameters:
    """The steps of the cleaning, in the order they are taken; None (or False) leaves one out.

    Thresholds count to six decimals.
    """

    minimum: float | None = 0.1
    """Built-up fraction, 0..1; what is below becomes 0."""
    ndvi_above: float | None = 0.3
    """NDVI, -1..1; what is greener becomes 0."""
    ndwi_above: float | None = 0.0
    """NDWI of McFeeters (1996), -1..1; what is above (open water) becomes 0."""
    streets: bool = True
    """Whether road lines, where they are given, are taken out."""
    minimum_pixels: int | None = 4
    """Pixels, 1 or more; smaller 8-connected components of BUFRAC > 0 become 0."""

    def __post_init__(self) -> None:
        """Check every value.

        Raises:
            ValueError: a value is out of its range or no number; the text names it.
        """
        for name, least in (("minimum", 0.0), ("ndvi_above", -1.0), ("ndwi_above", -1.0)):
            value = getattr(self, name)
            if value is not None and not (_is_number(value) and least <= value <= 1.0):
                raise ValueError(f"{name}: {value!r} is not a number in {least:g}..1")
        if not isinstance(self.streets, bool):
            raise ValueError(f"streets: {self.streets!r} is neither true nor false")
        size = self.minimum_pixels
        if size is not None and (isinstance(size, bool) or not isinstance(size, int) or size < 1):
            raise ValueError(f"minimum_pixels: {size!r} is not a whole number of 1 or more")

    @property
    def halo(self) -> int:
        """Pixels around a window that its result depends on: the sieve's size limit.

        A component that leaves a window with this halo has more pixels than the limit inside it.
        All other steps look at one pixel at a time.
        """
        return self.minimum_pixels or 0


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def millionths(threshold: float) -> int:
    """A threshold in whole millionths."""
    return round(threshold * MILLIONTHS)
