"""What is imported is named in setup.py: a package that comes by way of another may go with it."""

import ast
import re
import sys
from importlib.metadata import packages_distributions, requires

import pytest

from tests.conftest import ROOT

OWN = {"benchmarks", "deploy", "docs", "examples", "ghsl_beam", "tests", "transforms"}
ABSENT = {"airflow", "kubernetes", "qgis"}
"""The test that wants them skips without."""


def plain(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def imported(folder):
    """Top-level names of other packages that the modules of a folder import."""
    found, files = set(), list((ROOT / folder).rglob("*.py"))
    for path in files:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found.update(alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.partition(".")[0])
    beside = {path.stem for path in files}
    return found - OWN - ABSENT - beside - sys.stdlib_module_names


def named(*, dev):
    """Names of the packages that an installation asks for."""
    lines = [line for line in requires("ghsl-beam") if dev or "extra ==" not in line]
    return {plain(re.match(r"[\w.-]+", line)[0]) for line in lines}


@pytest.mark.parametrize(
    ("folder", "dev"),
    [("ghsl_beam", False), ("transforms", False), ("tests", True), ("deploy/one_machine", True)],
)
def test_imported_packages_are_named(folder, dev):
    of_module, there = packages_distributions(), named(dev=dev)
    lacking = {
        module
        for module in imported(folder)
        if not there & {plain(name) for name in of_module.get(module, [module])}
    }
    assert lacking == set()
