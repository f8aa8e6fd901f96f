"""Checks the members of foreign HDF5 files before they are read.

HDF5 decompresses a chunk to any size that its stream contains, whatever the size of the chunk. A
file of a few megabytes may so ask for gigabytes of memory. Here each stream is decompressed first,
but not further than the size of its chunk.
"""

from __future__ import annotations

import math
import zlib
from typing import Any

import h5py
import numpy as np
from h5py._objects import phil

_MAX_CHUNKS = 4096
_MAX_TEXTS = 64
_DEFLATE, _SHUFFLE = h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE
_PIPELINES = ((), (_SHUFFLE,), (_DEFLATE,), (_SHUFFLE, _DEFLATE))


def own(group: h5py.Group, name: str, kind: type[Any]) -> Any:
    """A member that is stored in this file, not a soft or external link.

    Raises:
        ValueError: it is a link, is missing, or is of another kind.
    """
    link = group.get(name, getlink=True)
    if not isinstance(link, h5py.HardLink):
        raise ValueError(
            f"{name}: found {'a link' if link else 'nothing'}, expected a member of this file"
        )
    member = group[name]
    if not isinstance(member, kind):
        raise ValueError(f"{name}: found {type(member).__name__}, expected {kind.__name__}")
    return member


def texts(group: h5py.Group, name: str) -> list[str]:
    """A list of texts in an attribute, each of a fixed length, as Keras writes them.

    Texts of variable length are refused, because all of them could be the same long text.

    Raises:
        ValueError: it is not such a list, is too long, or is missing.
    """
    if name not in group.attrs:
        raise ValueError(f"{name}: found nothing, expected the attribute of a Keras file")
    about = group.attrs.get_id(name)
    if math.prod(about.shape) > _MAX_TEXTS:
        raise ValueError(f"{name}: found {about.shape} entries, expected at most {_MAX_TEXTS}")
    if 0 in about.shape:
        return []
    if about.dtype.kind != "S":
        raise ValueError(f"{name}: found {about.dtype}, expected texts of a fixed length")
    return [item.decode() for item in np.atleast_1d(group.attrs[name]).ravel().tolist()]


def text(group: h5py.Group, name: str, most: int) -> str | None:
    """One text in an attribute; None if there is none, or if it is longer than `most`."""
    if name not in group.attrs:
        return None
    about = group.attrs.get_id(name)
    if about.shape != () or (h5py.check_string_dtype(about.dtype) is None):
        return None
    value = group.attrs[name]
    value = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return value if len(value) <= most else None


def check_array(key: str, dataset: h5py.Dataset, shape: tuple[int, ...]) -> None:
    """Check that a dataset is a float32 array of a shape, is stored in this file, and has no more.

    Raises:
        ValueError: it is not.
        OSError: a chunk cannot be read.
    """
    if dataset.shape != shape:
        raise ValueError(f"{key}: found shape {dataset.shape}, expected {shape}")
    if dataset.dtype.kind != "f" or dataset.dtype.itemsize != 4:
        raise ValueError(f"{key}: found {dataset.dtype}, expected float32")
    if dataset.is_virtual or dataset.external:
        raise ValueError(f"{key}: found a link to another file, expected the array itself")
    settings = dataset.id.get_create_plist()
    filters = tuple(settings.get_filter(n)[0] for n in range(settings.get_nfilters()))
    if filters not in _PIPELINES:
        raise ValueError(f"{key}: found filters {filters}, expected gzip, shuffle or none")
    if dataset.chunks is None:
        stored = dataset.id.get_storage_size()
        if stored != dataset.dtype.itemsize * math.prod(shape):
            raise ValueError(f"{key}: found {stored} bytes, expected the whole array")
        return
    if math.prod(dataset.chunks) > 2 * math.prod(shape):
        raise ValueError(f"{key}: found chunks of {dataset.chunks}, expected at most the array")
    expected = math.prod(-(-n // chunk) for n, chunk in zip(shape, dataset.chunks, strict=True))
    number = dataset.id.get_num_chunks()
    if number != expected or number > _MAX_CHUNKS:
        raise ValueError(
            f"{key}: found {number} chunks, expected {expected}, and at most {_MAX_CHUNKS}"
        )
    size = dataset.dtype.itemsize * math.prod(dataset.chunks)
    for chunk in range(number):
        _check_chunk(key, dataset, dataset.id.get_chunk_info(chunk).chunk_offset, filters, size)


def _check_chunk(
    key: str, dataset: h5py.Dataset, place: tuple[int, ...], filters: tuple[int, ...], size: int
) -> None:
    """Check that a chunk decompresses to exactly its own size."""
    with phil:  # h5py takes this lock for all calls but this one; without it HDF5 would crash
        left_out, stored = dataset.id.read_direct_chunk(place)
    unfolded = len(stored)
    if _DEFLATE in filters and not left_out >> filters.index(_DEFLATE) & 1:
        try:
            unfolded = len(zlib.decompressobj().decompress(stored, size + 1))
        except zlib.error as error:
            raise ValueError(f"{key}: found a damaged chunk: {error}") from error
    if unfolded != size:
        more = "more than " if unfolded > size else ""
        raise ValueError(f"{key}: found a chunk of {more}{unfolded} bytes, expected {size}")
