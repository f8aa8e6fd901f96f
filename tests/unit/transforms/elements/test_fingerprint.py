import subprocess
import sys

import pytest

from transforms.elements import fingerprint


def test_order_of_keys_does_not_count_and_every_value_does():
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    assert fingerprint("x", 1) != fingerprint("x", 2)
    assert fingerprint(["ab"]) != fingerprint(["a", "b"])


def test_same_in_another_process():
    code = "from transforms.elements import fingerprint; print(fingerprint('S2', [1.5, {'k': 0}]))"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert printed.stdout.decode().strip() == fingerprint("S2", [1.5, {"k": 0}])


def test_a_value_without_a_fixed_text_is_an_error():
    with pytest.raises(TypeError):
        fingerprint(object())
