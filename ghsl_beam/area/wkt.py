"""Recognises WKT that a person typed, and finds its mistake."""

from __future__ import annotations

import difflib
import re

KINDS = ("POLYGON", "MULTIPOLYGON", "POINT", "LINESTRING", "GEOMETRYCOLLECTION")
_BEGIN = re.compile(r"\s*(SRID=\d+;)?\s*([A-Za-z]+)", re.I)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.I)
_MARKS = re.compile(r"EMPTY|ZM?|M", re.I)


def looks_like_wkt(text: str) -> bool:
    """Whether a text is meant as WKT, even with a mistake: a word, then a bracket."""
    return bool(re.match(r"\s*(SRID=\d+;)?\s*[A-Za-z]+\s*(ZM?|M)?\s*[\(\[]", text, re.I))


def is_no_location(text: str) -> bool:
    """Whether a text in place of a location is WKT; `area (1).gpkg` is not."""
    begin = _BEGIN.match(text)
    known = begin is not None and begin[2].upper() in KINDS
    return known and looks_like_wkt(text) and not re.search(r"\.[a-z]\w*$", text, re.I)


def mistake(text: str) -> str:
    """The first mistake in a text that is not valid WKT, with its character, counted from 1."""
    begin = _BEGIN.match(text)
    kind = begin[2].upper() if begin else ""
    if begin and kind not in (*KINDS, "MULTIPOINT", "MULTILINESTRING"):
        close = difflib.get_close_matches(kind, KINDS, 1)
        hint = f"; did you mean {close[0]}?" if close else ""
        return f"unknown word {begin[2][:30]!r} at character {begin.start(2) + 1}{hint}"
    place = begin.end() if begin else 0
    depth = numbers = 0
    while place < len(text):
        character, number = text[place], _NUMBER.match(text, place)
        if number:
            numbers += 1
            if numbers > 4:
                return f"a position has more than 4 numbers at character {place + 1}: a comma?"
            place = number.end()
            continue
        if character in ",)":
            if depth == 0:
                return f"unexpected {character!r} at character {place + 1}"
            if numbers == 1:
                return f"a position has one number, expected two, at character {place + 1}"
        if character in "(),":
            depth += {"(": 1, ")": -1, ",": 0}[character]
            numbers = 0
        elif not character.isspace():
            mark = _MARKS.match(text, place)
            if mark is None or depth > 0:
                return f"unexpected {character!r} at character {place + 1}"
            place = mark.end()
            continue
        place += 1
    if depth:
        return f"{depth} closing bracket{'s' * (depth > 1)} missing at character {place + 1}"
    return "a ring needs four positions, the last like the first"
