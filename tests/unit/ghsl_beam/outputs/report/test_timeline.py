"""The scenes in time."""

import pytest

from ghsl_beam.outputs.report.timeline import HEIGHT, LEFT, MAX_MARKS, RIGHT, TOP, WIDTH, timeline


def scene(day, clear=0.5, reason=""):
    sensing = f"2020-{day}T10:20:31+00:00"
    return {"id": f"S2A_{day}", "sensing": sensing, "clear": clear, "reason": reason}


def tile(*scenes):
    return {"tile": "33UUU", "scenes": list(scenes)}


def test_scenes_lie_by_time_and_clear_share():
    drawn = timeline([tile(scene("03-01", 1.0), scene("06-01", 0.0, "too few"))], [])
    unused, used = drawn.marks
    assert (used.kind, unused.kind) == ("used", "unused")
    assert used.y == TOP
    assert LEFT < used.x < unused.x < WIDTH - RIGHT
    assert used.y < unused.y
    assert used.words == "33UUU 2020-03-01 10:20 S2A_03-01, 100 % clear, used"
    assert unused.words.endswith("0 % clear, not used: too few")
    assert (drawn.used, drawn.unused, drawn.left) == (1, 1, 0)


def test_products_that_were_not_looked_at_lie_below():
    left = [{"tile": "33UUU", "scene": "S2B", "sensing": "2020-05-01T10:00:00", "cloud_cover": 93.4,
             "reason": "93 % cloud, more than 50"}]  # fmt: skip
    drawn = timeline([tile(scene("03-01"))], left)
    assert drawn.left == 1
    assert drawn.marks[0].y > HEIGHT - 64
    assert "93 % cloud, not used: 93 % cloud, more than 50" in drawn.marks[0].words


@pytest.mark.parametrize(("last", "form"), [("01-02", "01 Jan 2020"), ("12-20", "Jan 2020")])
def test_the_axis_has_some_days(last, form):
    drawn = timeline([tile(scene("01-01"), scene(last))], [])
    assert 1 <= len(drawn.ticks) <= 6
    assert len(drawn.ticks[0][1]) == len(form)


def test_scenes_without_a_time_are_not_drawn():
    assert timeline([tile({"id": "x", "sensing": "when?"})], [{}]) is None
    assert timeline([{}], []) is None


def test_the_used_ones_are_drawn_if_there_are_too_many():
    many = [scene(f"03-{1 + n % 28:02}", reason="cloud") for n in range(2 * MAX_MARKS)]
    drawn = timeline([tile(*many, scene("04-01"))], [])
    assert len(drawn.marks) == MAX_MARKS
    assert drawn.marks[-1].kind == "used"
    assert drawn.hidden == MAX_MARKS + 1
