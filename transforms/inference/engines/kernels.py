"""The loops of the Winograd engine, in float32 or in 16-bit integers.

Winograd's minimal filtering F(4x4, 3x3) computes 4 x 4 outputs of a 3 x 3 convolution with 36
products instead of 144: Y = A' [(G g G') * (B' d B)] A. It is made from five points and
infinity; 0, +-1/sqrt 2, +-sqrt 2 keep the rounding errors small (Lavin and Gray 2016;
Barabasz et al. 2020, "Error analysis and improving the accuracy of Winograd convolution").
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numpy.typing import NDArray

from .machine_code import I32, I64, Compiled, Kernel

TILE = 4
"""Rows and columns of the outputs of a tile."""
TAPS = TILE + 2
FREQUENCIES = TAPS * TAPS
ROWS = 6
"""Rows of a product that are computed together; numbers of rows are multiples of it."""
SMALL, LARGE = np.sqrt(0.5), np.sqrt(2.0)
_POINTS = (0.0, SMALL, -SMALL, LARGE, -LARGE)

FIRST, SECOND, THIRD = 128, 512, 128
"""Channels after the first, second and third convolution."""


def matrices() -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """B' (6, 6), G (6, 3) and A' (4, 6), float64."""
    b, g, a = np.zeros((TAPS, TAPS)), np.zeros((TAPS, 3)), np.zeros((TILE, TAPS))
    for i, point in enumerate(_POINTS):
        others = [other for other in _POINTS if other != point]
        b[i, :5] = np.polynomial.polynomial.polyfromroots(others)
        g[i] = point ** np.arange(3) / np.prod([point - other for other in others])
        a[:, i] = point ** np.arange(TILE)
    b[5] = np.polynomial.polynomial.polyfromroots(_POINTS)
    g[5, 2] = a[3, 5] = 1
    return b, g, a


def _input_line(k: Kernel, d: Sequence[Any]) -> list[Any]:
    """B' times six vectors."""
    small, large = float(SMALL**2), float(LARGE**2)
    total, product = k.constant(-small - large), k.constant(small * large)
    out = [k.fma(product, d[0], k.fma(total, d[2], d[4]))]
    for own, other in ((SMALL, large), (LARGE, small)):
        even = k.fma(k.constant(-other), d[2], d[4])
        odd = k.fma(k.constant(-other), d[1], d[3])
        out += [k.fma(k.constant(own), odd, even), k.fma(k.constant(-own), odd, even)]
    return [*out, k.fma(product, d[1], k.fma(total, d[3], d[5]))]


def _output_line(k: Kernel, m: Sequence[Any]) -> list[Any]:
    """A' times six vectors."""
    b = k.b
    sums = b.fadd(m[1], m[2]), b.fadd(m[3], m[4])
    differences = b.fsub(m[1], m[2]), b.fsub(m[3], m[4])
    out = [b.fadd(b.fadd(m[0], sums[0]), sums[1])]
    for power in (1, 2, 3):
        one, two = sums if power == 2 else differences
        first = b.fmul(k.constant(LARGE**power), two)
        if power == 3:
            first = b.fadd(first, m[5])
        out.append(k.fma(k.constant(SMALL**power), one, first))
    return out


def _both_ways(line: Callable[..., list[Any]], k: Kernel, values: Sequence[Any]) -> list[Any]:
    """A transform of six by six vectors along the rows, then along the columns."""
    down = [line(k, values[col::TAPS]) for col in range(TAPS)]
    across = [line(k, [column[row] for column in down]) for row in range(len(down[0]))]
    return [value for row in across for value in row]


