"""Ways to spoil bytes; each tells what it did and from which byte on."""

from __future__ import annotations

import io
import random
import re
import struct
import zipfile
import zlib
from collections.abc import Callable
from typing import NamedTuple

EXTREMES = (
    "0", "-1", "1", "NaN", "inf", "-inf", "1e308", "-1e300", "1e15", "2147483648", "-2147483649",
    "18446744073709551616", "0.5", "1e-320", "", " ", "٣", "0x10", "1_000", "9" * 400, "true",
)  # fmt: skip
"""Numbers as texts that a parser may take in an unexpected way, and no numbers."""
INTEGERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


class Mutation(NamedTuple):
    """Spoiled bytes."""

    data: bytes
    what: str
    places: tuple[int, ...]
    """Bytes that differ; where the length differs too, the first alone."""
    moved: bool
    """Whether what comes after the first place lies elsewhere, or is missing."""


def mutate(data: bytes, dice: random.Random) -> Mutation:
    """The bytes spoiled in one way, a few of them or a stretch."""
    return dice.choice(_ANY)(data, dice)


def flip(data: bytes, dice: random.Random) -> Mutation:
    """One to eight bits, anywhere."""
    spoiled = bytearray(data)
    places = sorted(dice.sample(range(len(data)), min(len(data), dice.choice((1, 1, 2, 8)))))
    for place in places:
        spoiled[place] ^= 1 << dice.randrange(8)
    return Mutation(bytes(spoiled), f"bits flipped at {places}", tuple(places), False)


def cut(data: bytes, dice: random.Random) -> Mutation:
    """The end is missing."""
    end = dice.choice((0, 1, len(data) - 1, dice.randrange(len(data)), dice.randrange(len(data))))
    return Mutation(data[:end], f"cut at {end} of {len(data)}", (end,), True)


def blank(data: bytes, dice: random.Random) -> Mutation:
    """A stretch of zeros or ones, as a lost sector leaves."""
    begin, length = _stretch(data, dice)
    value = dice.choice((b"\0", b"\xff"))
    places = tuple(i for i in range(begin, begin + length) if data[i] != value[0])
    spoiled = data[:begin] + value * length + data[begin + length :]
    return Mutation(spoiled, f"{value!r} from {begin}, {length} times", places, False)


def repeat(data: bytes, dice: random.Random) -> Mutation:
    """A stretch comes twice."""
    begin, length = _stretch(data, dice)
    end = begin + length
    spoiled = data[:end] + data[begin:end] + data[end:]
    return Mutation(spoiled, f"{begin} to {end} repeated", (end,), True)


def drop(data: bytes, dice: random.Random) -> Mutation:
    """A stretch is missing."""
    begin, length = _stretch(data, dice)
    spoiled = data[:begin] + data[begin + length :]
    return Mutation(spoiled, f"{begin} to {begin + length} dropped", (begin,), True)


