"""ghsl-beam calibrate."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from ghsl_beam.cli.comparing.reference_options import Band, Nodata, Product
from ghsl_beam.cli.examples import examples
from ghsl_beam.process.terminal import say, stderr

if TYPE_CHECKING:
    from ghsl_beam.models.calibration import CalibrationFile

app = typer.Typer()


class Omitted(StrEnum):
    """What becomes of the built-up in pixels that the cleaning removes."""

    INCLUDED = "included"
    LEFT_OUT = "left-out"


@app.command("calibrate", epilog=examples("calibrate"))
def calibrate_command(
    output: Annotated[str, typer.Argument(help="folder or URL of a run without a calibration")],
    reference: Annotated[
        str,
        typer.Option(
            help="polygons of built-up (file.gpkg|layer for one of several layers), or a raster of "
            "it with pixels of at most 10 m"
        ),
    ],
    out: Annotated[str, typer.Option(help="file to write, such as calibration.json")],
    product: Product = None,
    unit: Annotated[
        str | None,
        typer.Option(
            help="what the values of a raster mean, if the file does not say it: fraction, "
            "percent, per-10000, m2 (of a pixel), mask (0 and 1), mask255 (0 and 255)"
        ),
    ] = None,
    nodata: Nodata = None,
    built: Annotated[
        str | None, typer.Option(help="built-up values of a raster of classes, such as 50,60")
    ] = None,
    band: Band = None,
    omitted: Annotated[
        Omitted,
        typer.Option(
            help="built-up in pixels that the cleaning removes: included makes the total area "
            "right, left-out makes the kept pixels right"
        ),
    ] = Omitted.INCLUDED,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="replace an existing file")
    ] = False,
) -> None:
    """Fit curves from probability to built-up fraction, one for each network of a run."""
    from ghsl_beam.tools.calibration.calibrate import calibrate
    from ghsl_beam.tools.calibration.references import ValueOptions
    from transforms.elements import RequestError
    from transforms.storage import storage

    if not overwrite and storage.is_file(out):
        raise RequestError(f"--out {out}: exists; give another name, or add --overwrite")
    made = calibrate(
        output,
        reference,
        product=product,
        options=ValueOptions(unit, nodata, built, band),
        omitted=omitted is Omitted.INCLUDED,
    )
    for warning in made.warnings:
        say(f"warning: {warning}", to=stderr())
    storage.write_whole(out, (made.content.model_dump_json(indent=1) + "\n").encode())
    for line in described(made.content):
        say(line)
    say(f"{out}: use it by models.calibration in a job file")


def described(content: CalibrationFile) -> list[str]:
    """A calibration in words and a table for each network."""
    lines = []
    for sha256, model in content.models.items():
        held = model.held_out
        lines += [
            f"network {model.file} ({sha256[:12]}): {model.form} curve: {model.why}",
            f"  held-out blocks of {held.block_m:g} m: area {held.bias_percent:+.2f} % "
            f"(groups of blocks {held.bias_percent_lowest:+.1f} to "
            f"{held.bias_percent_highest:+.1f} %), MAE {held.mae:.4f}, RMSE {held.rmse:.4f}",
            f"  the cleaning removes {model.omitted_percent:.1f} % of the reference's built-up, "
            f"which is {model.omitted}; in kept pixels alone the area is "
            f"{held.bias_percent_kept:+.2f} %",
            "  probability    pixels  fraction  reference   error      sd",
        ]
        lines += [
            f"  {part.lowest / 100:5.1f}-{part.highest / 100:5.1f} %{part.pixels:9d}"
            f"{part.fraction:10.3f}{part.reference:11.3f}{part.error:+8.3f}{part.sd:8.3f}"
            for part in model.parts
        ]
    return lines
