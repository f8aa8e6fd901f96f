"""ghsl-beam run, plan, report, schema."""

from __future__ import annotations

import glob
import os
import sys
from contextlib import AbstractContextManager, nullcontext, suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ghsl_beam.cli.errors import errors_in_one_line
from ghsl_beam.cli.examples import examples
from ghsl_beam.cli.losses import say_command_again, say_losses, say_remedies
from ghsl_beam.observing import logs
from ghsl_beam.observing.logs import LogLevel
from ghsl_beam.process import status, stopping
from ghsl_beam.process.terminal import say, say_json, say_table
from transforms.elements import RequestError
from transforms.storage.redaction import learn

if TYPE_CHECKING:
    from ghsl_beam.jobfile.configuration import Job
    from ghsl_beam.observing.run_events import RunEvents
    from ghsl_beam.outputs.record_schema import RunRecord
    from ghsl_beam.planning.inventory import Inventory

app = typer.Typer()

_MAX_JOB_BYTES = 1 << 20
_SHOWN = 5
_WHOLE = 99.5
"""Percent of the area from which on nothing is said of the rest: pixels at its edge lack data."""
_BEAM = {"allow_extra_args": True, "ignore_unknown_options": True}


def _job_files(incomplete: str) -> list[str]:
    """Folders and YAML files that begin like this, for the completion of a shell."""
    found = sorted(glob.glob(f"{glob.escape(incomplete)}*"))
    return [
        f"{path}/" if os.path.isdir(path) else path
        for path in found
        if os.path.isdir(path) or path.endswith((".yaml", ".yml"))
    ]


JobFile = Annotated[Path, typer.Argument(help="job file, YAML", autocompletion=_job_files)]
Output = Annotated[
    str | None, typer.Option(help="folder or URL of the products; replaces output in the job file")
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", help="key.path=value; replaces this key of the job file"),
]
Today = Annotated[
    datetime | None,
    typer.Option(
        formats=["%Y-%m-%d"],
        help="day from which a relative period counts; by default today in UTC",
    ),
]

Verify = Annotated[
    bool,
    typer.Option(
        "--verify",
        help="read every product and make changed ones again; compare the scenes with their "
        "manifest.safe",
    ),
]


def learn_credentials(job_file: Path) -> None:
    """Learn the credentials in a job file, before any message can contain them."""
    if job_file.is_file():
        with suppress(OSError), job_file.open("rb") as file:
            learn(file.read(_MAX_JOB_BYTES).decode(errors="replace"))


def read_job(
    job_file: Path,
    setting: list[str] | None = None,
    output: str | None = None,
    today: datetime | None = None,
) -> Job:
    """Read a job file, before anything is imported that a wrong one does not need."""
    status.now("reading the job file")
    learn_credentials(job_file)
    from ghsl_beam.jobfile.configuration import load_job

    job = load_job(job_file, tuple(setting or ()), output, today and today.date())
    status.now("loading libraries")
    return job


@app.command("run", context_settings=_BEAM, epilog=examples("run"))
def run_command(
    context: typer.Context,
    job_file: JobFile,
    output: Output = None,
    setting: Settings = None,
    today: Today = None,
    profile: Annotated[
        str | None,
        typer.Option(help="set of Beam options: flink, spark, local, or your own YAML file"),
    ] = None,
    log_level: Annotated[
        LogLevel, typer.Option(help="lowest level of the log lines on stderr")
    ] = LogLevel.WARNING,
    log_json: Annotated[bool, typer.Option("--log-json", help="log lines as JSON")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="show no progress")] = False,
    verify: Verify = False,
) -> None:
    """Run a job. Products that are up to date are not made again. Takes any Beam option."""
    logs.configure(log_level, as_json=log_json)
    if log_json:
        stopping.speak_json()
    job = read_job(job_file, setting, output, today)
    logs.set_job(job.name)
    from ghsl_beam.observing.progress import follow
    from ghsl_beam.observing.run_log import RunLog
    from ghsl_beam.runners.profiles import arguments
    from ghsl_beam.running.launch import run

    log = RunLog(job.output)

    def watch(inventory: Inventory, events: RunEvents) -> AbstractContextManager[None]:
        log.begin()
        return nullcontext() if quiet else follow(inventory, events)

    options = arguments(profile, context.args) if profile else context.args
    with log, errors_in_one_line(log):  # the log receives the error too
        record = run(job, options, watch, verify=verify)
        _say_outcome(record, job.output)
    sys.exit(record["exit_code"] or 0)


