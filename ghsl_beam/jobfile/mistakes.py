"""Describes a mistake in a job file in one line."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, get_type_hints

from pydantic import BaseModel, ValidationError

from ghsl_beam.area.wkt import looks_like_wkt
from ghsl_beam.jobfile.plain_yaml import one_line, shown
from transforms.storage import storage

_UNKNOWN = ("extra_forbidden", "unexpected_keyword_argument")
_BOX, _A_BOX = ("area", "bbox"), "12.5, 52.4, 12.7, 52.5"
_EXPECTED = {
    "too_short": "expected at least {min_length}, found {actual_length}",
    "too_long": "expected at most {max_length}, found {actual_length}",
    "tuple_type": "expected a list [...]",
    "string_type": "expected a text",
    "bool_type": "expected true or false",
    "bool_parsing": "expected true or false",
    "float_type": "expected a number",
    "float_parsing": "expected a number",
    "int_type": "expected a whole number",
    "int_parsing": "expected a whole number",
    "int_parsing_size": "expected a smaller whole number",
    "int_from_float": "expected a whole number",
    "string_pattern_mismatch": "expected a text that fits the pattern {pattern}",
}
"""Messages in this program's words, by pydantic's kind of mistake."""


def first_mistake(error: ValidationError, schema: type[BaseModel]) -> str:
    """The first mistake that pydantic found: the key, the mistake, and the given value."""
    errors = [e for e in error.errors() if e["type"] != "default_factory_not_called"]
    first = _cause_of(errors)
    parts = first["loc"]
    if first["type"] == "missing" and parts[:2] == _BOX:
        parts = _BOX  # not its fourth number: the list is too short
    key = one_line(".".join(str(part) for part in parts), 80) or "job"
    if first["type"] in _UNKNOWN:
        known = _keys_at(first["loc"][:-1], schema)
        close = difflib.get_close_matches(str(first["loc"][-1]), known, 1)
        hint = f"; did you mean {close[0]}?" if close else f"; allowed: {', '.join(known)}"
        return f"{key}: unknown key{hint}"
    if first["type"] == "missing" and parts != _BOX:
        return f"{key}: is missing"
    # A section that was not given is there with its defaults.
    absent = isinstance(first["input"], BaseModel)
    given = "" if absent else f", given {storage.masked(shown(first['input']))}"
    message = one_line(_message(first, schema), 300)
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return f"{key}: {message}{given}{more}"


def _cause_of(errors: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The first mistake; if it is a missing key, one that is written like it goes before it."""
    first = errors[0]
    if first["type"] == "missing":
        *section, name = first["loc"]
        for other in errors:
            *place, key = other["loc"]
            alike = difflib.get_close_matches(str(key), [str(name)], 1)
            if other["type"] in _UNKNOWN and place == section and alike:
                return other
    return first


def _message(mistake: Mapping[str, Any], schema: type[BaseModel]) -> str:
    kind, location = mistake["type"], mistake["loc"]
    if kind in ("model_type", "dict_type", "model_attributes_type", "dataclass_type"):
        if location == ("area",):
            return _as_area(mistake["input"])
        return f"expected keys with values: {', '.join(_keys_at(location, schema))}"
    if location[:2] == _BOX and kind in ("missing", "too_long", "tuple_type"):
        return "expected a list of four numbers: west, south, east, north"
    if kind in _EXPECTED:
        return _EXPECTED[kind].format_map(mistake.get("ctx", {}))
    message = mistake["msg"].removeprefix("Value error, ")
    return message.replace("Input should be", "expected", 1)


def _as_area(value: Any) -> str:
    """How to write an area that is given without its key, as a text or as numbers."""
    text = value.strip() if isinstance(value, str) else ""
    numbers = value if isinstance(value, list) else text.replace(",", " ").split()
    key, like = "file", one_line(storage.masked(text), 80) or "area.gpkg"
    if looks_like_wkt(text):
        key, like = "wkt", '"POLYGON ((12 52, 13 52, 13 53, 12 52))"'
    elif isinstance(value, list) or (all(map(_is_number, numbers)) and numbers):
        given = len(numbers) == 4 and all(map(_is_number, numbers))
        key, like = "bbox", f"[{', '.join(map(str, numbers)) if given else _A_BOX}]"
    others = [other for other in ("file", "wkt", "bbox") if other != key]
    return (
        f"expected one of the keys file, wkt, bbox: write area: {{{key}: {like}}} "
        f"(or {' or '.join(others)})"
    )


def _is_number(value: object) -> bool:
    return re.fullmatch(r"[+-]?\d{1,3}(\.\d*)?", str(value), re.A) is not None


def _keys_at(location: tuple[int | str, ...], schema: type[BaseModel]) -> list[str]:
    model: Any = schema
    for part in location:
        if isinstance(part, str) and part in get_type_hints(model):
            annotation = get_type_hints(model)[part]
            inner = [annotation, *getattr(annotation, "__args__", ())]
            model = next((kind for kind in inner if _has_keys(kind)), model)
    if is_dataclass(model):
        return [field.name for field in fields(model)]
    return list(model.model_fields)


def _has_keys(kind: object) -> bool:
    return isinstance(kind, type) and (issubclass(kind, BaseModel) or is_dataclass(kind))
