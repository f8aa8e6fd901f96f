"""STAC APIs as catalogues: `search.py` asks one, `presets.py` describes those that are known.

`pages.py` gets the pages of an answer, and `items.py` reads the items in them.
"""

from .presets import PRESETS, Collection, Preset
from .search import StacCatalogue

__all__ = ["PRESETS", "Collection", "Preset", "StacCatalogue"]
