"""Styles beside the layers, and a project that opens all of them, for QGIS."""

from .write import PROJECT, are_there, write_styles

__all__ = ["PROJECT", "are_there", "write_styles"]
