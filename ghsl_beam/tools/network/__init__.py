"""Trains a GHS-S2Net on composites and own labels, and judges it on ground it has not seen."""

from .request import NetworkRequest, Split, Unit
from .training import train_network

__all__ = ["NetworkRequest", "Split", "Unit", "train_network"]
