"""Checks that an estimator is supported, and that each path of its trees ends in a leaf."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.ensemble._hist_gradient_boosting.predictor import TreePredictor
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor, ExtraTreeClassifier
from sklearn.tree._tree import Tree
from sklearn.utils.validation import check_is_fitted

from .linear import LinearClassifier

ESTIMATORS = (
    DecisionTreeClassifier,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    LinearClassifier,
    RandomForestClassifier,
)
"""The supported estimators: trees and the own linear model, which decide on each pixel separately.

Models that multiply matrices are not supported. With them, the last bit of a pixel's score can
depend on how many pixels are predicted together, and so on the block size.
"""

MAX_TREES = 20_000

_LEAF = -1


def check_type(estimator: Any) -> None:
    """Check that an estimator is of a supported type, and fitted.

    Raises:
        ValueError: it is not; the text gives the reason.
    """
    if type(estimator) not in ESTIMATORS:
        allowed = ", ".join(kind.__name__ for kind in ESTIMATORS)
        raise ValueError(f"estimator is {type(estimator).__name__}, expected {allowed}")
    check_is_fitted(estimator)


def check_trees(estimator: Any, features: int) -> None:
    """Check everything that the predictions of a fitted estimator use.

    scikit-learn follows a tree without checks. A child beyond the last node ends the process, and
    a node that is its own child is followed for ever.

    Args:
        estimator: a fitted estimator of `ESTIMATORS`.
        features: number of features.

    Raises:
        ValueError: it cannot be used; the text gives the reason.
    """
    if isinstance(estimator, HistGradientBoostingClassifier):
        _check_histogram(estimator, features)
        return
    if isinstance(estimator, GradientBoostingClassifier):
        stages = estimator.estimators_
        if type(stages) is not np.ndarray or stages.ndim != 2 or stages.shape[1] != 1:
            raise ValueError("the estimator does not have one tree for each stage")
        _check_start(estimator)
        trees, width = stages[:, 0].tolist(), 1
        kind: tuple[type[Any], ...] = (DecisionTreeRegressor,)
    else:
        trees = getattr(estimator, "estimators_", [estimator])
        kind, width = (DecisionTreeClassifier, ExtraTreeClassifier), 2
        for item in (estimator, *_list(trees)):
            if _number(item, "n_classes_") != 2 or _number(item, "n_outputs_") != 1:
                raise ValueError("the estimator does not predict exactly two classes")
    _check_number(len(_list(trees)))
    for item in trees:
        if type(item) not in kind or type(getattr(item, "tree_", None)) is not Tree:
            raise ValueError(f"found a {type(item).__name__}, expected a tree")
        if _number(item, "n_features_in_") != features:
            raise ValueError("a tree has another number of features than the estimator")
        _check_tree(item.tree_, features, width)


def _check_tree(tree: Any, features: int, width: int) -> None:
    state = tree.__getstate__()
    nodes, values = state["nodes"], state["values"]
    if tree.n_features != features or values.shape != (len(nodes), 1, width):
        raise ValueError(f"a tree has {tree.n_features} features and values {values.shape}")
    left, right = nodes["left_child"], nodes["right_child"]
    # scikit-learn treats a node without a left child as a leaf.
    inner = left != _LEAF
    _check_children(left[inner], right[inner], np.flatnonzero(inner), len(nodes))
    _check_decisions(nodes["feature"][inner], nodes["threshold"][inner], features)
    if not np.isfinite(values).all():
        raise ValueError("a tree has values that are not finite")


def _check_histogram(estimator: HistGradientBoostingClassifier, features: int) -> None:
    start = estimator._baseline_prediction
    if type(start) is not np.ndarray or start.shape != (1, 1) or not np.isfinite(start).all():
        raise ValueError("the first prediction of the estimator is not one number")
    if _number(estimator, "n_trees_per_iteration_") != 1 or estimator._n_features != features:
        raise ValueError("the estimator has several trees for a stage, or other features")
    binning = estimator._bin_mapper.is_categorical_
    if type(binning) is not np.ndarray or binning.shape != (features,) or binning.any():
        raise ValueError("the estimator treats features as categories, expected numbers")
    stages = _list(estimator._predictors)
    _check_number(len(stages))
    for stage in stages:
        if len(_list(stage)) != 1 or type(stage[0]) is not TreePredictor:
            raise ValueError("the estimator does not have one tree for each stage")
        nodes = stage[0].nodes
        if type(nodes) is not np.ndarray or nodes.ndim != 1 or not len(nodes):
            raise ValueError("a tree has no nodes")
        if nodes["is_categorical"].any():
            raise ValueError("a tree treats features as categories, expected numbers")
        inner = nodes["is_leaf"] == 0
        below = nodes[inner]
        left, right = below["left"].astype(np.int64), below["right"].astype(np.int64)
        _check_children(left, right, np.flatnonzero(inner), len(nodes))
        _check_decisions(below["feature_idx"], below["num_threshold"], features)
        if not np.isfinite(nodes["value"]).all():
            raise ValueError("a tree has values that are not finite")


def _check_start(estimator: GradientBoostingClassifier) -> None:
    """Check the initial prediction of boosting: the shares of the classes, or zero."""
    start = estimator.init_
    rate = estimator.learning_rate
    if type(rate) not in (float, int) or not np.isfinite(rate):
        raise ValueError("the learning rate is not a number")
    if type(start) is not DummyClassifier:
        if start != "zero":
            raise ValueError(f"the initial prediction is a {type(start).__name__}")
        return
    shares = start.class_prior_
    if (
        start.strategy != "prior"
        or _number(start, "n_classes_") != 2
        or _number(start, "n_outputs_") != 1
        or type(shares) is not np.ndarray
        or shares.shape != (2,)
        or not np.isfinite(shares).all()
    ):
        raise ValueError("the initial prediction is not the shares of two classes")


def _check_children(
    left: NDArray[Any], right: NDArray[Any], inner: NDArray[np.int64], number: int
) -> None:
    """Check that each node but the root is the child of one earlier node, so no path is endless."""
    if not number:
        raise ValueError("a tree has no nodes")
    children = np.concatenate([left, right])
    if ((children < 0) | (children >= number)).any():
        raise ValueError(f"a tree of {number} nodes names a node that does not exist")
    if (left <= inner).any() or (right <= inner).any():
        raise ValueError("a path of a tree returns to an earlier node")
    if len(np.unique(children)) != len(children):
        raise ValueError("a node of a tree has two parents")


def _check_decisions(feature: NDArray[Any], threshold: NDArray[Any], features: int) -> None:
    if ((feature < 0) | (feature >= features)).any():
        raise ValueError(f"a tree uses a feature that does not exist, expected {features} features")
    if np.isnan(threshold).any():
        raise ValueError("a tree has a threshold that is not a number")


def _check_number(trees: int) -> None:
    if not 1 <= trees <= MAX_TREES:
        raise ValueError(f"found {trees} trees, expected 1 to {MAX_TREES}")


def _number(item: Any, name: str) -> int | None:
    value = getattr(item, name, None)
    is_number = isinstance(value, int | np.integer) and not isinstance(value, bool)
    return int(value) if is_number and value is not None else None


def _list(value: Any) -> list[Any]:
    if type(value) is not list:
        raise ValueError(f"found a {type(value).__name__}, expected a list of trees")
    return value
