"""The results of a comparison as files, and as tables for people."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ghsl_beam.tools.validation import blocks
from ghsl_beam.tools.validation.error_maps import ErrorMaps, quicklook
from ghsl_beam.tools.validation.pictures import (
    curve_picture,
    error_picture,
    reliability_picture,
)
from transforms.storage import storage
from transforms.storage.redaction import redact

MAX_PICTURES = 12
"""Largest number of error maps that get a picture."""
_NAMES = {
    "rmse": "RMSE",
    "mae": "MAE",
    "bias": "bias",
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "iou": "IoU",
    "kappa": "kappa",
    "balanced_accuracy": "balanced accuracy",
}


@dataclass(frozen=True, slots=True)
class Table:
    """A table: names of the columns, and rows of cells."""

    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]


def write_results(folder: str, found: Mapping[str, Any], maps: ErrorMaps) -> list[str]:
    """Write `validation.json` and the pictures beside the finished error maps.

    Returns:
        The names of all files in the folder that this comparison wrote.

    Raises:
        RasterError: a file cannot be written, or an error map cannot be read.
    """
    names = [storage.name(made.location) for made in maps.made]
    pictures = {"curve.png": curve_picture(found), "reliability.png": reliability_picture(found)}
    for made in maps.made[:MAX_PICTURES]:
        name = storage.name(made.location).removesuffix(".tif")
        pictures[f"{name}.png"] = error_picture(quicklook(made), name)
    for name, png in pictures.items():
        storage.write_whole(storage.join(folder, name), png)
    names += [*pictures, "validation.json"]
    text = json.dumps({**found, "written": names}, indent=1)
    storage.write_whole(storage.join(folder, "validation.json"), redact(text).encode())
    return names


def tables(found: Mapping[str, Any]) -> list[tuple[str, Table | None]]:
    """The results for people: headings, each with a table or None."""
    parts: list[tuple[str, Table | None]] = [(_about(found), None)]
    parts.append((_blocks(found), Table(("score", "value", "95 % interval"), _rows(found))))
    if found["levels"]:
        parts.append(("errors of the fraction on cells of several sizes:", _levels(found)))
    if found["strata"]:
        parts.append(("strata:", _strata(found["strata"])))
    if len(found["files"]) > 1:
        parts.append(("files:", _strata(found["files"])))
    parts.append((_best(found), None))
    return parts


def _about(found: Mapping[str, Any]) -> str:
    what = "points" if found["compared_at"] == "points" else "pixels"
    values = f" ({found['layer_values']})" if found["layer_values"] else ""
    return (
        f"{found['layer']} {found['product']}{values} compared with "
        f"{storage.name(found['reference'])} ({found['unit']}): "
        f"{found['pixels']} {what}, {found['overlap_percent']:.3g} % covered, at "
        f"{found['compared_at']}; built-up from {found['threshold']:g} on, in the reference "
        f"from {found['reference_threshold']:g} on"
    )


def _blocks(found: Mapping[str, Any]) -> str:
    drawn = found["bootstrap"]
    about = f"{drawn['blocks']} blocks of {drawn['block_size_m']:g} m"
    if not found["intervals"]:
        return (
            f"no intervals: {about}, at least {blocks.FEWEST} are needed; give a smaller "
            "--block-size"
        )
    return f"intervals from {drawn['replicates']} draws of {about}, seed {drawn['seed']}:"


def _rows(found: Mapping[str, Any]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [
        (words, _number(found[name]), _range(found["intervals"].get(name)))
        for name, words in _NAMES.items()
    ]
    if found["product_m2"] is not None:
        rows.append((f"km² in {found['layer']}", _number(found["product_m2"] / 1e6), ""))
        rows.append(("km² in the reference", _number(found["reference_m2"] / 1e6), ""))
    return rows


def _levels(found: Mapping[str, Any]) -> Table:
    rows: list[tuple[str, ...]] = []
    for name, level in found["levels"].items():
        counts = (str(level["cells"]), str(level["whole_cells"]))
        between = _range(level["intervals"].get("rmse"))
        errors = (_number(level["rmse"]), between, _number(level["mae"]), _number(level["bias"]))
        rows.append((name, *counts, *errors))
    return Table(("cells", "number", "whole", "RMSE", "95 % interval", "MAE", "bias"), rows)


def _strata(strata: Mapping[str, Mapping[str, Any]]) -> Table:
    shown = ("rmse", "bias", "kappa", "f1")
    rows: list[tuple[str, ...]] = [
        (
            storage.name(name),
            str(one["pixels"]),
            *(_number(one[score]) for score in shown),
            _range(one.get("intervals", {}).get("f1")),
        )
        for name, one in strata.items()
    ]
    return Table(("name", "pixels", *(_NAMES[score] for score in shown), "95 % interval"), rows)


def _best(found: Mapping[str, Any]) -> str:
    best = found["best"]
    if best is None:
        return "best threshold: none, because F1 is 0 or undefined at every threshold"
    between = _range(best["threshold_interval"])
    held_out = best["held_out_f1"]
    return (
        f"best threshold of {found['layer']}: {best['threshold']:g}"
        + (f" ({between})" if between else "")
        + f", with F1 {best['f1']:.3f}"
        + (f"; {held_out:.3f} on blocks that did not choose it" if held_out is not None else "")
    )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{round(value, 3) + 0.0:.3f}"  # never -0.000


def _range(ends: Sequence[float] | None) -> str:
    return f"{_number(ends[0])} to {_number(ends[1])}" if ends else ""
