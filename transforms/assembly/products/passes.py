"""Passes of a satellite over a tile: which of their products count, and in which order.

One pass over a pixel is one observation. A pass may consist of several products: one for each of
its datastrips, which may overlap, and several processings of each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby

from transforms.elements import Scene

from .naming import parse_name

SAME_PASS = timedelta(minutes=10)
"""Sensing starts of one satellite over one tile that are closer than this belong to one pass. An
orbit takes 100 minutes; reprocessings and old names differ by at most some seconds."""
SAME_DATASTRIP = timedelta(seconds=5)
"""Datastrips of a pass whose sensing starts are at most this far apart are one datastrip. The
starts of its reprocessings differ by about a second. The starts of two datastrips differ by the
time between two ground stations; the flight over a tile takes 15 s."""


def passes(scenes: Iterable[Scene]) -> list[list[Scene]]:
    """Group scenes by pass: one satellite, tile and level, sensing starts within `SAME_PASS`.

    A scene without a known satellite joins the nearest pass in time. In a pass, the highest
    baseline comes first, and within a baseline the latest product. If two scenes have data for a
    pixel, the first of them is the observation. The result does not depend on the given order.
    """
    scenes = list(scenes)
    satellites = _satellites(scenes)
    ordered = sorted(scenes, key=lambda s: (s.tile, s.level, satellites[s], s.sensing, _order(s)))
    runs = _runs(
        ordered,
        lambda one, other: satellites[one] == satellites[other] and _same_pass(one, other),
    )
    return [sorted(run, key=_order, reverse=True) for run in runs]


def reduce_duplicates(scenes: Iterable[Scene]) -> list[Scene]:
    """Remove scenes if another processing covers the same ground of the same pass.

    Of each datastrip, only the processing with the highest baseline stays, and of this the latest.
    Datastrips are distinguished by their sensing starts, see `SAME_DATASTRIP`. If one scene of a
    pass has no datastrip in its metadata, nobody knows which part of the tile each scene covers.
    Then all scenes stay, except for copies of the same product.

    Returns:
        Scenes sorted by tile, sensing and name, independent of the given order.
    """
    kept: list[Scene] = []
    for one in passes(scenes):
        strips = [[scene] for scene in one]
        if all(scene.datastrip for scene in one):
            strips = _runs(sorted(one, key=lambda s: (s.datastrip, _order(s))), _same_datastrip)
        else:
            by_product = groupby(sorted(one, key=_product), key=_product)
            strips = [list(copies) for _, copies in by_product]
        for strip in strips:
            best = _version(max(strip, key=_order))
            kept += [scene for scene in strip if _version(scene) == best]
    return sorted(kept, key=lambda s: (s.tile, s.sensing, s.id, s.path, s.bands))


def clear_enough(scenes: Sequence[Scene], max_cloud: float) -> list[Scene]:
    """Scenes up to a cloud cover in percent, in the given order.

    If nobody knows which part of the tile the scenes of a pass cover, the cloud cover of a scene
    also counts for its older processings. They must not replace a scene that is too cloudy.
    """
    over = [scene for scene in scenes if scene.cloud_cover > max_cloud]

    def replaced(scene: Scene) -> bool:
        return any(
            _baseline(other) > _baseline(scene)
            and not (scene.datastrip and other.datastrip)
            and _same_pass(scene, other)
            for other in over
        )

    return [scene for scene in scenes if scene.cloud_cover <= max_cloud and not replaced(scene)]


def _runs(scenes: list[Scene], same: Callable[[Scene, Scene], bool]) -> list[list[Scene]]:
    """Split ordered scenes where one is not the same as the one before it."""
    runs: list[list[Scene]] = []
    for scene in scenes:
        if runs and same(runs[-1][-1], scene):
            runs[-1].append(scene)
        else:
            runs.append([scene])
    return runs


def _same_datastrip(one: Scene, other: Scene) -> bool:
    return abs(_start(other) - _start(one)) <= SAME_DATASTRIP


def _start(scene: Scene) -> datetime:
    return datetime.strptime(scene.datastrip, "%Y%m%dT%H%M%S").replace(tzinfo=UTC)


def _same_pass(one: Scene, other: Scene) -> bool:
    if (one.tile, one.level) != (other.tile, other.level):
        return False
    named = {_satellite(one), _satellite(other)} - {""}
    return len(named) < 2 and abs(other.sensing - one.sensing) < SAME_PASS


def _satellites(scenes: Sequence[Scene]) -> dict[Scene, str]:
    """The satellite of each scene; a scene without one gets that of the nearest in its pass."""
    satellites = {scene: _satellite(scene) for scene in scenes}
    known = [scene for scene in scenes if satellites[scene]]
    for scene in [scene for scene in satellites if not satellites[scene]]:
        near = (
            (abs(other.sensing - scene.sensing), satellites[other])
            for other in known
            if _same_pass(scene, other)
        )
        satellites[scene] = min(near, default=(timedelta(), ""))[1]
    return satellites


def _satellite(scene: Scene) -> str:
    """`S2A` and the like, from the product's name or its metadata; empty if unknown."""
    name = parse_name(scene.id)
    return name.satellite if name else scene.satellite


def _version(scene: Scene) -> tuple[str, str, str]:
    """A key that all tiles of one product share, and no other product has."""
    return scene.path, scene.id, scene.baseline


def _product(scene: Scene) -> tuple[str, str]:
    """A key that all copies of one product share; without a product name there are no copies."""
    return scene.id, "" if parse_name(scene.id) else scene.path


def _order(scene: Scene) -> tuple[tuple[int, ...], str, str, str, str, tuple[str, ...]]:
    """The sort key of the scenes of a pass, the preferred last; two scenes are never equal."""
    return (
        _baseline(scene),
        _made(scene),
        scene.id,
        scene.path,
        scene.datastrip,
        scene.bands,
    )


def _baseline(scene: Scene) -> tuple[int, ...]:
    return tuple(int(part) for part in scene.baseline.split("."))


def _made(scene: Scene) -> str:
    name = parse_name(scene.id)
    return name.made if name else ""
