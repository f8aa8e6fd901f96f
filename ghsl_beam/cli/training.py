"""ghsl-beam train: network, residential."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ghsl_beam.process.terminal import say, say_json, stderr

app = typer.Typer(no_args_is_help=True, help="Train your own model.")

Overwrite = Annotated[
    bool,
    typer.Option(
        "--overwrite",
        help="replace a model of the same name; by default it is kept under another name",
    ),
]


@app.command("network")
def train_network_command(
    output: Annotated[str, typer.Argument(help="folder or URL of a run that has S2")],
    polygons: Annotated[
        str, typer.Option(help="vector file of built-up; file.gpkg|layer for one of several layers")
    ],
    model: Annotated[str, typer.Option(help="weight file to write (h5)")],
    unlabelled: Annotated[
        float, typer.Option(min=0, max=1, help="weight of a pixel outside the polygons")
    ] = 0.2,
    epochs: Annotated[int, typer.Option(min=1, max=1000, help="training epochs")] = 8,
    overwrite: Overwrite = False,
) -> None:
    """Train a GHS-S2Net on the composites of a run. Prints scores on ground it has not seen."""
    from ghsl_beam.tools.network_training import train_network

    scores = train_network(output, polygons, model, unlabelled, epochs, overwrite=overwrite)
    _say_scores(scores)


@app.command("residential")
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
        str, typer.Option(help="features: spectral, spectral_indices or spectral_texture")
    ] = "spectral_texture",
    overwrite: Overwrite = False,
) -> None:
    """Train a residential classifier. Prints scores on ground it has not seen."""
    from ghsl_beam.tools.training import check_feature_set, read_labels, train_residential
    from transforms.storage import storage

    check_feature_set(feature_set)
    pixels_of = read_labels(labels, field, residential, non_residential)
    about = f"trained on {storage.name(labels)}, field {field}, "
    about += f"with the layers of {storage.name(output)}"
    scores = train_residential(output, pixels_of, feature_set, model, about, overwrite=overwrite)
    _say_scores(scores)


def _say_scores(scores: dict[str, Any]) -> None:
    if kept := scores.pop("kept"):
        say(f"warning: a model of this name existed; it is kept as {kept}", to=stderr())
    say_json(scores, indent=2)
