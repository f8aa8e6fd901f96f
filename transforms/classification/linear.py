"""A linear classifier whose scores have the same bits in every batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .majority import NON_RESIDENTIAL, RESIDENTIAL

CLIP = 3.0
"""Standardised features end here, so that no single value that was never seen decides alone."""

_KIND = "linear"
_VECTORS = ("means", "scales", "weights")
_MOST = 1e12

Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class LinearClassifier:
    """The sign of a weighted sum of standardised features, as of a logistic regression.

    The sum begins with `intercept` and adds the features in their order, in float64. So the score
    of a pixel does not depend on the other pixels of the batch: products of matrices would add in
    an order that changes with the size of the batch.
    """

    means: Vector
    """(features), mean of each feature in the training."""
    scales: Vector
    """(features), standard deviation of each feature in the training, above 0."""
    weights: Vector
    """(features), weight of each standardised feature."""
    intercept: float

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            ValueError: they have other shapes or types, or are not finite.
        """
        vectors = [getattr(self, name) for name in _VECTORS]
        for name, vector in zip(_VECTORS, vectors, strict=True):
            if type(vector) is not np.ndarray or vector.dtype != np.float64 or vector.ndim != 1:
                raise ValueError(f"{name} of the linear model are not a list of float64")
            if not (np.abs(vector) < _MOST).all():
                raise ValueError(f"{name} of the linear model are not finite, or too large")
        if len({len(vector) for vector in vectors}) != 1:
            raise ValueError("means, scales and weights of the linear model differ in length")
        if not (self.scales > 1 / _MOST).all():
            raise ValueError("scales of the linear model are not above 0")
        if type(self.intercept) is not float or not abs(self.intercept) < _MOST:
            raise ValueError("the intercept of the linear model is not a finite number")

    @property
    def n_features_in_(self) -> int:
        """Number of features."""
        return len(self.weights)

    @property
    def classes_(self) -> NDArray[np.int64]:
        """The classes: 1 residential, 2 non-residential."""
        return np.array([RESIDENTIAL, NON_RESIDENTIAL])

    def score(self, table: NDArray[np.float32]) -> Vector:
        """Logarithm of the odds of non-residential: (pixels), float64.

        Args:
            table: (pixels, features), float32.
        """
        total = np.full(len(table), self.intercept)
        for column, (mean, scale, weight) in enumerate(
            zip(self.means, self.scales, self.weights, strict=True)
        ):
            feature = table[:, column].astype(np.float64)
            feature -= mean
            feature /= scale
            np.clip(feature, -CLIP, CLIP, out=feature)
            feature *= weight
            total += feature
        return total

    def predict(self, table: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Classes of pixels: (pixels), uint8; see `score`."""
        return np.where(self.score(table) > 0, NON_RESIDENTIAL, RESIDENTIAL).astype(np.uint8)

    def content(self) -> dict[str, Any]:
        """The model as plain values and arrays, for its file."""
        vectors = {name: getattr(self, name) for name in _VECTORS}
        return {"kind": _KIND, **vectors, "intercept": self.intercept}

    @classmethod
    def of(cls, content: dict[str, Any]) -> LinearClassifier:
        """The model of such content.

        Raises:
            ValueError: it is something else, or its numbers are not possible.
        """
        if set(content) != {"kind", *_VECTORS, "intercept"} or content["kind"] != _KIND:
            raise ValueError(f"found the parts {sorted(map(str, content))[:8]} for a linear model")
        return cls(content["means"], content["scales"], content["weights"], content["intercept"])


@dataclass(frozen=True, slots=True)
class LinearFit:
    """How a linear model is fitted: logistic regression by scikit-learn, on balanced classes."""

    strength: float
    """How freely the weights may grow (`C` of scikit-learn); a small number keeps them small."""

    def fit(
        self,
        features: NDArray[np.float32],
        labels: NDArray[np.uint8],
        weights: Vector | None = None,
    ) -> LinearClassifier:
        """Fit to labelled pixels.

        Args:
            features: (pixels, features), float32.
            labels: (pixels), uint8, 1 residential, 2 non-residential.
            weights: (pixels), how much each pixel counts; None: alike.
        """
        # Here, because a job that only predicts does without the two seconds that it takes.
        from sklearn.linear_model import LogisticRegression

        table = features.astype(np.float64)
        means, scales = table.mean(axis=0), table.std(axis=0)
        scales[scales < 1e-9] = 1.0  # a feature that does not vary says nothing
        standard = np.clip((table - means) / scales, -CLIP, CLIP)
        regression = LogisticRegression(C=self.strength, class_weight="balanced", max_iter=1000)
        regression.fit(standard, labels, sample_weight=weights)
        return LinearClassifier(
            means,
            scales,
            regression.coef_[0].astype(np.float64),
            float(regression.intercept_[0]),
        )
