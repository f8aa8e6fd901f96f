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
    """The model of a grid zone; `fallback` where it is another zone's."""

    zone: str
    path: str
    sha256: str
    fallback: bool

    @property
    def file(self) -> str:
        """The file's name."""
        return storage.name(self.path)

    @property
    def demonstration(self) -> bool:
        """Whether it is the demonstration's."""
        return "DEMONSTRATION" in self.file

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
        sha256 = {path: load_model(path)[1] for path in dict.fromkeys(m.path for m in chosen)}
    except ModelError as error:
        raise RequestError(f"models: {error}") from error
    return tuple(Model(m.zone, m.path, sha256[m.path], m.fallback) for m in chosen)


def classifier_sum(job: Job) -> str:
    """SHA-256 of the residential classifier's file, after a look that it is one.

    Raises:
        RequestError: it cannot be read, or is none.
    """
    path = job.residential.model
    try:
        ResidentialClassifier.load(path)
        return storage.sha256(path)
    except ModelError as error:
        raise RequestError(f"residential.model: {error}") from error
