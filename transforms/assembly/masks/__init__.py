"""Masks of a scene: which of its pixels are clouds, cloud shadows, or have no data."""
