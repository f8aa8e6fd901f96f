"""ghsl-beam validate and stats: what an output says."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from ghsl_beam.cli.comparing.reference_options import Band, Nodata, Product
from ghsl_beam.cli.examples import examples
from ghsl_beam.process import stopping
from ghsl_beam.process.terminal import say, say_json, say_table, stderr

app = typer.Typer()


@app.command("validate", epilog=examples("validate"))
def validate_command(
    output: Annotated[str, typer.Argument(help="folder or URL of a run")],
    reference: Annotated[
        str,
        typer.Option(
            help="raster or polygons of built-up, or labelled points; file.gpkg|layer for one of "
            "several layers"
        ),
    ],
    product: Product = None,
    unit: Annotated[
        str | None,
        typer.Option(
            "--reference-unit",
            "--unit",
            help="what the values of a raster, or of the points' field, mean, if the file does not "
            "say it: fraction, percent, per-10000, m2 (of a pixel), mask (0 and 1), mask255 (0 and "
            "255)",
        ),
    ] = None,
    nodata: Nodata = None,
    built: Annotated[
        str | None,
        typer.Option(help="built-up values of a raster or points with classes, such as 50,60"),
    ] = None,
    band: Band = None,
    layer: Annotated[
        str, typer.Option(help="layer to compare: BUFRAC, BUFRAC_RAW, or BUILT_S of an output grid")
    ] = "BUFRAC",
    grid: Annotated[
        str | None, typer.Option(help="output grid if there are several, such as 54009_100")
    ] = None,
    threshold: Annotated[
        float, typer.Option(min=0, max=1, help="a pixel is built-up from this fraction on")
    ] = 0.5,
    reference_threshold: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, help="the same for the reference alone; by default that of --threshold"
        ),
    ] = None,
    field: Annotated[
        str | None, typer.Option(help="field of the reference's points with class or fraction")
    ] = None,
    strata: Annotated[
        str | None,
        typer.Option(
            help="raster, or polygons with a field, of strata such as density or land cover; each "
            "stratum gets its own scores"
        ),
    ] = None,
    strata_field: Annotated[
        str | None, typer.Option(help="field of the polygons of --strata")
    ] = None,
    strata_breaks: Annotated[
        str | None,
        typer.Option(help="numbers that divide the values of --strata, such as 300,1500"),
    ] = None,
    block_size: Annotated[
        float,
        typer.Option(min=10, help="side of the blocks that the intervals are drawn from, metres"),
    ] = 1000.0,
    seed: Annotated[int, typer.Option(min=0, max=2**31, help="seed of the draws")] = 2017,
    out: Annotated[
        str | None,
        typer.Option(
            help="folder or URL to write validation.json, error maps (GeoTIFF) and pictures (PNG)"
        ),
    ] = None,
    as_json: Annotated[
        bool | None,
        typer.Option(
            "--json/--table",
            help="print JSON or tables; by default tables on a terminal, otherwise JSON",
        ),
    ] = None,
) -> None:
    """Compare the built-up of a run with a reference."""
    from ghsl_beam.tools.validate import validate
    from ghsl_beam.tools.validation.results import tables

    with stopping.in_order():  # it may write
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
            reference_threshold=reference_threshold,
            field=field,
            strata=strata,
            strata_field=strata_field,
            strata_breaks=strata_breaks,
            block_size=block_size,
            seed=seed,
            out=out,
        )
    for warning in comparison["warnings"]:
        say(f"warning: {warning}", to=stderr())
    if as_json or (as_json is None and not sys.stdout.isatty()):
        say_json(comparison, indent=2)
        return
    for heading, table in tables(comparison):
        say(heading)
        if table is not None:
            say_table(table.columns, table.rows, kept=table.columns[0])
    if out is not None:
        say(f"written to {out}: {', '.join(comparison['written'])}")


@app.command("stats", epilog=examples("stats"))
def stats_command(
    output: Annotated[str, typer.Argument(help="folder or URL of a run")],
    zones: Annotated[
        str | None,
        typer.Option(
            help="vector file of polygons, such as districts.gpkg (file.gpkg|layer for one of "
            "several layers); without it: the area, its tiles, its UTM zones, the job's districts"
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(help="field with the names of the polygons; by default they are numbered"),
    ] = None,
    to: Annotated[
        str | None, typer.Option(help="file or URL to write: .csv, or .gpkg with the polygons")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="replace an existing file")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json/--table", help="print JSON, or a table (default)")
    ] = False,
) -> None:
    """Count hectares of built-up, residential and green ground, also in your own polygons."""
    from ghsl_beam.tools.stats import results
    from ghsl_beam.tools.stats.stats import stats
    from transforms.elements import RequestError
    from transforms.storage import storage

    if to is not None:
        results.check_ending(to, polygons=zones is not None)
        if not overwrite and storage.is_file(to):
            raise RequestError(f"--to {to}: exists; give another name, or add --overwrite")
    with stopping.in_order():  # it may write
        counted = stats(output, zones, name)
        if to is not None:
            results.write(counted, to)
    for warning in counted.warnings:
        say(f"warning: {warning}", to=stderr())
    if as_json:
        say_json(results.as_json(counted), indent=2)
        return
    columns, rows = results.table(counted)
    say_table(columns, rows, kept=columns[0])
    say(results.NOTE)
    if to is not None:
        say(f"written to {to}")
