"""ghsl-beam: what a person types."""

from __future__ import annotations

import json
import logging
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.table import Column, Table

from ghsl_beam import logs
from ghsl_beam.environment import limit_libraries
from ghsl_beam.logs import LogLevel
from ghsl_beam.models_command import app as models_app
from ghsl_beam.native_output import native_output_logged
from transforms.elements import GhslBeamError, RequestError
from transforms.raster.redaction import redacted_command

if TYPE_CHECKING:
    from ghsl_beam.plan import JobPlan
    from ghsl_beam.record_schema import LossRecord, RunRecord
    from ghsl_beam.run_events import RunEvents
    from ghsl_beam.run_log import RunLog

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Built-up fraction and settlement layers from Sentinel-2.",
)
train_app = typer.Typer(no_args_is_help=True, help="Train a model of one's own.")
app.add_typer(models_app, name="models")
app.add_typer(train_app, name="train")

_LOSSES_SHOWN = 20
_BEAM = {"allow_extra_args": True, "ignore_unknown_options": True}
JobFile = Annotated[Path, typer.Argument(help="job file, YAML")]
Output = Annotated[
    str | None, typer.Option(help="folder or URL of the products, over the job file's")
]
Settings = Annotated[
    list[str] | None, typer.Option("--set", help="key.path=value, over the job file's")
]
Today = Annotated[
    datetime | None,
    typer.Option(
        formats=["%Y-%m-%d"], help="day from which a relative period counts; by default today, UTC"
    ),
]


@app.command("run", context_settings=_BEAM)
def run_command(
    context: typer.Context,
    job_file: JobFile,
    output: Output = None,
    setting: Settings = None,
    today: Today = None,
    profile: Annotated[
        str | None,
        typer.Option(help="set of Beam options: flink, spark, local, or a file of one's own"),
    ] = None,
    log_level: Annotated[
        LogLevel, typer.Option(help="lines on stderr from this level on")
    ] = LogLevel.WARNING,
    log_json: Annotated[bool, typer.Option("--log-json", help="log lines as JSON")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="no progress")] = False,
) -> None:
    """Run a job; what exists already is not computed again. Takes any Beam option."""
    from ghsl_beam.configuration import load_job
    from ghsl_beam.launch import LaunchError, run
    from ghsl_beam.profiles import arguments
    from ghsl_beam.progress import follow
    from ghsl_beam.run_log import RunLog

    logs.configure(log_level, as_json=log_json)
    job = load_job(job_file, tuple(setting or ()), output, today and today.date())
    logs.set_job(job.name)
    log = RunLog(job.output)

    def watch(plan: JobPlan, events: RunEvents) -> AbstractContextManager[None]:
        log.begin()
        return nullcontext() if quiet else follow(plan, events)

    options = arguments(profile, context.args) if profile else context.args
    with log, _errors_in_one_line(log):  # so the log has the error too
        try:
            record = run(job, options, watch)
        except KeyboardInterrupt as error:
            by = str(error).partition(" ")[0]  # Beam adds what it was running
            text = f"stopped by {by}: the same command goes on where it was"
            raise LaunchError(text) from error
        _print_outcome(record, job.output)
    raise typer.Exit(record["exit_code"] or 0)


def _print_outcome(record: RunRecord, output: str) -> None:
    for warning in record["warnings"]:
        print(f"warning: {warning}")
    if record["computed"] or record["losses"]:
        print(
            f"{record['computed']} products made, {record['reused']} found as they were,", end=" "
        )
        print(f"in {record['seconds']:.0f} s")
    else:
        print(
            f"nothing to do: all {record['reused']} products are there, made from the same things"
        )
    print(f"layers: {output}")
    print(f"report: {output.rstrip('/')}/report/index.html")
    if record["losses"]:
        _print_losses(record["losses"])