def swap(data: bytes, dice: random.Random) -> Mutation:
    """Two stretches of one length change places."""
    length = max(1, min(len(data) // 4, dice.choice((1, 4, 64, 512, 4096))))
    one = dice.randrange(max(1, len(data) // 2 - length))
    other = dice.randrange(len(data) // 2, len(data) - length + 1)
    spoiled = bytearray(data)
    spoiled[one : one + length] = data[other : other + length]
    spoiled[other : other + length] = data[one : one + length]
    places = tuple(i for i, (a, b) in enumerate(zip(data, spoiled, strict=True)) if a != b)
    return Mutation(bytes(spoiled), f"{length} bytes at {one} and {other} swapped", places, False)


def number(data: bytes, dice: random.Random) -> Mutation:
    """An integer at the edge of its range over some bytes."""
    form = dice.choice(("<B", "<H", ">H", "<I", ">I", "<Q", ">Q"))
    value = dice.choice(INTEGERS) & ((1 << 8 * struct.calcsize(form)) - 1)
    packed = struct.pack(form, value)[: len(data)]
    place = dice.randrange(len(data) - len(packed) + 1)
    spoiled = data[:place] + packed + data[place + len(packed) :]
    places = tuple(place + i for i in range(len(packed)) if data[place + i] != packed[i])
    return Mutation(spoiled, f"{value:#x} as {form} at {place}", places, False)


def splice(data: bytes, dice: random.Random) -> Mutation:
    """Bytes of no meaning in between."""
    place, length = dice.randrange(len(data) + 1), dice.choice((1, 2, 100, 5000))
    spoiled = data[:place] + dice.randbytes(length) + data[place:]
    return Mutation(spoiled, f"{length} bytes at {place} in between", (place,), True)


def text(data: bytes, dice: random.Random) -> Mutation:
    """XML, JSON or YAML: a number, word, element or line of it changed; else as `mutate`."""
    if dice.random() < 0.25:
        return mutate(data, dice)
    return dice.choice((_other_number, _other_word, _element, _line, _nested, _entity))(data, dice)


def of_zip(data: bytes, dice: random.Random) -> Mutation:
    """A zip: a member changed and the zip sound, or its directory changed; else as `mutate`."""
    if dice.random() < 0.4:
        return mutate(data, dice)
    if dice.random() < 0.3:
        place = data.rindex(b"PK\x05\x06")
        (start,) = struct.unpack_from("<I", data, place + 16)
        inner = mutate(data[start:], dice)
        return Mutation(data[:start] + inner.data, f"directory: {inner.what}", (start,), True)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = [(info, archive.read(info)) for info in archive.infolist()]
    target = dice.randrange(len(members))
    what = dice.choice(("content", "twice", "missing", "name", "method"))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for number, (info, content) in enumerate(members):
            name, method = info.filename, info.compress_type
            if number == target:
                if what == "missing":
                    continue
                if what == "content" and content:
                    content = text(content, dice).data
                elif what == "twice":
                    archive.writestr(zipfile.ZipInfo(name), content[::-1], method)
                elif what == "name":
                    name = dice.choice(("../", "/", "", "x\n", "a/" * 50)) + name
                elif what == "method":
                    method = dice.choice((zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA, zipfile.ZIP_STORED))
            archive.writestr(zipfile.ZipInfo(name), content, method)
    return Mutation(out.getvalue(), f"member {members[target][0].filename}: {what}", (0,), True)


def recompressed(data: bytes, dice: random.Random) -> Mutation:
    """A deflate stream within (HDF5 has them in its chunks) made long of little."""
    places = [m.start() for m in re.finditer(rb"\x78[\x01\x5e\x9c\xda]", data)]
    if not places:
        return mutate(data, dice)
    place = dice.choice(places)
    bomb = zlib.compress(bytes(50_000_000), 9)
    spoiled = data[:place] + bomb + data[place + len(bomb) :]
    return Mutation(spoiled, f"50 MB of zeros packed at {place}", (place,), True)


def _stretch(data: bytes, dice: random.Random) -> tuple[int, int]:
    length = min(len(data), dice.choice((1, 2, 16, 512, 4096, max(1, len(data) // 3))))
    return dice.randrange(len(data) - length + 1), length


def _other_number(data: bytes, dice: random.Random) -> Mutation:
    return _replaced(data, rb"[-+]?\d+\.?\d*", lambda old: dice.choice(EXTREMES), dice)


def _other_word(data: bytes, dice: random.Random) -> Mutation:
    odd = ("", "\u0000", "\x1b[31m", "ü" * 300, "../../x", "%s%n", "]]>", "&#0;", "\u202e", "-" * 9)
    return _replaced(data, rb"[A-Za-z_]{3,}", lambda old: dice.choice((*odd, old[::-1])), dice)


def _element(data: bytes, dice: random.Random) -> Mutation:
    """An element of XML, or a bracket of JSON, missing or there twice."""
    return _replaced(
        data,
        rb"<([A-Za-z_:]+)[^<>]*>[^<>]*</\1>|\{[^{}]*\}|\[[^\[\]]*\]",
        lambda old: dice.choice(("", old + old, old + old[::-1])),
        dice,
    )


def _line(data: bytes, dice: random.Random) -> Mutation:
    return _replaced(data, rb"[^\n]+\n", lambda old: dice.choice(("", old * 2, " " + old)), dice)


def _nested(data: bytes, dice: random.Random) -> Mutation:
    """Something within itself, many times."""
    many = dice.choice((50, 5000))
    begin, end = dice.choice((("<a>", "</a>"), ("[", "]"), ('{"a":', "}"), ("{a: ", "}")))
    return _replaced(data, rb"[A-Za-z0-9.]+", lambda old: begin * many + old + end * many, dice)


def _entity(data: bytes, dice: random.Random) -> Mutation:
    """Entities and aliases that grow, and one that names another file."""
    grow = "".join(f'<!ENTITY e{i + 1} "&e{i};&e{i};&e{i};&e{i};">' for i in range(12))
    head = f'<!DOCTYPE x [<!ENTITY e0 "ha"><!ENTITY f SYSTEM "file:///etc/passwd">{grow}]>'
    spoiled = re.sub(rb"^(<\?xml[^>]*>)?", lambda m: m[0] + head.encode(), data, count=1)
    wanted = dice.choice(("&e12;", "&f;", "*a0", "&a0 x"))
    return _replaced(spoiled, rb"(?<=>)[^<>\s]+(?=<)|(?<=: )\S+", lambda old: wanted, dice)


def _replaced(
    data: bytes, pattern: bytes, new: Callable[[str], str], dice: random.Random
) -> Mutation:
    found = list(re.finditer(pattern, data))
    if not found:
        return mutate(data, dice)
    one = dice.choice(found)
    put = new(one[0].decode("utf-8", "replace")).encode("utf-8", "surrogatepass")
    spoiled = data[: one.start()] + put + data[one.end() :]
    return Mutation(spoiled, f"{one[0][:40]!r} -> {put[:40]!r}", (one.start(),), True)


_ANY = (flip, flip, cut, blank, repeat, drop, swap, number, number, splice)
