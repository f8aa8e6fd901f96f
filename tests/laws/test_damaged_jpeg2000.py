"""No read of a damaged JPEG 2000 file returns pixels that it does not hold.

OpenJPEG's own encoder writes the files; the pixels that were written are the reference.
"""

import errno
import io
import os
import re
import resource
import struct
import zipfile

import joblib
import numpy as np
import pytest

from tests.support.grids import grid_at
from tests.support.jpeg2000 import EPSG, ULX, ULY, land, tile_parts, write_band
from transforms.assembly import jpeg2000, raster_file, read_band, read_bands
from transforms.assembly.jpeg2000 import DamagedError, check_jpeg2000, check_zeros
from transforms.elements import SceneError, StorageError, Window, utm_grid
from transforms.storage.files import reading

SIDE = 200
TILINGS = (32, 64, 80, 128, None)
"""As 256, 640, 1024, 2048 and no tiles are to a real band: aligned with blocks, and not."""
WINDOWS = (Window(0, 0, SIDE, SIDE), Window(30, 50, 100, 100), Window(64, 64, 64, 64))


@pytest.fixture(scope="module")
def bands(tmp_path_factory):
    """Bytes of one band in every tiling, and its pixels."""
    folder, values = tmp_path_factory.mktemp("bands"), land(SIDE, SIDE)
    return {tile: write_band(folder / f"{tile}.jp2", values, tile) for tile in TILINGS}, values


def tries(path, data, window):
    """What two reads of the bytes give: their pixels, or None where the read was refused."""
    path.write_bytes(data)
    found = []
    for _ in range(2):
        try:
            found.append(read_band(str(path), grid_at(EPSG, ULX, ULY, window)))
        except SceneError:
            found.append(None)
    one, other = found
    assert (one is None) == (other is None)
    if one is not None:
        np.testing.assert_array_equal(one, other)
    return one


@pytest.fixture(params=[1, 4], ids=["one core", "four cores"])
def cores(request, monkeypatch):
    monkeypatch.setattr(joblib, "cpu_count", lambda: request.param)


