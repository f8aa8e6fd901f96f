"""The command line ghsl-beam: its commands, and the set-up of its process."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer
from typer.completion import completion_init  # type: ignore[attr-defined]

from ghsl_beam.cli import fetching, jobs, models, roads, scenes, starting, training
from ghsl_beam.cli.comparing import calibration, validation
from ghsl_beam.cli.errors import errors_in_one_line
from ghsl_beam.observing import logs
from ghsl_beam.observing.logs import LogLevel
from ghsl_beam.process import status, stopping
from ghsl_beam.process.environment import leave_current_folder, limit_libraries, open_standard_files
from ghsl_beam.process.native_output import native_output_logged
from ghsl_beam.process.terminal import failure, protect_streams, say
from ghsl_beam.runners.worker_records import restore_records
from transforms.elements import StorageError, package_version
from transforms.storage.redaction import learn_arguments

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Map human settlement from Sentinel-2.",
)

_DOES = {
    "report": "writing the report",
    "validate": "comparing",
    "calibrate": "fitting",
    "roads": "reading the road lines",
    "stats": "counting",
    "train": "training",
}
"""What the commands do for long, if they do not say it themselves."""


def _show_version(asked: bool) -> None:
    if asked:
        say(f"ghsl-beam {package_version('ghsl-beam')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="show the version and exit"
        ),
    ] = False,
) -> None:
    """The options of the program itself."""


app.add_typer(starting.app)
app.add_typer(jobs.app)
app.add_typer(scenes.app)
app.add_typer(fetching.app)
app.add_typer(validation.app)
app.add_typer(calibration.app)
app.add_typer(roads.app)
app.add_typer(models.app, name="models")
app.add_typer(training.app, name="train")


def main() -> None:
    """Run the command line: errors are one line on stderr, with the documented exit codes."""
    _begin()
    limit_libraries()
    logs.configure(LogLevel.WARNING, as_json=False)
    status.now(_DOES.get(sys.argv[1] if sys.argv[1:] else "", "working"))
    status.tell_by(logs.tell_progress)
    restore_records()
    with native_output_logged():
        try:
            _main()
        finally:
            status.end()
            if stopping.requested():
                stopping.end()


def _begin() -> None:
    """Set up this process, as early as possible."""
    open_standard_files()
    stopping.begin()
    leave_current_folder()
    protect_streams()
    learn_arguments(sys.argv[1:])
    logs.log_thread_errors()


def _main() -> None:
    with errors_in_one_line():
        if os.environ.get("GHSL_BEAM_STORAGE"):
            from ghsl_beam.jobfile.storage_services import use_those_of_environment

            use_those_of_environment()
        if os.environ.get(starting.COMPLETE):
            completion_init()
        code = app(
            standalone_mode=False, prog_name="ghsl-beam"
        )  # the code of `typer.Exit`, or None
        if not code:
            _check_printed()
        sys.exit(code)


def _check_printed() -> None:
    """Check that the output of the command has been written.

    A reader that closes the stream early has what it wants. The files of a run do not depend on it.
    """
    failed = failure(sys.stdout)
    if failed is not None and not isinstance(failed, BrokenPipeError):
        raise StorageError("standard output", failed.strerror or str(failed))
