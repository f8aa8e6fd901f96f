"""The greenness stage: NDVI inside the closed built-up domain."""

from .closing import close_support, disk_reach
from .greenness import GreennessParameters, greenness

METHOD_VERSION = "1"
"""Part of the fingerprint of GREENNESS: raised when the same inputs give other pixels."""

__all__ = ["METHOD_VERSION", "GreennessParameters", "close_support", "disk_reach", "greenness"]
