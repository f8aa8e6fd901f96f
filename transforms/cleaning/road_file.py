"""Road lines from a vector file."""

from __future__ import annotations

from dataclasses import dataclass

import pyogrio
import shapely
from pyogrio.errors import DataSourceError
from pyproj import CRS, Transformer

from transforms.elements import RasterError, TilePlan, Window
from transforms.raster.vectors import vector_path

from .streets import Road


@dataclass(frozen=True, slots=True)
class RoadSource:
    """Lines with a width; read by window, so memory is flat in the size of the file.

    `longest_reach` bounds how far from a window a road can lie and still touch it, metres.
    """

    path: str
    width_field: str
    longest_reach: float = 100.0

    def near(self, plan: TilePlan, window: Window) -> tuple[Road, ...]:
        """Roads that may touch a window, in the tile's CRS, in the file's order.

        Raises:
            RasterError: the file cannot be read, has no such field, or a width is no number.
        """
        left, top = plan.ulx + 10 * window.col, plan.uly - 10 * window.row
        box = shapely.box(left, top - 10 * window.height, left + 10 * window.width, top)
        file = vector_path(self.path)
        try:
            crs = CRS.from_user_input(pyogrio.read_info(file)["crs"] or "OGC:CRS84")
            into = Transformer.from_crs(crs, f"EPSG:{plan.epsg}", always_xy=True)
            west, south, east, north = shapely.bounds(box.buffer(self.longest_reach))
            bounds = into.transform_bounds(west, south, east, north, direction="INVERSE")
            meta, _, geometries, fields = pyogrio.raw.read(
                file, columns=[self.width_field], bbox=bounds
            )
        except (DataSourceError, OSError, ValueError) as error:
            raise RasterError(f"{self.path}: cannot read the roads: {error}") from error
        if self.width_field not in list(meta["fields"]):
            raise RasterError(
                f"{self.path}: no field {self.width_field!r}; there are no road widths"
            )
        try:
            widths = [float(width) for width in fields[0]]
            if max(widths, default=0) > 2 * self.longest_reach:
                raise ValueError(f"a width of {max(widths):g} m, above {2 * self.longest_reach:g}")
            found = zip(shapely.from_wkb(geometries), widths, strict=True)
            return tuple(
                Road(shapely.transform(line, into.transform, interleaved=False), width)
                for line, width in found
                if line is not None and not line.is_empty and width > 0
            )
        except (TypeError, ValueError) as error:
            raise RasterError(f"{self.path}: not roads with a width in metres: {error}") from error
