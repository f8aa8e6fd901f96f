"""Chooses among models of the residential classifier, by ground that they have not seen."""

from .candidates import Candidate, candidates
from .importances import importances
from .nested import Found, Labelled, search

__all__ = ["Candidate", "Found", "Labelled", "candidates", "importances", "search"]
