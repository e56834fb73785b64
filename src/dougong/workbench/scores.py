"""How good predictions are: plain numbers from plain arrays.   Shapes: N samples, K classes, T targets.

Confusion, ROC and the coefficient of determination are scikit-learn's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = [
    "ClassScore",
    "Verdict",
    "as_labels",
    "as_probabilities",
    "best_epoch",
    "class_scores",
    "correlation",
    "headline",
    "score",
    "worst",
]


@dataclass(frozen=True)
class ClassScore:
    """One class: how many there are, and the shares (0 to 1) that were found and that were rightly named."""

    name: str
    count: int
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True)
class Verdict:
    """What the trained model, read back from its file, does on the test part."""

    y_pred: np.ndarray
    """Probabilities ``[N, K]`` or values ``[N, T]``."""
    scores: Mapping[str, float]
    read_back: str
    """The line of Python that was executed to get ``y_pred``."""
    difference: float
    """The largest difference to the model in memory."""


def as_probabilities(outputs: np.ndarray, *, logits: bool = False) -> np.ndarray:
    """A classifier's outputs as ``[N, K]`` probabilities; one column, the probability of the second class, becomes two.

    >>> as_probabilities(np.array([[0.25]])), as_probabilities(np.array([[0.0, math.log(3.0)]]), logits=True)
    (array([[0.75, 0.25]]), array([[0.25, 0.75]]))
    """
    outputs = np.asarray(outputs, dtype=np.float64).reshape(len(outputs), -1)
    if outputs.shape[1] == 1:
        # A sigmoid is the softmax of the logit and 0.
        zeros = np.zeros_like(outputs)
        outputs = np.concatenate([zeros, outputs] if logits else [1.0 - outputs, outputs], axis=1)
    if logits:
        # Subtract the maximum first: only differences matter, and large logits would overflow.
        powers = np.exp(outputs - outputs.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)
    return outputs


def as_labels(targets: np.ndarray) -> np.ndarray:
    """Class numbers ``[N]`` from labels ``[N]``, ``[N, 1]`` or one-hot rows ``[N, K]``.

    >>> as_labels(np.array([[0, 1], [1, 0]])), as_labels(np.array([[2], [0]]))
    (array([1, 0]), array([2, 0]))
    """
    targets = np.asarray(targets)
    if targets.ndim == 2 and targets.shape[1] > 1:
        return targets.argmax(axis=1)
    return targets.reshape(len(targets)).astype(np.int64)


def score(task: str, y_true: np.ndarray, y_pred: np.ndarray) -> dict[str, float]:
    """The scores of a task.

    ``classification``: ``accuracy`` (share), ``cross_entropy`` (nats).   ``regression``: ``r2``, ``mse`` (target units
    squared), ``rmse`` and ``mae`` (target units), means over all targets, and ``r``, the correlation.
    """
    if task == "classification":
        labels, probabilities = as_labels(y_true), as_probabilities(y_pred)
        own = probabilities[np.arange(len(labels)), labels]
        return {
            "accuracy": float((probabilities.argmax(axis=1) == labels).mean()),
            "cross_entropy": float(-np.log(np.clip(own, 1e-7, 1.0)).mean()),
        }
    truth, guess = _columns(y_true), _columns(y_pred)
    error = guess - truth
    mse = float((error**2).mean())
    return {
        "r2": _mean_finite([_r2(truth[:, t], guess[:, t]) for t in range(truth.shape[1])]),
        "mse": mse,
        "rmse": math.sqrt(mse),
        "mae": float(np.abs(error).mean()),
        "r": _mean_finite([correlation(truth[:, t], guess[:, t]) for t in range(truth.shape[1])]),
    }


def correlation(truth: np.ndarray, guess: np.ndarray) -> float:
    """Pearson's R of two columns; NaN if one of them is constant."""
    if truth.size < 2 or np.ptp(truth) == 0 or np.ptp(guess) == 0:
        return math.nan
    return float(np.corrcoef(truth, guess)[0, 1])


def _r2(truth: np.ndarray, guess: np.ndarray) -> float:
    from sklearn.metrics import r2_score  # lazy: half a second, and prediction does not need it

    return float(r2_score(truth, guess)) if truth.size >= 2 and np.ptp(truth) > 0 else math.nan


def _mean_finite(values: list[float]) -> float:
    finite = [value for value in values if math.isfinite(value)]
    return float(np.mean(finite)) if finite else math.nan


def _columns(values: np.ndarray) -> np.ndarray:
    values = np.asarray(values, dtype=np.float64)
    return values.reshape(len(values), -1)


def headline(task: str, scores: dict[str, float]) -> str:
    """The scores as the one line people quote.

    >>> headline("classification", {"accuracy": 0.98611})
    'test accuracy 98.6 %'
    >>> headline("regression", {"r2": 0.9123, "mse": 6.25})
    'test R² 0.912, test MSE 6.25'
    """
    if task == "classification":
        return f"test accuracy {100 * scores['accuracy']:.1f} %"
    return f"test R² {scores['r2']:.3f}, test MSE {scores['mse']:.4g}"


def class_scores(y_true: np.ndarray, y_pred: np.ndarray, names: list[str]) -> tuple[np.ndarray, list[ClassScore]]:
    """The confusion matrix ``[K, K]`` (rows: true class, columns: predicted) and the scores of each class."""
    from sklearn.metrics import confusion_matrix, precision_recall_fscore_support  # lazy: half a second

    labels, predicted = as_labels(y_true), as_probabilities(y_pred).argmax(axis=1)
    numbers = list(range(len(names)))
    matrix = confusion_matrix(labels, predicted, labels=numbers)
    parts: Any = precision_recall_fscore_support(labels, predicted, labels=numbers, zero_division=0)  # type: ignore[arg-type]
    precision, recall, f1, count = parts
    rows = [ClassScore(names[k], int(count[k]), float(precision[k]), float(recall[k]), float(f1[k])) for k in numbers]
    return matrix, rows


def worst(task: str, y_true: np.ndarray, y_pred: np.ndarray, most: int = 16) -> np.ndarray:
    """Indices of the samples that were predicted worst, worst first.

    A classifier's worst gave their true class the least probability; a regressor's have the largest error, each target
    measured in its own standard deviations.

    >>> worst("classification", np.array([0, 1]), np.array([[0.9, 0.1], [0.8, 0.2]]), most=1)
    array([1])
    """
    if task == "classification":
        labels, probabilities = as_labels(y_true), as_probabilities(y_pred)
        badness = -probabilities[np.arange(len(labels)), labels]
    else:
        truth, guess = _columns(y_true), _columns(y_pred)
        spread = truth.std(axis=0)
        badness = (np.abs(guess - truth) / np.where(spread > 0, spread, 1.0)).max(axis=1)
    return np.argsort(-badness, kind="stable")[:most]


def best_epoch(history: dict[str, list[float]]) -> int | None:
    """The epoch, counted from 0, with the lowest validation loss (training loss if there is no other).

    >>> best_epoch({"loss": [3.0, 2.0, 1.0], "val_loss": [3.0, 2.5, 2.7]})
    1
    """
    losses = history.get("val_loss") or history.get("loss") or []
    finite = [(loss, epoch) for epoch, loss in enumerate(losses) if math.isfinite(loss)]
    return min(finite)[1] if finite else None
