"""ghsl-beam train: network, residential."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, TypeVar

import typer

from ghsl_beam.cli.examples import examples
from ghsl_beam.process.terminal import say, say_json, stderr
from transforms.elements import request_error

app = typer.Typer(no_args_is_help=True, help="Train your own model.")

Overwrite = Annotated[
    bool,
    typer.Option(
        "--overwrite",
        help="replace a model of the same name; by default it is kept under another name",
    ),
]


Files = list[str] | None


@app.command("network", epilog=examples("train network"))
def train_network_command(
    model: Annotated[str, typer.Option(help="weight file to write (h5)")],
    outputs: Annotated[
        Files, typer.Argument(help="folders or URLs of runs that have S2", show_default=False)
    ] = None,
    image: Annotated[
        Files,
        typer.Option(
            help="GeoTIFF of red, green, blue, near infrared; uint16, reflectance x 10 000; "
            "repeat the option for several, as all options of files"
        ),
    ] = None,
    polygons: Annotated[
        Files,
        typer.Option(help="vector file of built-up; file.gpkg|layer for one of several layers"),
    ] = None,
    not_built: Annotated[
        Files, typer.Option(help="vector file of ground that is not built-up")
    ] = None,
    fraction: Annotated[Files, typer.Option(help="raster of the built-up fraction")] = None,
    unit: Annotated[
        str | None, typer.Option(help="unit of --fraction: share (0 to 1) or percent (0 to 100)")
    ] = None,
    unlabelled: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="weight of a pixel without a label, which then is not built-up; by default 0.2 "
            "with only --polygons, otherwise 0",
        ),
    ] = None,
    built_share: Annotated[
        float | None,
        typer.Option(
            min=0.001,
            max=0.999,
            help="share of the built-up pixels in the loss, such as their share of the ground; by "
            "default that of the drawn pixels",
        ),
    ] = None,
    split: Annotated[
        str, typer.Option(help="what is held out as a whole: blocks (of ground) or images")
    ] = "blocks",
    block_size: Annotated[
        float | None,
        typer.Option(
            min=100,
            max=1_000_000,
            help="side of a block, metres; by default the largest of 2000, 1000, 500, 250 that "
            "gives enough blocks",
        ),
    ] = None,
    epochs: Annotated[int, typer.Option(min=1, max=1000, help="most training epochs")] = 8,
    patience: Annotated[
        int,
        typer.Option(min=1, max=1000, help="epochs without a better validation before the end"),
    ] = 3,
    seed: Annotated[int, typer.Option(min=0, max=2**31, help="seed of every random choice")] = 2017,
    author: Annotated[str | None, typer.Option(help="who makes the network")] = None,
    overwrite: Overwrite = False,
) -> None:
    """Train a GHS-S2Net on composites and labels. Prints scores on ground it has not seen.

    An interrupted training goes on when the same command is given again.
    """
    from ghsl_beam.tools.network import NetworkRequest, Split, Unit, train_network

    request = NetworkRequest(
        model=model,
        outputs=tuple(outputs or ()),
        images=tuple(image or ()),
        built_up=tuple(polygons or ()),
        not_built=tuple(not_built or ()),
        fractions=tuple(fraction or ()),
        unit=None if unit is None else _one_of(Unit, unit, "--unit"),
        unlabelled=unlabelled,
        built_share=built_share,
        split=_one_of(Split, split, "--split"),
        block_size=block_size,
        epochs=epochs,
        patience=patience,
        seed=seed,
        author=author,
        overwrite=overwrite,
    )
    _say_scores(train_network(request))


Choice = TypeVar("Choice", bound=StrEnum)


def _one_of(kind: type[Choice], text: str, option: str) -> Choice:
    try:
        return kind(text)
    except ValueError as error:
        allowed = ", ".join(kind)
        raise request_error(f"{option} {text!r}: expected one of {allowed}", error) from error


@app.command("residential", epilog=examples("train residential"))
def train_residential_command(
    output: Annotated[str, typer.Argument(help="folder or URL of a run that has S2 and BUFRAC")],
    labels: Annotated[
        str,
        typer.Option(
            help="vector file of labelled polygons; file.gpkg|layer for one of several layers"
        ),
    ],
    model: Annotated[str, typer.Option(help="classifier file to write (skops)")],
    field: Annotated[str, typer.Option(help="field of the labels with the class")] = "class",
    residential: Annotated[
        str, typer.Option(help="value of --field that means residential")
    ] = "residential",
    non_residential: Annotated[
        str, typer.Option(help="value of --field that means non-residential")
    ] = "non-residential",
    feature_set: Annotated[
        str | None,
        typer.Option(
            help="features: spectral, spectral_indices, spectral_texture, multiscale or "
            "multiscale_bands; by default the best of the last three; also "
            "multiscale_ten or multiscale_bands_ten, for a run with composite.bands: ten"
        ),
    ] = None,
    non_residential_share: Annotated[
        float,
        typer.Option(
            min=0.001, max=0.999, help="share of non-residential built-up to state precision at"
        ),
    ] = 0.07,
    overwrite: Overwrite = False,
) -> None:
    """Train a residential classifier. Prints scores on ground it has not seen."""
    from ghsl_beam.tools.training import models_of, read_labels, scores_file, train_residential
    from transforms.storage import storage

    models = models_of(feature_set)
    pixels_of = read_labels(labels, field, residential, non_residential)
    about = f"trained on {storage.name(labels)}, field {field}, "
    about += f"with the layers of {storage.name(output)}"
    scores = train_residential(
        output,
        pixels_of,
        models,
        model,
        about,
        share=non_residential_share,
        overwrite=overwrite,
        progress=lambda text: say(text, to=stderr()),
    )
    most = list(scores["importances"].items())[:10]
    _say_scores(scores | {"importances": dict(most)})
    say(f"all scores and importances: {scores_file(model)}", to=stderr())
    say(f"{model}: use it by residential.model in a job file", to=stderr())


def _say_scores(scores: dict[str, Any]) -> None:
    if kept := scores.pop("kept"):
        say(f"warning: a model of this name existed; it is kept as {kept}", to=stderr())
    say_json(scores, indent=2)
