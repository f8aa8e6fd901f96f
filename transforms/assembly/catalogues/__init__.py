"""Catalogues: what tells which products of Sentinel-2 exist; one file for each kind.

`catalogue.py` says what a catalogue is. `scenes.py` reads what any of them names.
"""
