"""STAC APIs as catalogues: `items.py` reads what they name, `presets.py` describes them."""
