"""Engines: they compute GHS-S2Net on blocks of pixels. One file for each; `choice` selects one."""

from .base import Engine
from .choice import EXACT, FAST, PRECISIONS, Choice, choose, engines_of, this_machine

__all__ = [
    "EXACT",
    "FAST",
    "PRECISIONS",
    "Choice",
    "Engine",
    "choose",
    "engines_of",
    "this_machine",
]
