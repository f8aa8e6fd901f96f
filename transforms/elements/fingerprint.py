"""What a result depends on, as one short hash."""

import hashlib
import json
from typing import Any


def fingerprint(*parts: Any) -> str:
    """Hash of JSON-like values (inputs, parameters, versions), the same on every machine.

    Returns 32 hexadecimal digits of SHA-256 over the canonical JSON of the parts. Values that
    JSON does not know are an error: a representation that changes from run to run would make
    every result look new.
    """
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]
