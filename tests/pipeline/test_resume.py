"""A run that was cut off goes on where it was, and ends with the same bytes."""

from datetime import date

import numpy as np
import pytest

from tests.support.archive import Product, write_product
from tests.support.disturbed import cut, files_of, finish, start, wait_until
from tests.support.jobs import differing, layers, lonlat_box, make, write_job
from tests.support.scenes import town

ULX, ULY, ROWS, COLS = 330000, 5820000, 300, 384
CUTS = 20
BLOCKS = "work/blocks/*/*/*.tif"
PRODUCTS = "[ug]*/**/*.tif"


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    folder = tmp_path_factory.mktemp("resume")
    dn = town(ROWS, COLS)
    for number in range(2):
        day = date(2020, 6, 10 + 5 * number)
        write_product(folder / "archive", Product("33UUU", 32633, ULX, ULY, dn + 10 * number, day))
    area = lonlat_box(32633, ULX - 99, ULY - 10 * ROWS - 99, ULX + 10 * COLS + 99, ULY + 99)
    return write_job(folder, area, folder / "archive", block_size=64)


@pytest.fixture(scope="module")
def undisturbed(job, tmp_path_factory):
    output, record = make(
        job, settings=(f"output={tmp_path_factory.mktemp('undisturbed') / 'output'}",)
    )
    assert record["exit_code"] == 0
    return layers(output)


def check_nothing_half_done(output, undisturbed):
    """What lies under its final name is whole and right."""
    made = layers(output)
    assert made.keys() <= undisturbed.keys()
    assert not any(differing(made, {name: undisturbed[name] for name in made}).values())


def test_cut_off_at_twenty_random_points(job, undisturbed, tmp_path):
    """Blocks and products that were published before a cut are never made again."""
    rng = np.random.default_rng(20)
    cuts, finished = 0, 0
    output = tmp_path / "output0"
    while cuts < CUTS or finished == 0:
        before = {**files_of(output, BLOCKS), **files_of(output, PRODUCTS)}
        process = start(job, "--output", str(output))
        wait = int(rng.choice([1, 3, 10, 30, 60])) if cuts < CUTS else 10**9

        def come_so_far(before=before, wait=wait, output=output):
            now = files_of(output, BLOCKS).keys() | files_of(output, PRODUCTS).keys()
            return len(now - before.keys()) >= wait

        if wait_until(come_so_far, process):
            cut(process)
            cuts += 1
            check_nothing_half_done(output, undisturbed)
        else:
            code, _, err = finish(process)
            assert code == 0, err
            assert not (output / "work").exists()
            assert not any(differing(layers(output), undisturbed).values())
        after = {**files_of(output, BLOCKS), **files_of(output, PRODUCTS)}
        again = [name for name in before if name in after and after[name] != before[name]]
        assert not again, f"made again: {again}"
        if not (output / "work").exists():
            finished += 1
            output = tmp_path / f"output{finished}"
    assert cuts == CUTS
