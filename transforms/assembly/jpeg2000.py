"""Checks the structure of a JPEG 2000 file before it is decoded.

A decoder reserves the memory that the header asks for, and takes missing bytes at the end of a file
as empty. So boxes, main header and tile-parts are checked first: a few bytes of each are read, and
nothing is decoded. A decoder takes zero bytes as empty packets, so a hole in a file gives pixels
too. But the header limits how many zero bytes in a row a whole code stream can have.
Source: ISO/IEC 15444-1, annex A (code stream) and annex I (JP2).
"""

from __future__ import annotations

import errno
import struct
from collections import Counter
from dataclasses import dataclass
from typing import BinaryIO

from transforms.elements import Window

SIGNATURE = b"\0\0\0\x0cjP  \r\n\x87\n"
MAX_COMPONENTS = 16
MAX_TILES = 2**15
"""Largest number of tiles times components; a decoder keeps 7 kB for each from the start."""
MAX_PIXELS = 2**28
"""Largest number of pixels times components: far more than a tile of Sentinel-2 at 10 m."""
_MAX_BOXES, _MAX_BYTES, _MAX_MARKERS, _MAX_PARTS = 1000, 2**26, 1000, 2**17
_VARIOUS = 255
_NO_END = "its code stream has no end"
_SOC_SIZ, _COD, _QCD, _SOT, _EOC = 0xFF4FFF51, 0xFF52, 0xFF5C, 0xFF90, 0xFFD9
_COC, _PPM = 0xFF53, 0xFF60
_CODER_ZEROS = 256
"""Most zero bytes in a row from the arithmetic coder; in practice there are about ten."""
_MAX_ZEROS = 2**20
_PIECE = 2**20


class DamagedError(ValueError):
    """A JPEG 2000 file is truncated, damaged, or has a shape that no band and no mask has."""


