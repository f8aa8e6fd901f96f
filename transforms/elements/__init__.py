"""The frozen values that travel between the stages."""

from .errors import (
    GhslBeamError,
    ModelError,
    RasterError,
    RequestError,
    SceneError,
    StorageError,
    StrictError,
    UnavailableError,
    VersionError,
    check_planned,
    request_error,
)
from .fingerprint import fingerprint
from .grid import (
    PIXEL,
    Grid,
    centre_of,
    extent_of,
    grid_as_json,
    grid_from_json,
    origin_of,
    part_of,
    pixel_centres,
    utm_grid,
    window_in,
)
from .layers import DTYPE, LAYERS, NODATA, Coarser, GridLayer, Layer, LayerSpec, Overviews, Picture
from .lazy import lazily
from .pixels import Pixels
from .references import Block, Loss, RasterRef, StoredTile
from .rounding import thresholds
from .scene import BANDS, BANDS_20M, TEN_BANDS, Level, MaskKind, Scene, SourceFile
from .tile import BlockTask, Product, TilePlan, period_tag
from .versions import package_version
from .window import Window

__all__ = [
    "BANDS",
    "BANDS_20M",
    "DTYPE",
    "LAYERS",
    "NODATA",
    "PIXEL",
    "TEN_BANDS",
    "Block",
    "BlockTask",
    "Coarser",
    "GhslBeamError",
    "Grid",
    "GridLayer",
    "Layer",
    "LayerSpec",
    "Level",
    "Loss",
    "MaskKind",
    "ModelError",
    "Overviews",
    "Picture",
    "Pixels",
    "Product",
    "RasterError",
    "RasterRef",
    "RequestError",
    "Scene",
    "SceneError",
    "SourceFile",
    "StorageError",
    "StoredTile",
    "StrictError",
    "TilePlan",
    "UnavailableError",
    "VersionError",
    "Window",
    "centre_of",
    "check_planned",
    "extent_of",
    "fingerprint",
    "grid_as_json",
    "grid_from_json",
    "lazily",
    "origin_of",
    "package_version",
    "part_of",
    "period_tag",
    "pixel_centres",
    "request_error",
    "thresholds",
    "utm_grid",
    "window_in",
]
