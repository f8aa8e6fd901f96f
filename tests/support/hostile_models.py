"""Damaged or hostile model files: they are small, and have allowed types and shapes."""

import io
import json
import zipfile
import zlib
from pathlib import Path

import h5py
import numpy as np
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier
from sklearn.tree import DecisionTreeClassifier

from transforms.classification import train

TABLE = np.random.default_rng(0).random((300, 5), dtype=np.float32)
LABELS = (1 + (TABLE[:, 0] + TABLE[:, 1] > 1)).astype(np.uint8)
TREE = DecisionTreeClassifier(max_depth=4, random_state=0)
HISTOGRAM = HistGradientBoostingClassifier(max_iter=2, early_stopping=False, random_state=0)
BOOSTED = GradientBoostingClassifier(n_estimators=2, random_state=0)


def classifier(path: Path, estimator=TREE) -> Path:
    """A sound classifier."""
    train(TABLE, LABELS, "spectral", "noise", estimator=estimator).save(path)
    return path


def members_of(path: Path) -> dict[str, bytes]:
    """The members of an archive."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def written(path: Path, members: dict[str, bytes]) -> None:
    """Write an archive of these members."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def objects(item, kind):
    """Every object of a kind in a schema."""
    if isinstance(item, dict):
        if item.get("__class__") == kind:
            yield item
        for value in item.values():
            yield from objects(value, kind)
    elif isinstance(item, list):
        for value in item:
            yield from objects(value, kind)


def changed(path: Path, change, estimator=TREE) -> None:
    """A classifier whose schema and members `change(schema, members)` has changed."""
    members = members_of(classifier(path, estimator))
    schema = json.loads(members["schema.json"])
    change(schema, members)
    written(path, members | {"schema.json": json.dumps(schema).encode()})


def as_npy(array) -> bytes:
    """An array as numpy stores it."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def with_nodes(path: Path, change, estimator=TREE) -> None:
    """A classifier of which the first tree's nodes are changed."""
    kind = "TreePredictor" if estimator is HISTOGRAM else "Tree"

    def edit(schema, members):
        tree = next(objects(schema, kind))["content"]["content"]
        nodes = np.load(io.BytesIO(members[tree["nodes"]["file"]]))
        change(nodes)
        members[tree["nodes"]["file"]] = as_npy(nodes)

    changed(path, edit, estimator)


def setting(field, value, at=0):
    """A change of one field of one node."""

    def change(nodes):
        nodes[field][at] = value

    return change


def _tree_of(schema):
    return next(objects(schema, "Tree"))


def _node_count(schema, members):
    _tree_of(schema)["content"]["content"]["node_count"]["content"] = "1000000000"


def _outputs(schema, members):
    _tree_of(schema)["__reduce__"]["args"]["content"][2]["content"] = "100000000"


def _classes(schema, members):
    file = _tree_of(schema)["__reduce__"]["args"]["content"][1]["file"]
    members[file] = as_npy(np.array([1 << 40]))


def _endless_array(schema, members):
    file = _tree_of(schema)["content"]["content"]["values"]["file"]
    header = {"descr": "<f8", "fortran_order": False, "shape": (1 << 40,)}
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, header)
    members[file] = buffer.getvalue()


def _nan(schema, members):
    file = _tree_of(schema)["content"]["content"]["values"]["file"]
    members[file] = as_npy(np.load(io.BytesIO(members[file])) * np.nan)


def _named_again(schema, members):
    """Thirty lists, each twice the one before, written out once."""
    node = {"__class__": "list", "__module__": "builtins", "__loader__": "ListNode", "content": []}
    inner = node | {"__id__": 1}
    for number in range(2, 32):
        inner = node | {"__id__": number, "content": [inner, {**node, "__id__": number - 1}]}
    schema["content"]["description"] = inner