def _print_losses(losses: list[LossRecord]) -> None:
    """The last lines: what was lost, and the command that makes only that."""
    parts = ("stage", "tile", "scene", "file", "reason")
    counts = Counter(tuple(str(loss.get(part)) for part in parts) for loss in losses)
    for (stage, *what, reason), number in sorted(counts.items())[:_LOSSES_SHOWN]:
        blocks = f" ({number} blocks)" if number > 1 else ""
        print(f"lost in {stage}: {' '.join(part for part in what if part)}: {reason}{blocks}")
    if len(counts) > _LOSSES_SHOWN:
        print(f"and {len(counts) - _LOSSES_SHOWN} more: see losses in run.json")
    command = redacted_command(["ghsl-beam", *sys.argv[1:]])
    print(f"to make only what was lost, run again: {command}")


@app.command("plan")
def plan_command(
    job_file: JobFile,
    output: Output = None,
    setting: Settings = None,
    today: Today = None,
    as_json: Annotated[bool, typer.Option("--json", help="as JSON")] = False,
) -> None:
    """Say what a run would do; writes nothing."""
    from ghsl_beam.configuration import load_job
    from ghsl_beam.plan import make_plan
    from ghsl_beam.plan_summary import summary

    job = load_job(job_file, tuple(setting or ()), output, today and today.date())
    content = summary(make_plan(job))
    if as_json:
        print(json.dumps(content, indent=2))
        return
    names = ("tile", "zone", "model", "scenes", "days", "cloud", "blocks", "exists")
    table = Table(*(Column(name, overflow="fold", no_wrap=name == "days") for name in names))
    for tile in content["tiles"]:
        table.add_row(
            tile["tile"],
            tile["zone"],
            tile["model"],
            str(len(tile["scenes"])),
            *_days_and_cloud(tile["scenes"]),
            str(tile["blocks"]),
            ", ".join(tile["exists"]) or "none",
        )
    console = Console()
    console.print(table)
    for grid in content["grids"]:
        console.print(f"grid {grid['grid']}: {grid['cells']} cells, {grid['missing']} to do")
    _print_estimate(console, content)
    for warning in content["warnings"]:
        console.print(f"warning: {warning}")
    for loss in content["losses"]:
        console.print(f"lost: {loss['tile']} {loss['file']} {loss['reason']}")


def _days_and_cloud(scenes: list[dict[str, Any]]) -> tuple[str, str]:
    """First and last day, and the span of the cloud cover."""
    days = sorted(scene["sensing"][:10] for scene in scenes)
    cloud = [scene["cloud_cover"] for scene in scenes]
    return "..".join(dict.fromkeys((days[0], days[-1]))), f"{min(cloud):.0f}..{max(cloud):.0f} %"


def _print_estimate(console: Console, content: dict[str, Any]) -> None:
    from ghsl_beam.progress import duration

    estimate = content["estimate"]
    console.print(
        f"to read: {sum(tile['bytes_to_read'] for tile in content['tiles']) / 1e6:.1f} MB"
    )
    if estimate["seconds"] is not None:
        console.print(f"to write: about {estimate['bytes_to_write'] / 1e6:.1f} MB")
        console.print(f"memory of a worker: about {estimate['peak_bytes_a_worker'] / 1e9:.1f} GB")
        console.print(f"time: about {duration(estimate['seconds'])} ({estimate['hours']:g} h)")
    console.print(f"basis of the estimate: {estimate['basis']}")


@app.command("schema")
def schema_command(
    record: Annotated[bool, typer.Option("--record", help="of run.json instead")] = False,
) -> None:
    """Print the job file's schema, with units, defaults and bounds (JSON schema)."""
    from ghsl_beam.configuration import schema
    from ghsl_beam.record_schema import record_schema

    print(json.dumps(record_schema() if record else schema(), indent=2))


@app.command("report")
def report_command(output: Annotated[str, typer.Argument(help="folder or URL of a run")]) -> None:
    """Write the report of a run anew."""
    from ghsl_beam.report import write_report
    from transforms.raster import storage

    if not storage.is_file(storage.join(output, "run.json")):
        raise RequestError(f"{output}: no run.json there; is it the output of a run?")
    print(write_report(output))


