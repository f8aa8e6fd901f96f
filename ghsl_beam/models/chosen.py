"""The models of a job: one network for each grid zone, and the residential classifier."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import version

from ghsl_beam.jobfile.configuration import Job
from ghsl_beam.models.credits import Origin
from ghsl_beam.models.manifest import Manifest, published_manifest
from transforms.classification.classifier import ResidentialClassifier
from transforms.classification.starter import STARTER_CLASSIFIER, stored_at
from transforms.elements import ModelError, RequestError
from transforms.inference.models import ZoneModel, resolve, zone_of_file
from transforms.inference.starter import STARTER_MODEL
from transforms.inference.weights import ModelFile, describe_model
from transforms.storage import storage

_SHOWN = 5
_LONGEST = 500
"""Characters of a classifier's note about itself in a credit."""


@dataclass(frozen=True)
class Model:
    """The model of a grid zone.

    `fallback`: it is another zone's model. `demonstration`: its file or the file's name says that
    it is only a demonstration. `origin`: who made it. `trained`: an own model's note about itself.
    """

    zone: str
    path: str
    sha256: str
    fallback: bool
    origin: Origin
    trained: str

    @property
    def demonstration(self) -> bool:
        """Whether it is only a demonstration."""
        return self.origin is Origin.DEMONSTRATION

    @property
    def file(self) -> str:
        """The name of the file."""
        return storage.name(self.path)

    @property
    def tags(self) -> dict[str, str]:
        """The tags about the model in the layers that are made with it."""
        return {
            "MODEL": self.file,
            "MODEL_SHA256": self.sha256,
            "MODEL_ORIGIN": self.origin.value,
            "MODEL_GRID_ZONE": self.zone,
            "MODEL_FALLBACK": "yes" if self.fallback else "no",
        }


def chosen_models(job: Job, zones: list[str]) -> tuple[Model, ...]:
    """The network of each of these grid zones, each file read and checked once.

    The starter network is used only if the job asks for it, and then in all zones.

    Raises:
        RequestError: a zone has none, or a file cannot be read or is not a GHS-S2Net.
    """
    settings = job.models
    if settings.starter:
        chosen = tuple(ZoneModel(zone, zone, STARTER_MODEL) for zone in sorted(set(zones)))
    else:
        chosen = resolve(zones, settings.folder, settings.fallback, prefix=settings.prefix)
    try:
        files = {path: describe_model(path) for path in dict.fromkeys(m.path for m in chosen)}
    except ModelError as error:
        raise RequestError(f"models: {error}") from error
    manifest = published_manifest()
    return tuple(
        Model(
            model.zone,
            model.path,
            files[model.path].sha256,
            model.fallback,
            _origin(storage.name(model.path), files[model.path], manifest),
            files[model.path].trained or "",
        )
        for model in chosen
    )


def _origin(name: str, file: ModelFile, manifest: Manifest) -> Origin:
    """Who made a network: by its checksum in the list of published models, or by its own note.

    A published file may have another name here.
    """
    if any(
        file.sha256 == known.sha256 or file.git_blob == known.git_blob for known in manifest.models
    ):
        return Origin.PUBLISHED
    if file.starter:
        return Origin.STARTER
    if file.demonstration or _named(name):
        return Origin.DEMONSTRATION
    return Origin.UNPROVEN if file.trained is None else Origin.OWN


def model_warnings(models: Iterable[Model]) -> list[str]:
    """Warnings about the networks."""
    by_origin: dict[Origin, dict[str, None]] = {}
    for model in models:
        by_origin.setdefault(model.origin, {})[model.file] = None
    warnings = [
        f"model {file} is a demonstration" for file in by_origin.get(Origin.DEMONSTRATION, ())
    ]
    warnings += [
        f"model {file} is the starter network of ghsl-beam, not a model of the JRC: it knows only "
        "the few landscapes that docs/starter-models.md names"
        for file in by_origin.get(Origin.STARTER, ())
    ]
    for file in by_origin.get(Origin.OWN, ()):
        alike = ", though its name is like theirs" if zone_of_file(file) else ""
        warnings.append(f"model {file} is your own, not a model of the JRC{alike}")
    if unproven := by_origin.get(Origin.UNPROVEN):
        shown = ", ".join(list(unproven)[:_SHOWN])
        shown += f" and {len(unproven) - _SHOWN} more" if len(unproven) > _SHOWN else ""
        warnings.append(
            f"models that are not proven to be of the JRC, so the JRC is not credited: {shown} "
            "(their checksums are not in the list of published models)"
        )
    return warnings


