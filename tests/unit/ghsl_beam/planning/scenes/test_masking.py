"""How the masks of a job are made, and what its last run found out."""

import json
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from ghsl_beam.jobfile.configuration import Job
from ghsl_beam.planning.scenes.masking import (
    last_shares,
    mask_files,
    mask_parameters,
    masking_facts,
    masks_in_words,
)
from transforms.assembly.masks.parameters import MaskParameters

TILES = [SimpleNamespace(tile="33UUU"), SimpleNamespace(tile="33UVU")]


def job_of(output: Path, masks: dict, level: str = "L1C") -> Job:
    return Job.model_validate(
        {
            "name": "town",
            "epoch": 2020,
            "area": {"bbox": [13.0, 52.3, 13.8, 52.7]},
            "period": {"start": "2020-01-01", "end": "2020-12-31"},
            "input": {"archive": str(output), "level": level},
            "residential": {"model": str(output / "x.skops")},
            "masks": masks,
            "output": str(output),
        }
    )


@pytest.mark.parametrize(
    ("masks", "level", "said"),
    [
        ({}, "L1C", "csmask; clouds grow by 60 m, cloud shadows by 60 m"),
        ({}, "L2A", "product; clouds grow by 0 m, cloud shadows by 0 m"),
        ({"cloud_m": 0}, "L1C", "csmask; clouds grow by 0 m, cloud shadows by 60 m"),
        (
            {"method": "product", "shadow_m": 20.5},
            "L1C",
            "product; clouds grow by 0 m, cloud shadows by 20.5 m",
        ),
    ],
)
def test_masks_in_words(tmp_path: Path, masks: dict, level: str, said: str) -> None:
    assert masks_in_words(job_of(tmp_path, masks, level)) == said


def test_what_the_last_run_found_out(tmp_path: Path) -> None:
    job = job_of(tmp_path, {})
    assert last_shares(job, TILES) == {}
    scene = {"id": "S2A_X", "clear": 0.5, "seen": 1.0, "used": 0.25, "reason": ""}
    files = mask_files(job)
    path = Path(files.location(files.choice_of("33UUU")))
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"fingerprint": "of other settings", "scenes": [scene]}))
    assert last_shares(job, TILES) == {("33UUU", "S2A_X"): scene}
    path.write_text("{")
    assert last_shares(job, TILES) == {}


def facts(tmp_path: Path, days: list[int], **changes) -> list:
    scenes = [
        SimpleNamespace(
            id=f"S2A_{day}", tile="33UUU", sensing=datetime(2020, 6, day, 10, tzinfo=UTC)
        )
        for day in days
    ]
    job = job_of(tmp_path, {"method": "product"}).model_dump(mode="json") | changes
    return masking_facts(Job.model_validate(job), MaskParameters(), scenes)


def test_the_order_counts_only_where_not_all_scenes_are_used(tmp_path: Path) -> None:
    few, some = [1, 9, 17], {"scenes": {"enough": 2}}
    assert facts(tmp_path, few) == facts(tmp_path, few, scenes={"enough": 5})
    assert facts(tmp_path, few) == facts(tmp_path, few, scenes={"enough": None})
    assert facts(tmp_path, few, **some) != facts(tmp_path, few)
    assert facts(tmp_path, few, scenes={"at_most": 2}) != facts(tmp_path, few)


def test_a_longer_period_with_the_same_order_is_the_same(tmp_path: Path) -> None:
    days, some = [1, 9, 17], {"scenes": {"enough": 2}}
    june, later, spring = (
        {"start": start, "end": end}
        for start, end in (
            ("2020-06-01", "2020-06-30"),
            ("2020-06-01", "2020-07-02"),
            ("2020-05-01", "2020-06-20"),
        )
    )
    assert facts(tmp_path, days, period=june, **some) == facts(tmp_path, days, period=later, **some)
    assert facts(tmp_path, days, period=june, **some) != facts(
        tmp_path, days, period=spring, **some
    )
    assert facts(tmp_path, days, period=june) == facts(tmp_path, days, period=spring)


def test_a_mask_of_the_users_own_counts_for_its_tile_alone(tmp_path: Path) -> None:
    """Old products have one name for all of their tiles."""
    scenes = [SimpleNamespace(id="S2A_OLD", tile=tile) for tile in ("33UUU", "33UVU")]
    job = job_of(tmp_path, {"method": "file", "folder": str(tmp_path)})

    def marks() -> list[str]:
        made = mask_parameters(job, scenes)
        return [made.file_mark(scene.id, scene.tile) for scene in scenes]

    assert marks() == ["", ""]
    (tmp_path / "S2A_OLD_33UUU.tif").write_bytes(b"one")
    first = marks()
    (tmp_path / "S2A_OLD_33UVU.tif").write_bytes(b"other")
    assert marks()[0] == first[0] != ""
    assert marks()[1] not in ("", first[0])
