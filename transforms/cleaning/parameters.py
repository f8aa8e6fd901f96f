"""The parameters of the cleaning, and its halo."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CleaningParameters:
    """The steps of the cleaning, in their order; None (or False) leaves a step out.

    Thresholds have at most six decimals.
    """

    minimum: float | None = 0.1
    """Built-up fraction, 0..1; a lower fraction becomes 0."""
    ndvi_above: float | None = 0.6
    """NDVI, -1..1; built-up in greener pixels becomes 0."""
    ndwi_above: float | None = 0.0
    """NDWI of McFeeters (1996), -1..1; built-up in pixels above it (open water) becomes 0."""
    shore: float = 0
    """Pixels; built-up with a centre so near to one of water becomes 0: the network takes the edge
    of a lake for a building. Water is what `ndwi_above` says."""
    streets: bool = True
    """Whether built-up under road lines is removed, if roads are given."""
    minimum_pixels: int | None = 4
    """Pixels, 1 or more; smaller 8-connected components of BUFRAC > 0 become 0."""
    edge: int = 0
    """Pixels around a pixel that the network sees. A pixel has no data if one of them has none: the
    network takes the edge of a cloud or of a swath for a building."""

    def __post_init__(self) -> None:
        """Check every value.

        Raises:
            ValueError: a value is out of its range or not a number; the text names it.
        """
        for name, least in (("minimum", 0.0), ("ndvi_above", -1.0), ("ndwi_above", -1.0)):
            value = getattr(self, name)
            if value is not None and not (_is_number(value) and least <= value <= 1.0):
                raise ValueError(f"{name} is {value!r}, expected a number from {least:g} to 1")
        if not isinstance(self.streets, bool):
            raise ValueError(f"streets is {self.streets!r}, expected true or false")
        size = self.minimum_pixels
        if size is not None and (isinstance(size, bool) or not isinstance(size, int) or size < 1):
            raise ValueError(f"minimum_pixels is {size!r}, expected a whole number of 1 or more")

    @property
    def halo(self) -> int:
        """Pixels around a window that its result depends on.

        A component that reaches beyond the size limit of the sieve has more pixels than the limit
        inside it. Its pixels depend on the edge and the shore around them. All other steps look at
        one pixel at a time.
        """
        return (self.minimum_pixels or 0) + max(self.edge, math.ceil(self.shore))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
