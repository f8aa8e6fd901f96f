"""An environment that names no service and holds no key."""

import os

import pytest

from tests.support import storage_services


@pytest.fixture
def bare():
    """The environment, in which tests set variables."""
    with storage_services.keys(), pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("COPERNICUS_", "FAR_"))]:
            patch.delenv(name)
        yield patch
