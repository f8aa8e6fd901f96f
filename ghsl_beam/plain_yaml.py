"""YAML as job files and profiles are written in: plain values, each key once."""

from __future__ import annotations

import re
from typing import Any

import yaml

from transforms.elements import RequestError


class _PlainLoader(yaml.SafeLoader):
    """Safe YAML without aliases, which a job file has no use for and a YAML bomb is made of.

    A key that is there twice is refused too: which of the two was meant?
    """

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.events.AliasEvent):
            raise yaml.YAMLError("aliases (*name) are not allowed")
        return super().compose_node(parent, index)

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        """A value; PyYAML's constructors end in any exception where its text is not of its tag."""
        try:
            return super().construct_object(node, deep)
        except (yaml.YAMLError, RecursionError, ValueError):
            raise
        except Exception as error:
            where, kind = f"line {node.start_mark.line + 1}", node.tag.rpartition(":")[2]
            raise yaml.YAMLError(f"{where}: {node.value!r} is no {kind}") from error

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            if isinstance(key, yaml.ScalarNode):
                if (key.tag, key.value) in seen:
                    where = f"line {key.start_mark.line + 1}"
                    raise yaml.YAMLError(f"the key {key.value} is there twice ({where})")
                seen.add((key.tag, key.value))
        return super().construct_mapping(node, deep)


def parse_yaml(text: str, name: str) -> Any:
    """Content of a YAML text; `name` is what an error calls it.

    Raises:
        RequestError: it is not YAML, has aliases, or a key twice.
    """
    try:
        # A day that is in no calendar is a ValueError.
        return yaml.load(text, Loader=_PlainLoader)  # noqa: S506 - a SafeLoader
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        reason = re.sub(r"\s+", " ", str(error))
        raise RequestError(f"{name}: not valid YAML: {reason}") from error
