"""Where the tests find the shared real data."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist looks at the groups
def pytest_collection_modifyitems(items):
    """Where tests run in several processes, those of a file run in one: they share what they make.

    Those with clusters come last: they use all cores.
    """
    for item in items:
        if not item.get_closest_marker("xdist_group"):
            item.add_marker(pytest.mark.xdist_group(str(item.path.relative_to(ROOT))))
    items.sort(key=lambda item: bool(item.get_closest_marker("cluster")))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real Sentinel-2 data; the test skips where it is absent."""
    folder = Path(os.environ.get("GHSL_BEAM_TEST_DATA", ROOT / ".." / "shared" / "data")).resolve()
    if not (folder / "README.md").is_file():
        pytest.skip("no shared test data: set GHSL_BEAM_TEST_DATA to its folder")
    return folder
