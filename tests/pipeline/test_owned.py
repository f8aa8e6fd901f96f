"""Where tiles of two UTM zones overlap, each computes what it owns; the grids stay the same."""

import pyproj
import pytest

from ghsl_beam.area.mgrs_tiles import tile as mgrs_tile
from ghsl_beam.jobfile.configuration import load_job
from ghsl_beam.planning.plan import make_plan
from tests.support.archive import Product, write_product
from tests.support.jobs import MODELS, differing, layers, lonlat_box, make, write_job
from tests.support.scenes import town

SIZE = 300
"""Pixels of each tile's product, around a place that is equally far from both tiles."""
MIDDLE = 12.065, 51.8


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """A job of two towns on the same ground, whole and owned: output, record and job file."""
    folder = tmp_path_factory.mktemp("zones")
    for seed, name in enumerate(("33UTT", "32UQC")):
        tile = mgrs_tile(name)
        to_utm = pyproj.Transformer.from_crs(4326, tile.epsg, always_xy=True)
        x, y = to_utm.transform(*MIDDLE)
        left = tile.ulx + round((x - tile.ulx) / 10 - SIZE / 2) * 10
        top = tile.uly - round((tile.uly - y) / 10 - SIZE / 2) * 10
        scene = town(SIZE, SIZE, seed=seed)
        scene[:, :, 11:14] = scene[:, :, 14:17]  # it has no data there
        write_product(folder / "archive", Product(name, tile.epsg, left, top, scene))
    x, y = pyproj.Transformer.from_crs(4326, 32633, always_xy=True).transform(*MIDDLE)
    area = lonlat_box(32633, x - 1400, y - 1400, x + 1400, y + 1400)
    over = {
        "masks": {"method": "product"},
        "grids": [
            {"crs": "ESRI:54009", "resolutions": [10, 100]},
            {"crs": "EPSG:4326", "resolutions": [3]},
        ],
        "block_size": 128,
        "residential": {"model": str(MODELS / "DEMONSTRATION_residential.skops")},  # trees
    }
    made = {}
    for mode in ("whole", "owned"):
        file = write_job(folder / mode, area, folder / "archive", tiles=mode, **over)
        made[mode] = (*make(file), file)
    return made


def test_the_grids_are_the_same_to_the_last_pixel(both):
    grids = {
        mode: {name: values for name, values in layers(output).items() if "grid" in name}
        for mode, (output, _, _) in both.items()
    }
    assert any((values > 0).any() for name, values in grids["owned"].items() if "NRES" in name)
    assert set(differing(grids["whole"], grids["owned"]).values()) == {0}


def test_shared_ground_counts_once_in_both_modes(both):
    whole, owned = (record["totals"] for _, record, _ in both.values())
    assert whole["area"] == pytest.approx(owned["area"], rel=1e-6)
    assert [part["name"] for part in owned["zones"]] == ["EPSG:32632", "EPSG:32633"]
    for one, other in zip(whole["tiles"], owned["tiles"], strict=True):
        assert one.pop("name") == other.pop("name")
        # A few pixels at the line: `whole` has data where `owned` looks beyond its own ground.
        assert one == pytest.approx(other, rel=1e-3)
    assert owned["area"]["area_ha"] == pytest.approx(280 * 280 / 100, rel=1e-3)
    assert 0.8 < owned["area"]["observed_ha"] / owned["area"]["area_ha"] < 1
    assert owned["area"]["built_up_ha"] > 0


def test_a_run_computes_what_its_plan_counts(both):
    for mode, (_, record, file) in both.items():
        plan = make_plan(load_job(file))
        counted = {
            line.name: sum(
                block.window.height * block.window.width
                for tile in plan.tiles
                for block in line.blocks(tile, plan.job.block_size)
            )
            for line in plan.lines
        }
        stages = record["stages"]
        assert stages["assembly"]["pixels"] == counted["assembly"]
        assert stages["inference"]["pixels"] == counted["inference"]
        owned = [tile["owned_percent"] for tile in record["tiles"]]
        if mode == "whole":
            assert owned == [100, 100]
            assert list(both[mode][0].glob("utm/BUFRAC_E*_32633.vrt"))
        else:
            assert all(5 < share < 95 for share in owned)
            assert 100 < sum(owned) < 130
            assert counted["layers"] < 0.7 * counted["inference"]
