"""The starter classifier: one file in the package, for any place.

`docs/starter-models.md` describes what it was trained on, and how good it is.
"""

from __future__ import annotations

from pathlib import Path

_FILE = "STARTER_residential.skops"
STARTER_CLASSIFIER = f"package:/{_FILE}"
"""The location of the starter classifier. Every process reads the file of its own package, wherever
it is installed, so workers on other machines need no copy of the launcher's files."""


def starter_classifier_file() -> Path:
    """The path of the classifier's file in this installation."""
    return Path(__file__).with_name(_FILE)


def stored_at(location: Path | str) -> str:
    """The file or URL of a location: `STARTER_CLASSIFIER` is a file of this installation."""
    text = str(location)
    return str(starter_classifier_file()) if text == STARTER_CLASSIFIER else text
