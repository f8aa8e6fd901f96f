"""The examples in docstrings are true."""

import doctest

import pytest

from ghsl_beam.tools.roads import classes, tags, widths


@pytest.mark.parametrize("module", [classes, tags, widths])
def test_examples(module):
    found = doctest.testmod(module)
    assert found.attempted > 0
    assert found.failed == 0
