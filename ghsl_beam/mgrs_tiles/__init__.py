"""The former name of `ghsl_beam.area.mgrs_tiles`, for programs that import it by this name."""

from ghsl_beam.area.mgrs_tiles import MgrsTile, tile, tiles_of

__all__ = ["MgrsTile", "tile", "tiles_of"]
