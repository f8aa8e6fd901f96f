"""Vector files on storage."""

from __future__ import annotations

import pyogrio

from .gdal_access import gdal_options, gdal_path
from .locations import is_url


def vector_path(location: str) -> str:
    """The name under which pyogrio opens a location; its own GDAL is told of the storage.

    Raises:
        StorageError: the location cannot be used.
    """
    if is_url(location):
        pyogrio.set_gdal_config_options(gdal_options())
    return gdal_path(location)
