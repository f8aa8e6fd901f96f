"""Loops on vectors, compiled at run time by LLVM (llvmlite) for the present processor.

NumPy cannot compute a product, its bias, its tanh and its rounding together while the numbers are
in registers. The few loops that need this are written as LLVM instructions, here and in `kernels`.
Other Python threads can run during a call of a compiled loop.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import Any

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir

FLOAT, I8, I16, I32, I64 = ir.FloatType(), *(ir.IntType(n) for n in (8, 16, 32, 64))
POINTER = ir.PointerType()

Body = Callable[[Any, Sequence[Any]], Sequence[Any]]


def _exponential(degree: int = 5) -> list[float]:
    """Coefficients of 2^f for f from -0.5 to 0.5, lowest first; relative error below 1e-7."""
    series = np.polynomial.chebyshev.Chebyshev.interpolate(
        lambda f: np.exp2(f), degree, domain=[-0.5, 0.5]
    )
    return [float(c) for c in series.convert(kind=np.polynomial.Polynomial).coef]


class Kernel:
    """A function of addresses and counts, while it is written.

    Vectors have `lanes` 32-bit numbers; the processor's own width is the fastest.
    """

    def __init__(self, module: ir.Module, name: str, arguments: int, lanes: int) -> None:
        """Begin the function `name`; all its arguments are addresses or whole numbers."""
        kind = ir.FunctionType(ir.VoidType(), [I64] * arguments)
        function = ir.Function(module, kind, name)
        self.arguments = function.args
        self.lanes = lanes
        self.b = ir.IRBuilder(function.append_basic_block())
        self.floats = ir.VectorType(FLOAT, lanes)
        self.ints = ir.VectorType(I32, lanes)

    def end(self) -> None:
        """Add the last instruction."""
        self.b.ret_void()

    def loop(self, count: Any, body: Body, carried: Sequence[Any] = ()) -> Sequence[Any]:
        """Run `body(index, carried)` for 0..count - 1, at least once; it returns new `carried`.

        Returns:
            The result of the last round.
        """
        b, before = self.b, self.b.block
        head = b.append_basic_block()
        after = b.append_basic_block()
        b.branch(head)
        b.position_at_end(head)
        index = b.phi(I64)
        state = [b.phi(value.type) for value in carried]
        result = body(index, state)
        following = b.add(index, I64(1))
        index.add_incoming(I64(0), before)
        index.add_incoming(following, b.block)
        for phi, first, last in zip(state, carried, result, strict=True):
            phi.add_incoming(first, before)
            phi.add_incoming(last, b.block)
        limit = I64(count) if isinstance(count, int) else count
        b.cbranch(b.icmp_signed("<", following, limit), head, after)
        b.position_at_end(after)
        return result

    def at(self, base: Any, *terms: tuple[Any, int]) -> Any:
        """The address `base` plus the sum of index x bytes."""
        for index, size in terms:
            offset = I64(index * size) if isinstance(index, int) else self.b.mul(index, I64(size))
            base = self.b.add(base, offset)
        return base

    def load(self, address: Any, kind: ir.Type) -> Any:
        """A value from memory, which need only be aligned to its elements."""
        value = self.b.load(self.b.inttoptr(address, POINTER), typ=kind)
        value.align = 4
        return value

    def store(self, value: Any, address: Any) -> None:
        """Write a value to memory."""
        self.b.store(value, self.b.inttoptr(address, POINTER)).align = 2

    def splat(self, value: Any) -> Any:
        """A vector with one number (float or 32-bit integer) in all lanes."""
        kind = ir.VectorType(value.type, self.lanes)
        one = self.b.insert_element(ir.Constant(kind, ir.Undefined), value, I32(0))
        mask = ir.Constant(ir.VectorType(I32, self.lanes), [0] * self.lanes)
        return self.b.shuffle_vector(one, ir.Constant(kind, ir.Undefined), mask)

    def constant(self, value: float) -> Any:
        """A vector with one constant in all lanes."""
        return ir.Constant(self.floats, [float(np.float32(value))] * self.lanes)

    def call(self, name: str, kind: ir.Type, *values: Any) -> Any:
        """Call an LLVM intrinsic whose arguments and result have one type."""
        module = self.b.module
        function = module.globals.get(name) or ir.Function(
            module, ir.FunctionType(kind, [value.type for value in values]), name
        )
        return self.b.call(function, values)

    def fma(self, x: Any, y: Any, z: Any) -> Any:
        """X y + z, rounded only once if the processor can."""
        return self.call(f"llvm.fmuladd.v{self.lanes}f32", self.floats, x, y, z)

    def multiply_pairs(self, x: Any, y: Any, z: Any) -> Any:
        """X y + z of 16-bit integers; two neighbours add to one 32-bit sum (VNNI, 16 lanes)."""
        return self.call("llvm.x86.avx512.vpdpwssd.512", self.ints, z, x, y)

    def nearest(self, x: Any) -> Any:
        """The nearest whole number, as a float."""
        return self.call(f"llvm.rint.v{self.lanes}f32", self.floats, x)

    def to_int16(self, x: Any) -> Any:
        """Round to 16-bit integers; |x| must be below 32 768."""
        whole = self.b.fptosi(self.nearest(x), self.ints)
        return self.b.trunc(whole, ir.VectorType(I16, self.lanes))

    def tanh(self, x: Any) -> Any:
        """1 - 2 / (exp(2 x) + 1); the absolute error is below 2e-7."""
        b, one = self.b, self.constant(1)
        y = b.fmul(x, self.constant(2 / np.log(2)))
        for name, bound in (("minnum", 60.0), ("maxnum", -60.0)):
            y = self.call(f"llvm.{name}.v{self.lanes}f32", self.floats, y, self.constant(bound))
        whole = self.nearest(y)
        rest = b.fsub(y, whole)
        *lower, power = _exponential()
        value = self.constant(power)
        for coefficient in reversed(lower):
            value = self.fma(value, rest, self.constant(coefficient))
        exponent = b.shl(b.fptosi(whole, self.ints), ir.Constant(self.ints, [23] * self.lanes))
        value = b.bitcast(b.add(b.bitcast(value, self.ints), exponent), self.floats)
        return self.fma(self.constant(-2), self.inverse(b.fadd(value, one)), one)

    def inverse(self, x: Any) -> Any:
        """1 / x; with 16 lanes, from an estimate of 14 bits and one step of Newton's method."""
        if self.lanes != 16:
            return self.b.fdiv(self.constant(1), x)
        name = "llvm.x86.avx512.rcp14.ps.512"
        nothing, all_lanes = ir.Constant(self.floats, ir.Undefined), I16(-1)
        guess = self.call(name, self.floats, x, nothing, all_lanes)
        error = self.fma(self.b.fneg(x), guess, self.constant(1))
        return self.fma(guess, error, guess)


def has(*features: str) -> bool:
    """Whether this processor has all of LLVM's `features` (`avx512f`, `avx512vnni`, ...)."""
    present = llvm.get_host_cpu_features()
    return all(present.get(feature, False) for feature in features)


class Compiled:
    """The functions of a module, callable with addresses and whole numbers."""

    def __init__(self, module: ir.Module) -> None:
        """Compile for this processor."""
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        machine = llvm.Target.from_default_triple().create_target_machine(
            cpu=llvm.get_host_cpu_name(),
            features=llvm.get_host_cpu_features().flatten(),
            opt=3,
        )
        parsed = llvm.parse_assembly(str(module))
        parsed.verify()
        options = llvm.create_pipeline_tuning_options(speed_level=2)
        builder = llvm.create_pass_builder(machine, options)
        builder.getModulePassManager().run(parsed, builder)
        self._engine = llvm.create_mcjit_compiler(parsed, machine)
        self._engine.finalize_object()

    def function(self, name: str, arguments: int) -> Callable[..., None]:
        """A compiled function; it runs without Python's lock."""
        kind = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * arguments)
        return kind(self._engine.get_function_address(name))
