"""Trains a GHS-S2Net on the images and labels of a request, and judges it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ghsl_beam.process.terminal import say, stderr
from ghsl_beam.tools.network.blocks import SIDES, Parts, by_blocks, by_images
from ghsl_beam.tools.network.images import Image, read_images, sources_of
from ghsl_beam.tools.network.labels import Labels, sides
from ghsl_beam.tools.network.request import NetworkRequest, Split
from ghsl_beam.tools.network.scores import scores
from ghsl_beam.tools.training_checks import check_model, check_place, keep_earlier
from transforms.elements import RequestError, package_version
from transforms.inference.engines import EXACT, choose
from transforms.inference.network import collapse
from transforms.inference.predict import HALO, prepare
from transforms.inference.training import (
    BUILT_UP,
    Epoch,
    LabelledImage,
    TrainingSettings,
    train,
)
from transforms.inference.weights import TRAINED, NetworkWeights, save_weights
from transforms.storage import storage

_ROWS = 512
"""Rows that are predicted at a time."""
_NOTE = 300
"""Most characters of the names of images and labels in the note of a weight file."""

Weights = Sequence[NDArray[np.float32]]
Say = Callable[[str], None]


def train_network(request: NetworkRequest, tell: Say | None = None) -> dict[str, Any]:
    """Train a network, and write it with its scores in a JSON file beside it.

    First, a part of the ground is held out: a network that never saw it is tested on it. A second
    part decides when this network is trained enough. Then the final network is trained on all
    ground, for the number of epochs that was best. An interrupted training goes on if the same
    request is made again; its state is in files beside a local model.

    Args:
        request: images, labels and settings.
        tell: takes each line about the progress; by default it goes to standard error.

    Returns:
        What is in the JSON file, and the name under which an earlier model is `kept`.

    Raises:
        RequestError: the request, an image or a label cannot be used, or the model cannot be
            written.
        RasterError: an image is damaged.
    """
    tell = tell or (lambda line: say(line, to=stderr()))
    request.check()
    if lacking := [name for name in ("tensorflow", "keras") if find_spec(name) is None]:
        raise RequestError(
            f"train network: {' and '.join(lacking)} not installed, which only training needs: pip "
            f"install {' '.join(lacking)}"
        )
    check_model(request.model, request.overwrite)
    check_model(scores_file(request.model), request.overwrite)
    labels = Labels.read(request)
    sources = sources_of(request)
    _check_place(request, labels, [source.path for source in sources])
    images = list(read_images(sources, labels))
    _check_labels(request, images)
    parts = _parts(request, images)
    settings = TrainingSettings(
        epochs=request.epochs,
        patience=request.patience,
        seed=request.seed,
        built_share=request.built_share,
    )
    report = _judged(request, images, parts, settings, tell)
    epochs = report["epochs"] or request.epochs
    labelled = [image.labelled for image in images]
    state = _state(request, "final")
    final = train(
        labelled,
        replace(settings, epochs=epochs),
        checkpoint=state,
        progress=_progress("final network", tell),
    )
    kept = keep_earlier(request.model, request.overwrite)
    save_weights(request.model, final.weights, _about(request, sources, report))
    document = json.dumps(report, indent=2) + "\n"
    keep_earlier(scores_file(request.model), request.overwrite)
    storage.write_whole(scores_file(request.model), document.encode())
    for name in ("trial", "final"):
        if (path := _state(request, name)) is not None:
            path.unlink(missing_ok=True)
    return {"kept": kept, **report}


def scores_file(model: str) -> str:
    """The location of the scores of a model: the same name, with `.scores.json`."""
    return f"{model.removesuffix('.h5')}.scores.json"


def _check_place(request: NetworkRequest, labels: Labels, paths: list[str]) -> None:
    """Refuse polygons outside the only run, if there are no other images and labels.

    Raises:
        RequestError: no polygon of built-up touches a tile of the run.
    """
    if len(request.outputs) == 1 and not request.images and not request.fractions:
        check_place(", ".join(request.built_up), labels.built_up, request.outputs[0], paths)


def _check_labels(request: NetworkRequest, images: Sequence[Image]) -> None:
    """Refuse labels from which nothing can be learnt.

    Raises:
        RequestError: all usable pixels are built-up, or none is.
    """
    if sides([i.labelled.built_up for i in images], [i.labelled.weights for i in images]):
        return
    files = ", ".join(map(storage.masked, (*request.built_up, *request.fractions)))
    found = "only built-up pixels" if _built_up_pixels(images) else "no built-up pixel"
    raise RequestError(
        f"{files}: must cover some but not all valid pixels of the images; found {found}: give "
        "labels of built-up (a fraction of at least 0.5) and of other ground inside the images"
    )


def _built_up_pixels(images: Sequence[Image]) -> int:
    """Number of usable pixels with a label of built-up."""
    every = [image.labelled for image in images]
    return sum(int((one.weights[one.built_up >= BUILT_UP] > 0).sum()) for one in every)


def _parts(request: NetworkRequest, images: Sequence[Image]) -> Parts | None:
    """The parts of the ground; None if it is too small and no size was asked for.

    Raises:
        RequestError: the ground cannot be divided as asked.
    """
    labelled, places = [i.labelled for i in images], [i.places for i in images]
    if request.split is Split.IMAGES:
        parts = by_images(labelled, places, request.seed)
        if parts is None:
            raise RequestError(
                f"--split images: {len(images)} images are too few, or too few of them have both "
                "labels; at least 3 that lie apart must have built-up; use --split blocks"
            )
        return parts
    sizes = SIDES if request.block_size is None else (request.block_size,)
    parts = by_blocks(labelled, places, sizes, request.seed)
    if parts is None and request.block_size is not None:
        raise RequestError(
            f"--block-size {request.block_size:g}: the labels are in too few blocks of this size "
            "to hold some out; give a smaller one, or label more places that lie apart"
        )
    return parts


def _judged(
    request: NetworkRequest,
    images: Sequence[Image],
    parts: Parts | None,
    settings: TrainingSettings,
    tell: Say,
) -> dict[str, Any]:
    """The report: what was trained on, and the scores of a network on ground it has not seen."""
    weights = [image.labelled.weights for image in images]
    report: dict[str, Any] = {
        "model": storage.name(request.model),
        "author": request.author,
        "made_by": f"ghsl-beam {package_version('ghsl-beam')}",
        "images": [image.name for image in images],
        "labels": {
            "built_up": [storage.masked(file) for file in request.built_up],
            "not_built": [storage.masked(file) for file in request.not_built],
            "fractions": [storage.masked(file) for file in request.fractions],
            "unit": request.unit,
            "unlabelled_weight": request.weight_elsewhere,
        },
        "pixels": sum(int((weight > 0).sum()) for weight in weights),
        "built_up": _built_up_pixels(images),
        "left_out": {"pixels of both labels": sum(image.contradictory for image in images)},
        "built_share": request.built_share,
        "seed": request.seed,
    }
    if parts is None:
        tell("warning: the labels are in too few blocks to hold some out, so there are no scores")
        return report | {"epochs": None, "held_out": None, "scores": None, "by_image": None}
    learnt = _with(images, parts.learnt)
    trial = train(
        learnt,
        settings,
        validation=_with(images, parts.validated),
        checkpoint=_state(request, "trial"),
        progress=_progress("trial network", tell),
    )
    best = max(epoch.number for epoch in trial.epochs if epoch.best)
    found = list(_predictions(trial.weights, images, parts.tested))
    every = [np.concatenate(values) for values in zip(*found, strict=True)]
    return report | {
        "epochs": best,
        "held_out": {"by": parts.by, "held": parts.held, "of": parts.of},
        "scores": scores(*every),
        "by_image": {
            image.name: scores(*values)
            for image, values in zip(images, found, strict=True)
            if len(values[0])
        },
    }


def _with(images: Sequence[Image], weights: Weights) -> list[LabelledImage]:
    return [
        replace(image.labelled, weights=weight)
        for image, weight in zip(images, weights, strict=True)
        if weight.any()
    ]


def _predictions(
    network: NetworkWeights, images: Sequence[Image], tested: Weights
) -> Iterable[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Fractions and probabilities of the tested pixels of each image."""
    engine = choose(EXACT).make(collapse(network))
    for image, weights in zip(images, tested, strict=True):
        fractions, found = [np.empty(0, np.float32)], [np.empty(0, np.float32)]
        padded = np.pad(image.labelled.s2, ((0, 0), (HALO, HALO), (HALO, HALO)), mode="reflect")
        for top in range(0, len(weights), _ROWS):
            rows = slice(top, top + _ROWS)
            wanted = weights[rows] > 0
            if not wanted.any():
                continue
            part = padded[:, top : top + len(wanted) + 2 * HALO]
            found.append(engine.probabilities(prepare(part), valid=wanted)[wanted])
            fractions.append(image.labelled.built_up[rows][wanted])
        yield np.concatenate(fractions), np.concatenate(found)