class Kernels:
    """The compiled loops.

    Attributes:
        integer: Whether products are of 16-bit integers instead of float32.
        panel: Columns of a product that are computed together; second factors are stored as
            (columns / panel, depth, panel), with integers (columns / panel, depth / 2, panel, 2).
        tiles: Largest number of tiles in a call.
        first: Product of matrices of the first convolution. Arguments: first factor, second factor,
            result, rows / 6, bias, scale.
        product: Product of matrices for all frequencies; arguments as of `first`.
        dense: Product of matrices of the third convolution; arguments as of `first`.
        spread: Activations to frequencies. Arguments: activations, address of each tile's first
            activation in bytes from there, result (36, tiles, 128), number of tiles.
        gather: Frequencies to activations. Arguments: products (36, tiles, panel), scale (36,
            512) of this panel, bias of this panel, result (tiles x 16, 512) at this panel,
            number of tiles.
        last: Products of the last convolution. Arguments: activations (rows, 128), kernel,
            result, number of rows.
    """

    def __init__(
        self, *, lanes: int, vectors: int, width: int, tiles: int, integer: bool, levels: float
    ) -> None:
        """Write and compile the loops.

        Args:
            lanes: 32-bit numbers in a vector.
            vectors: vectors in a panel; the processor needs more than 6 registers for each.
            width: activations in a row of the first convolution's result.
            tiles: largest number of tiles in a call, a multiple of 6.
            integer: whether products are of 16-bit integers; needs AVX-512 VNNI.
            levels: integer that stands for 1.0 in the second convolution's activations.
        """
        self.integer, self.lanes, self.vectors = integer, lanes, vectors
        self.panel, self.width, self.tiles = lanes * vectors, width, tiles
        self.levels = levels
        self.bytes = 2 if integer else 4
        module = ir.Module("winograd")
        depth = 2 if integer else 1
        self._write_product(module, "first", 36, FIRST, integer=False)
        self._write_product(module, "product", FIRST // depth, None, integer=integer)
        self._write_product(module, "dense", SECOND // depth, THIRD, integer=integer)
        self._write_spread(module)
        self._write_gather(module)
        self._write_last(module)
        compiled = Compiled(module)
        self._compiled = compiled
        self.first = compiled.function("first", 6)
        self.product = compiled.function("product", 6)
        self.dense = compiled.function("dense", 6)
        self.spread = compiled.function("spread", 4)
        self.gather = compiled.function("gather", 5)
        self.last = compiled.function("last", 4)

    def _kernel(self, module: ir.Module, name: str, arguments: int) -> Kernel:
        return Kernel(module, name, arguments, self.lanes)

    def _write_product(
        self,
        module: ir.Module,
        name: str,
        depth: int,
        columns: int | None,
        *,
        integer: bool,
    ) -> None:
        """Rows of 32-bit words (a float, or two integers) times a panel.

        With `columns`, the result is a panel of as many columns, after bias and tanh. Without, it
        is the plain products of all frequencies, a panel for each.
        """
        k = self._kernel(module, name, 6)
        a, panel, result, blocks, bias, scale = k.arguments
        size = 4 * self.lanes
        tanh, columns = columns is not None, columns or self.panel
        kind = k.ints if integer else k.floats
        zero = ir.Constant(kind, [0] * self.lanes)

        def step(base: Any, panel: Any) -> Callable[[Any, Sequence[Any]], Sequence[Any]]:
            def body(index: Any, sums: Sequence[Any]) -> Sequence[Any]:
                at = k.at(panel, (index, 4 * self.panel))
                right = [k.load(k.at(at, (v, size)), kind) for v in range(self.vectors)]
                out = []
                for row in range(ROWS):
                    word = k.load(k.at(base, (row, 4 * depth), (index, 4)), kind.element)
                    left = k.splat(word)
                    for v, value in enumerate(right):
                        old = sums[row * self.vectors + v]
                        multiply = k.multiply_pairs if integer else k.fma
                        out.append(multiply(left, value, old))
                return out

            return body

        def block(index: Any, f: Any) -> Sequence[Any]:
            base = k.at(a, (f, 4 * depth * self.tiles), (index, 4 * depth * ROWS))
            right = k.at(panel, (f, 4 * depth * self.panel))
            to = k.at(result, (f, 4 * columns * self.tiles))
            sums = k.loop(depth, step(base, right), [zero] * (ROWS * self.vectors))
            for i, value in enumerate(sums):
                row, v = divmod(i, self.vectors)
                if tanh:
                    offset = k.load(k.at(bias, (v, size)), k.floats)
                    if integer:
                        factor = k.load(k.at(scale, (v, size)), k.floats)
                        value = k.fma(k.b.sitofp(value, k.floats), factor, offset)
                    else:
                        value = k.b.fadd(value, offset)
                    value = k.tanh(value)
                place = k.at(to, (index, 4 * columns * ROWS), (row, 4 * columns), (v, size))
                k.store(value, place)
            return ()

        def frequency(f: Any, _: Sequence[Any]) -> Sequence[Any]:
            return k.loop(blocks, lambda index, _: block(index, f))

        k.loop(1 if tanh else FREQUENCIES, frequency)
        k.end()

    def _write_spread(self, module: ir.Module) -> None:
        """B' d B of each tile and channel; integers are scaled to their full range."""
        k = self._kernel(module, "spread", 4)
        h, places, result, count = k.arguments
        reach = np.abs(matrices()[0]).sum(axis=1)
        levels = 32767 / np.outer(reach, reach).ravel()

        def tile(index: Any, _: Sequence[Any]) -> Sequence[Any]:
            start = k.b.add(h, k.load(k.at(places, (index, 8)), I64))

            def channels(v: Any, _: Sequence[Any]) -> Sequence[Any]:
                at = k.at(start, (v, 4 * self.lanes))
                d = [
                    k.load(k.at(at, (r * self.width + c, 4 * FIRST)), k.floats)
                    for r in range(TAPS)
                    for c in range(TAPS)
                ]
                to = k.at(result, (index, FIRST * self.bytes), (v, self.lanes * self.bytes))
                for f, value in enumerate(_both_ways(_input_line, k, d)):
                    if self.integer:
                        value = k.to_int16(k.b.fmul(value, k.constant(levels[f])))
                    k.store(value, k.at(to, (f, self.tiles * FIRST * self.bytes)))
                return ()

            k.loop(FIRST // self.lanes, channels)
            return ()

        k.loop(count, tile)
        k.end()

    def _write_gather(self, module: ir.Module) -> None:
        """A' M A of each tile and channel of a panel, bias and tanh."""
        k = self._kernel(module, "gather", 5)
        m, scale, bias, result, count = k.arguments
        size = 4 * self.lanes

        def tile(index: Any, _: Sequence[Any]) -> Sequence[Any]:
            def channels(v: Any, _: Sequence[Any]) -> Sequence[Any]:
                at = k.at(m, (index, 4 * self.panel), (v, size))
                values = []
                for f in range(FREQUENCIES):
                    place = k.at(at, (f, self.tiles * self.panel * 4))
                    if self.integer:
                        whole = k.b.sitofp(k.load(place, k.ints), k.floats)
                        factor = k.load(k.at(scale, (f, 4 * SECOND), (v, size)), k.floats)
                        values.append(k.b.fmul(whole, factor))
                    else:
                        values.append(k.load(place, k.floats))
                offset = k.load(k.at(bias, (v, size)), k.floats)
                to = k.at(
                    result,
                    (index, TILE * TILE * SECOND * self.bytes),
                    (v, self.lanes * self.bytes),
                )
                for p, value in enumerate(_both_ways(_output_line, k, values)):
                    value = k.tanh(k.b.fadd(value, offset))
                    if self.integer:
                        value = k.to_int16(k.b.fmul(value, k.constant(self.levels)))
                    k.store(value, k.at(to, (p, SECOND * self.bytes)))
                return ()

            k.loop(self.vectors, channels)
            return ()

        k.loop(count, tile)
        k.end()

    def _write_last(self, module: ir.Module) -> None:
        """Rows times one column; the lanes are added in a fixed order."""
        k = self._kernel(module, "last", 4)
        d, kernel, result, count = k.arguments

        def row(index: Any, _: Sequence[Any]) -> Sequence[Any]:
            total = k.constant(0)
            for v in range(THIRD // self.lanes):
                value = k.load(k.at(d, (index, 4 * THIRD), (v, 4 * self.lanes)), k.floats)
                weight = k.load(k.at(kernel, (v, 4 * self.lanes)), k.floats)
                total = k.fma(value, weight, total)
            half = self.lanes // 2
            while half:
                mask = [(i + half) % self.lanes for i in range(self.lanes)]
                constant = ir.Constant(ir.VectorType(I32, self.lanes), mask)
                total = k.b.fadd(total, k.b.shuffle_vector(total, total, constant))
                half //= 2
            k.store(k.b.extract_element(total, I32(0)), k.at(result, (index, 4)))
            return ()

        k.loop(count, row)
        k.end()
