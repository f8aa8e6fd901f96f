"""What is wrong with a job file, in one line."""

from __future__ import annotations

import difflib
from typing import Any

from pydantic import BaseModel, ValidationError

from ghsl_beam.plain_yaml import one_line, shown
from transforms.raster import storage


def first_mistake(error: ValidationError, schema: type[BaseModel]) -> str:
    """The first mistake that pydantic found: the key, what is wrong, what was given."""
    errors = [e for e in error.errors() if e["type"] != "default_factory_not_called"]
    first = errors[0]
    key = one_line(".".join(str(part) for part in first["loc"]), 80) or "job"
    if first["type"] == "extra_forbidden":
        known = _keys_at(first["loc"][:-1], schema)
        close = difflib.get_close_matches(str(first["loc"][-1]), known, 1)
        hint = f"; did you mean {close[0]}?" if close else f"; allowed: {', '.join(known)}"
        return f"{key}: unknown key{hint}"
    if first["type"] == "missing":
        return f"{key}: is missing"
    given = storage.masked(shown(first["input"]))
    message = one_line(first["msg"].removeprefix("Value error, "), 300)
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return f"{key}: {message}, given {given}{more}"


def _keys_at(location: tuple[int | str, ...], schema: type[BaseModel]) -> list[str]:
    model: Any = schema
    for part in location:
        if isinstance(part, str) and part in model.model_fields:
            annotation = model.model_fields[part].annotation
            inner = [annotation, *getattr(annotation, "__args__", ())]
            model = next(
                (t for t in inner if isinstance(t, type) and issubclass(t, BaseModel)), model
            )
    return list(model.model_fields)
