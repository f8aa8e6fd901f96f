"""The inference stage."""
