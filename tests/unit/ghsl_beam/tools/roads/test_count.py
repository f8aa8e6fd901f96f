"""The process that counts lines."""

import subprocess

import pytest

from ghsl_beam.tools.roads import count as counting
from ghsl_beam.tools.roads.count import count, counted_aside
from tests.support.osm_pbf import write_pbf

QUERY = "SELECT COUNT(*) FROM lines WHERE highway IS NOT NULL"


@pytest.fixture
def pbf(tmp_path):
    ways = [({"highway": "road"}, [(1, 1), (i, 2)]) for i in range(3)]
    return str(write_pbf(tmp_path / "a.osm.pbf", [*ways, ({"railway": "rail"}, [(1, 1), (2, 2)])]))


def test_both_ways_agree(pbf, tmp_path):
    with counted_aside(pbf, QUERY, {}, str(tmp_path)) as number:
        assert number() == count(pbf, QUERY, {}) == 3


def test_what_gdal_says_comes_over(tmp_path):
    with (
        counted_aside(str(tmp_path / "none.osm.pbf"), QUERY, {}, str(tmp_path)) as number,
        pytest.raises(ValueError, match=r"none\.osm\.pbf"),
    ):
        number()


def test_a_process_that_dies(pbf, tmp_path, monkeypatch):
    monkeypatch.setattr(counting.sys, "executable", "/bin/false")
    with (
        counted_aside(pbf, QUERY, {}, str(tmp_path)) as number,
        pytest.raises(ValueError, match="process that counts ended with code 1"),
    ):
        number()


def test_it_ends_with_the_context(pbf, tmp_path, monkeypatch):
    begun, start = [], subprocess.Popen

    def started(command, **more):
        begun.append(start(["sleep", "60"], **more))
        return begun[0]

    monkeypatch.setattr(counting.subprocess, "Popen", started)
    with (
        pytest.raises(KeyboardInterrupt),
        counted_aside(pbf, QUERY, {}, str(tmp_path)),
    ):
        raise KeyboardInterrupt
    assert begun[0].returncode is not None
