"""The state of a training on disk, so that an interrupted training goes on."""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from transforms.elements import ModelError, StorageError
from transforms.storage.storage import published

from .samples import Samples
from .settings import Epoch, TrainingSettings


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """What the rest of a training depends on.

    Attributes:
        epochs: The finished epochs.
        variables: All variables of the network and its optimizer, in their order.
        best: The weights of the best epoch.
    """

    epochs: tuple[Epoch, ...]
    variables: list[NDArray[Any]]
    best: list[NDArray[Any]]


class Checkpoint:
    """A file with the state of one training; a file of another training counts as none."""

    def __init__(
        self, path: Path, settings: TrainingSettings, drawn: Samples, tested: Samples | None
    ) -> None:
        self.path = path
        digest = hashlib.sha256(json.dumps(asdict(settings), sort_keys=True).encode())
        for samples in (drawn, tested):
            if samples is not None:
                for array in (samples.patches, samples.built_up, samples.weights):
                    digest.update(np.ascontiguousarray(array).data)
        self.training = digest.hexdigest()

    def read(self) -> State | None:
        """The stored state; None if there is none of this training."""
        try:
            with np.load(io.BytesIO(self.path.read_bytes()), allow_pickle=False) as stored:
                about = json.loads(str(stored["about"]))
                if about["training"] != self.training:
                    return None
                return State(
                    tuple(Epoch(**epoch) for epoch in about["epochs"]),
                    [stored[f"variable{n}"] for n in range(about["variables"])],
                    [stored[f"best{n}"] for n in range(about["best"])],
                )
        except (OSError, ValueError, KeyError, TypeError):
            return None  # the training begins again, and replaces the file

    def write(self, state: State) -> None:
        """Store the state, whole or not at all.

        Raises:
            ModelError: it cannot be written.
        """
        about = {
            "training": self.training,
            "epochs": [asdict(epoch) for epoch in state.epochs],
            "variables": len(state.variables),
            "best": len(state.best),
        }
        arrays: dict[str, Any] = {"about": np.array(json.dumps(about))}
        arrays |= {f"variable{n}": value for n, value in enumerate(state.variables)}
        arrays |= {f"best{n}": value for n, value in enumerate(state.best)}
        try:
            with published(str(self.path)) as partial, partial.open("wb") as file:
                np.savez(file, **arrays)
        except StorageError as error:
            raise ModelError(error.file, error.reason) from error
