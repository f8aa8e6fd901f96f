"""docs/outputs.md describes each layer as its `LayerSpec` does."""

from docs.generate.layers import grids_table, layers_table
from tests.conftest import ROOT


def test_the_page_has_the_facts_of_the_layers():
    page = (ROOT / "docs" / "outputs.md").read_text(encoding="utf-8")
    for table in (layers_table(), grids_table()):
        assert table in page, "python -m docs.generate.layers prints the tables"
