"""ghsl-beam models: list, refresh, fetch, verify."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple
from urllib.parse import urlsplit

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TransferSpeedColumn,
)

from ghsl_beam.cli.examples import examples
from ghsl_beam.cli.jobs import read_job
from ghsl_beam.process import status
from ghsl_beam.process.terminal import say, say_json, say_table, stderr
from transforms.elements import RequestError

if TYPE_CHECKING:
    from ghsl_beam.models.download import Report
    from ghsl_beam.models.manifest import Manifest
    from ghsl_beam.models.status import ZoneStatus

app = typer.Typer(no_args_is_help=True, help="The GHS-S2Net models, one for each grid zone.")

Folder = Annotated[str, typer.Option(help="folder or URL of the models")]
Prefix = Annotated[str, typer.Option(help="prefix of the file names")]
Job = Annotated[
    Path | None,
    typer.Argument(help="job file: exactly the zones that its run asks for", show_default=False),
]
_OF_JOB = "; by default that of the job file, or"
Aoi = Annotated[
    str | None, typer.Option(help="vector file, WKT, or west,south,east,north in degrees")
]


@app.command("list", epilog=examples("models list"))
def list_command(
    job_file: Job = None,
    aoi: Aoi = None,
    folder: Annotated[
        str | None, typer.Option(help=f"folder or URL of the models{_OF_JOB} cnn_models")
    ] = None,
    prefix: Annotated[
        str | None, typer.Option(help=f"prefix of the file names{_OF_JOB} none")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="as JSON")] = False,
) -> None:
    """List the models that a job or an area needs: here, published, or in need of a fallback."""
    from ghsl_beam.models.manifest import read_manifest
    from ghsl_beam.models.status import State, status, zones_of_area
    from transforms.inference.models import available
    from transforms.inference.starter import STARTER_MODEL
    from transforms.inference.weights import describe_model
    from transforms.inference.zones import normal
    from transforms.storage.storage import name

    _check_one("list", job_file, aoi)
    asked = _asked_by(job_file) if job_file else None
    folder = folder or (asked.folder if asked else "cnn_models")
    prefix = prefix if prefix is not None else (asked.prefix if asked else "")
    manifest = read_manifest(folder)
    here = available(folder, prefix)
    if asked is not None:
        zones = asked.zones
    elif aoi is not None:
        zones = zones_of_area(aoi)
    else:
        known = {normal(zone) for zone in here} | {model.zone for model in manifest.models}
        zones = dict.fromkeys(sorted(known), ())
    rows = status(zones, here, manifest)
    if as_json:
        about = manifest.model_dump(mode="json", include={"source", "date", "count", "complete"})
        starter = {"file": name(STARTER_MODEL), "sha256": describe_model(STARTER_MODEL).sha256}
        zones_json = [asdict(row) for row in rows]
        say_json({"zones": zones_json, "published": about, "starter": starter}, indent=2)
        return
    if rows:
        _print_table(rows, with_tiles=aoi is not None or asked is not None)
    counts = {state: sum(row.state is state for row in rows) for state in State}
    say(", ".join(f"{count} {state}" for state, count in counts.items() if count) or "no zones")
    say(_about(manifest))
    if asked is not None and asked.starter:
        say(f"this job uses {name(STARTER_MODEL)} in all zones and asks for none of these files")
    if aoi is not None and len(rows) > 1:
        say(
            "where tiles overlap, the scenes decide which of these zones a run asks for; name the "
            "job file in place of --aoi to see exactly those"
        )
    say(
        f"for any zone: {name(STARTER_MODEL)}, the starter network (models.starter: true in the "
        "job file); it is not a model of the JRC"
    )


class _Asked(NamedTuple):
    """What a job asks for: tiles by grid zone, and where it looks for their models."""

    zones: dict[str, tuple[str, ...]]
    folder: str
    prefix: str
    starter: bool


def _asked_by(job_file: Path) -> _Asked:
    """The zones of the tiles that a run of a job would make, with its own scenes."""
    job = read_job(job_file)
    from ghsl_beam.planning.scenes.chosen import choose_scenes

    zones: dict[str, tuple[str, ...]] = {}
    for tile in choose_scenes(job).tiles:
        zones[tile.zone] = (*zones.get(tile.zone, ()), tile.tile)
    settings = job.models
    return _Asked(dict(sorted(zones.items())), settings.folder, settings.prefix, settings.starter)


def _check_one(command: str, *given: object) -> None:
    """Refuse more than one way to name the zones."""
    if sum(map(bool, given)) > 1:
        raise RequestError(f"models {command}: give either --aoi or --zone or a job file")


def _print_table(rows: list[ZoneStatus], *, with_tiles: bool) -> None:
    from transforms.storage.storage import name

    columns = ("zone", *(["tiles"] if with_tiles else []), "model", "file", "nearest")
    cells = []
    for row in rows:
        near = [f"{row.nearest_here} (here)"] if row.nearest_here else []
        near += [f"{row.nearest_published} (published)"] if row.nearest_published else []
        tiles = [str(len(row.tiles))] if with_tiles else []
        cells.append((row.zone, *tiles, row.state, name(row.path or ""), ", ".join(near)))
    say_table(columns, cells)


def _about(manifest: Manifest) -> str:
    from transforms.storage.storage import masked

    return f"{manifest.count} published at {masked(manifest.base)}, listed {manifest.date}"


@app.command("refresh", epilog=examples("models refresh"))
def refresh_command(
    source: Annotated[str | None, typer.Option("--from", help="folder or URL of the files")] = None,
    folder: Annotated[Path, typer.Option(help="folder of the models")] = Path("cnn_models"),
) -> None:
    """Read the list of the published models again, and store it in manifest.json."""
    from ghsl_beam.models.manifest import listing_of, refreshed, stored_manifest, write_manifest

    manifest = stored_manifest(str(folder))
    if source is not None:
        if urlsplit(source).username is not None:
            raise RequestError("models refresh: the URL holds credentials; put them into ~/.netrc")
        manifest = manifest.model_copy(
            update={"base": source, "listing": listing_of(source), "source": source}
        )
    manifest = refreshed(manifest)
    write_manifest(str(folder), manifest)
    say(_about(manifest))


@app.command("fetch", epilog=examples("models fetch"))
def fetch_command(
    job_file: Job = None,
    aoi: Aoi = None,
    zone: Annotated[
        list[str] | None, typer.Option(help="grid zone such as 33U; repeat the option for several")
    ] = None,
    source: Annotated[
        str | None,
        typer.Option("--from", help="folder or URL of the files; by default that of manifest.json"),
    ] = None,
    folder: Annotated[
        Path | None, typer.Option(help=f"folder for the models{_OF_JOB} cnn_models")
    ] = None,
) -> None:
    """Download models by job, area or zone. Each file is checked before it gets its name."""
    from ghsl_beam.models.checksums import record
    from ghsl_beam.models.download import Fetched, fetch_models
    from ghsl_beam.models.manifest import read_manifest
    from ghsl_beam.models.status import zones_of_area
    from transforms.inference.zones import normal, zone_bounds

    _check_one("fetch", job_file, aoi, zone)
    if not (job_file or aoi or zone):
        raise RequestError(
            "models fetch: give either --aoi or --zone or a job file, such as: "
            "ghsl-beam models fetch --zone 33U"
        )
    asked = _asked_by(job_file) if job_file else None
    if asked is not None and asked.starter:
        say("this job uses the starter network in all zones: there is nothing to fetch")
        return
    if folder is None:
        folder = _local(asked.folder) if asked else Path("cnn_models")
    if asked is not None:
        wanted = list(asked.zones)
    else:
        wanted = [normal(item) for item in zone] if zone else list(zones_of_area(aoi or ""))
    for item in wanted:
        zone_bounds(item)
    manifest = read_manifest(str(folder))
    base = source or manifest.base
    listed = base == manifest.base
    known = {item: manifest.of(item) if listed else None for item in wanted}
    good, failed = {}, []
    for item in [item for item, model in known.items() if listed and model is None]:
        del known[item]
        failed.append(item)
        say(item, "failed", _not_published(item, manifest))
    with _progress() as report:
        for outcome in fetch_models(list(known.items()), base, folder, report=report):
            if isinstance(outcome, Fetched):
                good[outcome.path.name] = outcome.sha256
                state = "fetched" if outcome.new else "here"
                say(outcome.zone, state, outcome.sha256, str(outcome.path))
            else:
                failed.append(outcome.zone)
                say(outcome.zone, "failed", outcome.reason)
    record(str(folder), good)
    if failed:
        say(f"failed: {', '.join(sorted(failed))}", to=stderr())
    raise typer.Exit(1 if failed else 0)


def _local(folder: str) -> Path:
    """The folder of a job's models, if files can be put into it."""
    from transforms.storage.storage import is_url, masked

    if is_url(folder):
        raise RequestError(
            f"models fetch: the job's models.folder is {masked(folder)}; give --folder, and copy "
            "the files there"
        )
    return Path(folder)


