"""The assembly stage: Sentinel-2 products become a cloud-free composite and its count.

This package reads archives and products. The PTransform is in `transforms.assembly.transform`.
"""

from typing import TYPE_CHECKING

from transforms.elements import lazily

if TYPE_CHECKING:
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

__getattr__ = lazily(
    __name__,
    {
        "Archive": ".catalogues.archive",
        "AssembleScenes": ".transform",
        "Assembled": ".assemble",
        "Candidate": ".catalogues.catalogue",
        "Catalogue": ".catalogues.catalogue",
        "Composite": ".composite",
        "FoundScenes": ".catalogues.scenes",
        "LeftOut": ".catalogues.catalogue",
        "ProductMetadata": ".products.metadata",
        "ProductName": ".products.naming",
        "SCL_CLASSES": ".masks.product",
        "TileMetadata": ".products.metadata",
        "Wanted": ".catalogues.catalogue",
        "assemble_block": ".assemble",
        "cloud_from_classification": ".masks.product",
        "cloud_from_gml": ".masks.product",
        "cloud_from_scl": ".masks.product",
        "find_scenes": ".catalogues.scenes",
        "parse_name": ".products.naming",
        "parse_product": ".products.metadata",
        "parse_tile": ".products.metadata",
        "passes": ".products.passes",
        "percentile_of_stack": ".percentile",
        "product_tiles": ".products.product",
        "rasterize": ".polygons",
        "read_band": ".reading",
        "read_bands": ".reading",
        "read_mask": ".masks.product",
        "read_scene": ".products.product",
        "reduce_duplicates": ".products.passes",
        "reflectance": ".radiometry",
        "scenes_of": ".catalogues.scenes",
        "source_indices": ".reading",
        "to_composite_dn": ".radiometry",
    },
)
