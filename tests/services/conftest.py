"""Object storage for the tests of this folder."""

from tests.support.services import bucket, folder, front, service  # noqa: F401
