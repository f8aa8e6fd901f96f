"""ghsl-beam validate."""

from __future__ import annotations

from typing import Annotated

import typer

from ghsl_beam.process.terminal import say, say_json, stderr

app = typer.Typer()


@app.command("validate")
def validate_command(
    output: Annotated[str, typer.Argument(help="folder or URL of a run")],
    reference: Annotated[
        str,
        typer.Option(
            help="raster or polygons of built-up; file.gpkg|layer for one of several layers"
        ),
    ],
    product: Annotated[
        str | None,
        typer.Option(help="epoch and name if the output has several, such as E2017_berlin"),
    ] = None,
    unit: Annotated[
        str | None,
        typer.Option(
            help="what the values of a raster mean, if the file does not say it: fraction, "
            "percent, per-10000, m2 (of a pixel), mask (0 and 1), mask255 (0 and 255)"
        ),
    ] = None,
    nodata: Annotated[
        str | None, typer.Option(help="nodata of the raster, or none; replaces what the file says")
    ] = None,
    built: Annotated[
        str | None, typer.Option(help="built-up values of a raster of classes, such as 50,60")
    ] = None,
    band: Annotated[
        int | None, typer.Option(min=1, help="band of a raster that has several")
    ] = None,
    layer: Annotated[
        str, typer.Option(help="layer to compare: BUFRAC, or BUILT_S of an output grid")
    ] = "BUFRAC",
    grid: Annotated[
        str | None, typer.Option(help="output grid if there are several, such as 54009_100")
    ] = None,
    threshold: Annotated[
        float, typer.Option(min=0, max=1, help="a pixel is built-up from this fraction on")
    ] = 0.5,
) -> None:
    """Compare the built-up of a run with a reference."""
    from ghsl_beam.tools.validate import validate

    comparison = validate(
        output,
        reference,
        layer=layer,
        product=product,
        grid=grid,
        unit=unit,
        nodata=nodata,
        built=built,
        band=band,
        threshold=threshold,
    )
    for warning in comparison["warnings"]:
        say(f"warning: {warning}", to=stderr())
    say_json(comparison, indent=2)
