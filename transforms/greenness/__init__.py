"""The greenness stage: measures NDVI inside the closed built-up domain."""

from typing import TYPE_CHECKING

from transforms.elements import lazily

from .closing import close_support, disk_reach
from .greenness import GreennessParameters, built_up_domain, greenness

if TYPE_CHECKING:
    from .transform import MeasureGreenness

METHOD_VERSION = "2"
"""Part of the fingerprint of GREENNESS; increase it when the same inputs give other pixels."""

__all__ = [
    "METHOD_VERSION",
    "GreennessParameters",
    "MeasureGreenness",
    "built_up_domain",
    "close_support",
    "disk_reach",
    "greenness",
]

__getattr__ = lazily(__name__, {"MeasureGreenness": ".transform"})
