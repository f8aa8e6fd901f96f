"""Compares the engines of prediction with the published procedure, on this machine.

The published procedure cuts a 5 x 5 patch around every pixel (reflection at the edge), and Keras
predicts the patches in large batches, with the sixteen layers as they are. Its speed differs from
process to process, so each round starts a new process, and the best round counts. It is measured
with the defaults of TensorFlow (the ratios refer to this) and with oneDNN switched off. In each
round all are measured in turn. The last line is for programs.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from transforms.inference.engines import Choice, Engine, choose
from transforms.inference.engines.acceptance import sample
from transforms.inference.network import collapse
from transforms.inference.starter import starter_file
from transforms.inference.weights import NetworkWeights, load_weights

ROOT = Path(__file__).resolve().parents[1]
MODEL = starter_file()
BATCH = 16384
BLOCK = 1024
"""Rows and columns that engines predict: a block of the default size."""
PUBLISHED_SIDE = 160
"""Rows and columns that the published procedure predicts."""
ONEDNN = {"published procedure": "1", "published procedure without oneDNN": "0"}
OPERATIONS = 2 * (36 * 128 + 36 / 16 * 128 * 512 + 512 * 128 + 128)
"""Operations of a pixel with Winograd's method: 36 products for 16 pixels, 128 x 512 channels."""


