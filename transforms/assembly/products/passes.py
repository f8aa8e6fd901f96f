"""Passes of a satellite over a tile: which of their products count, and in which order.

One pass over a pixel is one observation. A pass may come as several products: one for each of its
datastrips, which may overlap, and each of these in several processings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby

from transforms.elements import Scene

from .naming import parse_name

SAME_PASS = timedelta(minutes=10)
"""Sensing starts of one satellite over one tile closer than this are one pass: an orbit takes 100
minutes, while reprocessings and old names differ by seconds at most."""
SAME_DATASTRIP = timedelta(seconds=5)
"""Sensing starts of a pass's datastrips no further apart than this are one datastrip's: those of
its reprocessings differ by a second or so, those of two datastrips by what lies between two ground
stations, and a tile is flown over in 15 s."""


def passes(scenes: Iterable[Scene]) -> list[list[Scene]]:
    """Scenes by pass: one satellite, tile and level, sensing starts within `SAME_PASS`.

    A scene that does not tell its satellite is of the one that is nearest at its moment.
    In a pass the highest baseline comes first, of that what was made last: where two scenes have
    data for a pixel, the first of them is the pass's observation. The result does not depend on
    the order given.
    """
    scenes = list(scenes)
    of = _satellites(scenes)
    ordered = sorted(scenes, key=lambda s: (s.tile, s.level, of[s], s.sensing, _order(s)))
    runs = _runs(ordered, lambda one, other: of[one] == of[other] and _same_pass(one, other))
    return [sorted(one, key=_order, reverse=True) for one in runs]


def reduce_duplicates(scenes: Iterable[Scene]) -> list[Scene]:
    """Scenes without those of which another processing holds the same ground of the same pass.

    Of a datastrip only the processing of the highest baseline stays, and of that the latest made.
    Datastrips are told apart by their sensing starts, see `SAME_DATASTRIP`. Where the metadata of
    one of a pass's scenes name no datastrip, nothing tells which part of the tile each covers:
    then all stay, but of a product that is there twice only one. Returns scenes by tile, sensing
    and name, whatever the order given.
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
    """Scenes up to a cloud cover in percent, in the order given.

    Where nothing tells which part of the tile a pass's scenes cover, the cloud cover of a scene
    counts for its older processings too: these are not to take the place of one that is too cloudy.
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
    """Scenes in order, cut where one is not the same as the one before it."""
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
    told = {_satellite(one), _satellite(other)} - {""}
    return len(told) < 2 and abs(other.sensing - one.sensing) < SAME_PASS


def _satellites(scenes: Sequence[Scene]) -> dict[Scene, str]:
    """Each scene's satellite; of one that tells none the nearest's in its pass, else empty."""
    of = {scene: _satellite(scene) for scene in scenes}
    told = [scene for scene in scenes if of[scene]]
    for scene in [scene for scene in of if not of[scene]]:
        near = ((abs(o.sensing - scene.sensing), of[o]) for o in told if _same_pass(scene, o))
        of[scene] = min(near, default=(timedelta(), ""))[1]
    return of


def _satellite(scene: Scene) -> str:
    """`S2A` and the like, by the product's name or its metadata; empty where neither tells it."""
    name = parse_name(scene.id)
    return name.satellite if name else scene.satellite


def _version(scene: Scene) -> tuple[str, str, str]:
    """What the tiles of one product share, and no other product has."""
    return scene.path, scene.id, scene.baseline


def _product(scene: Scene) -> tuple[str, str]:
    """What the copies of one product share; one without a product's name has none."""
    return scene.id, "" if parse_name(scene.id) else scene.path


def _order(scene: Scene) -> tuple[tuple[int, ...], str, str, str, str, tuple[str, ...]]:
    """What a pass's scenes are ordered by, the last counts first; two scenes are never equal."""
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
