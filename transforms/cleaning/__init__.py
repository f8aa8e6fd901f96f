"""The cleaning stage: makes BUFRAC from BUFRAC_RAW."""

from typing import TYPE_CHECKING

from transforms.elements import lazily

from .calibration import Curve, calibrate
from .clean import clean
from .parameters import CleaningParameters
from .streets import Road, street_masks

if TYPE_CHECKING:
    from .road_file import RoadSource
    from .transform import CalibrateBuiltUp, CleanBuiltUp

METHOD_VERSION = "3"
"""Part of the fingerprint of BUFRAC; increase it when the same inputs give other pixels."""
CALIBRATION_VERSION = "1"
"""The same for the calibration of BUFRAC, and for BUFRAC_SD."""

__all__ = [
    "CALIBRATION_VERSION",
    "METHOD_VERSION",
    "CalibrateBuiltUp",
    "CleanBuiltUp",
    "CleaningParameters",
    "Curve",
    "Road",
    "RoadSource",
    "calibrate",
    "clean",
    "street_masks",
]

__getattr__ = lazily(
    __name__,
    {
        "CalibrateBuiltUp": ".transform",
        "CleanBuiltUp": ".transform",
        "RoadSource": ".road_file",
    },
)
