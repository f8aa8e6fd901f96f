"""Options of the commands that compare a run with a reference."""

from __future__ import annotations

from typing import Annotated

import typer

Product = Annotated[
    str | None, typer.Option(help="epoch and name if the output has several, such as E2017_berlin")
]
Nodata = Annotated[
    str | None, typer.Option(help="nodata of the raster, or none; replaces what the file says")
]
Band = Annotated[int | None, typer.Option(min=1, help="band of a raster that has several")]
