"""Catalogues list the Sentinel-2 products that exist; one file for each kind.

`catalogue.py` describes a catalogue. `scenes.py` reads the scenes of the products in any of them.
"""
