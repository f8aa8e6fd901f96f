"""Engines: GHS-S2Net at work on blocks of pixels. One file an engine; `choice` picks."""

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
