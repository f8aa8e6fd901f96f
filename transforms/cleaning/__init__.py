"""The cleaning stage: makes BUFRAC from BUFRAC_RAW."""

from typing import TYPE_CHECKING

from transforms.elements import lazily

from .calibration import Curve, uncertainty
from .clean import clean
from .parameters import CleaningParameters
from .streets import Road, street_masks

if TYPE_CHECKING:
    from .road_file import RoadSource
    from .transform import CleanBuiltUp

METHOD_VERSION = "2"
"""Part of the fingerprint of BUFRAC; increase it when the same inputs give other pixels."""

__all__ = [
    "METHOD_VERSION",
    "CleanBuiltUp",
    "CleaningParameters",
    "Curve",
    "Road",
    "RoadSource",
    "clean",
    "street_masks",
    "uncertainty",
]

__getattr__ = lazily(__name__, {"CleanBuiltUp": ".transform", "RoadSource": ".road_file"})
