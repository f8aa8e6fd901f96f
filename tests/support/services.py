"""Fixtures of a folder of tests that use object storage; its conftest imports them."""

from uuid import uuid4

import pytest

from tests.support.object_storage import fronted, make_bucket, s3_service, using


@pytest.fixture(scope="session")
def service():
    """Address of an S3 service."""
    with s3_service() as address:
        yield address


@pytest.fixture(scope="session")
def bucket(service):
    """URL of a bucket in it."""
    with using(service):
        return make_bucket(f"unit-{uuid4().hex[:8]}")  # servers of a process share their buckets


@pytest.fixture
def front(service, bucket):
    """A front of the service; all requests of the test go through it."""
    with fronted(service) as front:
        yield front


@pytest.fixture(params=["local", "s3"])
def folder(request, tmp_path, bucket, service):
    """An empty folder on a local disk, and one on object storage."""
    if request.param == "local":
        yield str(tmp_path / "folder")
    else:
        with using(service):
            yield f"{bucket}/{tmp_path.name}"
