"""A JSON schema as tables of its keys: type, default, range, meaning and an example of each.

The schemas are those of the job file and of run.json. pydantic makes them from the models, so a
page is as right as the program is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

Node = Mapping[str, Any]

_BOUNDS = {
    "minimum": "at least",
    "exclusiveMinimum": "more than",
    "maximum": "at most",
    "exclusiveMaximum": "less than",
}
_NAMES = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "null": "null",
    "object": "section",
}


@dataclass(frozen=True)
class Key:
    """One key of a schema.

    Attributes:
        path: its name from the top, such as `grids[].crs`.
        types: what a value is, in words.
        default: as JSON; empty if the key has no fixed default.
        required: whether the key must be given.
        bounds: what limits a value, in words; empty if nothing does.
        meaning: description, or empty if the schema has none.
        example: as JSON; empty if there is none.
        sections: the sections below it, by their paths.
    """

    path: str
    types: str
    default: str
    required: bool
    bounds: str
    meaning: str
    example: str
    sections: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """A section of a schema and its keys.

    Attributes:
        path: the section's name; empty for the top.
        meaning: its description.
        keys: its keys, in the order of the schema.
    """

    path: str
    meaning: str
    keys: tuple[Key, ...] = field(default=())


def tables(schema: Node, documents: Sequence[Node] = ()) -> list[Table]:
    """All sections of a schema: the top, then each section where its key stands.

    Args:
        schema: a JSON schema.
        documents: whole documents, from which a key takes its example if the schema has none.

    A section that stands in two places, such as `input.api.l1c` and `input.api.l2a`, has one table.
    """
    found: dict[str, Table] = {}
    places: dict[str, list[str]] = {}
    for name, table in _sections(schema, schema, ""):
        places.setdefault(name, []).append(table.path)
        found.setdefault(name, table)
    return [
        Table(
            ", ".join(places[name]),
            table.meaning,
            tuple(_with_example(key, table.path, places[name], documents) for key in table.keys),
        )
        for name, table in found.items()
    ]


def _sections(schema: Node, node: Node, path: str) -> Iterator[tuple[str, Table]]:
    attributes = _attributes(node.get("description", ""))
    keys, below = [], []
    for name, value in node["properties"].items():
        place = f"{path}.{name}".lstrip(".")
        inner = list(_inner(schema, value, place))
        below += inner
        meaning = (
            value.get("description")
            or attributes.get(name)
            or next((_first(one.get("description", "")) for one, _ in inner), "")
        )
        keys.append(_key(schema, value, place, name in node.get("required", ()), meaning))
    yield str(node["title"]), Table(path, _first(node.get("description", "")), tuple(keys))
    for one, place in below:
        yield from _sections(schema, one, place)


def _key(schema: Node, value: Node, path: str, required: bool, meaning: str) -> Key:
    options = list(_options(schema, value))
    sections = tuple(place for _, place in _inner(schema, value, path))
    known = "default" in value and not (sections and isinstance(value["default"], Mapping))
    return Key(
        path,
        " or ".join(dict.fromkeys(_type(schema, one) for one in options)),
        json.dumps(value["default"]) if known else "",
        required,
        "; ".join(dict.fromkeys(text for one in options if (text := _limits(schema, one)))),
        meaning,
        "" if sections else _example(value, options),
        sections,
    )


def _example(value: Node, options: list[Node]) -> str:
    """The first example of the schema, else a default that says something, else a choice."""
    for node in (value, *options):
        if node.get("examples"):
            return json.dumps(node["examples"][0], ensure_ascii=False)
    if value.get("default") not in (None, "", [], {}):
        return json.dumps(value["default"], ensure_ascii=False)
    choices = [choice for one in options for choice in one.get("enum", ())]
    return json.dumps(choices[0]) if choices else ""


def _with_example(key: Key, path: str, places: list[str], documents: Sequence[Node]) -> Key:
    """The key with the example that the documents have, at any place of its section."""
    if key.sections:
        return key
    for place in places:
        for value in _given(documents, place + key.path.removeprefix(path)):
            return replace(key, example=json.dumps(value, ensure_ascii=False, default=str))
    return key


def _given(documents: Sequence[Node], path: str) -> Iterator[Any]:
    """The values of a key in whole documents; those that say nothing are left out."""
    values: list[Any] = list(documents)
    for step in path.replace("[]", ".[]").split("."):
        inner: list[Any] = []
        for value in values:
            if step == "[]":
                inner += value if isinstance(value, list) else []
            elif isinstance(value, Mapping):
                inner += list(value.values()) if step == "NAME" else [value.get(step)]
        values = inner
    yield from (value for value in values if value not in (None, "", [], {}))


def _options(schema: Node, value: Node) -> Iterator[Node]:
    """What a value may be: the alternatives, also those within alternatives."""
    node = _resolved(schema, value)
    if "anyOf" in node:
        for one in node["anyOf"]:
            yield from _options(schema, one)
    else:
        yield node


def _type(schema: Node, node: Node) -> str:
    if "const" in node:
        return json.dumps(node["const"])
    if "enum" in node:
        return "one of " + ", ".join(f"`{one}`" for one in node["enum"])
    if node.get("type") == "array":
        if "prefixItems" in node:
            return f"list of {len(node['prefixItems'])} numbers"
        items = _resolved(schema, node.get("items", {}))
        return "list of " + {"object": "sections"}.get(items.get("type", ""), _type(schema, items))
    if node.get("type") == "object" and "properties" not in node:
        inner = node.get("additionalProperties")
        if isinstance(inner, Mapping):
            return f"by name: {_type(schema, _resolved(schema, inner))}"
        return "keys and values"
    if node.get("format") == "date":
        return "day"
    return _NAMES.get(node.get("type", ""), "any value")


def _limits(schema: Node, node: Node) -> str:
    if node.get("type") == "array" and isinstance(node.get("items"), Mapping):
        inner = _limits(schema, _resolved(schema, node["items"]))
        least = f"at least {node['minItems']} value" if node.get("minItems") else ""
        return ", ".join(filter(None, (least, inner and f"each {inner}")))
    parts = [f"{words} {node[key]:g}" for key, words in _BOUNDS.items() if key in node]
    if "pattern" in node:
        parts.append(f"pattern `{node['pattern']}`")
    return ", ".join(parts)


def _inner(schema: Node, value: Node, path: str) -> Iterator[tuple[Node, str]]:
    """The sections below a key, with their paths."""
    for node in _options(schema, value):
        places = (
            (node, path),
            (node.get("items"), f"{path}[]"),
            (node.get("additionalProperties"), f"{path}.NAME"),
        )
        for one, place in places:
            if isinstance(one, Mapping):
                section = _resolved(schema, one)
                if "properties" in section:
                    yield section, place


def _resolved(schema: Node, node: Node) -> Node:
    while "$ref" in node:
        rest = {key: value for key, value in node.items() if key != "$ref"}
        node = {**schema["$defs"][node["$ref"].rpartition("/")[2]], **rest}
    return node


def _first(text: str) -> str:
    """The description of a section, without the list of its attributes."""
    return re.split(r"\n\s*Attributes:", text)[0].strip()


def _attributes(text: str) -> dict[str, str]:
    """The meaning of each attribute that a Google-form docstring describes."""
    _, _, listed = text.partition("Attributes:")
    found: dict[str, str] = {}
    names: list[str] = []
    for line in listed.splitlines():
        entry = re.match(r" {0,4}([a-z]\w*(?:, \w+)*): (.+)", line)
        if entry:
            names = entry[1].split(", ")
            found |= dict.fromkeys(names, entry[2])
        else:
            found |= {name: f"{found[name]} {line.strip()}".strip() for name in names}
    return found
