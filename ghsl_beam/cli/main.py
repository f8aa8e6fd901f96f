"""ghsl-beam: what a person types."""

from __future__ import annotations

import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from ghsl_beam.cli.models import app as models_app
from ghsl_beam.observing import logs
from ghsl_beam.observing.logs import LogLevel
from ghsl_beam.process import stopping
from ghsl_beam.process.environment import leave_current_folder, limit_libraries, open_standard_files
from ghsl_beam.process.native_output import native_output_logged
from ghsl_beam.process.terminal import failure, keep_streams, say, say_json, say_table, stderr
from ghsl_beam.runners.worker_records import restore_records
from transforms.elements import GhslBeamError, RequestError, StorageError
from transforms.storage.redaction import learn, learn_arguments, redact, redacted_command
from transforms.storage.room import OF_THE_DISK, why_not_written

if TYPE_CHECKING:
    from ghsl_beam.observing.run_events import RunEvents
    from ghsl_beam.observing.run_log import RunLog
    from ghsl_beam.outputs.record_schema import LossRecord, RunRecord
    from ghsl_beam.planning.inventory import Inventory

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Map human settlement from Sentinel-2.",
)
train_app = typer.Typer(no_args_is_help=True, help="Train your own model.")
app.add_typer(models_app, name="models")
app.add_typer(train_app, name="train")

