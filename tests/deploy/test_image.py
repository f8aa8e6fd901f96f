"""The Dockerfile's rules, and its steps run in an empty environment, since no engine is needed."""

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from dockerfile_parse import DockerfileParser

ROOT = Path(__file__).resolve().parents[2]
CONSTRAINTS = dict(
    line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line
)


@pytest.fixture(scope="module")
def instructions():
    parser = DockerfileParser(str(ROOT / "Dockerfile"))
    return [(step["instruction"], step["value"]) for step in parser.structure]


def argument(instructions, name):
    (value,) = (
        value.split("=")[1]
        for step, value in instructions
        if step == "ARG" and value.startswith(f"{name}=")
    )
    return value


def stages(instructions):
    """The steps of each stage, by its name; the last one's is ''."""
    found, name = {}, None
    for step, value in instructions:
        if step == "FROM":
            name = value.partition(" AS ")[2]
            found[name] = []
        elif name is not None:
            found[name].append((step, value))
    return found


def test_hadolint_finds_nothing():
    hadolint = Path(sys.executable).with_name("hadolint")
    command = [hadolint, "--no-color", "--config", ROOT / ".hadolint.yaml", ROOT / "Dockerfile"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stdout


def test_beam_and_python_are_of_one_version(instructions):
    beam, *python = [value.partition(" AS ")[0] for step, value in instructions if step == "FROM"]
    series = argument(instructions, "PYTHON_VERSION").rpartition(".")[0]
    assert beam == f"apache/beam_python{series}_sdk:${{BEAM_VERSION}}"
    assert argument(instructions, "BEAM_VERSION") == CONSTRAINTS["apache-beam"]
    assert set(python) == {"python:${PYTHON_VERSION}-slim-bookworm"}


def test_it_runs_without_privileges(instructions):
    last = stages(instructions)[""]
    steps = [step for step, _ in last]
    user = dict(last)["USER"]
    assert re.fullmatch(r"[1-9]\d{4,}:[1-9]\d{4,}", user), user
    assert steps.index("USER") > max(i for i, step in enumerate(steps) if step in ("RUN", "COPY"))
    assert {"WORKDIR", "HEALTHCHECK", "ENTRYPOINT", "CMD"} <= set(steps)
    assert "ADD" not in {step for step, _ in instructions}


def test_a_pool_s_workers_have_what_is_read_when_a_process_starts(instructions):
    """What `limit_libraries` sets in a worker is too late for glibc."""
    (variables,) = (value for step, value in stages(instructions)[""] if step == "ENV")
    assert "MALLOC_ARENA_MAX=2" in variables.split()


def test_no_build_tools_and_no_lists_are_left(instructions):
    for name, steps in stages(instructions).items():
        for step, value in steps:
            if step == "RUN" and "apt-get" in value:
                assert "--no-install-recommends" in value
                assert "rm -rf /var/lib/apt/lists/*" in value
                assert not re.search(r"gcc|g\+\+|build-essential|git\b|curl|wget", value), name


def test_no_secret_goes_in(instructions):
    for step, value in instructions:
        if step in ("ARG", "ENV", "RUN"):
            assert not re.search(r"secret|token|passw|access_key|credential", value, re.I), value
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in ignored, "the build context holds more than what it is made of"


def test_what_is_copied_is_there_and_in_the_context(instructions):
    allowed = {
        line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] == "!"
    }
    for step, value in instructions:
        words = [word for word in value.split() if not word.startswith("--")]
        if step == "COPY" and "--from" not in value:
            for source in words[:-1]:
                assert (ROOT / source).exists(), source
                assert source in allowed, source


@pytest.mark.parametrize(
    ("arguments", "program"),
    [
        (["--worker_pool"], "boot"),
        (["--id=1-1", "--provision_endpoint=localhost:1"], "boot"),
        (["run", "job.yaml", "--profile", "flink"], "ghsl-beam"),
        (["plan", "a job.yaml"], "ghsl-beam"),
        (["--help"], "ghsl-beam"),
        ([], "ghsl-beam"),
    ],
)
def test_the_entrypoint_starts_launcher_and_worker(tmp_path, arguments, program):
    for name in ("boot", "ghsl-beam"):
        stub = tmp_path / name
        stub.write_text(f'#!/bin/sh\nprintf "%s\\n" {name} "$@"\n')
        stub.chmod(0o755)
    script = (ROOT / "deploy" / "entrypoint.sh").read_text()
    entrypoint = tmp_path / "entrypoint"
    entrypoint.write_text(script.replace("/opt/apache/beam/boot", str(tmp_path / "boot")))
    entrypoint.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    said = subprocess.run(
        [entrypoint, *arguments], capture_output=True, text=True, check=True, env=environment
    ).stdout.splitlines()
    assert said == [program, *(arguments or ["--help"])]


