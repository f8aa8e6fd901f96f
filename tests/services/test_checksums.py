"""SHA256SUMS, and models verify."""

import hashlib
import pickle
import shutil
import subprocess

import h5py
import numpy as np
import pytest

from ghsl_beam.models.checksums import Verdict, read_sums, record, verify
from tests.support.jobs import NETWORK
from transforms.elements import RequestError

GOOD = NETWORK
DIGEST = hashlib.sha256(GOOD.read_bytes()).hexdigest()


@pytest.fixture
def folder(tmp_path):
    for zone in ("32T", "33U"):
        shutil.copy(GOOD, tmp_path / f"MODEL_CNN_{zone}.h5")
    return tmp_path


def verdicts(folder):
    return {checked.zone: checked.verdict for checked in verify(str(folder))}


def test_new_files_are_recorded_and_later_compared(folder):
    assert verdicts(folder) == {"32T": Verdict.NEW, "33U": Verdict.NEW}
    assert read_sums(str(folder)) == {f"MODEL_CNN_{z}.h5": DIGEST for z in ("32T", "33U")}
    assert verdicts(folder) == {"32T": Verdict.GOOD, "33U": Verdict.GOOD}
    with h5py.File(folder / "MODEL_CNN_33U.h5", "r+") as stored:
        stored["model_weights/dense_2/dense_2/bias:0"][0] += 1
    found = {checked.zone: checked for checked in verify(str(folder))}
    assert found["32T"].verdict is Verdict.GOOD
    assert found["33U"].verdict is Verdict.DIFFERS
    changed = hashlib.sha256((folder / "MODEL_CNN_33U.h5").read_bytes()).hexdigest()
    assert changed in found["33U"].detail
    assert f"but SHA256SUMS has {DIGEST}" in found["33U"].detail
    assert read_sums(str(folder))["MODEL_CNN_33U.h5"] == DIGEST


def test_the_record_is_one_of_sha256sum(folder):
    if shutil.which("sha256sum") is None:
        pytest.skip("no sha256sum here")
    list(verify(str(folder)))
    ended = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=folder, capture_output=True)
    assert ended.returncode == 0
    written = subprocess.run(["sha256sum", "MODEL_CNN_33U.h5"], cwd=folder, capture_output=True)
    (folder / "SHA256SUMS").write_bytes(written.stdout)
    assert verdicts(folder) == {"32T": Verdict.NEW, "33U": Verdict.GOOD}


def _nan(path):
    with h5py.File(path, "r+") as stored:
        stored["model_weights/conv2d_1/conv2d_1/kernel:0"][0, 0, 0, 0] = np.nan


def _other_order(path):
    with h5py.File(path, "r+") as stored:
        names = stored["model_weights"].attrs["layer_names"]
        stored["model_weights"].attrs["layer_names"] = names[::-1]


def _foreign(path):
    path.unlink()
    with h5py.File(path, "w") as stored:
        stored["x"] = [1.0]


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:5000]), "truncated"),
        (
            lambda path: path.write_bytes(pickle.dumps([1])),
            "a Python pickle, which is never opened",
        ),
        (_nan, "conv1/kernel: found 1 values that are not finite"),
        (_other_order, "layers: found"),
        (_foreign, "not a saved Keras model"),
    ],
)
def test_what_is_broken_is_named_and_not_recorded(folder, fault, says):
    fault(folder / "MODEL_CNN_33U.h5")
    found = {checked.zone: checked for checked in verify(str(folder))}
    assert found["33U"].verdict is Verdict.BROKEN
    assert says in found["33U"].detail
    assert found["33U"].path.endswith("MODEL_CNN_33U.h5")
    assert list(read_sums(str(folder))) == ["MODEL_CNN_32T.h5"]


def test_the_record_keeps_what_it_has(tmp_path):
    record(str(tmp_path), {"b.h5": "b" * 64, "a.h5": "a" * 64})
    record(str(tmp_path), {"c.h5": "c" * 64, "a.h5": "0" * 64})
    lines = (tmp_path / "SHA256SUMS").read_text().splitlines()
    assert lines == [f"{'0' * 64}  a.h5", f"{'b' * 64}  b.h5", f"{'c' * 64}  c.h5"]
    (tmp_path / "SHA256SUMS").write_text("no sums\n")
    with pytest.raises(RequestError, match=r"has a line that is not in the form .* 'no sums'"):
        record(str(tmp_path), {"a.h5": "a" * 64})
