"""The cleaning stage: BUFRAC_RAW to BUFRAC."""

from .clean import clean
from .parameters import CleaningParameters
from .sieve import small_components
from .streets import Road, street_masks

METHOD_VERSION = "2"
"""Part of the fingerprint of BUFRAC: raised when the same inputs give other pixels."""

__all__ = [
    "METHOD_VERSION",
    "CleaningParameters",
    "Road",
    "clean",
    "small_components",
    "street_masks",
]
