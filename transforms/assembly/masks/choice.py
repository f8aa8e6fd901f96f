"""The order in which the scenes of a tile are used, and what each of them shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from transforms.elements import Scene

from ..products.passes import passes

if TYPE_CHECKING:
    from .make import Shares


class Order(StrEnum):
    """What comes first among the passes of a tile."""

    CLEAREST = "clearest"
    """The pass that shows the largest share of the area clear; of equal ones the nearest."""
    NEAREST = "nearest"
    """The pass that is nearest to the middle of the period."""


@dataclass(frozen=True, slots=True)
class ChoiceParameters:
    """Which scenes are used, and in which order.

    Attributes:
        order: what comes first.
        middle: the middle of the period.
        at_most: the greatest number of passes of a tile; None uses all.
        enough: a pixel uses its first so many clear observations; None uses all.
    """

    order: Order
    middle: datetime
    at_most: int | None = None
    enough: int | None = None


def ordered(
    scenes: Sequence[Scene], shares: Sequence[Shares | None], parameters: ChoiceParameters
) -> list[list[int]]:
    """Numbers of the scenes to use, by pass, the first pass first.

    Args:
        scenes: the scenes of a tile.
        shares: what each shows; None for a scene whose mask could not be made, which is not used.
        parameters: the order and the greatest number of passes.
    """
    number = {scene: n for n, scene in enumerate(scenes)}
    usable = [scene for scene, share in zip(scenes, shares, strict=True) if share is not None]
    groups = [[number[scene] for scene in one] for one in passes(usable)]

    def clear(group: list[int]) -> float:
        """Share that a pass shows clear; known datastrips show different parts of the tile."""
        known = all(scenes[n].datastrip for n in group)
        strips: dict[str, float] = {}
        for n in group:
            share = shares[n]
            if share is not None:
                strip = scenes[n].datastrip if known else ""
                strips[strip] = max(strips.get(strip, 0.0), share.clear)
        return min(1.0, sum(strips.values()))

    def key(group: list[int]) -> tuple[float, float, datetime, str]:
        first = scenes[group[0]]
        away = abs((first.sensing - parameters.middle).total_seconds())
        share = -round(clear(group), 4) if parameters.order is Order.CLEAREST else 0.0
        return share, away, first.sensing, first.id

    return sorted(groups, key=key)[: parameters.at_most]
