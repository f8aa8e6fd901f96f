"""Where the code lies: few modules in a folder, tests beside them, Beam's insides in one place.

Which folder imports which is checked by import-linter (pyproject.toml).
"""

import ast

import pytest

from tests.conftest import ROOT

PACKAGES = ("ghsl_beam", "transforms")
MOST = 12
PRIVATE = ("internal", "portability", "runners", "utils")
"""Parts of Beam that may change with any version of it."""
MAY_USE_PRIVATE = ("ghsl_beam/runners/", "ghsl_beam/running/launch.py")


def folders(below):
    """A folder and those below it that hold Python modules, as paths from the root."""
    found = {path.parent for path in (ROOT / below).rglob("*.py")}
    return sorted(str(path.relative_to(ROOT)) for path in found)


def modules(folder):
    return sorted(path.name for path in (ROOT / folder).glob("*.py") if path.stem != "__init__")


def imported(path):
    """All that a module imports, by its whole name."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_private(name):
    return any(name == f"apache_beam.{p}" or name.startswith(f"apache_beam.{p}.") for p in PRIVATE)


def test_the_top_of_the_job_holds_folders_alone():
    files = {path.name for path in (ROOT / "ghsl_beam").iterdir() if path.is_file()}
    assert files == {"__init__.py", "__main__.py", "py.typed"}


def test_the_top_of_the_stages_holds_folders_alone():
    files = {path.name for path in (ROOT / "transforms").iterdir() if path.is_file()}
    assert files == {"__init__.py", "py.typed"}


@pytest.mark.parametrize("folder", [folder for name in PACKAGES for folder in folders(name)])
def test_a_folder_is_seen_in_one_look(folder):
    assert len(modules(folder)) <= MOST
    assert ast.get_docstring(ast.parse((ROOT / folder / "__init__.py").read_text()))


@pytest.mark.parametrize("name", PACKAGES)
def test_the_unit_tests_mirror_the_package(name):
    of_tests = {folder.removeprefix("tests/unit/") for folder in folders(f"tests/unit/{name}")}
    assert of_tests <= set(folders(name))


def test_no_other_folder_holds_unit_tests():
    found = {path.name for path in (ROOT / "tests/unit").iterdir() if any(path.rglob("*.py"))}
    assert found == set(PACKAGES)
    assert modules("tests/unit") == ["conftest.py", "test_layout.py"]


def test_the_insides_of_beam_are_used_in_one_place():
    users = {
        str(path.relative_to(ROOT))
        for name in PACKAGES
        for path in (ROOT / name).rglob("*.py")
        if any(map(is_private, imported(path)))
    }
    assert {user for user in users if not user.startswith(MAY_USE_PRIVATE)} == set()
    assert "ghsl_beam/runners/cluster.py" in users