_LOSSES_SHOWN = 20
_MAX_JOB_BYTES = 1 << 20
_BEAM = {"allow_extra_args": True, "ignore_unknown_options": True}
JobFile = Annotated[Path, typer.Argument(help="job file, YAML")]
Output = Annotated[
    str | None, typer.Option(help="folder or URL of the products; replaces output in the job file")
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", help="key.path=value; replaces this key of the job file"),
]
Overwrite = Annotated[
    bool,
    typer.Option(
        "--overwrite",
        help="replace a model of the same name; by default it is kept under another name",
    ),
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


def _learn_credentials(job_file: Path) -> None:
    """Know what must not be shown of a job file, before anything can be said of it."""
    if job_file.is_file():
        with suppress(OSError), job_file.open("rb") as file:
            learn(file.read(_MAX_JOB_BYTES).decode(errors="replace"))


@app.command("run", context_settings=_BEAM)
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
    from ghsl_beam.jobfile.configuration import load_job
    from ghsl_beam.observing.progress import follow
    from ghsl_beam.observing.run_log import RunLog
    from ghsl_beam.runners.profiles import arguments
    from ghsl_beam.running.launch import run

    logs.configure(log_level, as_json=log_json)
    if log_json:
        stopping.speak_json()
    _learn_credentials(job_file)
    job = load_job(job_file, tuple(setting or ()), output, today and today.date())
    logs.set_job(job.name)
    log = RunLog(job.output)

    def watch(inventory: Inventory, events: RunEvents) -> AbstractContextManager[None]:
        log.begin()
        return nullcontext() if quiet else follow(inventory, events)

    options = arguments(profile, context.args) if profile else context.args
    with log, _errors_in_one_line(log):  # so the log has the error too
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
    if record["losses"]:
        _say_losses(record["losses"])


def _say_losses(losses: list[LossRecord]) -> None:
    """The last lines: what was lost, and the command that makes only that."""
    parts = ("stage", "tile", "scene", "file", "reason")
    counts = Counter(tuple(str(loss.get(part)) for part in parts) for loss in losses)
    for (stage, *what, reason), number in sorted(counts.items())[:_LOSSES_SHOWN]:
        blocks = f" ({number} blocks)" if number > 1 else ""
        say(f"lost in {stage}: {' '.join(part for part in what if part)}: {reason}{blocks}")
    if len(counts) > _LOSSES_SHOWN:
        say(f"and {len(counts) - _LOSSES_SHOWN} more: see losses in run.json")
    command = redacted_command(["ghsl-beam", *sys.argv[1:]])
    say(f"to make only what was lost, run again: {command}")


@app.command("plan")
def plan_command(
    job_file: JobFile,
    output: Output = None,
    setting: Settings = None,
    today: Today = None,
    as_json: Annotated[bool, typer.Option("--json", help="as JSON")] = False,
    verify: Verify = False,
) -> None:
    """Show what a run would do. Writes nothing."""
    from ghsl_beam.estimating.plan_summary import summary
    from ghsl_beam.jobfile.configuration import load_job
    from ghsl_beam.planning.plan import make_plan
    from ghsl_beam.running.lock import check_work_area

    _learn_credentials(job_file)
    job = load_job(job_file, tuple(setting or ()), output, today and today.date())
    check_work_area(job.output)
    with stopping.in_order():  # it measures in a temporary folder
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
    for grid in content["grids"]:
        say(f"grid {grid['grid']}: {grid['cells']} cells, {grid['missing']} to do")
    _say_estimate(content)
    for warning in content["warnings"]:
        say(f"warning: {warning}")
    for loss in content["losses"]:
        say(f"lost: {loss['tile']} {loss['file']} {loss['reason']}")


def _days_and_cloud(scenes: list[dict[str, Any]]) -> tuple[str, str]:
    """First and last day, and the span of the cloud cover."""
    days = sorted(scene["sensing"][:10] for scene in scenes)
    cloud = [scene["cloud_cover"] for scene in scenes]
    return "..".join(dict.fromkeys((days[0], days[-1]))), f"{min(cloud):.0f}..{max(cloud):.0f} %"


def _say_estimate(content: dict[str, Any]) -> None:
    from ghsl_beam.observing.progress import duration

    estimate = content["estimate"]
    say(f"to read: {sum(tile['bytes_to_read'] for tile in content['tiles']) / 1e6:.1f} MB")
    if estimate["seconds"] is not None:
        say(f"to write: about {estimate['bytes_to_write'] / 1e6:.1f} MB")
        say(f"memory of a worker: about {estimate['peak_bytes_a_worker'] / 1e9:.1f} GB")
        say(f"time: about {duration(estimate['seconds'])} ({estimate['hours']:g} h)")
    say(f"basis of the estimate: {estimate['basis']}")


@app.command("schema")
def schema_command(
    record: Annotated[
        bool, typer.Option("--record", help="print the schema of run.json instead")
    ] = False,
) -> None:
    """Print the JSON schema of the job file, with units, defaults and bounds."""
    from ghsl_beam.jobfile.configuration import schema
    from ghsl_beam.outputs.record_schema import record_schema

    say_json(record_schema() if record else schema(), indent=2)


@app.command("report")
def report_command(output: Annotated[str, typer.Argument(help="folder or URL of a run")]) -> None:
    """Write the report of a run again."""
    from ghsl_beam.outputs.report import write_report
    from transforms.storage import storage

    if not storage.is_file(storage.join(output, "run.json")):
        raise RequestError(f"{output}: has no run.json; give the output folder of a run")
    say(write_report(output))


@app.command("validate")
def validate_command(
    output: Annotated[str, typer.Argument(help="folder or URL of a run")],
    reference: Annotated[
        str,
        typer.Option(
            help="raster or polygons of built-up; file.gpkg|layer for one of several layers"
        ),
    ],
    product: Annotated[
        str | None,
        typer.Option(help="epoch and name if the output has several, such as E2017_berlin"),
    ] = None,
    unit: Annotated[
        str | None,
        typer.Option(
            help="what the values of a raster mean, if the file does not say it: fraction, "
            "percent, per-10000, m2 (of a pixel), mask (0 and 1), mask255 (0 and 255)"
        ),
    ] = None,
    nodata: Annotated[
        str | None, typer.Option(help="nodata of the raster, or none; replaces what the file says")
    ] = None,
    built: Annotated[
        str | None, typer.Option(help="built-up values of a raster of classes, such as 50,60")
    ] = None,
    band: Annotated[
        int | None, typer.Option(min=1, help="band of a raster that has several")
    ] = None,
    layer: Annotated[
        str, typer.Option(help="layer to compare: BUFRAC, or BUILT_S of an output grid")
    ] = "BUFRAC",
    grid: Annotated[
        str | None, typer.Option(help="output grid if there are several, such as 54009_100")
    ] = None,
    threshold: Annotated[
        float, typer.Option(min=0, max=1, help="a pixel is built-up from this fraction on")
    ] = 0.5,
) -> None:
    """Compare the built-up of a run with a reference."""
    from ghsl_beam.tools.validate import validate

    found = validate(
        output,
        reference,
        layer=layer,
        product=product,
        grid=grid,
        unit=unit,
        nodata=nodata,
        built=built,
        band=band,
        threshold=threshold,
    )
    for warning in found["warnings"]:
        say(f"warning: {warning}", to=stderr())
    say_json(found, indent=2)


@train_app.command("network")
def train_network_command(
    output: Annotated[str, typer.Argument(help="folder or URL of a run that has S2")],
    polygons: Annotated[
        str, typer.Option(help="vector file of built-up; file.gpkg|layer for one of several layers")
    ],
    model: Annotated[str, typer.Option(help="weight file to write (h5)")],
    unlabelled: Annotated[
        float, typer.Option(min=0, max=1, help="weight of a pixel outside the polygons")
    ] = 0.2,
    epochs: Annotated[int, typer.Option(min=1, max=1000, help="training epochs")] = 8,
    overwrite: Overwrite = False,
) -> None:
    """Train a GHS-S2Net on the composites of a run. Prints scores on ground it has not seen."""
    from ghsl_beam.tools.network_training import train_network

    scores = train_network(output, polygons, model, unlabelled, epochs, overwrite=overwrite)
    _say_scores(scores)


@train_app.command("residential")
def train_residential_command(
    output: Annotated[str, typer.Argument(help="folder or URL of a run that has S2 and BUFRAC")],
    labels: Annotated[
        str,
        typer.Option(
            help="vector file of labelled polygons; file.gpkg|layer for one of several layers"
        ),
    ],
    model: Annotated[str, typer.Option(help="classifier file to write (skops)")],
    field: Annotated[str, typer.Option(help="field of the labels with the class")] = "class",
    residential: Annotated[
        str, typer.Option(help="value of --field that means residential")
    ] = "residential",
    non_residential: Annotated[
        str, typer.Option(help="value of --field that means non-residential")
    ] = "non-residential",
    feature_set: Annotated[
        str, typer.Option(help="features: spectral, spectral_indices or spectral_texture")
    ] = "spectral_texture",
    overwrite: Overwrite = False,
) -> None:
    """Train a residential classifier. Prints scores on ground it has not seen."""
    from ghsl_beam.tools.training import check_feature_set, read_labels, train_residential
    from transforms.storage import storage

    check_feature_set(feature_set)
    found = read_labels(labels, field, residential, non_residential)
    about = f"trained on {storage.name(labels)}, field {field}, "
    about += f"with the layers of {storage.name(output)}"
    scores = train_residential(output, found, feature_set, model, about, overwrite=overwrite)
    _say_scores(scores)


def _say_scores(scores: dict[str, Any]) -> None:
    if kept := scores.pop("kept"):
        say(f"warning: a model of this name existed; it is kept as {kept}", to=stderr())
    say_json(scores, indent=2)


def main() -> None:
    """The command line: errors are one line on stderr, exit codes those of the design."""
    _begin()
    limit_libraries()
    logs.configure(LogLevel.WARNING, as_json=False)
    restore_records()
    with native_output_logged():
        try:
            _main()
        finally:
            if stopping.asked():
                stopping.end()


def _begin() -> None:
    """What holds for this process as a whole; as early as may be."""
    open_standard_files()
    stopping.begin()
    leave_current_folder()
    keep_streams()
    learn_arguments(sys.argv[1:])
    logs.take_what_is_raised_elsewhere()


def _main() -> None:
    with _errors_in_one_line():
        code = app(standalone_mode=False)  # that of `typer.Exit`, None without one
        if not code:
            _check_said()
        sys.exit(code)


def _check_said() -> None:
    """Make sure that what the command is asked for has been written somewhere.

    A reader who has seen enough, and closes, has got it. What a run makes does not depend on it.
    """
    failed = failure(sys.stdout)
    if failed is not None and not isinstance(failed, BrokenPipeError):
        raise StorageError("standard output", failed.strerror or str(failed))


@contextmanager
def _errors_in_one_line(log: RunLog | None = None) -> Iterator[None]:
    """Within, an error ends the program: one line, its traceback in the run's log or a new one."""
    try:
        yield
    except RequestError as error:
        _die(error, 2)
    except GhslBeamError as error:
        _die(error, 1)
    except (KeyboardInterrupt, typer.Abort):
        _die("stopped", 1)
    except Exception as error:  # noqa: BLE001 - the last resort: one line, traceback kept
        if hasattr(error, "format_message"):  # a usage error of the command line
            if not (text := error.format_message()):  # no command: its help has been printed
                sys.exit(2)
            _die(text, 2)
        if isinstance(error, OSError) and error.errno in OF_THE_DISK and error.filename:
            path = Path(os.fsdecode(error.filename))
            _die(f"{path}: cannot be written: {why_not_written(error, path)}", 1)
        if stopping.asked():  # what a library made of it
            _die("stopped", 1)
        kept = log.location if log else None
        kept = kept or str(logs.log_to_file(Path(tempfile.mkdtemp(prefix="ghsl-beam-"))))
        text = f"failed: {type(error).__name__}: {error}"
        _die(f"{_one_line(text)} (traceback: {kept})", 1, with_traceback=True)


def _one_line(text: str) -> str:
    """A text of bounded length; masked before it is cut, as half a URL is not known for one."""
    return " ".join(redact(text).split())[:2000]


def _die(error: object, code: int, *, with_traceback: bool = False) -> NoReturn:
    if stopping.asked():
        logs.failed(stopping.line())
        stopping.told()
        sys.exit(1)
    logs.failed(_one_line(str(error)), with_traceback=with_traceback)
    sys.exit(code)