@app.command("validate")
def validate_command(
    output: Annotated[str, typer.Argument(help="folder or URL of a run")],
    reference: Annotated[
        str, typer.Option(help="raster or polygons of built-up, a layer as file.gpkg|layer")
    ],
    product: Annotated[
        str | None, typer.Option(help="epoch and name where there are several, as E2017_berlin")
    ] = None,
) -> None:
    """Compare a run's built-up with a reference."""
    from ghsl_beam.validate import validate

    print(json.dumps(validate(output, reference, product=product), indent=2))


@train_app.command("network")
def train_network_command(
    output: Annotated[str, typer.Argument(help="folder or URL of a run, with its S2")],
    polygons: Annotated[str, typer.Option(help="vector file of built-up")],
    model: Annotated[str, typer.Option(help="weight file to write (h5)")],
    unlabelled: Annotated[
        float, typer.Option(min=0, max=1, help="weight of a pixel outside the polygons")
    ] = 0.2,
    epochs: Annotated[int, typer.Option(min=1, max=1000)] = 8,
) -> None:
    """Train a GHS-S2Net on a run's composites."""
    from ghsl_beam.network_training import train_network

    print(json.dumps(train_network(output, polygons, model, unlabelled, epochs)))


@train_app.command("residential")
def train_residential_command(
    output: Annotated[str, typer.Argument(help="folder or URL of a run, with its S2 and BUFRAC")],
    labels: Annotated[str, typer.Option(help="vector file of labelled polygons")],
    model: Annotated[str, typer.Option(help="classifier file to write (skops)")],
    field: Annotated[str, typer.Option(help="field with the class")] = "class",
    residential: Annotated[str, typer.Option(help="its value for residential")] = "residential",
    non_residential: Annotated[str, typer.Option(help="and for the rest")] = "non-residential",
    feature_set: Annotated[str, typer.Option(help="named feature set")] = "spectral_texture",
) -> None:
    """Train a residential classifier; prints scores held out by polygon."""
    from ghsl_beam.training import read_labels, train_residential
    from transforms.raster import storage

    found = read_labels(labels, field, residential, non_residential)
    about = f"trained on {storage.name(labels)}, field {field}, "
    about += f"with the layers of {storage.name(output)}"
    print(json.dumps(train_residential(output, found, feature_set, model, about), indent=2))


def main() -> None:
    """The console script: errors are one line on stderr, exit codes those of the design."""
    limit_libraries()
    logs.configure(LogLevel.WARNING, as_json=False)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stopped)
    with native_output_logged():
        _main()


def _stopped(number: int, _: object) -> NoReturn:
    """A scheduler's word to stop is a person's Ctrl-C: the run ends in order."""
    # Beam takes it for an error of whatever it is just running, and would log that.
    logging.getLogger("apache_beam").setLevel(logging.CRITICAL)
    raise KeyboardInterrupt(signal.Signals(number).name)


def _main() -> None:
    with _errors_in_one_line():
        sys.exit(app(standalone_mode=False))  # the exit code of `typer.Exit`, None without one


@contextmanager
def _errors_in_one_line(log: RunLog | None = None) -> Iterator[None]:
    """Within, an error ends the program: one line, its traceback in the run's log or a new one."""
    try:
        yield
    except typer.Abort:
        sys.exit(1)
    except RequestError as error:
        _die(error, 2)
    except GhslBeamError as error:
        _die(error, 1)
    except Exception as error:  # noqa: BLE001 - the last resort: one line, traceback kept
        if hasattr(error, "format_message"):  # a usage error of the command line
            if not (text := error.format_message()):  # no command: its help has been printed
                sys.exit(2)
            _die(text, 2)
        kept = log.location if log else None
        kept = kept or str(logs.log_to_file(Path(tempfile.mkdtemp(prefix="ghsl-beam-"))))
        text = f"failed: {type(error).__name__}: {error}"
        _die(f"{_one_line(text)} (traceback: {kept})", 1, with_traceback=True)


def _one_line(text: str) -> str:
    return " ".join(text.split())[:2000]


def _die(error: object, code: int, *, with_traceback: bool = False) -> NoReturn:
    logs.failed(_one_line(str(error)), with_traceback=with_traceback)
    sys.exit(code)
