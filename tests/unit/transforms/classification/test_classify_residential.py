"""The transform around the classifier: it takes the file that the launch planned with."""

import numpy as np
import pytest

from transforms.classification import FEATURE_SETS
from transforms.classification.transform import ClassifyResidential
from transforms.elements import Block, Layer, Pixels, VersionError, Window, utm_grid
from transforms.storage import storage

WINDOW = Window(0, 0, 40, 30)
GRID = utm_grid(32633, 300000, 5900040, 40, 30)


def classes_of(transform, bufrac, s2):
    layers = {Layer.BUFRAC: bufrac, Layer.S2: s2}
    pixels = Pixels(Block("33UUU", WINDOW), WINDOW, GRID, layers, make=(Layer.RES_NRES,))
    (made,) = transform.classify(pixels)
    return made[Layer.RES_NRES]


def test_a_file_that_was_trained_anew_is_read_anew(tmp_path, block, classifiers):
    """Two launches of one process, the file replaced between them, then within the second."""
    file = str(tmp_path / "own.skops")
    bufrac, s2 = block(3, WINDOW.shape)
    found, (other_name, *_) = {}, [name for name in FEATURE_SETS if name != "spectral"]
    for name in ("spectral", other_name):
        classifiers[name].save(file)
        transform = ClassifyResidential(file, storage.sha256(file))
        found[name] = classes_of(transform, bufrac, s2)
        again = classes_of(transform, bufrac, s2)
        assert np.array_equal(found[name], again)
    assert not np.array_equal(found["spectral"], found[other_name])
    other = ClassifyResidential(file, "0" * 64)
    with pytest.raises(
        VersionError, match=r"own\.skops: a worker has a file with SHA-256 .* planned with 0+:"
    ):
        classes_of(other, bufrac, s2)
