"""Compares the bands and the mask of a product with its `manifest.safe`."""

from __future__ import annotations

import hashlib
from pathlib import PurePosixPath

from transforms.assembly.products.candidates import MANIFEST
from transforms.assembly.products.metadata import local_name, parse_xml
from transforms.elements import Scene, SceneError, StorageError
from transforms.storage import storage
from transforms.storage.locations import join

_MAX_BYTES = 2**24
_SUMS = {
    "MD5": "md5",
    "SHA-256": "sha256",
    "SHA256": "sha256",
    "SHA3-256": "sha3_256",
    "SHA3-512": "sha3_512",
}
"""Names of checksums in a manifest, in capitals, and their names in Python."""


def manifest_problem(scene: Scene) -> str | None:
    """The first difference from the manifest of a scene's product; None if there is none.

    The bands and the mask are read completely. Only unpacked products on a local disk are checked,
    and only files with a known kind of checksum: a zip has its own checksums.
    """
    if storage.is_url(scene.path) or not storage.is_folder(scene.path):
        return None
    manifest = join(scene.path, MANIFEST)
    if not storage.is_file(manifest):
        return None
    try:
        sums = _sums(manifest)
        for path in filter(None, (*scene.bands, scene.mask, *scene.mask_bands)):
            name = path.removeprefix(scene.path).lstrip("/")
            kind, expected = sums.get(name, ("", ""))
            if kind not in _SUMS:
                continue
            with open(path, "rb") as file:
                digest = hashlib.file_digest(file, _SUMS[kind]).hexdigest()
            if digest != expected:
                return (
                    f"{name} has {kind} {digest[:12]}..., expected {expected[:12]}... by its "
                    f"{MANIFEST}; copy the product again"
                )
    except (SceneError, StorageError) as error:
        return f"{MANIFEST}: {error.reason}"
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    return None


def _sums(manifest: str) -> dict[str, tuple[str, str]]:
    """Kind and checksum by file name, relative to the product's folder."""
    sums = {}
    for stream in parse_xml(storage.read_bytes(manifest, _MAX_BYTES), manifest).iter():
        if local_name(stream) != "byteStream":
            continue
        parts = {local_name(part): part for part in stream}
        place, checksum = parts.get("fileLocation"), parts.get("checksum")
        if place is not None and checksum is not None:
            name = str(PurePosixPath(place.get("href", "")))
            kind = checksum.get("checksumName", "").upper()
            sums[name] = kind, (checksum.text or "").strip().lower()
    return sums
