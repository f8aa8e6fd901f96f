"""A window of a tile's pixel grid."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """Rows and columns of a pixel grid, counted from its upper left corner, in pixels."""

    row: int
    col: int
    height: int
    width: int

    @property
    def bottom(self) -> int:
        """First row below the window."""
        return self.row + self.height

    @property
    def right(self) -> int:
        """First column right of the window."""
        return self.col + self.width

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width)."""
        return self.height, self.width

    def expand(self, pixels: int) -> Window:
        """The window with a halo of `pixels` on each side."""
        return Window(
            self.row - pixels,
            self.col - pixels,
            self.height + 2 * pixels,
            self.width + 2 * pixels,
        )

    def intersect(self, other: Window) -> Window | None:
        """The part that both windows cover; None if they share no pixel."""
        row, col = max(self.row, other.row), max(self.col, other.col)
        height = min(self.bottom, other.bottom) - row
        width = min(self.right, other.right) - col
        return Window(row, col, height, width) if height > 0 and width > 0 else None

    def slices_in(self, other: Window) -> tuple[slice, slice]:
        """Index of this window in an array that covers `other`, which must contain it."""
        row, col = self.row - other.row, self.col - other.col
        if row < 0 or col < 0 or self.bottom > other.bottom or self.right > other.right:
            raise ValueError(f"{self} is not inside {other}")
        return slice(row, row + self.height), slice(col, col + self.width)

    def halves(self) -> tuple[Window, Window]:
        """The upper and the lower half, or the left and the right one if it is wider than high."""
        if self.width > self.height:
            left = self.width // 2
            return (
                Window(self.row, self.col, self.height, left),
                Window(self.row, self.col + left, self.height, self.width - left),
            )
        upper = self.height // 2
        return (
            Window(self.row, self.col, upper, self.width),
            Window(self.row + upper, self.col, self.height - upper, self.width),
        )

    def strips(self, rows: int) -> Iterator[Window]:
        """Parts of the window of at most so many rows, from its first row on.

        Examples:
            >>> list(Window(3, 0, 5, 9).strips(4))
            [Window(row=3, col=0, height=4, width=9), Window(row=7, col=0, height=1, width=9)]
        """
        for row in range(self.row, self.bottom, rows):
            yield Window(row, self.col, min(rows, self.bottom - row), self.width)

    def split(self, size: int) -> Iterator[Window]:
        """Parts of the window, cut at the grid's multiples of `size`, row by row."""
        for row in range(self.row // size * size, self.bottom, size):
            for col in range(self.col // size * size, self.right, size):
                part = Window(row, col, size, size).intersect(self)
                if part is not None:
                    yield part
