"""Built-up fraction by GHS-S2Net: weight files, network, engine, model store and Beam handler.

Beam is imported when `GhsS2NetHandler` or `PredictBuiltUp` is first asked for, TensorFlow when
an engine on it is made.
"""

from typing import TYPE_CHECKING, Any

from .engines import Choice, Engine, choose
from .models import ZoneModel, available, resolve
from .network import CollapsedNetwork, collapse
from .predict import CONTEXT, HALO, encode, pad_block, prepare, valid
from .weights import NetworkWeights, load_model, load_weights, save_weights

if TYPE_CHECKING:
    from .handler import GhsS2NetHandler, PredictionInput, PredictionOutput
    from .transform import PredictBuiltUp

METHOD_VERSION = "2"
"""Part of the fingerprint of BUFRAC_RAW: raise it when the same input gives other pixels."""

_BEAM = {
    "GhsS2NetHandler": "handler",
    "PredictionInput": "handler",
    "PredictionOutput": "handler",
    "PredictBuiltUp": "transform",
}

__all__ = [
    "CONTEXT",
    "HALO",
    "METHOD_VERSION",
    "Choice",
    "CollapsedNetwork",
    "Engine",
    "GhsS2NetHandler",
    "NetworkWeights",
    "PredictBuiltUp",
    "PredictionInput",
    "PredictionOutput",
    "ZoneModel",
    "available",
    "choose",
    "collapse",
    "encode",
    "load_model",
    "load_weights",
    "pad_block",
    "prepare",
    "resolve",
    "save_weights",
    "valid",
]


def __getattr__(name: str) -> Any:
    if name in _BEAM:
        from importlib import import_module

        return getattr(import_module(f".{_BEAM[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