def run(command, **options):
    ended = subprocess.run(command, capture_output=True, text=True, timeout=600, **options)
    if re.search("NewConnectionError|NameResolutionError", ended.stderr):
        pytest.skip("no package index is reached")
    assert ended.returncode == 0, f"{command}: {ended.stdout[-2000:]}{ended.stderr[-2000:]}"
    return ended.stdout


@pytest.fixture(scope="module")
def built(instructions, tmp_path_factory):
    """The environment that the stage `build` makes, its steps run here under another root."""
    image = argument(instructions, "PYTHON_VERSION").rpartition(".")[0]
    if f"{sys.version_info.major}.{sys.version_info.minor}" != image:
        pytest.skip(f"the image has Python {image}, this is {sys.version.split()[0]}")
    root = tmp_path_factory.mktemp("image")
    where = root
    # The image's own Python is `python` there; a system's is python3 alone.
    base = tmp_path_factory.mktemp("base")
    (base / "python").symlink_to(Path(sys.base_prefix, "bin", f"python{image}"))
    path = f"{base}:{os.environ['PATH']}"
    environment = {"PATH": path, "HOME": os.environ.get("HOME", "/"), "LC_ALL": "C.UTF-8"}
    environment |= {key: value for key, value in os.environ.items() if key.startswith("PIP_")}
    environment["PIP_NO_COMPILE"] = "1"  # a third of the time, and nothing that is looked at
    for step, value in stages(instructions)["build"]:
        if step == "WORKDIR":
            where = root / value.lstrip("/")
            where.mkdir(parents=True)
        elif step == "COPY":
            *sources, target = value.split()
            for source in sources:
                if (ROOT / source).is_dir():
                    ignored = shutil.ignore_patterns("__pycache__")
                    shutil.copytree(ROOT / source, where / target, ignore=ignored)
                else:
                    shutil.copy2(ROOT / source, where / target)
        elif step == "RUN":
            script = re.sub(r"--mount=\S+", "", value).replace("/opt/", f"{root}/opt/")
            run(["sh", "-ec", script], cwd=where, env=environment)
        else:
            raise AssertionError(f"{step}: a step that this test does not know")
    shutil.rmtree(where)
    return root / "opt" / "ghsl-beam" / "bin"


@pytest.mark.image
def test_the_steps_make_a_launcher(built, tmp_path):
    quiet = {"PATH": f"{built}:/usr/bin:/bin", "TF_CPP_MIN_LOG_LEVEL": "3"}
    assert "train" in run([built / "ghsl-beam", "--help"], cwd=tmp_path, env=quiet)
    assert '"period"' in run([built / "ghsl-beam", "schema"], cwd=tmp_path, env=quiet)
    modules = "import ghsl_beam.running.launch, transforms; "
    modules += "print(ghsl_beam.__file__, transforms.__file__)"
    files = run([built / "python", "-c", modules], cwd=tmp_path, env=quiet).split()
    assert [str(built.parent) in file for file in files] == [True, True]
    run([built / "python", "-m", "ghsl_beam.runners.container_health"], cwd=tmp_path, env=quiet)


@pytest.mark.image
def test_no_file_of_the_packages_is_left_out(built):
    def files(folder):
        return {
            str(path.relative_to(folder))
            for package in ("ghsl_beam", "transforms")
            for path in (folder / package).rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        }

    (installed,) = built.parent.glob("lib/python3.*/site-packages")
    assert files(installed) == files(ROOT)


@pytest.mark.image
def test_every_package_in_it_is_locked(built):
    frozen = run([built / "python", "-m", "pip", "list", "--format=freeze"]).split()
    packages = dict(line.split("==") for line in frozen)
    assert packages.pop("ghsl-beam") == importlib.metadata.version("ghsl-beam")
    loose = packages.keys() - {"pip", "setuptools"} - CONSTRAINTS.keys()
    assert not loose, "not in constraints.txt"
    assert {n: v for n, v in packages.items() if CONSTRAINTS.get(n, v) != v} == {}
