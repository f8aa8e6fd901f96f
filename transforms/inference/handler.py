"""Beam's RunInference with one model per grid zone."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from apache_beam.ml.inference.base import ModelHandler
from numpy.typing import NDArray

from transforms.elements import (
    Block,
    ModelError,
    Pixels,
    RequestError,
    VersionError,
    Window,
    check_planned,
)
from transforms.work.losses import RECOVERABLE, with_retries
from transforms.work.metrics import count, measured
from transforms.work.reporter import SILENT, Reporter

from .engines import EXACT, FAST, PRECISIONS, Choice, Engine, choose, engines_of, this_machine
from .engines.acceptance import MEAN, MOST, difference
from .network import collapse
from .predict import HALO, encode, prepare, valid
from .weights import load_model

NAMESPACE = "inference"


@dataclass(frozen=True, slots=True, eq=False)
class PredictionInput:
    """A block to predict.

    Attributes:
        zone: Grid zone, the key of the model.
        tile: MGRS tile.
        window: The block, counted from the tile's corner.
        dn: Axes (band, row, column), uint16, red, green, blue, near infrared, nodata 0: the block
            and the same number of pixels on each side, at least 2. With `predict.CONTEXT` pixels,
            neighbouring blocks of a tile agree to the bit.
        whole: False if an input of these pixels was lost.
        origin: Row and column of the tile's corner in the 10 m grid of its UTM zone (south and
            east of 0, 0 m). Engines predict in pieces on that grid, so that overlapping tiles
            agree to the bit.
        place: The block without layers; the prediction becomes a layer of it.
    """

    zone: str
    tile: str
    window: Window
    dn: NDArray[np.uint16]
    whole: bool = True
    origin: tuple[int, int] = (0, 0)
    place: Pixels | None = None


@dataclass(frozen=True, slots=True, eq=False)
class PredictionOutput:
    """The prediction of a block.

    Attributes:
        block: Tile and window.
        bufrac_raw: Axes (row, column), uint16, 0..10 000, nodata 65535; the block without halo.
        whole: As in the input.
        place: As in the input.
    """

    block: Block
    bufrac_raw: NDArray[np.uint16]
    whole: bool = True
    place: Pixels | None = None


@dataclass(frozen=True, slots=True, eq=False)
class PredictionFailure:
    """A block that could not be predicted, with the error."""

    block: Block
    error: Exception


class ModelBank:
    """The models of a worker; each is loaded at its first use, and the least recently used removed.

    Threads of a worker share the bank. One thread predicts at a time, because an engine uses all
    cores.

    Attributes:
        choice: The engine of all its models.
        loads: Number of models loaded so far.
    """

    def __init__(
        self,
        paths: Mapping[str, str],
        max_models: int,
        choice: Choice | None = None,
        sha256: Mapping[str, str] | None = None,
    ) -> None:
        """Keep the paths; no model is loaded yet.

        Args:
            paths: weight files by grid zone.
            max_models: see `GhsS2NetHandler`.
            choice: the engine; by default the exact engine of this machine.
            sha256: see `GhsS2NetHandler`.

        Raises:
            VersionError: this machine cannot run the engine.
        """
        self._paths, self._sha256 = dict(paths), dict(sha256 or {})
        self.choice = choice or choose(EXACT)
        if self.choice.engine not in engines_of(this_machine()):
            raise VersionError(
                f"a worker cannot run the engine {self.choice.engine}, which the launch chose: "
                "launch from a machine like the workers, or set models.precision to 'exact'"
            )
        self._max_models = max_models
        self._engines: OrderedDict[str, Engine] = OrderedDict()
        self._lock = threading.RLock()
        self.loads = 0

    @property
    def files(self) -> tuple[str, ...]:
        """Weight files in memory, least recently used first."""
        return tuple(self._engines)

    def engine(self, zone: str) -> Engine:
        """The network of a grid zone.

        Raises:
            RequestError: the job has no model for the zone.
            ModelError: the file of the zone cannot be used, or not with the precision `fast`.
            VersionError: it is not the file that the launch planned with.
        """
        with self._lock:
            if zone not in self._paths:
                raise RequestError(f"grid zone {zone}: the job has no model for it")
            path = self._paths[zone]
            if path not in self._engines:
                while len(self._engines) >= self._max_models:
                    self._engines.popitem(last=False)
                self._engines[path] = self._loaded(path)
                self.loads += 1
            self._engines.move_to_end(path)
            return self._engines[path]

    def _loaded(self, path: str) -> Engine:
        """The engine of a weight file; a fast engine is compared with the exact one first."""
        weights, sha256 = load_model(path)
        check_planned(path, sha256, self._sha256.get(path, sha256))
        network = collapse(weights)
        engine = self.choice.make(network)
        if self.choice.precision == FAST:
            most, mean = difference(engine, choose(EXACT).make(network))
            if not (most <= MOST and mean <= MEAN):
                raise ModelError(
                    path,
                    f"differs too much with {self.choice.engine}: its probabilities differ from "
                    f"exact ones by up to {most:.2g}, and by {mean:.2g} on average, expected at "
                    f"most {MOST:g} and {MEAN:g}; set models.precision to 'exact'",
                )
        return engine

    def predict(self, example: PredictionInput) -> PredictionOutput:
        """Predict a block.

        Raises:
            ValueError: the pixels do not cover the block and its halo.
            RequestError, ModelError: see `engine`.
        """
        window = example.window
        halo = max(HALO, (example.dn.shape[-1] - window.width) // 2)
        expected = (4, window.height + 2 * halo, window.width + 2 * halo)
        if example.dn.shape != expected:
            raise ValueError(f"pixels have shape {example.dn.shape}, expected {expected}")
        inside = valid(example.dn)[halo:-halo, halo:-halo]
        with self._lock:
            if inside.any():
                x = prepare(example.dn)
                engine = self.engine(example.zone)
                row, col = example.origin[0] + window.row, example.origin[1] + window.col
                probability = engine.probabilities(x, row, col, inside, halo)
            else:
                probability = np.zeros(window.shape, np.float32)
        raw = encode(probability, inside)
        return PredictionOutput(Block(example.tile, window), raw, example.whole, example.place)


class GhsS2NetHandler(
    ModelHandler[PredictionInput, PredictionOutput | PredictionFailure, ModelBank]
):
    """Predicts blocks, each with the model of its grid zone.

    Beam's own handlers keep one model, and its KeyedModelHandler loads each model in an extra
    process. Here each worker has one bank with the few models of its blocks. Blocks are predicted
    one by one, so that memory does not grow with Beam's batches.
    """

    def __init__(
        self,
        models: Sequence[tuple[str, str]],
        max_models: int = 4,
        precision: str = EXACT,
        reporter: Reporter = SILENT,
        choice: Choice | None = None,
        sha256: Mapping[str, str] | None = None,
    ) -> None:
        """Keep the parameters; only they are sent to the workers.

        Args:
            models: pairs of grid zone and path of its weight file.
            max_models: largest number of models in a worker's memory; each takes 10 MB with its
                engine.
            precision: `exact` (float32) or `fast` (`engines.choice`).
            reporter: receives an event for each block.
            choice: the engine that the launch planned with, which every worker must be able to
                run; by default each worker takes the engine of its machine for the precision.
            sha256: the checksums that the launch planned with, by path of the weight file; a file
                with another checksum is refused. A file without an entry is not checked.

        Raises:
            ValueError: `max_models` is below 1, a zone has two models, or the precision is unknown.
        """
        super().__init__(min_batch_size=1, max_batch_size=1)
        if max_models < 1:
            raise ValueError(f"max_models is {max_models}, expected at least 1")
        if len(dict(models)) != len(models):
            raise ValueError("two models for one grid zone, expected one each")
        self.models = tuple(sorted(models))
        self.max_models = max_models
        if precision not in PRECISIONS:
            raise ValueError(f"precision is {precision!r}, expected one of {PRECISIONS}")
        self.precision = precision
        self.reporter = reporter
        self.choice, self.sha256 = choice, dict(sha256 or {})

    def load_model(self) -> ModelBank:
        """An empty bank; Beam calls this once for each worker process.

        Raises:
            VersionError: this machine cannot run the engine that the launch planned with.
        """
        choice = self.choice or choose(self.precision)
        return ModelBank(dict(self.models), self.max_models, choice, self.sha256)

    def run_inference(
        self,
        batch: Sequence[PredictionInput],
        model: ModelBank,
        inference_args: dict[str, Any] | None = None,
    ) -> Iterator[PredictionOutput | PredictionFailure]:
        """Predict the blocks of a batch, which has one block."""
        for example in batch:
            try:
                yield with_retries(partial(self._predict, model, example))
            except RECOVERABLE as error:
                yield PredictionFailure(Block(example.tile, example.window), error)

    def _predict(self, model: ModelBank, example: PredictionInput) -> PredictionOutput:
        window = example.window
        pixels = window.height * window.width
        with measured(self.reporter, NAMESPACE, pixels, example.tile, window):
            count(NAMESPACE, f"blocks_{model.choice.engine}")
            return model.predict(example)

    def get_num_bytes(self, batch: Sequence[PredictionInput]) -> int:
        """Bytes of the pixels; Beam's default would pickle them to measure."""
        return sum(example.dn.nbytes for example in batch)

    def get_metrics_namespace(self) -> str:
        """Namespace of Beam's counters for this transform."""
        return NAMESPACE
