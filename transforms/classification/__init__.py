"""The classification stage."""
