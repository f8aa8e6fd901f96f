"""ghsl-beam init, doctor, completion."""

from __future__ import annotations

import shlex
import sys
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ghsl_beam.cli.examples import examples
from ghsl_beam.cli.jobs import Today, read_job
from ghsl_beam.process import status
from ghsl_beam.process.terminal import say, say_json
from transforms.elements import RequestError

if TYPE_CHECKING:
    from ghsl_beam.tools.starting.doctor import Check

app = typer.Typer()
COMPLETE = "_GHSL_BEAM_COMPLETE"
"""The variable by which a shell asks for completions."""


class Place(StrEnum):
    """The places of the scenes; the same names as the templates."""

    COPERNICUS = "copernicus"
    CREODIAS = "creodias"
    EARTH_SEARCH = "earth-search"
    GOOGLE = "google"
    ARCHIVE = "archive"


class Shell(StrEnum):
    """The shells that can complete commands."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


@app.command("init", epilog=examples("init"))
def init_command(
    aoi: Annotated[
        str | None,
        typer.Option(
            "--aoi",
            "--area",
            "--bbox",
            help="west,south,east,north in degrees, a vector file, WKT, or an MGRS tile like 33UUU",
        ),
    ] = None,
    job_file: Annotated[Path, typer.Argument(help="job file to write")] = Path("job.yaml"),
    catalogue: Annotated[Place, typer.Option(help="where the scenes come from")] = Place.COPERNICUS,
    archive: Annotated[
        str | None, typer.Option(help="folder or URL of products, for --catalogue archive")
    ] = None,
    period: Annotated[
        str | None,
        typer.Option(help="days of acquisition; by default the last growing season of the area"),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="name of the job; by default that of the file")
    ] = None,
    today: Today = None,
) -> None:
    """Write a commented job file for an area. Asks nothing, and replaces no file."""
    from ghsl_beam.tools.starting.new_job import Catalogue, new_job

    if aoi is None:
        raise RequestError(
            "init: give the area: --aoi west,south,east,north in degrees, such as --aoi "
            "13.0,52.3,13.8,52.7, or a file of polygons, or an MGRS tile"
        )
    day = today.date() if today else datetime.now(UTC).date()
    chosen = Catalogue(catalogue.value)
    job = new_job(job_file, aoi, chosen, name=name, period=period, archive=archive, today=day)
    say(f"{job_file}: job {job.name}, {job.period.start} to {job.period.end}, {catalogue.value}")
    say(f"next: ghsl-beam doctor {shlex.quote(str(job_file))}")


@app.command("doctor", epilog=examples("doctor"))
def doctor_command(
    job_file: Annotated[
        Path | None, typer.Argument(help="job file: what this job needs too", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="as JSON")] = False,
) -> None:
    """Check this machine, and what a job needs. Writes nothing, and shows no key."""
    from ghsl_beam.tools.starting.doctor import State, check_machine

    status.now("checking this machine")
    checks = list(check_machine())
    if all(one.state is not State.FAULT or one.what != "packages" for one in checks):
        checks += _with_job(job_file)
    if as_json:
        say_json([{"state": c.state, "what": c.what, "found": c.found} for c in checks], indent=2)
    else:
        for one in checks:
            say(f"{one.state:8}{one.what}: {one.found}")
    faults = sum(one.state is State.FAULT for one in checks)
    warnings = sum(one.state is State.WARNING for one in checks)
    if not as_json:
        say(f"faults: {faults}, warnings: {warnings}")
    sys.exit(2 if faults else 0)


def _with_job(job_file: Path | None) -> list[Check]:
    """The checks of a job, or of the shipped services if there is none."""
    from ghsl_beam.tools.starting.doctor import Check, State
    from ghsl_beam.tools.starting.job_checks import check_job, check_keys

    if job_file is None:
        return list(check_keys())
    try:
        job = read_job(job_file)
    except RequestError as error:
        return [Check(State.FAULT, "job file", str(error))]
    status.now("checking what the job needs")
    return [Check(State.OK, "job file", f"{job_file}: job {job.name}"), *check_job(job)]


@app.command("completion", epilog=examples("completion"))
def completion_command(shell: Annotated[Shell, typer.Argument(help="the shell")]) -> None:
    """Print the completion of a shell. Add it to its start-up file: ~/.bashrc, for example."""
    from typer.completion import get_completion_script  # type: ignore[attr-defined]

    script = get_completion_script(prog_name="ghsl-beam", complete_var=COMPLETE, shell=shell.value)
    for line in script.split("\n"):
        say(line)
