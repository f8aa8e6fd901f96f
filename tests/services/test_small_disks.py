"""A product that does not fit on its disk is an error, whatever part of it does not fit."""

import os
import subprocess
import sys

import pytest

WRITER = """
import os, sys
import numpy as np
from rasterio.transform import from_origin
from transforms.elements import GridLayer, StorageError, Window
from transforms.rasters.cog import cog_writer

folder = sys.argv[1]
place = {"crs": "ESRI:54009", "transform": from_origin(0, 0, 100, 100)}
pixels = np.random.default_rng(0).integers(0, 200, (1, 100, 120)).astype("uint16")
for room in range(3096, 3216, 8):
    assert os.system(f"mount -t tmpfs -o size={room}k tmpfs {folder}") == 0
    child = os.fork()
    if child == 0:
        about = {"bands": 1, "dtype": "uint16", "nodata": 65535, "tags": {"LONG": "x" * 1500}}
        try:
            with cog_writer(
                f"{folder}/x.tif", place | {"width": 10000, "height": 10000},
                spec=GridLayer.BUILT_S.spec, **about
            ) as write:
                write(Window(0, 0, 100, 120), pixels)
        except StorageError as error:
            os._exit(1 if "No space left on device (disk" in str(error) else 9)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
    os.system(f"umount -l {folder}")
"""


def test_a_disk_of_any_size(tmp_path):
    """GDAL's own driver crashes where the disk is full before its headers are written."""
    probe = ["mount", "-t", "tmpfs", "-o", "size=24k", "tmpfs", str(tmp_path)]
    if os.geteuid() != 0 or subprocess.run(probe, capture_output=True).returncode:
        pytest.skip("no right to mount a small disk")
    subprocess.run(["umount", "-l", str(tmp_path)], check=True)
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120)
    codes = [int(line) for line in ended.stdout.split()]
    assert len(codes) == 15, ended.stderr
    assert set(codes) == {0, 1}, codes
    assert codes == sorted(codes, reverse=True), codes
