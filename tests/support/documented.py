"""The commands of the documentation: found in the pages, parsed, or run."""

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from typer.main import get_command

from ghsl_beam.cli.main import app
from tests.conftest import ROOT
from tests.support.pages import fences, pages

_INLINE = re.compile(r"`(ghsl-beam [^`\n]+)`")
_UNSAID = re.compile(r"…|\.\.\.|\b[A-Z]{3,}\b(?!=)(?![-_.])")
"""What stands for something else: `…`, or a word in capitals such as COMMAND."""


@dataclass(frozen=True)
class Command:
    """One command of a page; `parsed` says why it is not run, and is empty if it is."""

    place: str
    line: str
    parsed: str

    def __str__(self):
        return f"{self.place} {self.line[:60]}"


def commands():
    """All commands in the shell blocks of the pages."""
    found = []
    for fence in fences("sh", "bash", "console"):
        parsed = fence.mark.partition("parsed:")[2].strip()
        for line in fence.text.replace("\\\n", " ").splitlines():
            if words(line):
                found.append(Command(f"{fence.page}:{fence.line}", line.strip(), parsed))
    return found


def inline_commands():
    """The commands of ghsl-beam within sentences and tables that are whole."""
    found = {}
    for page in pages():
        for line in _INLINE.findall(page.read_text()):
            plain = line.replace("\\|", "|")
            if not _UNSAID.search(plain) and "[" not in plain and not _is_name(plain):
                found.setdefault(
                    plain, Command(str(page.relative_to(ROOT)), plain, "in a sentence")
                )
    return list(found.values())


def _is_name(line):
    """Whether the words only name a command, such as `ghsl-beam models list`."""
    command, rest = get_command(app), words(line)[1:]
    while rest and hasattr(command, "commands"):
        command = command.commands[rest.pop(0)]
    return not rest


def words(line):
    """The words of a command, without its comment."""
    return shlex.split(line, comments=True)


def parse(line):
    """Give a command of ghsl-beam to its own parser, which runs nothing; an error is raised."""
    program, *rest = words(line)
    assert program == "ghsl-beam", line
    command, context = get_command(app), None
    path = ["ghsl-beam"]
    while hasattr(command, "commands"):
        context = command.context_class(command, info_name=path[-1], parent=context)
        assert rest, f"{line}: no command"
        assert rest[0] in command.commands, f"{line}: no command {rest[0]}"
        path.append(rest[0])
        command = command.commands[rest.pop(0)]
    command.make_context(path[-1], rest, parent=context)


def run(line, folder, timeout=120):
    """Run a command in a folder as a shell does; returns what it printed."""
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", line],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    return done
