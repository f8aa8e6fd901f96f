"""Styles and projects of QGIS, as text. tests/pipeline/test_qgis.py opens them with QGIS itself."""

import pytest
from defusedxml import ElementTree
from rasterio.crs import CRS

from ghsl_beam.outputs.qgis.project import Entry, project
from ghsl_beam.outputs.qgis.style import MARK, Look, Spread, pooled, style
from transforms.elements import LAYERS, GridLayer, LayerSpec

SPECS = {**LAYERS, **{f"grid {layer}": layer.spec for layer in GridLayer}}


def renderer(look: Look):
    text = style(look)
    assert MARK.encode() in text
    return ElementTree.fromstring(text, forbid_dtd=False).find("pipe/rasterrenderer")


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_every_layer_has_a_style_of_its_kind(spec: LayerSpec) -> None:
    made = renderer(Look(spec, spec.scale))
    kinds = {True: "paletted", False: "singlebandpseudocolor"}
    picture = spec.picture
    kind = "multibandcolor" if picture.composed else kinds[bool(picture.classes)]
    assert made.get("type") == kind
    entries = [(e.get("label"), e.get("color")) for e in made.iter("paletteEntry")]
    assert entries == list(picture.classes)
    if kind == "singlebandpseudocolor":
        assert [item.get("color") for item in made.iter("item")] == list(picture.colours)


def test_values_are_those_that_qgis_reads() -> None:
    scaled = renderer(Look(LAYERS["GREENNESS"], 1e-4))
    stops = [float(item.get("value")) for item in scaled.iter("item")]
    assert (stops[0], stops[-1]) == (-0.1, 0.8)
    plain = renderer(Look(LAYERS["GREENNESS"], 1.0))
    assert [float(i.get("value")) for i in plain.iter("item")][-1] == 8000
    spread = Spread(100, 1200.0, 200.0, 1500.0)
    composed = renderer(Look(LAYERS["S2"], 1e-4, spreads=(spread,) * 4))
    assert composed.findtext("redContrastEnhancement/minValue") == "0.08"
    assert composed.findtext("redContrastEnhancement/maxValue") == "0.15"


def test_a_scale_of_square_metres_ends_at_what_is_there() -> None:
    def end(highest: float, cell: float) -> str:
        look = Look(LAYERS["BUILT_S"], 1.0, cell, (Spread(9, 1.0, 1.0, highest),))
        *_, last = renderer(look).iter("item")
        return last.get("label")

    assert end(51495, 1e6) == "60000 m²"
    assert end(9100, 1e4) == "10000 m²"
    assert renderer(Look(LAYERS["BUILT_S"], 1.0)).get("classificationMax") == "100"
    first, *_ = renderer(Look(LAYERS["BUILT_S"])).iter("item")
    assert first.get("alpha") == "0", "what is not built-up lets the layers below show"


def test_statistics_of_parts_are_those_of_the_whole() -> None:
    parts = [Spread(1, 5.0, 0.0, 5), Spread(0, float("nan"), 0.0, 0), Spread(3, 1.0, 2.0, 4)]
    assert pooled(parts) == pytest.approx((4, 2.0, 6.0**0.5, 5))
    assert pooled([]).pixels == 0


def test_a_project_is_safe_xml_with_relative_paths() -> None:
    wkt = CRS.from_epsg(32633).to_wkt()
    look = Look(LAYERS["RES_NRES"])
    entry = Entry(
        "utm/a.vrt", "A & <B>", ("UTM", "Classes"), look, wkt, (0, 0, 1, 1), '"&<', shown=True
    )
    text = project("<job> & more", [entry], wkt, (1, 2, 3, 4))
    root = ElementTree.fromstring(text, forbid_dtd=False)
    assert root.findtext("title") == "<job> & more"
    assert root.findtext("projectlayers/maplayer/datasource") == "./utm/a.vrt"
    node = root.find("layer-tree-group/layer-tree-group/layer-tree-group/layer-tree-layer")
    assert (node.get("name"), node.get("checked")) == ("A & <B>", "Qt::Checked")
    assert root.findtext("properties/Paths/Absolute") == "false"
    assert root.findtext("mapcanvas/destinationsrs/spatialrefsys/authid") == "EPSG:32633"
    assert [float(e.text) for e in root.find("mapcanvas/extent")] == [1, 2, 3, 4]
