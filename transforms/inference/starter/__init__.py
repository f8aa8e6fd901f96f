"""The starter network: one weight file in the package, for any grid zone.

`docs/starter-models.md` describes what it was trained on, and how good it is.
"""

from __future__ import annotations

from pathlib import Path

_FILE = "STARTER_MODEL_CNN.h5"
STARTER_MODEL = f"package:/{_FILE}"
"""The location of the starter network. Every process reads the file of its own package, wherever it
is installed, so workers on other machines need no copy of the launcher's files."""


def starter_file() -> Path:
    """The path of the weight file in this installation."""
    return Path(__file__).with_name(_FILE)
