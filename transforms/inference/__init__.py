"""Built-up fraction by GHS-S2Net: weight files, network, engines, model store and Beam handler.

Beam is imported at the first use of `GhsS2NetHandler` or `PredictBuiltUp`. TensorFlow is imported
when an engine that needs it is made.
"""

from typing import TYPE_CHECKING

from transforms.elements import lazily

from .engines import Choice, Engine, choose
from .models import ZoneModel, available, resolve
from .network import CollapsedNetwork, collapse
from .predict import CONTEXT, HALO, encode, pad_block, prepare, valid
from .starter import STARTER_MODEL
from .weights import NetworkWeights, load_model, load_weights, save_weights
from .whole import load_engine, predict

if TYPE_CHECKING:
    from .handler import GhsS2NetHandler, PredictionInput, PredictionOutput
    from .transform import PredictBuiltUp

METHOD_VERSION = "2"
"""Part of the fingerprint of BUFRAC_RAW; increase it when the same input gives other pixels."""

_BEAM = {
    "GhsS2NetHandler": ".handler",
    "PredictionInput": ".handler",
    "PredictionOutput": ".handler",
    "PredictBuiltUp": ".transform",
}

__all__ = [
    "CONTEXT",
    "HALO",
    "METHOD_VERSION",
    "STARTER_MODEL",
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
    "load_engine",
    "load_model",
    "load_weights",
    "pad_block",
    "predict",
    "prepare",
    "resolve",
    "save_weights",
    "valid",
]


__getattr__ = lazily(__name__, _BEAM)
