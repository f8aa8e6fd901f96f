"""Files on local paths and object storage, through the same few functions.

A location is a str: a local path, or a URL (`s3://bucket/key`, `gs://...`, `https://...` to read).
Address and credentials of the service are set as for the AWS tools: in the environment
(`AWS_ENDPOINT_URL`, `AWS_ACCESS_KEY_ID`, ...) or in `~/.aws`. Some buckets have a service of their
own, see `services`.
"""

from __future__ import annotations

from .files.listing import contents, files_below, glob, listing, objects_below
from .files.reading import (
    Stored,
    is_file,
    is_folder,
    read_bytes,
    sha256,
    size,
    stored,
    stored_or_none,
    with_file,
)
from .files.writing import published, remove, remove_files, write_whole
from .locations import absolute, is_url, join, masked, name, problem

__all__ = [
    "Stored",
    "absolute",
    "contents",
    "files_below",
    "glob",
    "is_file",
    "is_folder",
    "is_url",
    "join",
    "listing",
    "masked",
    "name",
    "objects_below",
    "problem",
    "published",
    "read_bytes",
    "remove",
    "remove_files",
    "sha256",
    "size",
    "stored",
    "stored_or_none",
    "with_file",
    "write_whole",
]