@dataclass(frozen=True)
class ChosenClassifier:
    """The residential classifier; `demonstration` as in `Model`.

    `halo`: the pixels around a window that its classes depend on before the smoothing.
    `networks`: SHA-256 of the networks whose built-up it was trained on, empty if unknown.
    `other_version`: the scikit-learn that made it, if it differs from the installed one.
    `path`: its location. `starter`: it is the starter classifier of this program.
    `description`: its note about its training. `bands`: 4, or 10 if it needs S2_20M.
    """

    file: str
    sha256: str
    demonstration: bool
    halo: int
    networks: tuple[str, ...] = ()
    other_version: str | None = None
    path: str = ""
    starter: bool = False
    description: str = ""
    bands: int = 4

    @property
    def origin(self) -> Origin:
        """Who made it, as far as its file says."""
        if self.starter:
            return Origin.STARTER
        return Origin.DEMONSTRATION if self.demonstration else Origin.OWN

    @property
    def tags(self) -> dict[str, str]:
        """The tags about the classifier in the layer that is made with it."""
        return {
            "CLASSIFIER": self.file,
            "CLASSIFIER_SHA256": self.sha256,
            "CLASSIFIER_ORIGIN": self.origin.value,
        }

    @property
    def credit(self) -> str:
        """The credit that products made with it need. No classifier is the JRC's."""
        about = " ".join(self.description.replace(";", ",").split())[:_LONGEST]
        note = f": {about}" if about else ""
        if self.starter:
            return f"classifier {self.file}: starter classifier of ghsl-beam, not of the JRC{note}"
        name = self.file.replace(";", ",")
        if self.demonstration:
            return f"classifier {name}: a demonstration of ghsl-beam, not of the JRC"
        return (
            f"classifier {name} (SHA-256 {self.sha256[:12]}): its user's own, not of the JRC{note}"
        )


def chosen_classifier(job: Job) -> ChosenClassifier:
    """Read and check the residential classifier.

    The starter classifier is used only if the job asks for the starter models and names no other.

    Raises:
        RequestError: it cannot be read, or is not a classifier.
    """
    path = job.residential.model or STARTER_CLASSIFIER
    try:
        classifier = ResidentialClassifier.load(path)
        if classifier.bands > len(job.composite.names):
            raise RequestError(
                f"residential.model: {storage.name(path)} needs the bands at 20 m (features "
                f"{classifier.feature_set}), but composite.bands is {job.composite.bands}; set "
                "composite.bands: ten, or name a classifier of four bands"
            )
        return ChosenClassifier(
            storage.name(path),
            storage.sha256(stored_at(path)),
            classifier.demonstration or _named(path),
            classifier.halo,
            classifier.networks,
            classifier.other_version,
            path,
            classifier.starter,
            classifier.description,
            classifier.bands,
        )
    except ModelError as error:
        raise RequestError(f"residential.model: {error}") from error


def classifier_warnings(classifier: ChosenClassifier, models: Iterable[Model]) -> list[str]:
    """Warnings about the classifier, also in combination with the networks."""
    warnings = []
    if classifier.demonstration:
        warnings.append(f"classifier {classifier.file} is a demonstration")
    if classifier.starter:
        warnings.append(
            f"classifier {classifier.file} is the starter classifier of ghsl-beam, not of the JRC: "
            "it knows only the few towns that docs/starter-models.md names"
        )
    if classifier.other_version:
        warnings.append(
            f"classifier {classifier.file} was made by scikit-learn {classifier.other_version}, "
            f"but {version('scikit-learn')} is installed: it may give other classes; train it again"
        )
    others = {m.path: m for m in models if m.sha256 not in classifier.networks}
    if classifier.networks:
        theirs = ", ".join(sha256[:12] for sha256 in classifier.networks)
        warnings += [
            f"classifier {classifier.file} was trained on the built-up of another network "
            f"(SHA-256 {theirs}) than {model.file} ({model.sha256[:12]}): its classes may have "
            "little meaning; train one on a run with this network"
            for model in others.values()
        ]
    elif not classifier.demonstration:
        warnings.append(
            f"classifier {classifier.file} does not say which network made the built-up that it "
            "was trained on"
        )
    return warnings


def _named(path: str) -> bool:
    return "DEMONSTRATION" in storage.name(path)
