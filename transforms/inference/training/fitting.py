"""Trains GHS-S2Net on labelled images, and returns weights in the JRC's file layout.

The collapsed network is trained (see `network`): a 3 x 3 convolution in place of two of 2 x 2, with
the same normalisation, tanh and dropout. It has the same capability, because the two convolutions
follow exactly from the one (`split_convolution`), and it takes a quarter of the time. Each
convolution is computed as a product of matrices, whose rows are windows of 3 x 3: on a CPU this is
three times as fast again. The input is standardised by band during training. The standardisation is
then included in the first convolution, so the file takes reflectance 0..1 like any other.

Source of the network, its loss and optimizer: Corbane, Syrris, Sabo et al. (2020), Neural
Computing and Applications.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from transforms.inference.architecture import BANDS_IN, PATCH
from transforms.inference.weights import NetworkWeights

from .augmentation import recoloured, relit, turned
from .checkpoint import Checkpoint, State
from .layout import EPSILON, to_layout
from .samples import LabelledImage, Samples, band_statistics, draw_samples
from .settings import Epoch, Progress, TrainingSettings

_SIDE = 3
"""Side of both convolutions."""
_FIRST = 128
"""Channels of the first one."""

Float32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Trained:
    """A trained network, and how its training went.

    Attributes:
        weights: The 24 arrays of the file layout, for input of reflectance 0..1.
        epochs: All passes; with validation, the weights are those of the last `best` one.
    """

    weights: NetworkWeights
    epochs: tuple[Epoch, ...]


def train(
    images: Sequence[LabelledImage],
    settings: TrainingSettings | None = None,
    *,
    validation: Sequence[LabelledImage] = (),
    checkpoint: Path | None = None,
    progress: Progress | None = None,
) -> Trained:
    """Train a network; the same input and seed give the same network on the same machine.

    Args:
        images: labelled images to train on.
        settings: see `TrainingSettings`.
        validation: labelled images that decide when the training stops; with none, all epochs are
            made.
        checkpoint: file for the state of the training after each epoch. If it has the state of a
            training with the same pixels and settings, that training goes on.
        progress: is called after each epoch.

    Raises:
        ValueError: a label has no pixel.
        ModelError: the checkpoint cannot be written.
    """
    settings = settings or TrainingSettings()
    drawn = draw_samples(images, settings.samples, settings.seed, settings.built_share)
    tested = (
        draw_samples(validation, settings.samples, settings.seed, settings.built_share)
        if validation
        else None
    )
    fit = _Fit(settings, drawn, tested, checkpoint)
    epochs = fit.run(progress)
    return Trained(to_layout(fit.layers(), fit.mean, fit.spread), epochs)


class _Fit:
    """One training: the network, its samples, and the best weights so far."""

    def __init__(
        self,
        settings: TrainingSettings,
        drawn: Samples,
        tested: Samples | None,
        checkpoint: Path | None,
    ) -> None:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        import keras

        keras.utils.set_random_seed(settings.seed)
        self.settings, self.drawn, self.tested = settings, drawn, tested
        middle = PATCH // 2
        self.mean, self.spread = band_statistics(drawn.patches[:, middle, middle])
        self.model = _model(keras, settings)
        steps = -(-len(drawn.patches) // settings.batch) * settings.epochs
        schedule = keras.optimizers.schedules.CosineDecay(settings.learning_rate, steps)
        adam = keras.optimizers.Adam(schedule)
        self.model.compile(adam, "binary_crossentropy", jit_compile=False)
        self.model.optimizer.build(self.model.trainable_variables)
        self.checkpoint = (
            None if checkpoint is None else Checkpoint(checkpoint, settings, drawn, tested)
        )

    def run(self, progress: Progress | None) -> tuple[Epoch, ...]:
        """Make the epochs that are missing, and leave the best weights in the network."""
        state = self.checkpoint.read() if self.checkpoint else None
        if state is not None:
            self._assign(self._variables(), state.variables)
        epochs = state.epochs if state else ()
        best = state.best if state else self._values()
        while not self._finished(epochs):
            epoch = self._epoch(epochs)
            epochs = (*epochs, epoch)
            if epoch.best:
                best = self._values()
            if self.checkpoint:
                variables = [np.array(v.numpy()) for v in self._variables()]
                self.checkpoint.write(State(epochs, variables, best))
            if progress:
                progress(epoch)
        self._assign(self.model.weights, best)
        return epochs

    def layers(self) -> dict[str, list[Float32]]:
        """The weights of each layer by its name."""
        found = {layer.name: layer.get_weights() for layer in self.model.layers if layer.weights}
        for name, inputs in (("conv1", BANDS_IN), ("conv2", _FIRST)):
            kernel, bias = found[name]
            found[name] = [kernel.reshape(_SIDE, _SIDE, inputs, -1), bias]
        return found

    def _epoch(self, earlier: tuple[Epoch, ...]) -> Epoch:
        settings, drawn = self.settings, self.drawn
        random = np.random.default_rng([settings.seed, len(earlier)])
        order = random.permutation(len(drawn.patches))
        patches = turned(drawn.patches[order], random)
        patches = relit(
            recoloured(patches, random, settings.recolour), random, settings.gain, settings.haze
        )
        history = self.model.fit(
            self._standardised(patches),
            _both(drawn.built_up[order]),
            sample_weight=drawn.weights[order],
            batch_size=settings.batch,
            epochs=1,
            shuffle=False,
            verbose=0,
        )
        loss = float(history.history["loss"][0])
        tested = self._validation_loss()
        lowest = min((e.validation_loss for e in earlier if e.validation_loss), default=np.inf)
        best = tested is None or tested < lowest
        return Epoch(len(earlier) + 1, settings.epochs, loss, tested, best)

    def _finished(self, epochs: tuple[Epoch, ...]) -> bool:
        if len(epochs) >= self.settings.epochs:
            return True
        late = epochs[-self.settings.patience :]
        return len(late) == self.settings.patience and not any(epoch.best for epoch in late)

    def _validation_loss(self) -> float | None:
        if self.tested is None:
            return None
        found = self.model.predict(self._standardised(self.tested.patches), 4096, verbose=0)
        found = np.clip(found.astype(np.float64), 1e-7, 1 - 1e-7)
        wanted = _both(self.tested.built_up)
        losses = -(wanted * np.log(found) + (1 - wanted) * np.log(1 - found)).mean(axis=1)
        return float(np.average(losses, weights=self.tested.weights))

    def _standardised(self, patches: Float32) -> Float32:
        return windows((patches - self.mean) / self.spread)

    def _variables(self) -> list[Any]:
        """All that the next epoch depends on: weights, the optimizer's state, dropout's seeds."""
        return [*self.model.variables, *self.model.optimizer.variables]

    def _values(self) -> list[NDArray[Any]]:
        return [np.array(value.numpy()) for value in self.model.weights]

    @staticmethod
    def _assign(variables: list[Any], values: list[NDArray[Any]]) -> None:
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)


def windows(patches: Float32) -> Float32:
    """The nine windows of 3 x 3 pixels in each patch of 5 x 5.

    Args:
        patches: (n, 5, 5, bands), float32.

    Returns:
        (n, 9, 9 * bands), float32; the values of a window have the order row, column, band.
    """
    found = np.lib.stride_tricks.sliding_window_view(patches, (_SIDE, _SIDE), axis=(1, 2))
    ordered = np.ascontiguousarray(found.transpose(0, 1, 2, 4, 5, 3))
    return ordered.reshape(len(patches), _SIDE * _SIDE, -1)


def _both(built_up: Float32) -> Float32:
    return np.stack([1 - built_up, built_up], axis=1)


def _model(keras: Any, settings: TrainingSettings) -> Any:
    layers = keras.layers
    stack = [keras.Input((_SIDE * _SIDE, _SIDE * _SIDE * BANDS_IN))]
    for number, (name, units) in enumerate(
        (("conv1", _FIRST), ("conv2", 512), ("dense1", 128)), start=1
    ):
        if name == "conv2":
            stack.append(layers.Flatten())
        stack += [
            layers.Dense(units, name=name),
            layers.BatchNormalization(epsilon=EPSILON, momentum=0.98, name=f"norm{number}"),
            layers.Activation("tanh"),
            layers.Dropout(settings.dropout),
        ]
    stack.append(layers.Dense(2, activation="sigmoid", name="dense2"))
    return keras.Sequential(stack)
