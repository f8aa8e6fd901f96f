"""The stages of the job: pure functions on arrays, and thin PTransforms that call them.

Everything here works on values in memory, without a job; `examples/stages.ipynb` shows it. Names
are imported when they are first used. `greenness` is the stage; its function is
`transforms.greenness.greenness`.
"""

from typing import TYPE_CHECKING

from .elements import lazily

if TYPE_CHECKING:
    from .aggregation import ReprojectAndAggregate, aggregate_cell, aggregate_pixels, ghsl_mollweide
    from .assembly import (
        AssembleScenes,
        assemble_block,
        find_scenes,
        read_band,
        read_mask,
        read_scene,
    )
    from .classification import ClassifyResidential, ResidentialClassifier, classify
    from .cleaning import CleanBuiltUp, CleaningParameters, Road, RoadSource, clean
    from .elements import (
        Block,
        BlockTask,
        Layer,
        Loss,
        Pixels,
        Scene,
        TilePlan,
        Window,
        part_of,
        utm_grid,
    )
    from .greenness import GreennessParameters, MeasureGreenness
    from .inference import STARTER_MODEL, GhsS2NetHandler, PredictBuiltUp, load_engine, predict

__all__ = [
    "STARTER_MODEL",
    "AssembleScenes",
    "Block",
    "BlockTask",
    "ClassifyResidential",
    "CleanBuiltUp",
    "CleaningParameters",
    "GhsS2NetHandler",
    "GreennessParameters",
    "Layer",
    "Loss",
    "MeasureGreenness",
    "Pixels",
    "PredictBuiltUp",
    "ReprojectAndAggregate",
    "ResidentialClassifier",
    "Road",
    "RoadSource",
    "Scene",
    "TilePlan",
    "Window",
    "aggregate_cell",
    "aggregate_pixels",
    "assemble_block",
    "classify",
    "clean",
    "find_scenes",
    "ghsl_mollweide",
    "load_engine",
    "part_of",
    "predict",
    "read_band",
    "read_mask",
    "read_scene",
    "utm_grid",
]

__getattr__ = lazily(
    __name__,
    {
        "AssembleScenes": ".assembly",
        "Block": ".elements",
        "BlockTask": ".elements",
        "ClassifyResidential": ".classification",
        "CleanBuiltUp": ".cleaning",
        "CleaningParameters": ".cleaning",
        "GhsS2NetHandler": ".inference",
        "GreennessParameters": ".greenness",
        "Layer": ".elements",
        "Loss": ".elements",
        "MeasureGreenness": ".greenness",
        "Pixels": ".elements",
        "PredictBuiltUp": ".inference",
        "ReprojectAndAggregate": ".aggregation",
        "ResidentialClassifier": ".classification",
        "Road": ".cleaning",
        "RoadSource": ".cleaning",
        "Scene": ".elements",
        "TilePlan": ".elements",
        "Window": ".elements",
        "aggregate_cell": ".aggregation",
        "aggregate_pixels": ".aggregation",
        "assemble_block": ".assembly",
        "classify": ".classification",
        "clean": ".cleaning",
        "find_scenes": ".assembly",
        "ghsl_mollweide": ".aggregation",
        "STARTER_MODEL": ".inference",
        "load_engine": ".inference",
        "part_of": ".elements",
        "predict": ".inference",
        "read_band": ".assembly",
        "read_mask": ".assembly",
        "read_scene": ".assembly",
        "utm_grid": ".elements",
    },
)
