"""Sentinel-2 products in an archive: finds them, reads their names and files, and makes scenes."""
