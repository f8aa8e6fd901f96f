"""Imports names of a package only when they are first used, because Beam takes a second."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazily(package: str, names: Mapping[str, str]) -> Callable[[str], Any]:
    """The `__getattr__` of a package.

    Args:
        package: its name, `__name__`.
        names: for each name, the module that defines it, relative to the package (`.transform`).

    Examples:
        >>> get = lazily("transforms", {"Window": ".elements"})
        >>> get("Window")(0, 0, 2, 3).shape
        (2, 3)
        >>> get("Door")
        Traceback (most recent call last):
        AttributeError: module 'transforms' has no attribute 'Door'
    """

    def get(name: str) -> Any:
        if name in names:
            return getattr(import_module(names[name], package), name)
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return get
