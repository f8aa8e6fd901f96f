"""The file of a classifier, looked through before anything in it is built.

A skops file is a zip archive of a schema (JSON: which objects there are) and of arrays. skops
builds what the schema says, and a tree that is built from wrong numbers reads beyond its memory.
So the schema may name only what a classifier of trees is made of, each array must be as long as
the archive's own member, and all of it is bounded.
"""

from __future__ import annotations

import io
import json
import math
import warnings
import zipfile
from typing import Any

import joblib  # type: ignore[import-untyped]
import numpy as np
import skops.io
from sklearn.exceptions import InconsistentVersionWarning

from transforms.elements import ModelError

TRUSTED = (
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.tree._tree.Tree",
)
"""Types a file may hold besides those skops itself trusts (estimators and arrays)."""

_MAX_SCHEMA = 64 << 20
_MAX_UNPACKED = 1 << 30
_MAX_MEMBERS = 1 << 17
_MAX_DEPTH = 64
_SCHEMA = "schema.json"
_TREE = "sklearn.tree._tree.Tree"
_ALLOWED = {
    "builtins.dict": "DictNode",
    "builtins.list": "ListNode",
    "builtins.tuple": "TupleNode",
    "numpy.random._generator.Generator": "RandomGeneratorNode",
    "numpy.random.mtrand.RandomState": "RandomStateNode",
    "sklearn._loss._loss.CyHalfBinomialLoss": "LossNode",
    _TREE: "TreeNode",
} | dict.fromkeys(
    (
        "sklearn._loss.link.Interval",
        "sklearn._loss.link.LogitLink",
        "sklearn._loss.loss.HalfBinomialLoss",
        "sklearn.dummy.DummyClassifier",
        "sklearn.ensemble._forest.ExtraTreesClassifier",
        "sklearn.ensemble._forest.RandomForestClassifier",
        "sklearn.ensemble._gb.GradientBoostingClassifier",
        "sklearn.ensemble._hist_gradient_boosting.binning._BinMapper",
        "sklearn.ensemble._hist_gradient_boosting.gradient_boosting.HistGradientBoostingClassifier",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.preprocessing._label.LabelEncoder",
        "sklearn.tree._classes.DecisionTreeClassifier",
        "sklearn.tree._classes.DecisionTreeRegressor",
        "sklearn.tree._classes.ExtraTreeClassifier",
    ),
    "ObjectNode",
)
"""What a classifier is made of, and how skops builds each; besides text, numbers and arrays."""


def read_content(name: str, data: bytes, *, allow_pickle: bool = False) -> tuple[Any, str | None]:
    """What a file holds, and the version of another scikit-learn that its estimators state.

    Args:
        name: of the file, for messages.
        data: the file.
        allow_pickle: whether what is no skops file is read by joblib, which runs whatever its
            author put into it.

    Raises:
        ModelError: it is damaged, or holds what is not allowed.
    """
    try:
        is_skops = zipfile.is_zipfile(io.BytesIO(data))
        if not is_skops and not allow_pickle:
            raise ModelError(
                name, "is not a skops file, or cut short; pickles are read on request only"
            )
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("ignore")
            warnings.simplefilter("always", InconsistentVersionWarning)
            if is_skops:
                check_skops(data)
                content = skops.io.loads(data, trusted=list(TRUSTED))
            else:
                content = joblib.load(io.BytesIO(data))
    except ModelError:
        raise
    except Exception as error:
        # What a damaged or foreign file makes its reader raise has no bounds.
        raise ModelError(name, f"is damaged or no classifier: {line(error)}") from error
    other = [
        str(found.message.original_sklearn_version)
        for found in said
        if isinstance(found.message, InconsistentVersionWarning)
    ]
    return content, other[0][:40] if other else None


def line(error: Exception) -> str:
    """An error's text on one line."""
    return " ".join(str(error).split())[:500] or type(error).__name__


