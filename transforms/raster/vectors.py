"""Vector files on storage."""

from __future__ import annotations

import pyogrio

from . import storage


def vector_path(location: str) -> str:
    """The name under which pyogrio opens a location; its own GDAL is told of the storage.

    Raises:
        StorageError: the location cannot be used.
    """
    if storage.is_url(location):
        pyogrio.set_gdal_config_options(storage.gdal_options())
    return storage.gdal_path(location)
