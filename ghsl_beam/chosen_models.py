"""The models of a job: one network a grid zone, and the residential classifier."""

from __future__ import annotations

from dataclasses import dataclass

from ghsl_beam.configuration import Job
from transforms.classification.classifier import ResidentialClassifier
from transforms.elements import ModelError, RequestError
from transforms.inference.models import resolve
from transforms.inference.weights import load_model
from transforms.raster import storage


@dataclass(frozen=True)
class Model:
    """The model of a grid zone.

    `fallback` where it is another zone's, `demonstration` where its file or the file's name says
    that it is for showing only.
    """

    zone: str
    path: str
    sha256: str
    fallback: bool
    demonstration: bool

    @property
    def file(self) -> str:
        """The file's name."""
        return storage.name(self.path)

    @property
    def tags(self) -> dict[str, str]:
        """What the layers made with it say of it in their metadata."""
        return {
            "MODEL": self.file,
            "MODEL_SHA256": self.sha256,
            "MODEL_GRID_ZONE": self.zone,
            "MODEL_FALLBACK": "yes" if self.fallback else "no",
        }


def chosen_models(job: Job, zones: list[str]) -> tuple[Model, ...]:
    """The network of each of these grid zones, each file read and checked once.

    Raises:
        RequestError: a zone has none, or a file cannot be read or is no GHS-S2Net.
    """
    settings = job.models
    chosen = resolve(zones, settings.folder, settings.fallback, prefix=settings.prefix)
    try:
        found = {path: _look(path) for path in dict.fromkeys(model.path for model in chosen)}
    except ModelError as error:
        raise RequestError(f"models: {error}") from error
    return tuple(
        Model(m.zone, m.path, found[m.path][0], m.fallback, found[m.path][1]) for m in chosen
    )


def _look(path: str) -> tuple[str, bool]:
    """SHA-256 of a network's file, and whether it is for showing only; its arrays are let go."""
    weights, sha256 = load_model(path)
    return sha256, weights.demonstration or _named(path)


@dataclass(frozen=True)
class ChosenClassifier:
    """The residential classifier; `demonstration` as of a `Model`."""

    file: str
    sha256: str
    demonstration: bool


def chosen_classifier(job: Job) -> ChosenClassifier:
    """The residential classifier, after a look that it is one.

    Raises:
        RequestError: it cannot be read, or is none.
    """
    path = job.residential.model
    try:
        demonstration = ResidentialClassifier.load(path).demonstration or _named(path)
        return ChosenClassifier(storage.name(path), storage.sha256(path), demonstration)
    except ModelError as error:
        raise RequestError(f"residential.model: {error}") from error


def _named(path: str) -> bool:
    return "DEMONSTRATION" in storage.name(path)
