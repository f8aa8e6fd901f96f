"""The examples in docstrings are true, and each name to be imported is there."""

import doctest
from importlib import import_module

import pytest

import transforms
from tests.conftest import ROOT

WITH_EXAMPLES = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in sorted((ROOT / "transforms").rglob("*.py"))
    if ">>> " in path.read_text()
]
PACKAGES = (
    "transforms",
    *(
        f"transforms.{stage}"
        for stage in (
            "aggregation",
            "assembly",
            "classification",
            "cleaning",
            "elements",
            "greenness",
            "inference",
        )
    ),
)


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples(name):
    found = doctest.testmod(import_module(name))
    assert found.attempted > 0
    assert found.failed == 0


@pytest.mark.parametrize("name", PACKAGES)
def test_every_name_is_there(name):
    package = import_module(name)
    assert package.__all__
    for each in package.__all__:
        assert getattr(package, each) is not None
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = package.no_such_name


def test_a_name_is_the_one_of_its_stage():
    for each in transforms.__all__:
        value = getattr(transforms, each)
        assert isinstance(value, str) or value.__module__.startswith("transforms."), each
