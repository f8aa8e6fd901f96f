"""Pictures of a comparison as PNG: scores by threshold, reliability, error."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ghsl_beam.tools.validation.error_maps import SPEC
from ghsl_beam.tools.validation.scores import Floats

_WIDTH, _HEIGHT = 900, 600
_LEFT, _RIGHT, _TOP, _BOTTOM = 80, 250, 50, 70
"""Margins around the axes in pixels."""
_TIMES = 2
"""Pictures are drawn in this many times their size, then made smaller, which smooths lines."""
_INK, _GRID, _PAPER = "#222222", "#dddddd", "#ffffff"
_LINES = {
    "f1": ("F1", "#b2182b", 4),
    "precision": ("precision", "#2166ac", 2),
    "recall": ("recall", "#4f9a3f", 2),
    "iou": ("IoU", "#7b3294", 2),
    "kappa": ("kappa", "#d08000", 2),
    "balanced_accuracy": ("balanced accuracy", "#555555", 2),
}
_BAR = 60
"""Height of the legend of an error map in pixels."""
_SMALLEST = 420
"""A smaller error map is enlarged, so that the legend fits below it, in pixels."""
_LARGEST = 900
"""But its height stays below this."""

Point = tuple[float, float]


class _Axes:
    """A chart with both axes from 0 to 1."""

    def __init__(self, title: str, across: str, up: str) -> None:
        self.image = Image.new("RGB", (_WIDTH * _TIMES, _HEIGHT * _TIMES), _PAPER)
        self.draw = ImageDraw.Draw(self.image)
        for step in range(11):
            at = step / 10
            self.line([(at, 0), (at, 1)], _GRID, 1)
            self.line([(0, at), (1, at)], _GRID, 1)
            x, y = self.place((at, 0))
            self.text((x, y + 8 * _TIMES), f"{at:g}", "mt")
            x, y = self.place((0, at))
            self.text((x - 8 * _TIMES, y), f"{at:g}", "rm")
        self.line([(0, 1), (0, 0), (1, 0)], _INK, 2)
        x, y = self.place((0.5, 0))
        self.text((x, y + 34 * _TIMES), across, "mt")
        self.text((20 * _TIMES, 16 * _TIMES), title, "lt", size=18)
        self._text_up(up)

    def _text_up(self, words: str) -> None:
        """The name of the vertical axis, turned by 90 degrees."""
        font = _font(14)
        box = font.getbbox(words)
        label = Image.new("RGB", (int(box[2]) + 4, int(box[3]) + 8), _PAPER)
        ImageDraw.Draw(label).text((2, 2), words, fill=_INK, font=font)
        turned = label.rotate(90, expand=True)
        _, y = self.place((0, 0.5))
        self.image.paste(turned, (14 * _TIMES, round(y - turned.height / 2)))

    def place(self, point: Point) -> Point:
        """A position in pixels."""
        wide, high = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM
        return (
            (_LEFT + point[0] * wide) * _TIMES,
            (_TOP + (1 - point[1]) * high) * _TIMES,
        )

    def line(self, points: Sequence[Point], colour: str, width: int) -> None:
        """A line through points."""
        if len(points) > 1:
            places = [self.place(point) for point in points]
            self.draw.line(places, fill=colour, width=width * _TIMES, joint="curve")

    def dot(self, point: Point, radius: float, colour: str) -> None:
        """A filled circle."""
        x, y = self.place(point)
        reach = radius * _TIMES
        self.draw.ellipse((x - reach, y - reach, x + reach, y + reach), fill=colour)

    def text(self, at: Point, words: str, anchor: str, colour: str = _INK, size: int = 14) -> None:
        """Text at a position in pixels."""
        self.draw.text(at, words, fill=colour, font=_font(size), anchor=anchor)

    def legend(self, number: int, words: str, colour: str) -> None:
        """A line of the legend, to the right of the axes."""
        x, y = self.place((1, 1))
        y += (12 + 24 * number) * _TIMES
        x += 20 * _TIMES
        box = (x, y - 3 * _TIMES, x + 22 * _TIMES, y + 3 * _TIMES)
        self.draw.rectangle(box, fill=colour)
        self.text((x + 30 * _TIMES, y), words, "lm")

    def png(self) -> bytes:
        """The chart as PNG."""
        return _png(self.image.resize((_WIDTH, _HEIGHT), Image.Resampling.LANCZOS))


def curve_picture(found: Mapping[str, Any]) -> bytes:
    """A PNG of the scores with each threshold of the layer; the best F1 is marked."""
    axes = _Axes(
        f"{found['layer']} {found['product']}: scores by threshold",
        f"threshold of {found['layer']} (reference: {found['reference_threshold']:g})",
        "score",
    )
    line = found["curve"]
    for number, (name, (words, colour, width)) in enumerate(_LINES.items()):
        points: list[Point] = []
        for threshold, value in zip(line["threshold"], line[name], strict=True):
            if value is None:  # undefined: the line has a gap
                axes.line(points, colour, width)
                points = []
            else:
                points.append((threshold, max(value, 0.0)))
        axes.line(points, colour, width)
        axes.legend(number, words, colour)
    best = found["best"]
    if best:
        axes.dot((best["threshold"], best["f1"]), 6, _LINES["f1"][1])
        axes.line([(best["threshold"], 0), (best["threshold"], best["f1"])], _INK, 1)
        axes.legend(len(_LINES), f"best F1 {best['f1']:.3f}", _INK)
        x, y = axes.place((1, 1))
        at = (x + 50 * _TIMES, y + (12 + 24 * (len(_LINES) + 1)) * _TIMES)
        axes.text(at, f"at {best['threshold']:g}", "lm")
    return axes.png()


def reliability_picture(found: Mapping[str, Any]) -> bytes:
    """A PNG of the mean reference by tenths of the layer; a larger dot has more pixels."""
    axes = _Axes(
        f"{found['layer']} {found['product']}: reliability",
        f"mean of {found['layer']} (0 to 1)",
        "mean built-up fraction of the reference",
    )
    colour = _LINES["precision"][1]
    axes.line([(0, 0), (1, 1)], "#999999", 2)
    parts = found["reliability"]
    axes.line([(part["product"], part["reference"]) for part in parts], colour, 2)
    most = max((part["pixels"] for part in parts), default=1)
    for part in parts:
        share = np.log1p(part["pixels"]) / np.log1p(most)
        axes.dot((part["product"], part["reference"]), 3 + 8 * float(share), colour)
    axes.legend(0, f"tenths of {found['layer']}", colour)
    axes.legend(1, "equal", "#999999")
    return axes.png()


def error_picture(error: Floats, title: str) -> bytes:
    """A PNG of a map of the error, with a legend.

    Args:
        error: (rows, columns), -1..1, NaN without data, which is grey.
        title: a line above the map.
    """
    times = max(1, min(-(-_SMALLEST // error.shape[1]), _LARGEST // error.shape[0]))
    shown: Floats = error.repeat(times, axis=0).repeat(times, axis=1)
    rows, cols = shown.shape
    colour = _scale()
    pixels = np.full((rows, cols, 3), 200, np.uint8)
    known = np.isfinite(shown)
    pixels[known] = colour(shown[known])
    image = Image.new("RGB", (max(cols, _SMALLEST), rows + 30 + _BAR), _PAPER)
    image.paste(Image.fromarray(pixels), (0, 30))
    draw = ImageDraw.Draw(image)
    draw.text((8, 15), title, fill=_INK, font=_font(7), anchor="lm")
    wide = min(image.width - 60, 400)
    bar = np.broadcast_to(colour(np.linspace(-1, 1, wide)), (14, wide, 3))
    image.paste(Image.fromarray(np.ascontiguousarray(bar)), (30, rows + 40))
    for at in (-1, -0.5, 0, 0.5, 1):
        x = 30 + (at + 1) / 2 * wide
        draw.text((x, rows + 58), f"{at:+g}" if at else "0", fill=_INK, font=_font(6), anchor="mt")
    for x, words, anchor in ((30, "layer below the reference", "lt"), (30 + wide, "above", "rt")):
        draw.text((x, rows + 74), words, fill=_INK, font=_font(6), anchor=anchor)
    return _png(image)


def _scale() -> Callable[[Floats], Any]:
    """The colours of the layer ERROR for values -1..1, as (n, 3) of bytes."""
    stops = np.linspace(-1, 1, len(SPEC.picture.colours))
    parts = [[int(colour[at : at + 2], 16) for colour in SPEC.picture.colours] for at in (1, 3, 5)]
    return lambda values: np.stack(
        [np.interp(values, stops, part).round().astype(np.uint8) for part in parts], axis=-1
    )


def _font(size: int) -> Any:
    return ImageFont.load_default(size * _TIMES)


def _png(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "PNG", optimize=True)
    return stream.getvalue()
