"""Grids for tests."""

from transforms.elements import part_of, utm_grid


def grid_at(epsg, ulx, uly, window):
    """The 10 m grid of a window that is counted from a corner."""
    return part_of(utm_grid(epsg, ulx, uly, 1, 1), window)
