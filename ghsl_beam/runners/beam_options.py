"""Beam's own options on the command line: which exist, and errors about them in one line."""

from __future__ import annotations

import argparse
import io
from collections.abc import Sequence
from contextlib import redirect_stderr
from functools import cache

from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions

from transforms.elements import RequestError

RUNNERS = ("DirectRunner", "FlinkRunner", "SparkRunner", "PortableRunner")
"""The runners with known names; the name of any other class is passed to Beam as it is."""


class ClusterOptions(PipelineOptions):
    """The options of a launch on a cluster, in addition to Beam's own, and written like them."""

    @classmethod
    def _add_argparse_args(cls, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--worker_start_timeout",
            type=_seconds,
            default=600,
            help="seconds until a worker of the cluster must have begun; 0: without limit",
        )
        parser.add_argument(
            "--worker_machines",
            type=_machines,
            default=0,
            help="machines (TaskManagers, executors) that share the limits of a storage service; "
            "by default the parallelism",
        )


def _seconds(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text}: expected a whole number of seconds")
    return int(text)


def _machines(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text}: expected a whole number of machines")
    return int(text)


def parsed(arguments: Sequence[str]) -> PipelineOptions:
    """Parse Beam's options; the name of the runner gets its standard spelling.

    Options that Beam does not know are kept, because a job server may know them.

    Raises:
        RequestError: an argument is not an option, or Beam does not accept its value.
    """
    stray = _stray(arguments)
    if stray is not None:
        raise RequestError(f"{stray} is not an option of ghsl-beam or of Beam")
    output = io.StringIO()
    try:
        with redirect_stderr(output):
            options = PipelineOptions(list(arguments))
            options.get_all_options()
    except SystemExit as error:  # the parser exits on an error
        reason = output.getvalue().rpartition("error: ")[2]
        raise RequestError(f"options of Beam: {' '.join(reason.split())}") from error
    standard = options.view_as(StandardOptions)
    standard.runner = runner_name(standard.runner or "DirectRunner")
    return options


def runner_name(given: str) -> str:
    """The standard name of a runner: Beam accepts any case, and `flink` for FlinkRunner."""
    plain = given.rpartition(".")[2] if given.startswith("apache_beam.") else given
    for name in RUNNERS:
        if plain.lower() in (name.lower(), name.lower().removesuffix("runner")):
            return name
    return given


def option_name(argument: str) -> str:
    """Beam's internal name of an option: `--experiment=x` and `--experiments=x` are the same.

    An option that Beam does not know keeps its written name.
    """
    written = argument.partition("=")[0]
    action = _known().get(written)
    return written[2:] if action is None else action.dest


def is_known(argument: str) -> bool:
    """Whether Beam has an option with this spelling."""
    return argument.partition("=")[0] in _known()


def _stray(arguments: Sequence[str]) -> str | None:
    """The first argument that is neither an option (`--...`) nor the value of an option."""
    takes, many = False, False
    for argument in arguments:
        if argument.startswith("--"):
            action = _known().get(argument.partition("=")[0])
            takes = "=" not in argument and (action is None or action.nargs != 0)
            many = takes and action is not None and action.nargs in ("+", "*")
        elif takes:
            takes = many
        else:
            return argument
    return None


@cache
def _known() -> dict[str, argparse.Action]:
    """Beam's options by all their spellings."""
    actions: dict[str, argparse.Action] = {}

    def look(parser: argparse.ArgumentParser) -> None:
        actions.update(parser._option_string_actions)

    PipelineOptions([]).get_all_options(add_extra_args_fn=look)
    return {name: action for name, action in actions.items() if name not in ("-h", "--help")}
