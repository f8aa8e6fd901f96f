"""The tables of docs/outputs.md, as Markdown: `python -m docs.generate.layers` prints them."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from transforms.aggregation.aggregate import layer_dtype, published_layers
from transforms.aggregation.grid import from_config
from transforms.elements import GridLayer, Layer, LayerSpec


def layers_table() -> str:
    """The layers of the tiles."""
    rows = [
        (
            f"`{layer}`",
            f"{layer.spec.dtype}, {layer.spec.nodata}",
            layer.spec.stated_unit or "none",
            f"{layer.spec.scale:g}",
            _bands(layer.spec),
            _colours(layer.spec),
        )
        for layer in Layer
    ]
    return _table(("layer", "type, nodata", "unit", "scale", "bands", "colours"), rows)


def grids_table() -> str:
    """The layers of the output grid of GHSL, with their type at each resolution."""
    grid = from_config("ESRI:54009", (10, 100, 1000))
    rows = []
    for layer in GridLayer:
        kinds = [
            f"{level.name.rpartition('_')[2]} m: {', '.join(map(str, layer_dtype(layer, level)))}"
            for level in grid.levels
            if layer in published_layers(level)
        ]
        spec = layer.spec
        rows.append(
            (
                f"`{layer}`",
                "; ".join(kinds),
                spec.stated_unit or "none",
                f"{spec.scale:g}",
                _colours(spec),
            )
        )
    return _table(("layer", "type, nodata", "unit", "scale", "colours"), rows)


def _bands(spec: LayerSpec) -> str:
    return ", ".join(f"`{name}`" for name in spec.bands)


def _colours(spec: LayerSpec) -> str:
    """The classes with their colours, the bands of a composite, or the ends of a colour scale."""
    picture = spec.picture
    if picture.classes:
        named = enumerate(picture.classes)
        return ", ".join(f"{value} {name} `{colour}`" for value, (name, colour) in named)
    if picture.composed:
        return "bands " + ", ".join(map(str, picture.composed)) + " as red, green, blue"
    high = f"{picture.highest * spec.scale:g}" if picture.highest is not None else "the highest"
    first, last = picture.colours[0], picture.colours[-1]
    return f"{picture.lowest * spec.scale:g} `{first}` to {high} `{last}`"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    sys.stdout.write(f"{layers_table()}\n\n{grids_table()}\n")
