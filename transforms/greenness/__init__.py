"""The greenness stage."""