def _deep(schema, members):
    node = {"__class__": "list", "__module__": "builtins", "__loader__": "ListNode"}
    inner = {**node, "content": [], "__id__": 1}
    for number in range(2, 200):
        inner = {**node, "content": [inner], "__id__": number}
    schema["content"]["description"] = inner


def _foreign(schema, members):
    schema["content"]["description"] = {
        "__class__": "system",
        "__module__": "os",
        "__loader__": "FunctionNode",
        "content": {"module_path": "os", "function": "system"},
    }


def _classes_of_it(schema, members):
    (estimator,) = objects(schema, "DecisionTreeClassifier")
    estimator["content"]["content"]["n_classes_"] = {
        "__class__": "str",
        "__module__": "builtins",
        "__loader__": "JsonNode",
        "content": "1000000000000",
        "is_json": True,
        "__id__": 3,
    }


def _unfolds(path: Path) -> None:
    """A schema of a few kilobytes that unfolds to 100 MB of blanks."""
    members = members_of(classifier(path))
    written(path, members | {"schema.json": members["schema.json"] + b" " * (100 << 20)})


def _twice(path: Path) -> None:
    members = members_of(classifier(path))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("schema.json", members["schema.json"])


CLASSIFIERS = {
    "tree whose path turns back": (
        lambda path: with_nodes(path, setting("left_child", 0)), "returns to an earlier node"
    ),
    "tree that names a node it does not have": (
        lambda path: with_nodes(path, setting("right_child", 1 << 40)), "does not exist"
    ),
    "tree that uses a missing feature": (
        lambda path: with_nodes(path, setting("feature", 1 << 30)), "uses a feature"
    ),
    "boosted tree whose path turns back": (
        lambda path: with_nodes(path, setting("left_child", 0), BOOSTED),
        "returns to an earlier node",
    ),
    "histogram tree whose path turns back": (
        lambda path: with_nodes(path, setting("left", 0), HISTOGRAM), "returns to an earlier node"
    ),
    "histogram tree that names a node it does not have": (
        lambda path: with_nodes(path, setting("right", 4_000_000_000), HISTOGRAM), "does not exist"
    ),
    "histogram tree that uses a missing feature": (
        lambda path: with_nodes(path, setting("feature_idx", 1 << 40), HISTOGRAM),
        "uses a feature",
    ),
    "histogram tree that takes a feature for classes": (
        lambda path: with_nodes(path, setting("is_categorical", 1), HISTOGRAM),
        "features as categories",
    ),
    "tree that says it has 1 000 000 000 nodes": (
        lambda path: changed(path, _node_count), "1000000000 nodes"
    ),
    "tree of 100 000 000 outputs": (lambda path: changed(path, _outputs), "several outputs"),
    "tree of 2^40 classes": (lambda path: changed(path, _classes), "expected one number"),
    "estimator of 10^12 classes": (
        lambda path: changed(path, _classes_of_it), "exactly two classes"
    ),
    "array that says it is 8 TB long": (
        lambda path: changed(path, _endless_array), "expected an array of"
    ),
    "leaves that are not numbers": (lambda path: changed(path, _nan), "not finite"),
    "list of itself twice, 30 times": (lambda path: changed(path, _named_again), "defined twice"),
    "lists 200 deep": (lambda path: changed(path, _deep), "nested more than"),
    "function of the operating system": (lambda path: changed(path, _foreign), "not allowed"),
    "schema that unfolds to 100 MB": (_unfolds, "unpacks to"),
    "two members of one name": (_twice, "some are twice"),
}  # fmt: skip
"""By name: the function that makes the file, and the text of the error."""

KERNEL = "model_weights/conv2d_4/conv2d_4/kernel:0"


def _other_kernel(path: Path, **kind) -> None:
    with h5py.File(path, "r+") as stored:
        values = stored[KERNEL][()]
        del stored[KERNEL]
        stored.create_dataset(KERNEL, data=values, **kind)


