"""The help of every command has examples, and each of them can be typed."""

import shlex

import pytest
import typer

from ghsl_beam.cli import main
from ghsl_beam.cli.examples import EXAMPLES
from tests.support import command

GROUP = typer.main.get_command(main.app)


def leaves(group, above=""):
    for name, item in group.commands.items():
        whole = f"{above} {name}".strip()
        if hasattr(item, "commands"):
            yield from leaves(item, whole)
        else:
            yield whole, item


LEAVES = dict(leaves(GROUP))


@pytest.mark.parametrize("name", LEAVES)
def test_the_help_ends_with_examples(name):
    shown = LEAVES[name].epilog or ""
    assert shown.split("\n\n") == ["Examples:", *EXAMPLES.get(name, ("none",))]


@pytest.mark.parametrize("line", [line for lines in EXAMPLES.values() for line in lines])
def test_an_example_is_read_as_a_person_types_it(line):
    line = line.removeprefix('eval "$(').removesuffix(')"')
    program, *arguments = shlex.split(line)
    assert program == "ghsl-beam"
    item, context = GROUP, GROUP.make_context(program, list(arguments), resilient_parsing=True)
    while hasattr(item, "commands"):
        name, item, arguments = item.resolve_command(context, arguments)
        context = item.make_context(name, list(arguments), parent=context)
    assert context.allow_extra_args or not context.args


def test_without_a_command_it_prints_help_and_nothing_else(monkeypatch, capfd):
    code, out, err = command.call(monkeypatch, capfd)
    assert (code, err) == (2, "")
    assert out.strip().startswith("Usage: ghsl-beam")
    assert "doctor" in out
    code, out, err = command.call(monkeypatch, capfd, "models")
    assert (code, err) == (2, "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(monkeypatch, capfd, tmp_path, shell):
    code, out, err = command.call(monkeypatch, capfd, "completion", shell)
    assert (code, err) == (0, "")
    assert f"_GHSL_BEAM_COMPLETE=complete_{shell}" in out


def test_completion_knows_commands_and_job_files(monkeypatch, capfd, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "job.yaml").touch()
    (tmp_path / "jobs").mkdir()
    (tmp_path / "job.tif").touch()
    monkeypatch.setenv("_GHSL_BEAM_COMPLETE", "complete_bash")
    for typed, found in (("ghsl-beam do", ["doctor"]), ("ghsl-beam plan j", ["job.yaml", "jobs/"])):
        monkeypatch.setenv("COMP_WORDS", typed)
        monkeypatch.setenv("COMP_CWORD", str(typed.count(" ")))
        code, out, _ = command.call(monkeypatch, capfd)
        assert (code, out.split()) == (0, found)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["frobnicate"], "No such command 'frobnicate'. For the usage: ghsl-beam --help"),
        (["stats"], "Missing argument 'output'. For the usage: ghsl-beam stats --help"),
        (
            ["models", "list", "-x"],
            "No such option: -x. For the usage: ghsl-beam models list --help",
        ),
    ],
)
def test_a_mistake_names_the_help(monkeypatch, capfd, arguments, says):
    code, out, err = command.call(monkeypatch, capfd, *arguments)
    assert (code, out, err) == (2, "", f"ghsl-beam: {says}\n")
