"""How QGIS draws a layer, in the form of its style files (.qml).

QGIS multiplies the stored values by the scale of the file. So the values of a style are those of
the file, times its scale.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple
from xml.etree import ElementTree as ET

from transforms.elements import LayerSpec
from transforms.rasters.bands import rgb

VERSION = "3.22.0"
"""The oldest QGIS that the styles are tested with."""
MARK = "Written by ghsl-beam. Remove this line to keep your own changes."
"""A comment in the files; QGIS drops it if a person saves the file, and the file then stays."""
_DOCTYPE = "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"
_BRIGHT = 3000.0
"""Stored value that is shown white if the statistics of a composite are not known."""


class Spread(NamedTuple):
    """Number, mean, standard deviation and maximum of the stored values of a band."""

    pixels: int
    mean: float
    deviation: float
    highest: float


@dataclass(frozen=True)
class Look:
    """What decides how a layer is drawn.

    Attributes:
        spec: The layer.
        scale: The scale of its files; 1 in files of older versions of the program.
        cell: The area of a pixel in m², for layers of m².
        spreads: The statistics of each band over all files; empty if they are not known.
    """

    spec: LayerSpec
    scale: float = 1.0
    cell: float = 100.0
    spreads: tuple[Spread, ...] = ()


def pooled(parts: Iterable[Spread]) -> Spread:
    """The statistics of parts together.

    Example:
        >>> pooled([Spread(2, 1.0, 0.0, 1), Spread(2, 3.0, 0.0, 3)])
        Spread(pixels=4, mean=2.0, deviation=1.0, highest=3)
    """
    filled = [part for part in parts if part.pixels]
    count = sum(part.pixels for part in filled)
    if not count:
        return Spread(0, 0.0, 0.0, 0.0)
    mean = sum(part.pixels * part.mean for part in filled) / count
    square = sum(part.pixels * (part.deviation**2 + part.mean**2) for part in filled) / count
    deviation = math.sqrt(max(square - mean**2, 0.0))
    return Spread(count, mean, deviation, max(part.highest for part in filled))


def style(look: Look) -> bytes:
    """The style file of a layer."""
    root = ET.Element("qgis", version=VERSION, styleCategories="Symbology")
    root.append(pipe(look))
    for name, value in (("blendMode", "0"), ("layerOpacity", "1")):
        ET.SubElement(root, name).text = value
    return document(root)


def document(root: ET.Element) -> bytes:
    """The text of a file of QGIS, with the mark of this program."""
    ET.indent(root)
    text = ET.tostring(root, encoding="unicode")
    return f"{_DOCTYPE}<!-- {MARK} -->\n{text}\n".encode()


def pipe(look: Look) -> ET.Element:
    """The element with the renderer of a layer."""
    root = ET.Element("pipe")
    provider = ET.SubElement(root, "provider")
    nearest = "nearestNeighbour"
    ET.SubElement(
        provider,
        "resampling",
        enabled="false",
        zoomedInResamplingMethod=nearest,
        zoomedOutResamplingMethod=nearest,
        maxOversampling="2",
    )
    picture = look.spec.picture
    if picture.classes:
        root.append(_classes(picture.classes))
    elif picture.composed:
        root.append(_composed(look))
    else:
        root.append(_ramp(look))
    ET.SubElement(root, "brightnesscontrast", brightness="0", contrast="0", gamma="1")
    ET.SubElement(root, "huesaturation", saturation="0", grayscaleMode="0", colorizeOn="0")
    ET.SubElement(root, "rasterresampler", maxOversampling="2")
    ET.SubElement(root, "resamplingStage").text = "resamplingFilter"
    return root


def _renderer(kind: str, **more: str) -> ET.Element:
    plain = {"type": kind, "opacity": "1", "alphaBand": "-1", "nodataColor": ""}
    element = ET.Element("rasterrenderer", plain | more)
    ET.SubElement(element, "rasterTransparency")
    origin = ET.SubElement(element, "minMaxOrigin")
    for name, text in (("limits", "None"), ("extent", "WholeRaster"), ("statAccuracy", "Exact")):
        ET.SubElement(origin, name).text = text
    return element


def _classes(classes: Iterable[tuple[str, str]]) -> ET.Element:
    element = _renderer("paletted", band="1")
    palette = ET.SubElement(element, "colorPalette")
    for value, (name, colour) in enumerate(classes):
        entry = {"value": str(value), "color": colour, "alpha": "255", "label": name}
        ET.SubElement(palette, "paletteEntry", entry)
    return element


def _composed(look: Look) -> ET.Element:
    """Three bands as red, green and blue, each from two standard deviations below its mean."""
    bands = dict(zip(("red", "green", "blue"), look.spec.picture.composed, strict=True))
    named = {f"{name}Band": str(band) for name, band in bands.items()}
    element = _renderer("multibandcolor", **named)
    for name, band in bands.items():
        low, high = 0.0, _BRIGHT
        if len(look.spreads) >= band and look.spreads[band - 1].deviation:
            _, mean, deviation, highest = look.spreads[band - 1]
            low, high = max(mean - 2 * deviation, 0.0), min(mean + 2 * deviation, highest)
        contrast = ET.SubElement(element, f"{name}ContrastEnhancement")
        for key, value in (("minValue", low), ("maxValue", high)):
            ET.SubElement(contrast, key).text = _number(value * look.scale)
        ET.SubElement(contrast, "algorithm").text = "StretchToMinimumMaximum"
    return element


def _ramp(look: Look) -> ET.Element:
    """A colour scale; its lowest value is transparent if it means that nothing is there."""
    picture, band = look.spec.picture, (len(look.spec.bands) + 1) // 2
    low, high = picture.lowest * look.scale, _highest(look) * look.scale
    ends = {"classificationMin": _number(low), "classificationMax": _number(high)}
    element = _renderer("singlebandpseudocolor", band=str(band), **ends)
    shader = ET.SubElement(
        ET.SubElement(element, "rastershader"),
        "colorrampshader",
        colorRampType="INTERPOLATED",
        classificationMode="1",
        clip="0",
        minimumValue=_number(low),
        maximumValue=_number(high),
    )
    last = len(picture.colours) - 1
    stops = [(step / last, colour) for step, colour in enumerate(picture.colours)]
    shader.append(_gradient(stops))
    for place, colour in stops:
        value = low + (high - low) * place
        unit = f" {look.spec.unit}" if look.spec.unit else ""
        absent = place == 0 and picture.faintest > 0
        ET.SubElement(
            shader,
            "item",
            value=_number(value),
            color=colour,
            alpha="0" if absent else "255",
            label=f"{value:.4g}{unit}" if abs(value) < 1000 else f"{value:.0f}{unit}",
        )
    return element


def _gradient(stops: list[tuple[float, str]]) -> ET.Element:
    element = ET.Element("colorramp", type="gradient", name="[source]")
    inner = ":".join(f"{_number(place)};{_colour(colour)}" for place, colour in stops[1:-1])
    options = ET.SubElement(element, "Option", type="Map")
    for name, value in (
        ("color1", _colour(stops[0][1])),
        ("color2", _colour(stops[-1][1])),
        ("discrete", "0"),
        ("rampType", "gradient"),
        ("stops", inner),
    ):
        ET.SubElement(options, "Option", name=name, value=value, type="QString")
    return element


def _highest(look: Look) -> float:
    """The stored value at the end of a colour scale."""
    picture = look.spec.picture
    if picture.highest is not None:
        return picture.highest
    most = look.spreads[0].highest if look.spreads else 0.0
    if look.spec.unit == "m²":
        return min(_rounded_up(most), look.cell) if most else look.cell
    return max(most, picture.lowest + 1)


def _rounded_up(value: float) -> float:
    """The next of 1, 2, 4, 6, 8 and 10 times a power of ten.

    Example:
        >>> _rounded_up(51495)
        60000.0
    """
    power = 10.0 ** math.floor(math.log10(max(value, 1)))
    return next(step * power for step in (1, 2, 4, 6, 8, 10) if step * power >= value)


def _colour(colour: str) -> str:
    return ",".join(map(str, (*rgb(colour), 255)))


def _number(value: float) -> str:
    return f"{value:.10g}"
