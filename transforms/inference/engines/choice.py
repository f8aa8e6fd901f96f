"""Chooses the engine for a precision on a machine."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from transforms.inference.network import CollapsedNetwork

from .base import Engine

EXACT, FAST = "exact", "fast"
PRECISIONS = (EXACT, FAST)

Maker = Callable[[CollapsedNetwork], Engine]


@dataclass(frozen=True, slots=True)
class Machine:
    """The facts that the choice depends on.

    Attributes:
        gpu: A GPU and TensorFlow are present.
        compiler: LLVM is present (package llvmlite).
        integers: The processor multiplies 16-bit integers in 512-bit vectors (AVX-512 VNNI).
    """

    gpu: bool
    compiler: bool
    integers: bool


@dataclass(frozen=True, slots=True)
class Choice:
    """An engine for a precision.

    Attributes:
        engine: Its name: `winograd-float32`, `winograd-int16`, `tensorflow-float32`,
            `tensorflow-mixed`.
        precision: The precision that it reaches, `exact` or `fast`. It is `exact` too if `fast` was
            wanted but the machine has no faster engine.
    """

    engine: str
    precision: str

    def make(self, network: CollapsedNetwork) -> Engine:
        """The engine for a network."""
        return _MAKERS[self.engine](network)


def this_machine() -> Machine:
    """The facts about this machine."""
    compiler = importlib.util.find_spec("llvmlite") is not None
    integers = False
    if compiler:
        from .machine_code import has

        integers = has("avx512f", "avx512vnni")
    # To ask TensorFlow itself would load it, even on machines without a GPU.
    driver = any(Path(p).exists() for p in ("/proc/driver/nvidia/version", "/dev/nvidiactl"))
    gpu = driver and importlib.util.find_spec("tensorflow") is not None
    return Machine(gpu, compiler, integers)


def engines_of(machine: Machine) -> frozenset[str]:
    """Names of the engines that a machine can run."""
    runs = {
        "winograd-float32": machine.compiler,
        "winograd-int16": machine.compiler and machine.integers,
        "tensorflow-float32": True,
        "tensorflow-mixed": machine.gpu,
    }
    return frozenset(name for name, possible in runs.items() if possible)


def choose(precision: str, machine: Machine | None = None) -> Choice:
    """The fastest engine that reaches a precision.

    Args:
        precision: `exact` (float32) or `fast`.
        machine: the machine; by default this one.

    Raises:
        ValueError: the precision is unknown.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"precision is {precision!r}, expected one of {PRECISIONS}")
    machine = machine or this_machine()
    if machine.gpu:
        return Choice("tensorflow-mixed" if precision == FAST else "tensorflow-float32", precision)
    if machine.compiler and machine.integers and precision == FAST:
        return Choice("winograd-int16", FAST)
    return Choice("winograd-float32" if machine.compiler else "tensorflow-float32", EXACT)


def _winograd(network: CollapsedNetwork, *, integer: bool) -> Engine:
    from .winograd import WinogradEngine

    return WinogradEngine(network, integer=integer)


def _tensorflow(network: CollapsedNetwork, *, mixed: bool) -> Engine:
    from .tensorflow import TensorFlowEngine

    return TensorFlowEngine(network, mixed=mixed)


_MAKERS: dict[str, Maker] = {
    "winograd-float32": lambda network: _winograd(network, integer=False),
    "winograd-int16": lambda network: _winograd(network, integer=True),
    "tensorflow-float32": lambda network: _tensorflow(network, mixed=False),
    "tensorflow-mixed": lambda network: _tensorflow(network, mixed=True),
}