def _say_outcome(record: RunRecord, output: str) -> None:
    for warning in record["warnings"]:
        say(f"warning: {warning}")
    if record["computed"] or record["losses"]:
        made = f"{record['computed']} products made, {record['reused']} already up to date"
        say(f"{made}, in {record['seconds']:.0f} s")
    else:
        say(f"nothing to do: all {record['reused']} products exist and are up to date")
    say(f"layers: {output}")
    say(f"report: {output.rstrip('/')}/report/index.html")
    _say_cover(record["cover"]["scenes_percent"], record["cover"]["data_percent"])
    if others := record["earlier_files"]:
        more = f" and {len(others) - _SHOWN} more" if len(others) > _SHOWN else ""
        shown = ", ".join(others[:_SHOWN]) + more
        say(
            f"not of this job any more, but of an earlier configuration: {shown}; remove them if "
            "nobody needs them (earlier_files in run.json)"
        )
    if record["losses"]:
        say_losses(record["losses"], "losses in run.json")
        say_remedies(record["losses"])
        say_command_again("make only what was lost")


def _say_cover(reached: float, share: float | None) -> None:
    """Print how much of the area has scenes and data, in percent."""
    known = "" if share is None else f", {share:g} % has data"
    least = reached if share is None else min(reached, share)
    rest = "; the rest has no data" if least < _WHOLE else ""
    say(f"cover: scenes reach {reached:g} % of the area{known}{rest}")


@app.command("plan", epilog=examples("plan"))
def plan_command(
    job_file: JobFile,
    output: Output = None,
    setting: Settings = None,
    today: Today = None,
    as_json: Annotated[bool, typer.Option("--json", help="as JSON")] = False,
    verify: Verify = False,
) -> None:
    """Show what a run would do. Writes nothing."""
    job = read_job(job_file, setting, output, today)
    from ghsl_beam.estimating.plan_summary import summary
    from ghsl_beam.planning.plan import make_plan
    from ghsl_beam.running.lock import check_work_area

    check_work_area(job.output)
    with stopping.in_order():  # the estimate uses a temporary folder
        content = summary(make_plan(job, verify=verify))
    if as_json:
        say_json(content, indent=2)
        return
    rows = [
        (
            tile["tile"],
            tile["zone"],
            tile["model"],
            str(len(tile["scenes"])),
            *_days_and_cloud(tile["scenes"]),
            str(tile["blocks"]),
            ", ".join(tile["exists"]) or "none",
        )
        for tile in content["tiles"]
    ]
    names = ("tile", "zone", "model", "scenes", "days", "cloud", "blocks", "exists")
    say_table(names, rows, kept="days")
    say(f"masks: {content['masks']}")
    if cover := content.get("cover"):
        _say_cover(cover["scenes_percent"], None)
    for grid in content["grids"]:
        say(f"grid {grid['grid']}: {grid['cells']} cells, {grid['missing']} to do")
    _say_estimate(content)
    for warning in content["warnings"]:
        say(f"warning: {warning}")
    say_losses(content["losses"], "losses with --json")


def _days_and_cloud(scenes: list[dict[str, Any]]) -> tuple[str, str]:
    """First and last day, and the range of the cloud cover."""
    days = sorted(scene["sensing"][:10] for scene in scenes)
    cloud = [scene["cloud_cover"] for scene in scenes]
    return "..".join(dict.fromkeys((days[0], days[-1]))), f"{min(cloud):.0f}..{max(cloud):.0f} %"


def _say_estimate(content: dict[str, Any]) -> None:
    from ghsl_beam.observing.progress import duration

    estimate = content["estimate"]
    if content["cache"]:
        fetched = sum(tile["bytes_to_fetch"] for tile in content["tiles"])
        size = f"up to {fetched / 1e6:.1f} MB into" if fetched else "nothing, all is in"
        say(f"to fetch: {size} {content['cache']['folder']}")
    say(f"to read: {sum(tile['bytes_to_read'] for tile in content['tiles']) / 1e6:.1f} MB")
    if estimate["seconds"] is not None:
        say(f"to write: about {estimate['bytes_to_write'] / 1e6:.1f} MB")
        say(f"memory of a worker: about {estimate['peak_bytes_a_worker'] / 1e9:.1f} GB")
        say(f"time: about {duration(estimate['seconds'])} ({estimate['hours']:g} h)")
    say(f"basis of the estimate: {estimate['basis']}")


@app.command("schema", epilog=examples("schema"))
def schema_command(
    record: Annotated[
        bool, typer.Option("--record", help="print the schema of run.json instead")
    ] = False,
) -> None:
    """Print the JSON schema of the job file, with units, defaults and bounds."""
    from ghsl_beam.jobfile.configuration import schema
    from ghsl_beam.outputs.record_schema import record_schema

    say_json(record_schema() if record else schema(), indent=2)


@app.command("report", epilog=examples("report"))
def report_command(output: Annotated[str, typer.Argument(help="folder or URL of a run")]) -> None:
    """Write the report of a run again."""
    from ghsl_beam.outputs.report import write_report
    from transforms.storage import storage

    if not storage.is_file(storage.join(output, "run.json")):
        raise RequestError(f"{output}: has no run.json; give the output folder of a run")
    say(write_report(output))
