"""Checksums of files in an archive, as catalogues and storages write them.

Here a checksum is a text `ALGORITHM:HEXADECIMAL`, with the algorithm's name as in `hashlib`.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

_MULTIHASH = {"d50110": "md5", "1220": "sha256", "1620": "sha3_256", "1440": "sha3_512"}
"""The code and length at the start of a multihash, and its algorithm."""
_BYTES = {"md5": 16, "sha256": 32, "sha3_256": 32, "sha3_512": 64}
_ONE_PART = re.compile("[0-9a-f]{32}")


def from_multihash(text: str) -> str:
    """The checksum in a multihash, the format of `file:checksum` in STAC.

    The result is "" if the algorithm is unknown or the text is not a multihash.

    Examples:
        >>> from_multihash("d50110" + 32 * "a") == "md5:" + 32 * "a"
        True
        >>> from_multihash("ffff")
        ''
    """
    text = text.lower()
    for start, name in _MULTIHASH.items():
        digest = text.removeprefix(start)
        if digest != text and re.fullmatch(f"[0-9a-f]{{{2 * _BYTES[name]}}}", digest):
            return f"{name}:{digest}"
    return ""


def from_etag(etag: str) -> str:
    """The checksum in the ETag of an object that was uploaded in one part; else "".

    The caller must know that the object is not encrypted with its own key: the ETag of such an
    object has the same form, but is not an MD5.
    """
    digest = etag.strip('"')
    return f"md5:{digest}" if _ONE_PART.fullmatch(digest) else ""


def is_known(checksum: str) -> bool:
    """Whether the algorithm of a checksum is known here."""
    name, _, digest = checksum.partition(":")
    return name in _BYTES and len(digest) == 2 * _BYTES[name]


def new(checksum: str) -> Any:
    """A new hash object with the algorithm of a checksum."""
    name = checksum.partition(":")[0]
    return hashlib.new(name, usedforsecurity=False)


def same(checksum: str, found: Any) -> bool:
    """Whether the result of a hash object is a checksum."""
    return bool(found.hexdigest() == checksum.partition(":")[2].lower())