def _progress(title: str, tell: Say) -> Callable[[Epoch], None]:
    """A function that says how far a training is, and how long it may still take."""
    begun, made = time.monotonic(), count(1)  # an interrupted training does not begin with epoch 1

    def progress(epoch: Epoch) -> None:
        left = (time.monotonic() - begun) / next(made) * (epoch.of - epoch.number)
        judged = (
            ""
            if epoch.validation_loss is None
            else f", validation {epoch.validation_loss:.4f}{' (best)' if epoch.best else ''}"
        )
        tell(
            f"{title}: epoch {epoch.number} of {epoch.of}, loss {epoch.loss:.4f}{judged}, "
            f"at most {left:.0f} s left"
        )

    return progress


def _state(request: NetworkRequest, name: str) -> Path | None:
    """The file of the state of a training; None if the model is at a URL."""
    return None if storage.is_url(request.model) else Path(f"{request.model}.{name}.state")


def _about(
    request: NetworkRequest, sources: Sequence[Any], report: dict[str, Any]
) -> dict[str, str]:
    """The notes in the weight file: who made it, from what, and how good it is."""
    maker = f"by {request.author} with ghsl-beam" if request.author else "by ghsl-beam"
    labels = _listed((*request.built_up, *request.not_built, *request.fractions))
    note = f"{maker} {package_version('ghsl-beam')} on {labels} and {_images(request)}"
    about = {TRAINED: note, "images": str(len(sources))}
    if report["scores"] is not None:
        kept = {name: value for name, value in report["scores"].items() if name != "reliability"}
        about["scores"] = json.dumps(kept | {"held_out": report["held_out"]})
    return about


def _images(request: NetworkRequest) -> str:
    parts = []
    if request.outputs:
        parts.append(f"the composites of {_listed(request.outputs)}")
    if request.images:
        parts.append(_listed(request.images))
    return " and ".join(parts)


def _listed(files: Iterable[str]) -> str:
    """Names of files for a note that is a part of the credits."""
    text = ", ".join(storage.name(file).replace(";", " ") for file in files)
    return text if len(text) <= _NOTE else f"{text[: _NOTE - 1]}…"
