"""SHA256SUMS of a folder of models: each file's checksum when it was first fetched or verified.

The format is that of `sha256sum`, so `sha256sum -c SHA256SUMS` checks it too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from transforms.elements import ModelError, RequestError, StorageError, request_error
from transforms.inference.models import available
from transforms.inference.weights import load_model
from transforms.storage.storage import is_url, join, masked, name, read_bytes, write_whole

SUMS = "SHA256SUMS"
_MAX_BYTES = 1 << 20
_LINE = re.compile(r"([0-9a-f]{64}) [ *](\S.*)")


class Verdict(StrEnum):
    """The result of `verify` for a file."""

    GOOD = "good"
    NEW = "new"
    DIFFERS = "differs"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Checked:
    """A model file and its result; `detail` is its SHA-256, or what is wrong with it."""

    zone: str
    path: str
    verdict: Verdict
    detail: str


def read_sums(folder: str) -> dict[str, str]:
    """SHA-256 by file name; empty if nothing was recorded.

    Raises:
        RequestError: the file exists but cannot be read, or is not a file of `sha256sum`.
    """
    file = join(folder, SUMS)
    try:
        text = read_bytes(file, _MAX_BYTES).decode("utf-8")
    except StorageError as error:
        if error.absent:
            return {}
        raise request_error(str(error), error) from error
    except UnicodeDecodeError as error:
        raise RequestError(f"{masked(file)}: is not a file of sha256sum: {error}") from error
    sums = {}
    for line in text.splitlines():
        match = _LINE.fullmatch(line)
        if match is None:
            raise RequestError(
                f"{masked(file)}: has a line that is not in the form of sha256sum: {line[:80]!r}"
            )
        sums[match[2]] = match[1]
    return sums


def record(folder: str, digests: Mapping[str, str]) -> None:
    """Add SHA-256 by file name to the record of a local folder.

    Raises:
        RequestError: as in `read_sums`.
        StorageError: it cannot be written.
    """
    sums = read_sums(folder)
    if all(sums.get(file) == digest for file, digest in digests.items()):
        return
    lines = sorted((file, digest) for file, digest in {**sums, **digests}.items())
    text = "".join(f"{digest}  {file}\n" for file, digest in lines)
    write_whole(join(folder, SUMS), text.encode())


def verify(folder: str, prefix: str = "") -> Iterator[Checked]:
    """Check each model of a folder or URL, in the order of zones; record new ones.

    A file is good if it is a complete GHS-S2Net (structure, order of layers, shapes, finite
    numbers) and has the recorded SHA-256. At a URL nothing is recorded.

    Raises:
        RequestError: the folder or its record cannot be read.
    """
    sums = read_sums(folder)
    new = {}
    for zone, path in sorted(available(folder, prefix).items()):
        file = name(path)
        try:
            digest = load_model(path)[1]
        except ModelError as error:
            yield Checked(zone, path, Verdict.BROKEN, error.reason)
            continue
        if file not in sums:
            new[file] = digest
            yield Checked(zone, path, Verdict.NEW, digest)
        elif sums[file] != digest:
            detail = f"has SHA-256 {digest}, but {SUMS} has {sums[file]}"
            yield Checked(zone, path, Verdict.DIFFERS, detail)
        else:
            yield Checked(zone, path, Verdict.GOOD, digest)
    if new and not is_url(folder):
        record(folder, new)
