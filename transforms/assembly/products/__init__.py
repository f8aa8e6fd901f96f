"""Sentinel-2 products as they lie in an archive: found, named, opened, read into scenes."""
