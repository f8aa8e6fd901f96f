"""ghsl-beam fetch."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from dataclasses import asdict
from typing import Annotated

import typer

from ghsl_beam.cli.examples import examples
from ghsl_beam.cli.jobs import JobFile, Output, Settings, Today, read_job
from ghsl_beam.cli.losses import say_command_again, say_losses, say_remedies
from ghsl_beam.observing import logs
from ghsl_beam.observing.logs import LogLevel
from ghsl_beam.process.terminal import say, say_json

app = typer.Typer()
CONNECTIONS = 4
"""Connections that the Copernicus Data Space Ecosystem allows a general user."""
_MOST = 64
_WITH_LOSSES = 3


@app.command("fetch", epilog=examples("fetch"))
def fetch_command(
    job_file: JobFile,
    output: Output = None,
    setting: Settings = None,
    today: Today = None,
    connections: Annotated[
        int, typer.Option(min=1, max=_MOST, help="files that are fetched at a time")
    ] = CONNECTIONS,
    as_json: Annotated[bool, typer.Option("--json", help="print the summary as JSON")] = False,
    verify: Annotated[
        bool,
        typer.Option(
            "--verify",
            help="compare the content of the files in the cache, and fetch damaged ones again",
        ),
    ] = False,
    log_level: Annotated[
        LogLevel, typer.Option(help="lowest level of the log lines on stderr")
    ] = LogLevel.WARNING,
    log_json: Annotated[bool, typer.Option("--log-json", help="log lines as JSON")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="show no progress")] = False,
) -> None:
    """Fill the cache before a run with the files of the archive that it reads.

    You can start it again after any interruption: files in the cache are not fetched again.
    """
    logs.configure(log_level, as_json=log_json)
    job = read_job(job_file, setting, output, today)
    logs.set_job(job.name)
    from ghsl_beam.observing.progress import display
    from ghsl_beam.planning.inventory import read_inventory
    from ghsl_beam.planning.plan import make_plan
    from ghsl_beam.running.fetching import fetch, new_counts

    plan = make_plan(job)
    counts = new_counts()
    with nullcontext() if quiet else display(counts):
        found = fetch(read_inventory(plan), connections, counts, verify=verify)
    losses = [*plan.losses, *found.losses]
    if as_json:
        say_json({**found.as_json(), "losses": [asdict(loss) for loss in losses]}, indent=2)
    else:
        for warning in plan.warnings:
            say(f"warning: {warning}")
        if not found.scenes:
            say("nothing to fetch: all composites exist and are up to date")
        say(f"scenes: {found.scenes}, of them {found.scenes_with_bands} whose bands are needed")
        say(f"fetched: {found.files} files, {found.bytes / 1e6:.1f} MB, {found.seconds:.0f} s")
        say(f"in the cache before: {found.files_there} files, {found.bytes_there / 1e6:.1f} MB")
        if losses:
            say_losses(map(asdict, losses), "losses with --json")
            say_remedies([asdict(loss) for loss in losses])
            say_command_again("fetch only what was lost")
    sys.exit(_WITH_LOSSES if losses else 0)
