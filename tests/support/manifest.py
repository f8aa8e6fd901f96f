"""A `manifest.safe` as real products have it."""

import hashlib
from pathlib import Path

HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?><xfdu:XFDU xmlns:xfdu="urn:ccsds:schema:xfdu:1">'
    "<dataObjectSection>"
)
ENTRY = (
    '<dataObject ID="x"><byteStream mimeType="application/octet-stream" size="{size}">'
    '<fileLocation locatorType="URL" href="{href}"/>'
    '<checksum checksumName="{kind}">{checksum}</checksum></byteStream></dataObject>'
)


def write_manifest(safe: Path, kind: str, made: str, dot: str = "./") -> None:
    """Each file of a product with its size and checksum."""
    entries = [
        ENTRY.format(
            size=file.stat().st_size,
            href=dot + file.relative_to(safe).as_posix(),
            kind=kind,
            checksum=hashlib.new(made, file.read_bytes()).hexdigest(),
        )
        for file in sorted(safe.rglob("*.*"))
        if file.is_file()
    ]
    tail = "</dataObjectSection></xfdu:XFDU>"
    (safe / "manifest.safe").write_text(HEAD + "".join(entries) + tail)