def _not_published(zone: str, manifest: Manifest) -> str:
    from transforms.inference.zones import nearest

    stand_in = nearest(zone, [model.zone for model in manifest.models])
    return (
        f"no model is published for this zone; fetch the nearest published one, {stand_in}, "
        f"and set models.fallback: {stand_in} in the job file"
    )


@contextmanager
def _progress() -> Iterator[Report]:
    """Show bars on a terminal; elsewhere only the lines of the outcomes are printed."""
    console = Console(file=stderr())
    if not console.is_terminal:
        yield lambda zone, done, total: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with (
        status.hidden(),
        Progress(
            *columns,
            TransferSpeedColumn(),
            console=console,
            transient=True,
            redirect_stdout=sys.stdout.isatty(),  # otherwise lines would mix with bars
        ) as bars,
    ):
        tasks: dict[str, TaskID] = {}

        def report(zone: str, done: int, total: int | None) -> None:
            if zone not in tasks:
                tasks[zone] = bars.add_task(zone, total=total)
            bars.update(tasks[zone], completed=done, total=total, visible=done != total)

        yield report


def _check_any(folder: str, prefix: str) -> None:
    """Refuse a folder without a model: nothing can be verified, and that is not a success."""
    from transforms.inference.models import available
    from transforms.storage.storage import masked

    if not available(folder, prefix):
        raise RequestError(
            f"models verify: no {prefix}MODEL_CNN_<zone>.h5 in {masked(folder)}; give another "
            "--folder or --prefix, or download a model: ghsl-beam models fetch --zone 33U"
        )


@app.command("verify", epilog=examples("models verify"))
def verify_command(folder: Folder = "cnn_models", prefix: Prefix = "") -> None:
    """Check the structure and the numbers of each model, and its SHA-256 in SHA256SUMS."""
    from ghsl_beam.models.checksums import Verdict, verify
    from transforms.storage.storage import masked

    _check_any(folder, prefix)
    bad = total = 0
    for checked in verify(folder, prefix):
        total += 1
        bad += checked.verdict in {Verdict.BROKEN, Verdict.DIFFERS}
        say(checked.zone, checked.verdict, checked.detail, masked(checked.path))
    say(f"{total} models in {masked(folder)}, {bad} of them damaged or changed")
    raise typer.Exit(1 if bad else 0)