@pytest.mark.parametrize("tile", TILINGS)
@pytest.mark.parametrize("looked_at", [True, False], ids=["structure", "decoder"])
def test_a_cut_file_is_refused_or_right(tmp_path, bands, tile, looked_at, cores, monkeypatch):
    data, values = bands[0][tile], bands[1]
    if not looked_at:  # in a zip and on object storage the decoder alone sees the end
        monkeypatch.setattr(raster_file, "check_jpeg2000", lambda *_: None)
    lengths = [len(data) * cut // 51 for cut in range(51)] + [len(data) - cut for cut in (1, 2, 3)]
    for length in lengths[:: 1 if looked_at else 3]:
        for window in WINDOWS[:: 1 if looked_at else 2]:
            found = tries(tmp_path / "cut.jp2", data[:length], window)
            if looked_at:
                assert found is None
            elif found is not None:
                rows, cols = window.slices_in(Window(0, 0, SIDE, SIDE))
                np.testing.assert_array_equal(found, values[rows, cols])


@pytest.mark.parametrize("tile", TILINGS)
def test_flipped_bits_reach_no_further_than_their_tile(tmp_path, bands, tile, cores):
    data, values = bands[0][tile], bands[1]
    rng = np.random.default_rng(5)
    size, across = tile or SIDE, -(-SIDE // (tile or SIDE))
    parts = tile_parts(data)
    for _ in range(20):
        number, start, end = parts[rng.integers(len(parts))]
        spoiled = bytearray(data)
        spoiled[rng.integers(start, end)] ^= 1 << int(rng.integers(8))
        found = tries(tmp_path / "flipped.jp2", bytes(spoiled), WINDOWS[0])
        if found is None:
            continue
        row, col = number // across * size, number % across * size
        expected = values.copy()
        expected[row : row + size, col : col + size] = found[row : row + size, col : col + size]
        np.testing.assert_array_equal(found, expected)


def with_hole(data, start, length):
    return data[:start] + bytes(length) + data[start + length :]


@pytest.mark.parametrize("tile", TILINGS)
def test_a_hole_of_zero_bytes_is_refused(tmp_path, bands, tile, cores):
    """As an unfinished copy leaves it, or a disk that lost a page: packets of nothing, to OpenJPEG.

    The header allows some 300 zero bytes in a row here.
    """
    data, rng = bands[0][tile], np.random.default_rng(7)
    first = tile_parts(data)[0][1]
    for length in (512, 4096):
        for start in rng.integers(first, len(data) - length, 6):
            spoiled = with_hole(data, int(start), length)
            assert tries(tmp_path / "hole.jp2", spoiled, WINDOWS[0]) is None


def test_a_hole_elsewhere_does_not_matter(tmp_path, bands):
    data, values = bands[0][64], bands[1]
    number, start, end = tile_parts(data)[10]
    assert number == 10
    path, window = tmp_path / "hole.jp2", Window(5, 7, 100, 180)
    found = tries(path, with_hole(data, start + 14, end - start - 14), window)
    rows, cols = window.slices_in(WINDOWS[0])
    np.testing.assert_array_equal(found, values[rows, cols])
    with pytest.raises(
        SceneError, match=r"bytes from byte \d+ are 0, in tile 10: a hole of an unf"
    ):
        read_band(str(path), grid_at(EPSG, ULX, ULY, Window(130, 130, 9, 9)))


def test_a_hole_across_two_pieces_is_seen(bands, monkeypatch):
    monkeypatch.setattr(jpeg2000, "_PIECE", 1000)
    data = bands[0][None]
    ((_, first, _),) = tile_parts(data)
    for start in range(first + 500, first + 2500, 97):
        spoiled = io.BytesIO(with_hole(data, start, 400))
        stream = check_jpeg2000(spoiled, len(data))
        with pytest.raises(DamagedError, match=f"from byte {start - 3}|from byte {start}"):
            check_zeros(spoiled, stream, WINDOWS[0])


EMPTY = {
    "nothing": lambda values: values * 0,
    "one pixel": lambda values: np.where(np.arange(values.size).reshape(SIDE, SIDE), 0, 65535),
    "the edge of a swath": lambda values: np.where(np.arange(SIDE) < SIDE // 3, values, 0),
    "one value": lambda values: values * 0 + 1000,
    "no low bits": lambda values: values // 256 * 256,
}
CODED = {
    "as it is": {},
    "lossy": {"reversible": "NO", "quality": 1},
    "twelve layers": {"quality": ",".join(map(str, [1, 2, 3, 5, 8, 13, 20, 30, 40, 60, 80, 100]))},
    "precincts": {"precincts": "{64,64},{32,32}", "progression": "RPCL"},
    "small code-blocks": {"codeblock_width": 4, "codeblock_height": 4},
    "bits that are not coded": {"codeblock_style": "LAZY"},
}


@pytest.mark.parametrize("how", CODED)
@pytest.mark.parametrize("what", EMPTY)
def test_tiles_of_little_are_no_holes(tmp_path, what, how):
    values, path = EMPTY[what](land(SIDE, SIDE)).astype(np.uint16), tmp_path / "B04.jp2"
    for tile in (32, 128, None):
        data = write_band(path, values, tile, **CODED[how])
        stream = check_jpeg2000(io.BytesIO(data), len(data))
        longest = max(
            len(run)
            for _, start, end in stream.parts
            for run in re.findall(b"\0+|$", data[start:end])
        )
        assert stream.most_zeros is None or longest < stream.most_zeros - 200
        found = read_band(str(path), grid_at(EPSG, ULX, ULY, WINDOWS[0]))
        if how != "lossy":
            np.testing.assert_array_equal(found, values)


@pytest.mark.parametrize("tile", [64, None])
def test_flipped_bits_where_a_tile_begins_are_refused(tmp_path, bands, tile):
    data, values = bands[0][tile], bands[1]
    for _, start, _ in tile_parts(data)[:: 7 if tile else 1]:
        for position in range(start, start + 12):
            for bit in range(8):
                spoiled = bytearray(data)
                spoiled[position] ^= 1 << bit
                found = tries(tmp_path / "flipped.jp2", bytes(spoiled), WINDOWS[0])
                if found is not None:
                    np.testing.assert_array_equal(found, values)


def test_whole_files_are_read_whatever_the_tiling(tmp_path, bands, cores):
    for tile, data in bands[0].items():
        for window in WINDOWS:
            rows, cols = window.slices_in(WINDOWS[0])
            found = tries(tmp_path / f"{tile}.jp2", data, window)
            np.testing.assert_array_equal(found, bands[1][rows, cols])


@pytest.mark.parametrize(("resolution", "tile"), [(20, 64), (60, 32)])
def test_a_cut_mask_is_refused(tmp_path, resolution, tile, cores):
    side = 2400 // resolution
    classes = np.random.default_rng(1).integers(0, 2, (3, side, side)).astype(np.uint8)
    path = tmp_path / "MSK_CLASSI_B00.jp2"
    data = write_band(path, classes, tile, resolution)
    window, bands = Window(13, 29, 128, 128), (1, 2, 3)
    found = read_bands(
        str(path), grid_at(EPSG, ULX, ULY, window), utm_grid(EPSG, ULX, ULY, 240, 240), bands=bands
    )
    rows = ((np.arange(13, 141) + 0.5) * 10 / resolution).astype(int)
    cols = ((np.arange(29, 157) + 0.5) * 10 / resolution).astype(int)
    np.testing.assert_array_equal(found, classes[:, rows][:, :, cols])
    for length in range(0, len(data), len(data) // 50):
        path.write_bytes(data[:length])
        with pytest.raises(SceneError):
            read_bands(
                str(path),
                grid_at(EPSG, ULX, ULY, window),
                utm_grid(EPSG, ULX, ULY, 240, 240),
                bands=bands,
            )


def changed(data, place, form, value):
    """The bytes with a number written over them, counted from the start of the code stream."""
    start = data.index(b"\xff\x4f\xff\x51") + place
    number = struct.pack(f">{form}", value)
    return data[:start] + number + data[start + len(number) :]


SIZES = {
    "2^31 columns": (8, "I", 2**31, "too large"),
    "2^32 - 1 rows": (12, "I", 2**32 - 1, "too large"),
    "no columns": (8, "I", 0, "pixels"),
    "an image that begins elsewhere": (16, "I", 8, "do not begin at 0"),
    "tiles of one column": (24, "I", 1, "expected"),
    "tiles of no row": (28, "I", 0, "tiles of"),
    "16384 bands": (40, "H", 16384, "size of the image"),
    "another number of columns": (8, "I", SIDE - 1, "header box"),
    "every second pixel": (43, "B", 2, "every pixel"),
    "more bits": (42, "B", 16, "depth"),
}


@pytest.mark.parametrize("name", SIZES)
def test_a_size_that_no_band_has_is_refused_before_decoding(tmp_path, bands, name):
    place, form, value, reason = SIZES[name]
    path = tmp_path / "odd.jp2"
    path.write_bytes(changed(bands[0][64], place, form, value))
    with pytest.raises(SceneError, match=reason):
        read_band(str(path), grid_at(EPSG, ULX, ULY, WINDOWS[0]))


def test_many_bands_and_tiny_tiles_are_bounded(bands):
    data = bands[0][64]
    start = data.index(b"\xff\x4f\xff\x51")
    many = 5000
    size = struct.pack(">HHH", 0xFF51, 38 + 3 * many, 0) + data[start + 8 : start + 40]
    code = b"\xff\x4f" + size + struct.pack(">H", many) + b"\x0f\x01\x01" * many
    box = struct.pack(">I4s", 8 + len(code), b"jp2c")
    for content, reason in (
        (data[: start - 8] + box + code, "5000 bands"),
        (changed(changed(data, 24, "I", 1), 28, "I", 1), "40000 tiles"),
    ):
        with pytest.raises(DamagedError, match=reason):
            check_jpeg2000(io.BytesIO(content), len(content))


def test_what_is_no_regular_file_is_not_opened(tmp_path):
    pipe = tmp_path / "B04.jp2"
    os.mkfifo(pipe)
    for path in (str(pipe), "/dev/zero", str(tmp_path)):
        with pytest.raises(SceneError, match=r"a pipe or a device|Is a directory"):
            read_band(path, grid_at(EPSG, ULX, ULY, WINDOWS[0]))


def test_another_format_under_the_name_is_refused(tmp_path):
    path = tmp_path / "B04.jp2"
    for content, reason in ((b"", "an empty file"), (b"\x89PNG" * 99, "neither JPEG 2000")):
        path.write_bytes(content)
        with pytest.raises(SceneError, match=reason):
            read_band(str(path), grid_at(EPSG, ULX, ULY, WINDOWS[0]))


def test_a_file_beside_a_band_says_nothing_of_it(tmp_path, bands):
    path = tmp_path / "B04.jp2"
    path.write_bytes(bands[0][64])
    os.mkfifo(f"{path}.aux.xml")
    (tmp_path / "B04.j2w").write_text("10\n0\n0\n-10\n0\n0\n")
    np.testing.assert_array_equal(
        read_band(str(path), grid_at(EPSG, ULX, ULY, WINDOWS[0])), bands[1]
    )


@pytest.mark.parametrize("left", [0, 1, 2, 3])
def test_a_whole_file_that_no_handle_is_left_for(tmp_path, bands, left, monkeypatch):
    monkeypatch.setattr(joblib, "cpu_count", lambda: 4)
    path = tmp_path / "B04.jp2"
    path.write_bytes(bands[0][32])
    read_band(str(path), grid_at(EPSG, ULX, ULY, WINDOWS[0]))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = [int(name) for name in os.listdir("/proc/self/fd")]
    try:
        taken = [os.open("/dev/null", os.O_RDONLY) for _ in range(max(used) + 2 - len(used))]
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(*used, *taken) + 1 + left, hard))
        with pytest.raises(StorageError, match="Too many open files") as caught:
            read_band(str(path), grid_at(EPSG, ULX, ULY, WINDOWS[0]))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for handle in taken:
            os.close(handle)
    assert caught.value.passing
    np.testing.assert_array_equal(
        read_band(str(path), grid_at(EPSG, ULX, ULY, WINDOWS[0])), bands[1]
    )


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (errno.EMFILE, StorageError),
        (errno.ENFILE, StorageError),
        (errno.ENOMEM, StorageError),
        (errno.EACCES, SceneError),
        (errno.EIO, SceneError),
        (errno.ENOENT, SceneError),
    ],
)
def test_the_reason_is_the_operating_system_s(tmp_path, bands, code, kind, monkeypatch):
    path = tmp_path / "B04.jp2"
    path.write_bytes(bands[0][64])

    def fails(*_):
        raise OSError(code, os.strerror(code))

    with zipfile.ZipFile(tmp_path / "product.zip", "w") as target:
        target.write(path, "B04.jp2")
    monkeypatch.setattr(raster_file.os, "open", fails)
    monkeypatch.setattr(reading, "open", fails, raising=False)
    for place in (path, f"/vsizip/{tmp_path}/product.zip/B04.jp2"):
        with pytest.raises(kind, match=os.strerror(code)):
            read_band(str(place), grid_at(EPSG, ULX, ULY, WINDOWS[0]))


def test_a_band_in_a_zip_is_looked_at_too(tmp_path, bands):
    archive = tmp_path / "product.zip"
    large = changed(bands[0][64], 8, "I", 2**31)
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as target:
        target.writestr("whole.jp2", bands[0][64])
        target.writestr("large.jp2", large)
        target.writestr("cut.jp2", bands[0][64][:20_000])

    def read(name):
        return read_band(f"/vsizip/{archive}/{name}", grid_at(EPSG, ULX, ULY, WINDOWS[0]))

    np.testing.assert_array_equal(read("whole.jp2"), bands[1])
    for name, reason in (("large.jp2", "too large"), ("cut.jp2", "cut"), ("no.jp2", "no.jp2")):
        with pytest.raises(SceneError, match=reason):
            read(name)
