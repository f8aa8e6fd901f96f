"""The rows of the scenes in the report."""

from ghsl_beam.outputs.scene_rows import SINGLE, scene_rows

ENOUGH = "scenes.enough: other scenes give enough clear observations"


def scene(day: int, clear: float | None, used: float, reason: str = "") -> dict[str, object]:
    time = f"2020-05-{day:02}T10:20:30+00:00"
    about = {"id": f"S2A_{day}", "sensing": time, "cloud_cover": 10.0 * day}
    return {**about, "clear": clear, "used": used, "reason": reason}


def test_used_scenes_have_their_own_rows_by_tile_and_time():
    tiles = [
        {"tile": "33UVU", "scenes": [scene(1, 0.5, 0.5)]},
        {"tile": "33UUU", "scenes": [scene(day, 0.9, 0.7) for day in (9, *range(1, 9))]},
    ]
    rows = scene_rows(tiles, [])
    assert [(row.tile, row.time[8:10]) for row in rows[:2]] == [("33UUU", "01"), ("33UUU", "02")]
    assert rows[-1][:6] == ("33UVU", "2020-05-01 10:20", "S2A_1", "10", "50", "50")
    assert len(rows) == 10


def test_many_scenes_that_are_not_used_are_one_row():
    unused = [scene(day, 0.004 * day, 0.0, ENOUGH) for day in range(1, SINGLE + 3)]
    few = [scene(20, None, 0.0, "its mask could not be made")]
    rows = scene_rows([{"tile": "33UUU", "scenes": [*unused, *few]}], [])
    assert rows[0] == (
        *("33UUU", "2020-05-01 to 2020-05-06", "6 scenes", "10 to 60", "<1 to 2", "0"),
        ENOUGH,
    )
    assert rows[1][4:] == ("", "0", "its mask could not be made")


def test_products_that_the_job_leaves_out_are_rows_too():
    cloudy = [
        {"tile": "33UUU", "scene": f"S2A_{n}", "sensing": None, "cloud_cover": n,
         "reason": f"{n} % cloud, more than 50"}
        for n in range(60, 60 + SINGLE + 1)
    ]  # fmt: skip
    (row,) = scene_rows([], cloudy)
    assert row == ("33UUU", "", "5 scenes", "60 to 64", "", "0", "… % cloud, more than …")
    assert scene_rows([], cloudy[:1])[0].reason == "60 % cloud, more than 50"
    assert scene_rows([{}], [{}])[0].scene == ""
