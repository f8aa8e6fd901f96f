"""The greenness stage: measures NDVI inside the closed built-up domain."""

from typing import TYPE_CHECKING

from transforms.elements import lazily

from .closing import close_support, disk_reach
from .greenness import GreennessParameters, greenness

if TYPE_CHECKING:
    from .transform import MeasureGreenness

METHOD_VERSION = "1"
"""Part of the fingerprint of GREENNESS; increase it when the same inputs give other pixels."""

__all__ = [
    "METHOD_VERSION",
    "GreennessParameters",
    "MeasureGreenness",
    "close_support",
    "disk_reach",
    "greenness",
]

__getattr__ = lazily(__name__, {"MeasureGreenness": ".transform"})
