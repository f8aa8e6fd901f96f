"""Checks the file of a classifier before any object in it is built.

A skops file is a zip archive with a schema (JSON, the list of objects) and arrays. skops builds
what the schema says, and a tree with wrong numbers reads beyond its memory. So the schema may name
only the parts of a tree classifier, each array must be exactly as long as its member of the
archive, and all sizes have limits.
"""

from __future__ import annotations

import io
import json
import math
import warnings
import zipfile
from typing import Any

import numpy as np

from transforms.elements import ModelError

TRUSTED = (
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.tree._tree.Tree",
)
"""Types that a file may contain besides those that skops itself trusts (estimators, arrays)."""

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
"""The types in a classifier and their skops loaders; text, numbers and arrays come in addition."""


def read_content(name: str, data: bytes, *, allow_pickle: bool = False) -> tuple[Any, str | None]:
    """The content of a file, and the scikit-learn version of its estimators if it differs.

    Args:
        name: name of the file, for messages.
        data: the bytes of the file.
        allow_pickle: whether joblib reads a file that is not skops; it runs any code that the
            file's author put into it.

    Raises:
        ModelError: the file is damaged, or contains something that is not allowed.
    """
    try:
        is_skops = zipfile.is_zipfile(io.BytesIO(data))
        if not is_skops and not allow_pickle:
            raise ModelError(
                name,
                "is not a skops file, or is truncated; a pickle is read only if you allow it",
            )
        if is_skops:
            check_skops(data)
            if (content := plain_content(data)) is not None:
                return content, None
        return _built(data, is_skops=is_skops)
    except ModelError:
        raise
    except Exception as error:
        # A damaged or foreign file can cause any error.
        raise ModelError(name, f"is damaged or not a classifier: {line(error)}") from error


def plain_content(data: bytes) -> Any:
    """The content of a checked skops file that holds only texts, numbers and arrays; else None.

    The linear classifier is such a file. skops reads it to the same content, but takes two seconds
    to be imported, in every process of a job.
    """
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        schema = json.loads(archive.read(_SCHEMA))
        nodes: list[tuple[dict[str, Any], int]] = []
        _walk(schema, 0, nodes)
        if not all(_is_plain(node) for node, _ in nodes):
            return None
        return _plain(schema, archive)


def _is_plain(node: dict[str, Any]) -> bool:
    match node["__loader__"]:
        case "DictNode":
            return all(kind["__class__"] == "str" for kind in node["key_types"]["content"])
        case "NdArrayNode":
            return node["__class__"] == "ndarray"  # no scalar of numpy
        case loader:
            return loader in ("ListNode", "JsonNode", "TypeNode")


def _plain(node: dict[str, Any], archive: zipfile.ZipFile) -> Any:
    content: Any = node.get("content")
    match node["__loader__"]:
        case "DictNode":
            return {key: _plain(value, archive) for key, value in content.items()}
        case "ListNode":
            return [_plain(value, archive) for value in content]
        case "JsonNode":
            return json.loads(content)
    data = io.BytesIO(archive.read(node["file"]))
    return np.load(data, allow_pickle=False)


def _built(data: bytes, *, is_skops: bool) -> tuple[Any, str | None]:
    """The content with the objects in it, as of `read_content`."""
    import joblib  # type: ignore[import-untyped]
    import skops.io
    from sklearn.exceptions import InconsistentVersionWarning

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", InconsistentVersionWarning)
        if is_skops:
            content = skops.io.loads(data, trusted=list(TRUSTED))
        else:
            content = joblib.load(io.BytesIO(data))
    other = [
        str(warning.message.original_sklearn_version)
        for warning in caught
        if isinstance(warning.message, InconsistentVersionWarning)
    ]
    return content, other[0][:40] if other else None


def line(error: Exception) -> str:
    """The text of an error on one line."""
    return " ".join(str(error).split())[:500] or type(error).__name__


