"""The page of the command line, as Markdown: the help of each command."""

from __future__ import annotations

from collections.abc import Iterator

import typer
from typer.testing import CliRunner

from ghsl_beam.cli.main import app

_PLAIN = {"COLUMNS": "100", "TERMINAL_WIDTH": "100", "NO_COLOR": "1", "TERM": "dumb"}


def commands(of: typer.Typer = app, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The words of each command that does something, such as `("models", "list")`."""
    for command in of.registered_commands:
        if not command.hidden:
            name = command.name or command.callback.__name__.replace("_", "-")  # type: ignore[union-attr]
            yield (*path, name)
    for group in of.registered_groups:
        if group.typer_instance is not None:
            name = group.name if isinstance(group.name, str) else None
            yield from commands(group.typer_instance, (*path, name) if name else path)


def commands_page() -> str:
    """The page of the command line."""
    return "\n".join(
        (
            "# Command line",
            "",
            "This page has the help of each command, as `ghsl-beam COMMAND --help` prints it.",
            "",
            "The exit code says how a command ended: 0: whole; 1: failed, or stopped; 2: the "
            "request is wrong, and nothing was written; 3: finished with losses, which are all "
            "listed. See [operation](../operation.md#after-exit-codes).",
            *(line for words in commands() for line in _section(words)),
        )
    )


def _section(words: tuple[str, ...]) -> Iterator[str]:
    shown = CliRunner().invoke(app, [*words, "--help"], env=_PLAIN, prog_name="ghsl-beam")
    text = "\n".join(line.rstrip() for line in shown.output.strip("\n").splitlines())
    yield from ("", f"## ghsl-beam {' '.join(words)}", "", "```text", text, "```")
