"""ghsl-beam scenes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any

import typer

from ghsl_beam.cli.examples import examples
from ghsl_beam.cli.jobs import JobFile, Settings, Today, read_job
from ghsl_beam.process.terminal import say, say_json, say_table

app = typer.Typer()


class Form(StrEnum):
    """How the list is printed."""

    TABLE = "table"
    JSON = "json"
    GEOJSON = "geojson"


@app.command("scenes", epilog=examples("scenes"))
def scenes_command(
    job_file: JobFile,
    setting: Settings = None,
    today: Today = None,
    form: Annotated[Form, typer.Option("--format", help="how the list is printed")] = Form.TABLE,
) -> None:
    """List the scenes that a run would use, and the others with the reason. Writes nothing."""
    job = read_job(job_file, setting, None, today)
    from ghsl_beam.planning.scenes.chosen import choose_scenes
    from ghsl_beam.planning.scenes.masking import last_shares, masks_in_words
    from ghsl_beam.tools.scene_list import as_geojson, scene_list

    chosen = choose_scenes(job)
    rows = scene_list(chosen, last_shares(job, chosen.tiles))
    if form is Form.JSON:
        content = {"masks": masks_in_words(job), "scenes": rows, "warnings": chosen.warnings}
        say_json(content, indent=2)
        return
    if form is Form.GEOJSON:
        say_json(as_geojson(rows))
        return
    known = any(row["clear"] is not None for row in rows)
    shares = ("clear", "given") if known else ()
    names = ("tile", "sensing", "cloud", *shares, "status", "scene", "reason")
    say_table(names, [_cells(row, shares) for row in rows], kept="sensing")
    counts = Counter(row["status"] for row in rows)
    say(", ".join(f"{number} {status}" for status, number in sorted(counts.items(), reverse=True)))
    say(f"masks: {masks_in_words(job)}")
    if known:
        say(
            "clear, given: shares of the area, as the last run measured them: clear in the scene, "
            "and with a clear observation from it"
        )
    for warning in chosen.warnings:
        say(f"warning: {warning}")


def _cells(row: dict[str, Any], shares: Sequence[str]) -> tuple[str, ...]:
    cloud = row["cloud_cover"]
    return (
        row["tile"],
        (row["sensing"] or "")[:10],
        "" if cloud is None else f"{cloud:.0f} %",
        *("" if row[key] is None else f"{row[key]:.0%}".replace("%", " %") for key in shares),
        row["status"],
        row["scene"] or row["location"],
        row["reason"] or "",
    )
