"""Plans of whole MGRS tiles without a scene."""

from transforms.elements import TilePlan, Window, utm_grid

EXTENT = Window(0, 0, 10980, 10980)


def tile_plan(tile="33UUU", ulx=300000):
    """A plan of a tile in UTM zone 33."""
    grid = utm_grid(32633, ulx, 5900040, 10980, 10980)
    return TilePlan(tile, "33U", grid, 12.8, 52.8, EXTENT, "")