@dataclass(frozen=True, slots=True)
class ImageSize:
    """The sizes in the main header: the image, its components and a JPEG 2000 tile."""

    width: int
    height: int
    components: int
    tile_width: int
    tile_height: int

    @property
    def tiles(self) -> int:
        """Number of JPEG 2000 tiles."""
        return -(-self.width // self.tile_width) * -(-self.height // self.tile_height)


@dataclass(frozen=True, slots=True)
class CodeStream:
    """The result of `check_jpeg2000`.

    Each part has the number of its JPEG 2000 tile, its first byte and the byte after its last. The
    list is empty if the parts were not checked. A whole tile has at most `most_zeros` zero bytes in
    a row; None if the main header gives no limit.
    """

    size: ImageSize
    most_zeros: int | None
    parts: tuple[tuple[int, int, int], ...]


def check_jpeg2000(
    file: BinaryIO, length: int, tile_parts: bool = True, ending: bool = True
) -> CodeStream:
    """Check a JP2 file from box to box and from tile-part to tile-part.

    Args:
        file: the file, open for reading.
        length: its size in bytes.
        tile_parts: whether the tile-parts are checked too, with a short read of each.
        ending: whether the end mark of the code stream is checked, with one read of two bytes.

    Returns:
        The values of the main header, and the positions of the tile-parts.

    Raises:
        DamagedError: the file is truncated; a box, a marker or a tile is missing, or two of them
            contradict each other; or the image is larger than any band or mask.
        OSError: the file cannot be read.
    """
    reader = _Reader(file, length)
    (*stated, depth), start, end = _boxes(reader)
    size = _image_size(reader, start, depth)
    if stated != [size.height, size.width, size.components]:
        raise DamagedError(
            f"its header box states {stated[1]} x {stated[0]} pixels in {stated[2]} bands, "
            f"its code stream {size.width} x {size.height} in {size.components}"
        )
    part, most_zeros = _main_header(reader, start, size)
    parts = _tile_parts(reader, part, end, size.tiles) if tile_parts else ()
    if ending and not tile_parts and reader.unpack("H", end - 2) != (_EOC,):
        raise DamagedError(_NO_END)
    return CodeStream(size, most_zeros, parts)


def check_zeros(file: BinaryIO, stream: CodeStream, window: Window) -> None:
    """Look for holes in the JPEG 2000 tiles that a window of the image touches.

    All bytes of these tiles are read, as by a decoder, and neighbours in the file with one read.
    The search takes about a thousandth of the time of decoding.

    Raises:
        DamagedError: a tile has more zero bytes in a row than is possible.
        OSError: the file cannot be read.
    """
    if stream.most_zeros is None:
        return
    zeros = bytes(stream.most_zeros + 1)
    for start, end in _stretches(stream, window):
        # Pieces overlap, so a hole across two of them is found.
        for position in range(start, end, _PIECE):
            file.seek(position)
            found = file.read(min(_PIECE + len(zeros), end - position)).find(zeros)
            if found >= 0:
                hole = position + found
                tile = next(number for number, _, last in stream.parts if hole < last)
                raise DamagedError(
                    f"more than {stream.most_zeros} bytes from byte {hole} are 0, in "
                    f"tile {tile}: a hole of an unfinished copy or of the disk"
                )


def _stretches(stream: CodeStream, window: Window) -> list[tuple[int, int]]:
    """First byte and byte after the last of the tile-parts that a window touches.

    Neighbours in the file are one stretch. No run of zero bytes continues from one to the next,
    because each tile-part begins with a marker.
    """
    size, found = stream.size, list[tuple[int, int]]()
    across = -(-size.width // size.tile_width)
    rows = range(window.row // size.tile_height, -(-window.bottom // size.tile_height))
    cols = range(window.col // size.tile_width, -(-window.right // size.tile_width))
    for tile, start, end in stream.parts:
        if tile // across in rows and tile % across in cols:
            if found and found[-1][1] == start:
                start, _ = found.pop()
            found.append((start, end))
    return found


class _Reader:
    """A file that is read by position."""

    def __init__(self, file: BinaryIO, length: int) -> None:
        self._file, self.length = file, length

    def unpack(self, form: str, position: int) -> tuple[int, ...]:
        """Big-endian numbers at a position."""
        wanted = struct.calcsize(f">{form}")
        self._file.seek(position)
        data = self._file.read(wanted)
        if len(data) < wanted and position + wanted <= self.length:
            # The answer of object storage is too short; `storage.with_file` tries again.
            raise ConnectionError(errno.EIO, f"{len(data)} bytes of {wanted} at {position}")
        if len(data) < wanted:
            raise DamagedError(f"it ends after {self.length} bytes, within its structure")
        return struct.unpack(f">{form}", data)


def _boxes(reader: _Reader) -> tuple[tuple[int, int, int, int], int, int]:
    """Height, width, components and depth in the header box; position of the code stream."""
    stated, position = None, 0
    for _ in range(_MAX_BOXES):
        if position > _MAX_BYTES:
            break
        length, kind = reader.unpack("II", position)
        head = 8
        if length == 1:
            (length,), head = reader.unpack("Q", position + 8), 16
        end = position + length if length else reader.length
        if end < position + head:
            raise DamagedError(f"a box of {length} bytes at byte {position}")
        if end > reader.length:
            raise DamagedError(f"it has {reader.length} bytes, expected at least {end}: it is cut")
        if kind == int.from_bytes(b"jp2h"):
            _, inner, *found, depth = reader.unpack("IIIIHB", position + head)
            if inner != int.from_bytes(b"ihdr"):
                raise DamagedError("no image header where it is expected")
            stated = found[0], found[1], found[2], depth
        elif kind == int.from_bytes(b"jp2c"):
            if stated is None:
                raise DamagedError("no image header before the code stream")
            return stated, position + head, end
        position = end
    raise DamagedError(f"no code stream in its first {position} bytes")


def _image_size(reader: _Reader, start: int, depth: int) -> ImageSize:
    """Read the size marker; `depth` is that of the header box, 255 if bands differ."""
    marker, length, _ = reader.unpack("IHH", start)
    width, height, *offsets = reader.unpack("IIII", start + 8)
    tile_width, tile_height, *more = reader.unpack("IIII", start + 24)
    (components,) = reader.unpack("H", start + 40)
    if marker != _SOC_SIZ or length != 38 + 3 * components:
        raise DamagedError("its code stream does not begin with the size of the image")
    if any((*offsets, *more)):
        raise DamagedError("its image or its tiles do not begin at 0, 0")
    if not 1 <= components <= MAX_COMPONENTS:
        raise DamagedError(f"{components} bands, expected 1 to {MAX_COMPONENTS}")
    if not (width and height and tile_width and tile_height):
        raise DamagedError(f"{width} x {height} pixels in tiles of {tile_width} x {tile_height}")
    size = ImageSize(width, height, components, tile_width, tile_height)
    if width * height * components > MAX_PIXELS:
        raise DamagedError(f"{width} x {height} pixels in {components} bands: too large")
    if size.tiles * components > MAX_TILES:
        raise DamagedError(f"{size.tiles} tiles in {components} bands, at most {MAX_TILES}")
    for component in range(components):
        bits, *steps = reader.unpack("BBB", start + 42 + 3 * component)
        if bits != depth != _VARIOUS:
            raise DamagedError(f"its header box states depth {depth}, its code stream {bits}")
        if steps != [1, 1]:
            raise DamagedError(f"band {component + 1} does not have every pixel")
    return size


def _main_header(reader: _Reader, start: int, size: ImageSize) -> tuple[int, int | None]:
    """Position of the first tile-part, and the limit of `_most_zeros`.

    The markers before it are checked; they are whole and agree.
    """
    position = start + 2
    found: dict[int, int] = {}
    for _ in range(_MAX_MARKERS):
        marker, length = reader.unpack("HH", position)
        if marker == _SOT:
            break
        if marker < 0xFF00 or length < 2:
            raise DamagedError(f"no marker at byte {position}, where one is expected")
        found.setdefault(marker, position)
        position += 2 + length
    else:
        raise DamagedError(f"no tile after {_MAX_MARKERS} markers")
    if not {_COD, _QCD} <= found.keys():
        raise DamagedError("its main header has no coding style, or no quantisation")
    length, style, _, layers, _, levels, *block, wavelet = reader.unpack(
        "HBBHBBBBBB", found[_COD] + 2
    )
    if length != 12 + (levels + 1 if style & 1 else 0):
        raise DamagedError(f"{length} bytes of coding style with {levels} levels")
    precincts = reader.unpack(f"{levels + 1}B", found[_COD] + 14) if style & 1 else ()
    length, style = reader.unpack("HB", found[_QCD] + 2)
    kind = style & 31
    # Exact integers (wavelet 1) are not quantised (0), all others are (1 derived, 2 each).
    if (wavelet, kind) not in ((1, 0), (0, 1), (0, 2)):
        raise DamagedError(f"quantisation of kind {kind} with wavelet {wavelet}")
    if kind != 1 and length < 3 + (1 if kind == 0 else 2) * (3 * levels + 1):
        raise DamagedError(f"{length} bytes of quantisation with {levels} levels")
    # Other limits hold for a component with its own style, for packet headers in another place, and
    # for bits that are not coded (code-block style 1); no product has these.
    if {_COC, _PPM} & found.keys() or block[2] & 1:
        return position, None
    return position, _most_zeros(size, layers, levels, (block[0], block[1]), precincts)


def _most_zeros(
    size: ImageSize,
    layers: int,
    levels: int,
    block: tuple[int, int],
    precincts: tuple[int, ...],
) -> int | None:
    """Most zero bytes in a row in a whole tile: all its packets are empty, with one byte each.

    A packet that is not empty begins with a bit that is set. After this bit, its header may have a
    zero bit for each node of the trees over its code-blocks. The coder limits the zero bytes in
    code-blocks.

    Args:
        size: size of the image and of its tiles.
        layers: number of quality layers.
        levels: number of wavelet levels.
        block: width and height of a code-block, as powers of 2, less 2.
        precincts: width and height for each resolution, as powers of 2 in 4 bits each, low first;
            empty if they are the largest.
    """
    packets, blocks = 0, 0
    for resolution in range(levels + 1):
        both = precincts[resolution] if precincts else 0xFF
        inside, apart = 1, 1
        for side, whole, power, least in (
            (size.tile_width, size.width, both & 15, block[0] + 2),
            (size.tile_height, size.height, both >> 4, block[1] + 2),
        ):
            pixels = -(-min(side, whole) >> (levels - resolution))
            # One more, because a tile may begin within a precinct, or a precinct within a block.
            apart *= (pixels >> power) + 2
            inside *= (min(pixels, 1 << power) >> min(least, power)) + 2
        packets += apart * layers * size.components
        blocks = max(blocks, inside)
    found = packets + blocks // 4 + _CODER_ZEROS
    return found if found <= _MAX_ZEROS else None


def _tile_parts(
    reader: _Reader, position: int, end: int, tiles: int
) -> tuple[tuple[int, int, int], ...]:
    """Check that each tile has all its parts, and that the code stream ends with the last one."""
    places = []
    found: Counter[int] = Counter()
    expected: dict[int, int] = {}
    for _ in range(_MAX_PARTS):
        if position == end - 2:
            break
        marker, length, tile, size, part, parts = reader.unpack("HHHIBB", position)
        if marker == _EOC:
            break
        if marker != _SOT or length != 10:
            raise DamagedError(f"no tile at byte {position}, where one is expected")
        if tile >= tiles or part != found[tile] or (size and size < 14):
            raise DamagedError(f"part {part} of tile {tile} of {tiles} comes out of order")
        if parts and expected.setdefault(tile, parts) != parts:
            raise DamagedError(f"tile {tile} states two numbers of parts")
        found[tile] += 1
        begin, position = position, position + size if size else end - 2
        places.append((tile, begin, position))
        if position > end - 2:
            raise DamagedError(f"tile {tile} ends at byte {position}, the code stream at {end}")
    else:
        raise DamagedError(f"more than {_MAX_PARTS} parts of tiles")
    if reader.unpack("H", position) != (_EOC,):
        raise DamagedError(_NO_END)
    if len(found) < tiles:
        raise DamagedError(f"{len(found)} tiles, expected {tiles}")
    for tile, parts in expected.items():
        if found[tile] != parts:
            raise DamagedError(f"tile {tile} has {found[tile]} parts, expected {parts}")
    return tuple(places)
