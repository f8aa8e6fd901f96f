"""The residential classifier and its file."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

from transforms.elements import ModelError, StorageError
from transforms.storage import storage

from .classifier_file import line, read_content
from .features import FEATURE_SETS, bands_of, feature_halo
from .linear import LinearClassifier
from .majority import NON_RESIDENTIAL, RESIDENTIAL
from .starter import stored_at

_FORMAT = "ghsl-beam residential classifier 1"
_MAX_BYTES = 1 << 30
_MAX_TEXT = 1 << 16
_SHA256 = re.compile(r"[0-9a-f]{64}")


@lru_cache(maxsize=1)
def _threads() -> ThreadpoolController:
    return ThreadpoolController()


def _versions() -> dict[str, str]:
    return {name: version(name) for name in ("scikit-learn", "numpy", "skops")}


@dataclass(frozen=True, slots=True, eq=False)
class ResidentialClassifier:
    """A fitted classifier with the description of its input.

    Classes are 1 (residential) and 2 (non-residential).
    """

    estimator: Any
    feature_set: str
    """A name of `FEATURE_SETS`."""
    description: str
    """The training data, described for the readers of a catalogue."""
    demonstration: bool = False
    """True if it is only a demonstration, and its maps have no meaning."""
    networks: tuple[str, ...] = ()
    """SHA-256 of the networks whose built-up fraction it was trained on; empty if unknown."""
    versions: Mapping[str, str] = field(default_factory=_versions)
    """Versions of the packages that it was trained with."""
    starter: bool = False
    """True if it is the starter classifier of this program."""

    def __post_init__(self) -> None:
        """Check that the estimator fits the features and the classes.

        Raises:
            ValueError: it does not fit; the text gives the reason.
        """
        if self.feature_set not in FEATURE_SETS:
            raise ValueError(
                f"feature set is {self.feature_set!r}, expected one of {list(FEATURE_SETS)}"
            )
        linear = isinstance(self.estimator, LinearClassifier)
        if not linear:
            # Here and below, because scikit-learn and skops take two seconds of each process.
            from .trees import check_trees, check_type

            check_type(self.estimator)
        if self.estimator.n_features_in_ != len(self.features):
            raise ValueError(
                f"estimator has {self.estimator.n_features_in_} features, but the feature set "
                f"{self.feature_set!r} has {len(self.features)}"
            )
        classes = self.estimator.classes_
        if not isinstance(classes, np.ndarray) or classes.shape != (2,):
            raise ValueError("classes are unknown, expected 1 and 2")
        if classes.tolist() != [RESIDENTIAL, NON_RESIDENTIAL]:
            raise ValueError(f"classes are {classes.tolist()}, expected 1 and 2")
        if linear:
            return
        check_trees(self.estimator, len(self.features))
        if getattr(self.estimator, "n_jobs", 1) != 1:
            # With threads, the order in which the trees' votes are added changes from run to run.
            self.estimator.set_params(n_jobs=1)

    @property
    def other_version(self) -> str | None:
        """The version of scikit-learn that made its trees, if it differs from this one."""
        if isinstance(self.estimator, LinearClassifier):
            return None  # scikit-learn only fitted its numbers
        theirs, here = self.versions.get("scikit-learn"), version("scikit-learn")
        return theirs if theirs and theirs != here else None

    @property
    def features(self) -> tuple[str, ...]:
        """Features in the order of the table's columns."""
        return FEATURE_SETS[self.feature_set]

    @property
    def halo(self) -> int:
        """Pixels around a window that its classes depend on before the smoothing."""
        return feature_halo(self.feature_set)

    @property
    def bands(self) -> int:
        """Number of bands that it needs: 4, those of S2; or 10, also those of S2_20M."""
        return bands_of(self.feature_set)

    def predict(self, table: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Predict the classes of pixels.

        Args:
            table: (pixels, features), float32, as `feature_table` gives it.

        Returns:
            (pixels), uint8, 1 residential, 2 non-residential.

        Raises:
            ValueError: the number of columns is wrong.
        """
        if table.ndim != 2 or table.shape[1] != len(self.features):
            raise ValueError(
                f"table has shape {table.shape}, expected {len(self.features)} columns"
            )
        if not len(table):
            return np.empty(0, np.uint8)
        if isinstance(self.estimator, LinearClassifier):
            return self.estimator.predict(table)
        # The runner's workers already use all cores; more threads would only wait.
        with _threads().limit(limits=1, user_api="openmp"):
            return np.asarray(self.estimator.predict(table)).astype(np.uint8)

    def save(self, path: Path | str) -> None:
        """Write a skops file whole or not at all."""
        import skops.io

        linear = isinstance(self.estimator, LinearClassifier)
        content = {
            "format": _FORMAT,
            "estimator": self.estimator.content() if linear else self.estimator,
            "feature_set": self.feature_set,
            "features": list(self.features),
            "description": self.description,
            "demonstration": self.demonstration,
            "networks": list(self.networks),
            "versions": dict(self.versions),
            **({"starter": True} if self.starter else {}),
        }
        with storage.published(str(path)) as partial:
            skops.io.dump(content, partial, compression=zipfile.ZIP_DEFLATED)

    @classmethod
    def load(cls, path: Path | str, *, allow_pickle: bool = False) -> ResidentialClassifier:
        """Read a file that `save` wrote; nothing in it is executed.

        Args:
            path: a local path, a URL, or `STARTER_CLASSIFIER`.
            allow_pickle: whether joblib reads a file that is not skops (the same content, dumped).
                A pickle runs any code that its author put into it; use it only for files that you
                trust.

        Raises:
            ModelError: the file cannot be read, is damaged, contains something else or a type that
                is not allowed, or has other features than this version computes.
        """
        name = str(path)
        try:
            data = storage.read_bytes(stored_at(path), _MAX_BYTES)
        except StorageError as error:
            raise ModelError(name, f"cannot be read: {error.reason}") from error
        content, other = read_content(name, data, allow_pickle=allow_pickle)
        return cls._of(name, content, other)

    @classmethod
    def _of(cls, name: str, content: Any, other: str | None) -> ResidentialClassifier:
        if not isinstance(content, dict) or content.get("format") != _FORMAT:
            raise ModelError(name, "is not a residential classifier of this program")
        try:
            versions = dict(content["versions"])
            versions |= {"scikit-learn": other} if other else {}
            estimator = content["estimator"]
            classifier = cls(
                estimator=LinearClassifier.of(estimator) if type(estimator) is dict else estimator,
                feature_set=_text(content["feature_set"]),
                description=_text(content["description"]),
                demonstration=content["demonstration"] is True,
                networks=tuple(_text(item) for item in content.get("networks", [])),
                versions={_text(key): _text(value)[:40] for key, value in versions.items()},
                starter=content.get("starter") is True,
            )
            if not all(_SHA256.fullmatch(item) for item in classifier.networks):
                raise ValueError("networks are not given as SHA-256")
            with np.errstate(all="ignore"):
                classifier.predict(np.zeros((1, len(classifier.features)), np.float32))
        except Exception as error:
            raise ModelError(name, f"cannot be used: {line(error)}{_made_by(other)}") from error
        if list(classifier.features) != content.get("features"):
            raise ModelError(
                name,
                f"was trained on the features {str(content.get('features'))[:300]}, but in this "
                f"version the set {classifier.feature_set!r} is {list(classifier.features)}",
            )
        return classifier


def _text(value: Any) -> str:
    if type(value) is not str or len(value) > _MAX_TEXT:
        raise ValueError(
            f"found {type(value).__name__}, expected a text of at most {_MAX_TEXT} characters"
        )
    return value


def _made_by(other: str | None) -> str:
    here = version("scikit-learn")
    return f" (made with scikit-learn {other}, this machine has {here})" if other else ""