def pixels(side: int) -> NDArray[np.float32]:
    """Reflectance (side + 4, side + 4, 4): real pixels if the sample exists, otherwise artificial.

    The sample has 768 rows, so there are fewer rows if `side` is larger.
    """
    bands = [
        sorted((ROOT / "data" / "sample").rglob(f"*_{b}.jp2")) for b in ("B04", "B03", "B02", "B08")
    ]
    if all(bands):
        import rasterio

        dn = np.stack([rasterio.open(files[0]).read(1)[: side + 4, : side + 4] for files in bands])
        return np.clip(dn.transpose(1, 2, 0) / np.float32(10000), 0, 1).astype(np.float32)
    part = sample()
    repeats = -(-(side + 4) // len(part))
    return np.tile(part, (repeats, repeats, 1))[: side + 4, : side + 4]


def patches_of(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """The 5 x 5 patch of every pixel, (n, 5, 5, 4)."""
    view = np.lib.stride_tricks.sliding_window_view(x, (5, 5), axis=(0, 1))
    return view.transpose(0, 1, 3, 4, 2).reshape(-1, 5, 5, 4)


def published(weights: NetworkWeights) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    """The sixteen layers of Corbane et al. (2020) in Keras."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras
    from keras import layers

    stack: list[keras.layers.Layer] = [keras.Input((5, 5, 4))]
    for filters, epsilon in ((128, weights.epsilon[0]), (512, weights.epsilon[1])):
        stack += [layers.Conv2D(filters, 2), layers.Conv2D(filters, 2)]
        stack += [layers.BatchNormalization(epsilon=epsilon), layers.Activation("tanh")]
        stack += [layers.Dropout(0.1)]
    stack += [layers.Flatten(), layers.Dense(128)]
    stack += [layers.BatchNormalization(epsilon=weights.epsilon[2]), layers.Activation("tanh")]
    stack += [layers.Dropout(0.1), layers.Dense(2, activation="sigmoid")]
    model = keras.Sequential(stack)
    model.set_weights(list(weights.arrays.values()))
    return lambda patches: model.predict(patches, batch_size=BATCH, verbose=0)[:, 1]


def measure_published() -> None:
    """Print the pixels a second of the published procedure; runs in a separate process."""
    predict, small = published(load_weights(MODEL)), pixels(PUBLISHED_SIDE)
    predict(patches_of(small))
    print(PUBLISHED_SIDE**2 / min(seconds(lambda: predict(patches_of(small))) for _ in range(3)))


def published_speed(onednn: str) -> float:
    """Pixels a second of the published procedure; `onednn`: value of TF_ENABLE_ONEDNN_OPTS."""
    command = [sys.executable, __file__, "--published"]
    environment = {**os.environ, "TF_ENABLE_ONEDNN_OPTS": onednn}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return float(done.stdout.split()[-1])


def float64(weights: NetworkWeights, patches: NDArray[np.float32]) -> NDArray[np.float64]:
    """The sixteen layers in float64."""
    w = {key: array.astype(np.float64) for key, array in weights.arrays.items()}

    def convolved(x: NDArray[np.float64], name: str) -> NDArray[np.float64]:
        view = np.lib.stride_tricks.sliding_window_view(x, (2, 2), axis=(1, 2))
        kernel = w[f"{name}/kernel"]
        return np.einsum("nrcbij,ijbo->nrco", view, kernel, optimize=True) + w[f"{name}/bias"]

    def normal(x: NDArray[np.float64], number: int) -> NDArray[np.float64]:
        root = np.sqrt(w[f"norm{number}/moving_variance"] + weights.epsilon[number - 1])
        x = (x - w[f"norm{number}/moving_mean"]) / root
        return np.tanh(x * w[f"norm{number}/gamma"] + w[f"norm{number}/beta"])

    x = normal(convolved(convolved(patches.astype(np.float64), "conv1"), "conv2"), 1)
    x = normal(convolved(convolved(x, "conv3"), "conv4"), 2).reshape(len(x), -1)
    x = normal(x @ w["dense1/kernel"] + w["dense1/bias"], 3)
    return 1 / (1 + np.exp(-(x @ w["dense2/kernel"] + w["dense2/bias"])[:, 1]))


def seconds(work: Callable[[], object]) -> float:
    """Seconds of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def peak_mb() -> float:
    """Peak resident memory of this process in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def memory_of(engine: str) -> float:
    """Peak memory of an engine in MB on 1024 x 1024 px, without the loaded libraries."""
    command = [sys.executable, __file__, "--memory", engine]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout.split()[-1])


def measure_memory(engine: str) -> None:
    """Print the result of `memory_of`; runs in a separate process."""
    network = collapse(load_weights(MODEL))
    x = np.full((1028, 1028, 4), 0.1, np.float32)
    if engine.startswith("tensorflow"):
        import tensorflow  # noqa: F401
    else:
        import transforms.inference.engines.winograd  # noqa: F401
    before = peak_mb()
    Choice(engine, "").make(network).probabilities(x)
    print(peak_mb() - before)


def sgemm() -> float:
    """Operations a second of a large product in float32; the best of five."""
    a = np.ones((3000, 3000), np.float32)
    return 2 * 3000**3 / min(seconds(lambda: a @ a) for _ in range(5))


def integer_peak() -> float:
    """Multiplications and additions a second of 16-bit integers, all cores; 0 without VNNI."""
    from llvmlite import ir

    from transforms.inference.engines.base import cores
    from transforms.inference.engines.machine_code import Compiled, Kernel, has

    if not has("avx512f", "avx512vnni"):
        return 0.0
    module = ir.Module("peak")
    k = Kernel(module, "peak", 2, 16)
    target, rounds = k.arguments
    sums = [ir.Constant(k.ints, [i] * 16) for i in range(24)]
    factors = [k.load(k.at(target, (i, 64)), k.ints) for i in range(2)]
    sums = k.loop(rounds, lambda _, s: [k.multiply_pairs(*factors, x) for x in s], sums)
    total = sums[0]
    for value in sums[1:]:
        total = k.b.add(total, value)
    k.store(total, target)
    k.end()
    compiled = Compiled(module)
    run = compiled.function("peak", 2)
    count, threads = 5_000_000, cores()
    places = [np.ones(64, np.int32) for _ in range(threads)]

    def work() -> None:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(lambda p: run(p.ctypes.data, count), places))

    return threads * count * 24 * 32 * 2 / min(seconds(work) for _ in range(5))


def processor() -> str:
    """Name of the processor."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def main() -> int:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--memory", help=argparse.SUPPRESS)
    parser.add_argument("--published", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.published:
        measure_published()
        return 0
    if arguments.memory:
        measure_memory(arguments.memory)
        return 0
    print(f"{processor()}, {os.cpu_count()} cores, {date.today()}, model {MODEL.name}")
    weights = load_weights(MODEL)
    network = collapse(weights)
    exact, fast = choose("exact"), choose("fast")
    choices = {c.engine: c for c in (exact, fast, Choice("tensorflow-float32", "exact"))}
    memory = {name: memory_of(name) for name in choices}
    engines: dict[str, Engine] = {}
    loading = {}
    for name, choice in choices.items():
        loading[name] = seconds(lambda n=name, c=choice: engines.update({n: c.make(network)}))
    x, small = pixels(BLOCK), pixels(128)
    pixels_of_block = (x.shape[0] - 4) * (x.shape[1] - 4)
    work = {name: lambda e=engine: e.probabilities(x) for name, engine in engines.items()}
    for once in work.values():
        once()
    speeds: dict[str, list[float]] = {name: [] for name in (*ONEDNN, *work)}
    peaks: dict[str, list[float]] = {"float32": [], "int16": []}
    for _ in range(arguments.rounds):
        for name, setting in ONEDNN.items():
            speeds[name].append(published_speed(setting))
        for name, once in work.items():
            speeds[name].append(pixels_of_block / min(seconds(once), seconds(once)))
        peaks["float32"].append(sgemm())
        peaks["int16"].append(integer_peak())
    truth = float64(weights, patches_of(small))
    base, other = (max(speeds[name]) for name in ONEDNN)
    peak = {kind: max(values) for kind, values in peaks.items()}
    print(f"peaks: sgemm {peak['float32'] / 1e9:.0f} GFLOP/s, 16-bit integers ", end="")
    print(f"{peak['int16'] / 1e9:.0f} Gop/s; bfloat16 is not measured")
    for name in ONEDNN:
        print(f"{name}: {max(speeds[name]):,.0f} px/s best, ", end="")
        print(f"{np.median(speeds[name]):,.0f} median, batches of {BATCH}")
    print(
        "| engine | precision | px/s best | median | ratio | without oneDNN | of its peak | MB "
        "| load s | max | mean |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    ratio = {name: max(speeds[name]) / base for name in choices}
    for name, choice in choices.items():
        error = np.abs(engines[name].probabilities(small).ravel() - truth)
        operations = OPERATIONS if name.startswith("winograd") else 2 * 660096
        kind = "int16" if name.endswith("int16") else "float32"
        print(
            f"| {name} | {choice.precision} | {max(speeds[name]):,.0f} "
            f"| {np.median(speeds[name]):,.0f} | {ratio[name]:.1f} "
            f"| {max(speeds[name]) / other:.1f} "
            f"| {operations * max(speeds[name]) / peak[kind]:.0%} | {memory[name]:.0f} "
            f"| {loading[name]:.2f} | {error.max():.1e} | {error.mean():.1e} |"
        )
    used = max(memory[exact.engine], memory[fast.engine])
    print(
        f"result: exact_ratio={ratio[exact.engine]:.1f} fast_ratio={ratio[fast.engine]:.1f} "
        f"memory_mb={used:.0f}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
