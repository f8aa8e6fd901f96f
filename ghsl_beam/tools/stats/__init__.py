"""Totals of the polygons of a file, from the layers of a run."""