def _chunk_that_unfolds(path: Path) -> None:
    """A chunk whose stream holds 64 MB of zeros where 4 MB belong."""
    with h5py.File(path, "r+") as stored:
        shape = stored[KERNEL].shape
        del stored[KERNEL]
        kernel = stored.create_dataset(KERNEL, shape, "f4", chunks=shape, compression="gzip")
        kernel.id.write_direct_chunk((0, 0, 0, 0), zlib.compress(bytes(64 << 20), 9))


def _chunk_missing(path: Path) -> None:
    """Nothing stored: HDF5 reads zeros, and a network of zeros is a network."""
    with h5py.File(path, "r+") as stored:
        shape = stored[KERNEL].shape
        del stored[KERNEL]
        stored.create_dataset(KERNEL, shape, "f4", chunks=(1, 1, 512, 512), compression="gzip")


def _nothing_stored(path: Path) -> None:
    with h5py.File(path, "r+") as stored:
        shape = stored[KERNEL].shape
        del stored[KERNEL]
        stored.create_dataset(KERNEL, shape, "f4")


def _virtual(path: Path) -> None:
    with h5py.File(path, "r+") as stored:
        shape = stored[KERNEL].shape
        del stored[KERNEL]
        layout = h5py.VirtualLayout(shape, "f4")
        layout[...] = h5py.VirtualSource("/etc/hostname", "x", shape)
        stored.create_virtual_dataset(KERNEL, layout)


def _external(path: Path) -> None:
    with h5py.File(path, "r+") as stored:
        shape = stored[KERNEL].shape
        del stored[KERNEL]
        stored.create_dataset(KERNEL, shape, "f4", external=[("/dev/zero", 0, 4 << 20)])


def _texts_that_unfold(path: Path) -> None:
    """Names of any length: each may be the same long text."""
    with h5py.File(path, "r+") as stored:
        group = stored["model_weights"]
        names = [name.decode() for name in group.attrs["layer_names"]]
        group.attrs["layer_names"] = np.array(names, dtype=h5py.string_dtype())


def _soft_link(path: Path) -> None:
    with h5py.File(path, "r+") as stored:
        del stored["model_weights/dense_2"]
        stored["model_weights/dense_2"] = h5py.SoftLink("/model_weights/dense_1")


def _infinite(path: Path) -> None:
    with h5py.File(path, "r+") as stored:
        stored[KERNEL][0, 0, 0, 0] = np.inf


def _deep_config(path: Path) -> None:
    with h5py.File(path, "r+") as stored:
        stored.attrs["model_config"] = np.bytes_("[" * 50_000)


def _objects(path: Path) -> None:
    with h5py.File(path, "r+") as stored:
        shape = stored[KERNEL].shape
        del stored[KERNEL]
        stored.create_dataset(KERNEL, shape, dtype=h5py.vlen_dtype(np.float32))


NETWORKS = {
    "chunk that unfolds to 64 MB": (_chunk_that_unfolds, "more than"),
    "missing chunks": (_chunk_missing, "found 0 chunks"),
    "array without stored data": (_nothing_stored, "found 0 bytes"),
    "array in another file (virtual)": (_virtual, "another file"),
    "array in another file (external)": (_external, "another file"),
    "array of lists": (_objects, "expected float32"),
    "filter that is not gzip": (
        lambda path: _other_kernel(path, compression="lzf"), "found filters"
    ),
    "checksums beside gzip": (
        lambda path: _other_kernel(path, compression="gzip", fletcher32=True), "found filters"
    ),
    "thousands of tiny chunks": (
        lambda path: _other_kernel(path, chunks=(1, 1, 1, 64)), "at most 4096"
    ),
    "names of any length": (_texts_that_unfold, "fixed length"),
    "layer that is a link": (_soft_link, "found a link"),
    "infinite weight": (_infinite, "not finite"),
    "settings 50 000 deep": (_deep_config, "no list of layers"),
}  # fmt: skip
"""By name: the change to a sound file, and the text of the error."""
