"""F scores.   Shapes: N batch, C classes.   Ref: Keras 3 semantics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from dougong.core.dtypes import Policy
from dougong.core.errors import ConfigError, ShapeError, UnknownNameError
from dougong.core.settings import SETTINGS
from dougong.metrics.metric import Metric
from dougong.metrics.reduction import EXACT
from dougong.ops.targets import as_pair, match_weights

__all__ = ["F1Score", "FBetaScore"]

Average = Literal["micro", "macro", "weighted"] | None


class FBetaScore(Metric):
    r"""The weighted harmonic mean of precision P and recall R, :math:`(1 + \beta^2) P R / (\beta^2 P + R)`.

    Args: ``average``: None for a score a class, "macro" for their mean, "weighted" for their mean by how often a class
    appears, "micro" for one score of all counts together.  ``threshold``: scores above it are predictions; None takes
    the largest of each row (all that tie).
    Shapes: ``[N, C], [N, C]``, targets one-hot or multi-hot.   Raises: ConfigError, UnknownNameError, ShapeError.
    Keras: equals its namesake.

    >>> FBetaScore(beta=2.0, threshold=0.5)([[1, 1], [1, 0]], [[0.2, 0.6], [0.2, 0.6]])
    tensor([0.0000, 0.8333])
    """

    both: Tensor
    predicted: Tensor
    actual: Tensor

    def __init__(
        self,
        average: Average = None,
        beta: float = 1.0,
        threshold: float | None = None,
        name: str | None = "fbeta_score",
        dtype: str | torch.dtype | Policy | None = None,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        if average is not None and average not in ("micro", "macro", "weighted"):
            raise UnknownNameError("average", average, ("micro", "macro", "weighted"))
        if not beta > 0:
            raise ConfigError(f"beta weighs recall against precision and must be positive, got {beta}")
        if threshold is not None and not 0 < threshold <= 1:
            raise ConfigError(f"threshold must be above 0 and at most 1, got {threshold}")
        self.average = average
        self.beta = beta
        self.threshold = threshold

    def build(self, y_true_shape: Sequence[int | None], y_pred_shape: Sequence[int | None]) -> None:
        if len(y_pred_shape) != 2 or y_pred_shape[1] is None:
            raise ShapeError(f"{self.name} takes outputs of shape (N, C), got {tuple(y_pred_shape)}.")
        if "both" not in self._initial:
            for name in ("both", "predicted", "actual"):
                self.add_state(name, () if self.average == "micro" else (y_pred_shape[1],), dtype=EXACT)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        y_true, y_pred = as_pair(*self.take(y_true, y_pred))
        self.build(y_true.shape, y_pred.shape)
        if self.threshold is None:
            chosen = (y_pred >= y_pred.amax(-1, keepdim=True)) & (y_pred.abs() > 1e-9)
        else:
            chosen = y_pred > self.threshold
        chosen = chosen.to(y_true.dtype)
        weighted_true, weighted_chosen = y_true, chosen
        if sample_weight is not None:
            _, weights = match_weights(y_true, self.take(sample_weight)[0].to(y_true.dtype))
            weighted_true, weighted_chosen = y_true * weights, chosen * weights
        self.both.add_(self._summed(weighted_true * chosen))
        self.predicted.add_(self._summed(weighted_chosen))
        self.actual.add_(self._summed(weighted_true))

    def _summed(self, values: Tensor) -> Tensor:
        return values.sum() if self.average == "micro" else values.sum(0)

    def result(self) -> Tensor:
        if "both" not in self._initial:
            return torch.zeros((), dtype=self.dtype)
        precision = self.both / (self.predicted + SETTINGS.epsilon)
        recall = self.both / (self.actual + SETTINGS.epsilon)
        squared = self.beta**2
        scores = (1.0 + squared) * precision * recall / (squared * precision + recall + SETTINGS.epsilon)
        if self.average == "weighted":
            scores = (scores * self.actual / (self.actual.sum() + SETTINGS.epsilon)).sum()
        elif self.average is not None:
            scores = scores.mean()
        return scores.to(self.dtype)


class F1Score(FBetaScore):
    r"""The harmonic mean of precision and recall; see `FBetaScore`.   Keras: equals its namesake.

    >>> F1Score(average="micro")([[1, 0], [1, 0]], [[0.8, 0.2], [0.4, 0.6]])
    tensor(0.5000)
    """

    def __init__(
        self,
        average: Average = None,
        threshold: float | None = None,
        name: str | None = "f1_score",
        dtype: str | torch.dtype | Policy | None = None,
    ) -> None:
        super().__init__(average, 1.0, threshold, name, dtype)
