"""Reads the YAML of job files and profiles: plain values, each key once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from transforms.elements import RequestError, StorageError
from transforms.storage.redaction import learn
from transforms.storage.vector_formats import check_regular

_MAX_BYTES = 1 << 20
_MAX_VALUES = 10_000
"""Limit for one text: a job file has a hundred, and far more take PyYAML minutes."""
_MAX_DIGITS = 4000
"""Limit for one number: Python does not print longer ones."""

_SAYS_NOTHING = ("tag:yaml.org,2002:bool", "tag:yaml.org,2002:null")
"""Values that are not credentials, whatever the name of the key is."""


class _PlainLoader(yaml.SafeLoader):
    """Safe YAML without aliases: a job file does not need them, and YAML bombs consist of them.

    A repeated key is refused too, because nobody knows which value is meant.
    """

    values = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        self.values += 1
        if self.values > _MAX_VALUES:
            raise yaml.YAMLError(f"more than {_MAX_VALUES} keys and values")
        if self.check_event(yaml.events.AliasEvent):
            raise yaml.YAMLError("aliases (*name) are not allowed")
        node = super().compose_node(parent, index)
        if isinstance(node, yaml.ScalarNode):  # before an error can show it
            named = isinstance(index, yaml.ScalarNode) and node.tag not in _SAYS_NOTHING
            learn(node.value, index.value if named else "")
        return node

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        """A value; PyYAML's constructors raise any exception if the text does not fit its tag."""
        where = f"line {node.start_mark.line + 1}"
        try:
            value = super().construct_object(node, deep)
        except (yaml.YAMLError, RecursionError, ValueError):
            raise
        except Exception as error:
            kind = node.tag.rpartition(":")[2]
            raise yaml.YAMLError(
                f"{where}: {shown(node.value)} cannot be read as {kind}"
            ) from error
        if isinstance(value, int) and value.bit_length() > 3 * _MAX_DIGITS:
            raise yaml.YAMLError(f"{where}: a number has more than {_MAX_DIGITS} digits")
        return value

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            if isinstance(key, yaml.ScalarNode):
                if (key.tag, key.value) in seen:
                    where = f"line {key.start_mark.line + 1}"
                    raise yaml.YAMLError(
                        f"the key {one_line(key.value, 80)} appears twice ({where})"
                    )
                seen.add((key.tag, key.value))
        return super().construct_mapping(node, deep)


def text_of(file: Path) -> str:
    """The text of a job file.

    Raises:
        RequestError: it cannot be read, is too large, or is not text.
    """
    try:
        check_regular(str(file))
        with file.open("rb") as source:
            data = source.read(_MAX_BYTES + 1)
    except (OSError, StorageError) as error:
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
        raise RequestError(f"{file}: cannot read the job file: {reason}") from error
    if data.startswith(b"SQLite format 3\0"):
        raise RequestError(
            f"{file}: this is a GeoPackage or SQLite file; give a job file (YAML) that names it "
            "in area.file"
        )
    if len(data) > _MAX_BYTES:
        raise RequestError(f"{file}: is larger than {_MAX_BYTES} bytes; a job file is smaller")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RequestError(
            f"{file}: is not a UTF-8 text (byte 0x{data[error.start]:02x} at {error.start}); give "
            "a job file (YAML)"
        ) from error


def parse_yaml(text: str, name: str) -> Any:
    """The content of a YAML text; `name` is its name in errors.

    Raises:
        RequestError: it is not YAML, has aliases, or has a key twice.
    """
    try:
        # A day that does not exist is a ValueError.
        return yaml.load(text, Loader=_PlainLoader)  # noqa: S506 - a SafeLoader
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise RequestError(f"{name}: not valid YAML: {one_line(str(error), 300)}") from error


def shown(value: Any, limit: int = 80) -> str:
    """A value for an error message: days as they are written, everything on one line."""
    return one_line(str(_plain(value)) if isinstance(value, date) else repr(_plain(value)), limit)


def one_line(text: str, limit: int) -> str:
    """A text without line breaks and control characters, cut to `limit` characters."""
    line = re.sub(r"\s+", " ", text[: 4 * limit]).strip()
    line = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line)
    return line if len(line) <= limit else line[: limit - 3] + "..."


def _plain(value: Any) -> Any:
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list) else value
