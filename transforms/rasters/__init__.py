"""Rasters: GeoTIFF reading and writing, overviews, checksums, the area mask and masking."""
