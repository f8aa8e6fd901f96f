"""ghsl-beam roads."""

from __future__ import annotations

from typing import Annotated

import typer

from ghsl_beam.cli.examples import examples
from ghsl_beam.process import stopping
from ghsl_beam.process.terminal import say_json

app = typer.Typer()


@app.command("roads", epilog=examples("roads"))
def roads_command(
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help="road lines of OpenStreetMap or Overture: .osm.pbf, .geojsonseq, .gpkg or another "
            "vector file; file.gpkg|layer for one of several layers",
        ),
    ],
    out: Annotated[str, typer.Option(help="GeoPackage to write (gpkg)")],
    classes: Annotated[
        str,
        typer.Option(
            help="classes of roads, such as motorway,trunk, or groups of them: roads; access "
            "(driveways, alleys, tracks); paths; all"
        ),
    ] = "roads",
    aoi: Annotated[
        str | None,
        typer.Option(
            help="only lines near this area: vector file, WKT, or west,south,east,north in degrees"
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="replace a file of the same name")
    ] = False,
) -> None:
    """Make road lines with a width, for cleaning.roads. Prints the numbers of lines as JSON."""
    from ghsl_beam.tools.roads.convert import make_roads

    with stopping.in_order():  # it writes beside the new file
        found = make_roads(file, out, classes, aoi, overwrite=overwrite)
    say_json(found, indent=2)
