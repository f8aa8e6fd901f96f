"""Where the tests find the shared real data."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def pytest_collection_modifyitems(items):
    """Where tests run in several processes, those of a file run in one: they share what they make.

    The clusters, which use all cores, come last.
    """
    for item in items:
        clusters = item.get_closest_marker("cluster")
        group = "clusters" if clusters else str(item.path.relative_to(ROOT))
        item.add_marker(pytest.mark.xdist_group(group))
    items.sort(key=lambda item: bool(item.get_closest_marker("cluster")))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real Sentinel-2 data; the test skips where it is absent."""
    folder = Path(os.environ.get("GHSL_BEAM_TEST_DATA", ROOT / ".." / "shared" / "data")).resolve()
    if not (folder / "README.md").is_file():
        pytest.skip("no shared test data: set GHSL_BEAM_TEST_DATA to its folder")
    return folder
