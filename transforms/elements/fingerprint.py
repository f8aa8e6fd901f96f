"""One short hash of everything that a result depends on."""

import hashlib
import json
from typing import Any


def fingerprint(*parts: Any) -> str:
    """Hash of JSON-like values (inputs, parameters, versions), the same on every machine.

    Values that JSON does not know are an error. Their text could change from run to run, and every
    result would then look new.

    Returns:
        32 hexadecimal digits of SHA-256 over the canonical JSON of the parts.
    """
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]
