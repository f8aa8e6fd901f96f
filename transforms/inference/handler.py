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
        zone: grid zone, the key of the model.
        tile: MGRS tile.
        window: the block, counted from the tile's corner.
        dn: axes (band, row, column), uint16, red, green, blue, near infrared, nodata 0: the
            block and as many pixels on each side, at least 2; blocks of a tile fit together to
            the bit where it is `predict.CONTEXT`.
        whole: False where an input of these pixels was lost.
        origin: row and column of the tile's corner in the 10 m grid of its UTM zone (south and
            east of 0, 0 m). Engines predict in pieces that lie on that grid, so that tiles that
            overlap agree to the bit.
        place: the block without layers: what the prediction becomes a layer of.
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
        block: tile and window.
        bufrac_raw: axes (row, column), uint16, 0..10 000, nodata 65535, the block without halo.
        whole: as of the input.
        place: as of the input.
    """

    block: Block
    bufrac_raw: NDArray[np.uint16]
    whole: bool = True
    place: Pixels | None = None


@dataclass(frozen=True, slots=True, eq=False)
class PredictionFailure:
    """A block that could not be predicted, and why."""

    block: Block
    error: Exception


class ModelBank:
    """The models of a worker, each loaded when first asked for, the least used let go.

    Threads of a worker share the bank; one predicts at a time, for an engine uses all cores.

    Attributes:
        choice: the engine of all its models.
        loads: models loaded so far.
    """

    def __init__(
        self,
        paths: Mapping[str, str],
        max_models: int,
        choice: Choice | None = None,
        sha256: Mapping[str, str] | None = None,
    ) -> None:
        """Keep the paths by grid zone; nothing is loaded yet.

        Args:
            paths: weight files by grid zone.
            max_models: see `GhsS2NetHandler`.
            choice: the engine, by default the exact one of this machine.
            sha256: see `GhsS2NetHandler`.

        Raises:
            VersionError: this machine cannot run the engine.
        """
        self._paths, self._sha256 = dict(paths), dict(sha256 or {})
        self.choice = choice or choose(EXACT)
        if self.choice.engine not in engines_of(this_machine()):
            raise VersionError(
                f"a worker cannot predict with {self.choice.engine}, as the launch planned: launch "
                "from a machine like the workers, or set models.precision to 'exact' where 'fast'"
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
            ModelError: the zone's file cannot be used, or not with the precision `fast`.
            VersionError: it is another than the launch planned with.
        """
        with self._lock:
            if zone not in self._paths:
                raise RequestError(f"grid zone {zone}: the job was given no model for it")
            path = self._paths[zone]
            if path not in self._engines:
                while len(self._engines) >= self._max_models:
                    self._engines.popitem(last=False)
                self._engines[path] = self._loaded(path)
                self.loads += 1
            self._engines.move_to_end(path)
            return self._engines[path]

    def _loaded(self, path: str) -> Engine:
        """The engine of a weight file; a fast one is measured first."""
        weights, found = load_model(path)
        check_planned(path, found, self._sha256.get(path, found))
        network = collapse(weights)
        engine = self.choice.make(network)
        if self.choice.precision == FAST:
            most, mean = difference(engine, choose(EXACT).make(network))
            if not (most <= MOST and mean <= MEAN):
                raise ModelError(
                    path,
                    f"with {self.choice.engine} found probabilities that differ from exact ones by "
                    f"{most:.2g} at most and {mean:.2g} in the mean, expected {MOST:g} and "
                    f"{MEAN:g}: set models.precision to 'exact'",
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
            raise ValueError(f"found pixels of shape {example.dn.shape}, expected {expected}")
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

    Beam's own handlers hold one model, and its KeyedModelHandler loads each in a process beside
    the worker; here one bank a worker holds the few models that its blocks ask for. Blocks go in
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
        """Keep where the models are; the handler travels to the workers as this alone.

        Args:
            models: pairs of grid zone and path of its weight file.
            max_models: models in a worker's memory at a time, 10 MB each with their engine.
            precision: `exact` (float32) or `fast` (`engines.choice`).
            reporter: who is told of each block.
            choice: the engine that the launch planned with, which every worker must be able to
                run; by default each takes what its machine has for the precision.
            sha256: what the launch planned with, by path of a weight file; another content is
                refused. Where it does not say, any will do.

        Raises:
            ValueError: no model may be kept, a zone has two, or there is no such precision.
        """
        super().__init__(min_batch_size=1, max_batch_size=1)
        if max_models < 1:
            raise ValueError(f"found max_models {max_models}, expected at least 1")
        if len(dict(models)) != len(models):
            raise ValueError("found two models for one grid zone, expected one each")
        self.models = tuple(sorted(models))
        self.max_models = max_models
        if precision not in PRECISIONS:
            raise ValueError(f"found precision {precision!r}, expected one of {PRECISIONS}")
        self.precision = precision
        self.reporter = reporter
        self.choice, self.sha256 = choice, dict(sha256 or {})

    def load_model(self) -> ModelBank:
        """An empty bank; Beam calls this once a worker process.

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
        """Predict the blocks of a batch, which holds one."""
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
        """Bytes of the pixels; Beam's default would pickle them to find out."""
        return sum(example.dn.nbytes for example in batch)

    def get_metrics_namespace(self) -> str:
        """Namespace of Beam's counters of this transform."""
        return NAMESPACE