def check_skops(data: bytes) -> None:
    """Look through a skops file without building anything of it.

    Raises:
        ValueError: it holds what a classifier of trees does not.
        zipfile.BadZipFile, KeyError, TypeError, RecursionError: it is no such file.
    """
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {info.filename: info for info in archive.infolist()}
        if len(members) != len(archive.infolist()) or len(members) > _MAX_MEMBERS:
            raise ValueError(f"found {len(archive.infolist())} members, some twice or too many")
        unpacked = sum(info.file_size for info in members.values())
        if unpacked > _MAX_UNPACKED or members[_SCHEMA].file_size > _MAX_SCHEMA:
            raise ValueError(
                f"unfolds to {unpacked >> 20} MB, its schema to "
                f"{members[_SCHEMA].file_size >> 20} MB: more than any classifier needs"
            )
        schema = json.loads(archive.read(_SCHEMA))
        foreign = set()
        sizes: dict[Any, int] = {}
        nodes: list[tuple[dict[str, Any], int]] = []
        _walk(schema, 0, nodes)
        for node, size in nodes:
            kind = f"{node.get('__module__')}.{node.get('__class__')}"
            if not _is_allowed(kind, node.get("__loader__")):
                foreign.add(kind[:200])
                continue
            # An object that is named again must be written out again: else a short file could
            # stand for an endless one.
            number = node.get("__id__")
            if sizes.setdefault(number, size) != size:
                raise ValueError(f"object {number!r} is two things")
            if node.get("type") == "numpy":
                _check_array(archive, members[node["file"]])
            if node["__loader__"] == "JsonNode" and isinstance(
                json.loads(node["content"]), dict | list
            ):
                raise ValueError("found JSON within JSON, expected a text or a number")
            if kind == _TREE:
                _check_tree(archive, node)
        if foreign:
            raise ValueError(f"holds types that are not allowed: {', '.join(sorted(foreign)[:5])}")


def _is_allowed(kind: str, loader: Any) -> bool:
    if loader == "JsonNode":
        return True  # a text or number, whatever it calls itself
    if loader == "TypeNode":
        return kind in ("builtins.str", "builtins.int")  # keys of a dictionary
    if loader == "NdArrayNode":
        name = kind.removeprefix("numpy.")
        scalar = getattr(np, name, None) if kind.startswith("numpy.") else None
        return name == "ndarray" or (
            isinstance(scalar, type) and issubclass(scalar, np.number | np.bool)
        )
    return _ALLOWED.get(kind) == loader


def _walk(item: Any, depth: int, nodes: list[tuple[dict[str, Any], int]]) -> int:
    """Add every object of a schema and the number of values in it; returns that of `item`."""
    if depth > _MAX_DEPTH:
        raise ValueError(f"is nested more than {_MAX_DEPTH} deep")
    inner = item.values() if isinstance(item, dict) else item if isinstance(item, list) else ()
    size = 1 + sum(_walk(value, depth + 1, nodes) for value in inner)
    if isinstance(item, dict) and ("__loader__" in item or "__class__" in item):
        nodes.append((item, size))
    return size


def _check_array(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> tuple[tuple[int, ...], Any]:
    """The shape and dtype of an array, after a look that the member holds just that much."""
    with archive.open(info) as member:
        version = np.lib.format.read_magic(member)
        read = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        shape, _, dtype = read(member)
        start = member.tell()
    if dtype.hasobject or dtype.kind not in "biufV":
        raise ValueError(f"{info.filename}: found an array of {dtype}, expected numbers")
    size = math.prod(shape) * dtype.itemsize
    if min((0, *shape)) < 0 or start + size != info.file_size:
        raise ValueError(f"{info.filename}: found {info.file_size - start} bytes for {shape}")
    return shape, dtype


def _check_tree(archive: zipfile.ZipFile, node: dict[str, Any]) -> None:
    """Look at the numbers that scikit-learn takes a tree's memory from."""
    features, classes, outputs = node["__reduce__"]["args"]["content"]
    state = node["content"]["content"]
    if set(state) != {"max_depth", "node_count", "nodes", "values"}:
        raise ValueError(f"a tree is made of {sorted(state)[:8]}")
    number = _whole(state["node_count"])
    _whole(state["max_depth"])
    if not 1 <= _whole(features) <= 1000 or _whole(outputs) != 1:
        raise ValueError("a tree has no features, or several outputs")
    with archive.open(classes["file"]) as member:
        found = np.lib.format.read_array(io.BytesIO(member.read()), allow_pickle=False)
    if found.shape != (1,) or found.dtype.kind not in "iu" or found[0] not in (1, 2):
        raise ValueError(f"a tree has classes {found.shape}, expected one number, 1 or 2")
    nodes, _ = _check_array(archive, archive.getinfo(state["nodes"]["file"]))
    values, _ = _check_array(archive, archive.getinfo(state["values"]["file"]))
    if nodes != (number,) or values != (number, 1, int(found[0])) or not number:
        raise ValueError(f"a tree of {number} nodes has arrays {nodes} and {values}")


def _whole(node: dict[str, Any]) -> int:
    value = json.loads(node["content"])
    if type(value) is not int:
        raise ValueError(f"found {str(value)[:40]!r}, expected a whole number")
    return value
