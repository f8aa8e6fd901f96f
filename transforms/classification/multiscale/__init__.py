"""The features of the sets whose names begin with `multiscale`."""

from .features import HALO, OF_20M, OF_BANDS, OF_BUFRAC, features

__all__ = ["HALO", "OF_20M", "OF_BANDS", "OF_BUFRAC", "features"]
