"""Where the tests find the shared real data."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real Sentinel-2 data; the test skips where it is absent."""
    folder = Path(os.environ.get("GHSL_BEAM_TEST_DATA", ROOT / ".." / "shared" / "data")).resolve()
    if not (folder / "README.md").is_file():
        pytest.skip("no shared test data: set GHSL_BEAM_TEST_DATA to its folder")
    return folder
