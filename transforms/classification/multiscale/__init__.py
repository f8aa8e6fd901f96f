"""The features of the sets `multiscale_bands` and `multiscale`."""

from .features import HALO, OF_BANDS, OF_BUFRAC, features

__all__ = ["HALO", "OF_BANDS", "OF_BUFRAC", "features"]
