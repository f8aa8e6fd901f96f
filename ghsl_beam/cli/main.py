"""ghsl-beam: its commands, and what holds for the process of each."""

from __future__ import annotations

import os
import sys

import typer

from ghsl_beam.cli import fetching, jobs, models, roads, scenes, training, validation
from ghsl_beam.cli.errors import errors_in_one_line
from ghsl_beam.observing import logs
from ghsl_beam.observing.logs import LogLevel
from ghsl_beam.process import stopping
from ghsl_beam.process.environment import leave_current_folder, limit_libraries, open_standard_files
from ghsl_beam.process.native_output import native_output_logged
from ghsl_beam.process.terminal import failure, keep_streams
from ghsl_beam.runners.worker_records import restore_records
from transforms.elements import StorageError
from transforms.storage.redaction import learn_arguments

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Map human settlement from Sentinel-2.",
)
app.add_typer(jobs.app)
app.add_typer(scenes.app)
app.add_typer(fetching.app)
app.add_typer(validation.app)
app.add_typer(roads.app)
app.add_typer(models.app, name="models")
app.add_typer(training.app, name="train")


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
    with errors_in_one_line():
        if os.environ.get("GHSL_BEAM_STORAGE"):
            from ghsl_beam.jobfile.storage_services import use_those_of_environment

            use_those_of_environment()
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
