"""STAC APIs as catalogues: `search.py` asks one, `presets.py` describes those that are known.

`pages.py` gets the pages of an answer, and `items.py` reads the items in them.
"""

from typing import TYPE_CHECKING

from transforms.elements import lazily

from .presets import PRESETS, Collection, Preset

if TYPE_CHECKING:
    from .search import StacCatalogue

__all__ = ["PRESETS", "Collection", "Preset", "StacCatalogue"]

__getattr__ = lazily(__name__, {"StacCatalogue": ".search"})