def check_skops(data: bytes) -> None:
    """Check a skops file without building any object of it.

    Raises:
        ValueError: it contains something that a tree classifier does not have.
        zipfile.BadZipFile, KeyError, TypeError, RecursionError: it is not a skops file.
    """
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {info.filename: info for info in archive.infolist()}
        if len(members) != len(archive.infolist()) or len(members) > _MAX_MEMBERS:
            raise ValueError(
                f"has {len(archive.infolist())} members, which is too many or some are twice"
            )
        unpacked = sum(info.file_size for info in members.values())
        if unpacked > _MAX_UNPACKED or members[_SCHEMA].file_size > _MAX_SCHEMA:
            raise ValueError(
                f"unpacks to {unpacked >> 20} MB, and its schema to "
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
            # An object that is named again must be written out again. Otherwise a short file could
            # describe an endless object.
            number = node.get("__id__")
            if sizes.setdefault(number, size) != size:
                raise ValueError(f"object {number!r} is defined twice, with different content")
            if node.get("type") == "numpy":
                _check_array(archive, members[node["file"]])
            if node["__loader__"] == "JsonNode" and isinstance(
                json.loads(node["content"]), dict | list
            ):
                raise ValueError("found JSON within JSON, expected a text or a number")
            if kind == _TREE:
                _check_tree(archive, node)
        if foreign:
            raise ValueError(
                f"contains types that are not allowed: {', '.join(sorted(foreign)[:5])}"
            )


def _is_allowed(kind: str, loader: Any) -> bool:
    if loader == "JsonNode":
        return True  # a text or number, whatever its class is
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
    """Add every object of a schema with its number of values; return the number of `item`."""
    if depth > _MAX_DEPTH:
        raise ValueError(f"is nested more than {_MAX_DEPTH} deep")
    inner = item.values() if isinstance(item, dict) else item if isinstance(item, list) else ()
    size = 1 + sum(_walk(value, depth + 1, nodes) for value in inner)
    if isinstance(item, dict) and ("__loader__" in item or "__class__" in item):
        nodes.append((item, size))
    return size


def _check_array(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> tuple[tuple[int, ...], Any]:
    """The shape and dtype of an array, after a check that the member has exactly its bytes."""
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
        raise ValueError(
            f"{info.filename}: has {info.file_size - start} bytes, expected an array of {shape}"
        )
    return shape, dtype


def _check_tree(archive: zipfile.ZipFile, node: dict[str, Any]) -> None:
    """Check the numbers from which scikit-learn computes a tree's memory."""
    features, classes, outputs = node["__reduce__"]["args"]["content"]
    state = node["content"]["content"]
    if set(state) != {"max_depth", "node_count", "nodes", "values"}:
        raise ValueError(f"a tree has the parts {sorted(state)[:8]}")
    number = _whole(state["node_count"])
    _whole(state["max_depth"])
    if not 1 <= _whole(features) <= 1000 or _whole(outputs) != 1:
        raise ValueError("a tree has no features or several outputs")
    with archive.open(classes["file"]) as member:
        numbers = np.lib.format.read_array(io.BytesIO(member.read()), allow_pickle=False)
    if numbers.shape != (1,) or numbers.dtype.kind not in "iu" or numbers[0] not in (1, 2):
        raise ValueError(f"a tree has classes {numbers.shape}, expected one number, 1 or 2")
    nodes, _ = _check_array(archive, archive.getinfo(state["nodes"]["file"]))
    values, _ = _check_array(archive, archive.getinfo(state["values"]["file"]))
    if nodes != (number,) or values != (number, 1, int(numbers[0])) or not number:
        raise ValueError(f"a tree of {number} nodes has arrays {nodes} and {values}")


def _whole(node: dict[str, Any]) -> int:
    value = json.loads(node["content"])
    if type(value) is not int:
        raise ValueError(f"found {str(value)[:40]!r}, expected a whole number")
    return value
