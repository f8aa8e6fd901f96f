"""The assembly stage: Sentinel-2 products become a cloud-free composite and its count.

This package reads archives and products. The PTransform is in `transforms.assembly.transform`.
"""

from typing import TYPE_CHECKING

from transforms.elements import lazily

from .assemble import Assembled, assemble_block
from .catalogues.archive import Archive
from .catalogues.catalogue import Candidate, Catalogue, LeftOut, Wanted
from .catalogues.scenes import FoundScenes, find_scenes, scenes_of
from .composite import Composite
from .masks.product import (
    SCL_CLASSES,
    cloud_from_classification,
    cloud_from_gml,
    cloud_from_scl,
    read_mask,
)
from .percentile import percentile_of_stack
from .polygons import rasterize
from .products.metadata import ProductMetadata, TileMetadata, parse_product, parse_tile
from .products.naming import ProductName, parse_name
from .products.passes import passes, reduce_duplicates
from .products.product import product_tiles, read_scene
from .radiometry import reflectance, to_composite_dn
from .reading import read_band, read_bands, source_indices

if TYPE_CHECKING:
    from .transform import AssembleScenes

METHOD_VERSION = "3"
"""Changes when the same inputs give other pixels; it is part of the products' fingerprints."""

__all__ = [
    "METHOD_VERSION",
    "SCL_CLASSES",
    "Archive",
    "AssembleScenes",
    "Assembled",
    "Candidate",
    "Catalogue",
    "Composite",
    "FoundScenes",
    "LeftOut",
    "ProductMetadata",
    "ProductName",
    "TileMetadata",
    "Wanted",
    "assemble_block",
    "cloud_from_classification",
    "cloud_from_gml",
    "cloud_from_scl",
    "find_scenes",
    "parse_name",
    "parse_product",
    "parse_tile",
    "passes",
    "percentile_of_stack",
    "product_tiles",
    "rasterize",
    "read_band",
    "read_bands",
    "read_mask",
    "read_scene",
    "reduce_duplicates",
    "reflectance",
    "scenes_of",
    "source_indices",
    "to_composite_dn",
]

__getattr__ = lazily(__name__, {"AssembleScenes": ".transform"})
