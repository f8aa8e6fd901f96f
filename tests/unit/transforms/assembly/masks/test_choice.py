"""The order of the scenes of a tile."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from transforms.assembly.masks.choice import ChoiceParameters, Order, ordered
from transforms.assembly.masks.make import Shares
from transforms.elements import Level, Scene

MIDDLE = datetime(2020, 6, 15, 12, tzinfo=UTC)


def scene(day, name="S2A", **facts):
    sensing = datetime(2020, 6, day, 10, 20, tzinfo=UTC)
    stamp = f"{sensing:%Y%m%dT%H%M%S}"
    made = Scene(
        id=f"{name}_MSIL1C_{stamp}_N0500_R065_T33UUU_{stamp}",
        path=f"/archive/{name}{day}",
        tile="33UUU",
        level=Level.L1C,
        baseline="05.00",
        sensing=sensing,
        cloud_cover=0.0,
        quantification=10000.0,
        offsets=(0.0,) * 4,
        bands=tuple("abcd"),
        mask=None,
        mask_kind=None,
        epsg=32633,
        ulx=300000.0,
        uly=5900040.0,
        rows=10980,
        cols=10980,
        size=1,
        satellite=name,
    )
    return replace(made, **facts)


def order_of(scenes, clear, **parameters):
    shares = [None if share is None else Shares(share, 1.0) for share in clear]
    given = {"order": Order.CLEAREST, "middle": MIDDLE, **parameters}
    return ordered(scenes, shares, ChoiceParameters(**given))


def test_the_clearest_comes_first_then_the_nearest_to_the_middle():
    scenes = [scene(1), scene(14), scene(17), scene(29)]
    assert order_of(scenes, [0.9, 0.5, 0.5, 0.1]) == [[0], [1], [2], [3]]
    assert order_of(scenes, [0.1, 0.5, 0.5, 0.9]) == [[3], [1], [2], [0]]
    assert order_of(scenes, [0.9, 0.5, 0.5, 0.1], order=Order.NEAREST) == [[1], [2], [3], [0]]


def test_a_scene_without_a_mask_is_not_used():
    assert order_of([scene(1), scene(14)], [None, 0.5]) == [[1]]
    assert order_of([scene(1)], [None]) == []


@pytest.mark.parametrize("most", [1, 2, 9])
def test_no_more_passes_than_asked_for(most):
    scenes = [scene(day) for day in (1, 5, 9)]
    assert order_of(scenes, [0.2, 0.9, 0.5], at_most=most) == [[1], [2], [0]][:most]


def test_the_datastrips_of_a_pass_add_up():
    first, second = scene(5, datastrip="20200605T102000"), scene(5, datastrip="20200605T102100")
    second = replace(second, sensing=second.sensing + timedelta(seconds=60), path="/other")
    scenes = [scene(14), first, second]
    order = order_of(scenes, [0.6, 0.4, 0.4])
    assert sorted(order[0]) == [1, 2]
    assert order[1:] == [[0]]
    again = replace(first, baseline="05.10", path="/again")
    assert order_of([scene(14), first, again], [0.6, 0.4, 0.4])[0] == [0], "the same ground twice"


def test_without_its_datastrip_a_scene_may_show_the_same_ground():
    one, other = scene(5, datastrip="20200605T102000"), scene(5, path="/other")
    order = order_of([scene(14), one, other], [0.6, 0.4, 0.4])
    assert order[0] == [0]
