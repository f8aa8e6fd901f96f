"""Weight files: the 24 arrays with finite numbers, or refused; HDF5 as used has no checksum."""

import numpy as np

from tests.fuzz import mutators, sound
from transforms.inference.architecture import SHAPES
from transforms.inference.weights import NetworkWeights, load_weights, save_weights


def prepare(folder):
    dice = np.random.default_rng(0)
    arrays = {
        key: dice.uniform(0.05, 0.1, shape).astype(np.float32) for key, shape in SHAPES.items()
    }
    path = folder / "MODEL_CNN_33U.h5"
    save_weights(path, NetworkWeights(arrays, (0.001, 0.002, 0.003)))
    files = [path.read_bytes()]
    if (real := sound.shared("legacy_weights", "MODEL_CNN_32T.h5")) is not None:
        files.append(real.read_bytes())
    load_weights(path)
    return files


def case(state, dice, folder, tell):
    data = dice.choice(state)
    kind = dice.random()
    if kind < 0.4:  # most of the file is numbers: the structure lies at its ends and in text
        heads = [slice(0, 8192), slice(len(data) - 8192, len(data))]
        part = dice.choice(heads)
        inner = dice.choice((mutators.flip, mutators.number, mutators.blank))(data[part], dice)
        spoiled, what = data[: part.start] + inner.data + data[part.stop :], inner.what
    elif kind < 0.6:
        mutation = dice.choice((mutators.text, mutators.recompressed))(data, dice)
        spoiled, what = mutation.data, mutation.what
    else:
        mutation = mutators.mutate(data, dice)
        spoiled, what = mutation.data, mutation.what
    tell(what)
    path = folder / "MODEL_CNN_33U.h5"
    path.write_bytes(spoiled)
    weights = load_weights(path)
    assert {key: array.shape for key, array in weights.arrays.items()} == SHAPES
    assert all(np.isfinite(array).all() for array in weights.arrays.values())
    assert all(0 < one < 1 for one in weights.epsilon)
    return "taken"
