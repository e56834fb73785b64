"""Counts of hits and misses at thresholds, and the metrics read off them at one threshold or a few.

Shapes: N batch, T thresholds, L labels (columns counted apart; 1 if all are counted together).   Ref: Keras 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dougong.core.dtypes import Policy
from dougong.core.errors import ConfigError, ShapeError
from dougong.metrics.metric import Metric
from dougong.metrics.reduction import EXACT
from dougong.ops.targets import as_pair, divide_no_nan, match_weights

__all__ = [
    "FalseNegatives",
    "FalsePositives",
    "Precision",
    "Recall",
    "ThresholdMetric",
    "TrueNegatives",
    "TruePositives",
]

LOWEST = -1e10
"""What Keras puts for scores outside the best ``top_k``, and the threshold that all others pass."""


class ThresholdMetric(Metric):
    """A metric of how many predictions lie above thresholds.

    One histogram is kept: weight by target (0, 1) and by the number of thresholds below the prediction; at most a few
    operations a batch, however many thresholds.  The four counts at each threshold follow from it.
    """

    histogram: Tensor
    levels: Tensor

    def __init__(
        self,
        levels: Sequence[float],
        *,
        top_k: int | None = None,
        class_id: int | None = None,
        name: str | None = None,
        dtype: str | torch.dtype | Policy | None = None,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        self.top_k = top_k
        self.class_id = class_id
        ascending = sorted(levels)
        self._order = [ascending.index(level) for level in levels]
        self._clips = _evenly_spaced(ascending)
        self.register_buffer("levels", torch.tensor(ascending, dtype=self.dtype), persistent=False)

    def make_histogram(self, labels: int = 1) -> None:
        self.add_state("histogram", (2, len(self.levels) + 1, labels), dtype=EXACT)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        y_true, y_pred, weights = self.columns(y_true, y_pred, sample_weight)
        labels = self.histogram.shape[-1]
        row = torch.bucketize(y_pred.reshape(-1, labels).contiguous(), self.levels)
        row = torch.add(row, y_true.reshape(-1, labels) != 0, alpha=len(self.levels) + 1)
        if weights is None:
            weights = torch.ones((), dtype=EXACT, device=row.device)
        else:
            weights = weights.expand_as(y_pred).reshape(-1, labels).to(EXACT)
        self.histogram.view(-1, labels).scatter_add_(0, row, weights.expand_as(row))

    def columns(self, y_true: Any, y_pred: Any, sample_weight: Any) -> tuple[Tensor, Tensor, Tensor | None]:
        """Targets, predictions and weights (if any) for what shall be counted, lined up.   Raises: ShapeError."""
        y_true, y_pred = as_pair(*self.take(y_true, y_pred))
        y_pred = y_pred.to(self.dtype)
        if self.top_k is not None:
            best = y_pred.topk(self.top_k)
            y_pred = torch.full_like(y_pred, LOWEST).scatter(-1, best.indices, best.values)
        if self.class_id is not None:
            if y_pred.ndim < 2:
                raise ShapeError(f"class_id needs outputs of shape (N, C), got {tuple(y_pred.shape)}; leave it out.")
            y_true, y_pred = (y[..., self.class_id, None] for y in (y_true, y_pred))
        if self._clips:
            y_pred = y_pred.clamp(0.0, 1.0)
        if sample_weight is not None:
            (sample_weight,) = self.take(sample_weight)
            _, sample_weight = match_weights(y_true, sample_weight)
        return y_true, y_pred, sample_weight

    def above(self) -> tuple[Tensor, Tensor]:
        """True and false positives at each threshold, in the order given.   Shapes: ``[T, L], [T, L]``."""
        counts = self.histogram.flip(1).cumsum(1).flip(1)[:, 1:]
        false, true = counts[:, self._order] if self._order != list(range(len(self._order))) else counts
        return true, false

    def totals(self) -> tuple[Tensor, Tensor]:
        """The weight of targets 1 and of targets 0.   Shapes: ``[L], [L]``."""
        false, true = self.histogram.sum(1)
        return true, false

    @property
    def true_positives(self) -> Tensor:
        return self._shaped(self.above()[0])

    @property
    def false_positives(self) -> Tensor:
        return self._shaped(self.above()[1])

    @property
    def true_negatives(self) -> Tensor:
        return self._shaped(self.totals()[1] - self.above()[1])

    @property
    def false_negatives(self) -> Tensor:
        return self._shaped(self.totals()[0] - self.above()[0])

    def _shaped(self, values: Tensor) -> Tensor:
        """One column a label only where labels are counted apart."""
        return (values.squeeze(-1) if values.shape[-1] == 1 else values).to(self.dtype)


class _FewThresholds(ThresholdMetric):
    """The thresholds come as a number, a list, or None for 0.5 (with ``top_k``: everything among the best)."""

    def __init__(
        self,
        thresholds: float | Sequence[float] | None = None,
        *,
        top_k: int | None = None,
        class_id: int | None = None,
        name: str | None = None,
        dtype: str | torch.dtype | Policy | None = None,
    ) -> None:
        if thresholds is None:
            levels: list[float] = [0.5 if top_k is None else LOWEST]
        else:
            levels = [thresholds] if isinstance(thresholds, int | float) else list(thresholds)
            outside = [level for level in levels if level is None or not 0 <= level <= 1]
            if outside:
                raise ConfigError(f"thresholds are probabilities, from 0 to 1, got {outside}")
        super().__init__(levels, top_k=top_k, class_id=class_id, name=name, dtype=dtype)
        self.make_histogram()

    def _shaped(self, values: Tensor) -> Tensor:
        return (values.reshape(()) if values.numel() == 1 else values.squeeze(-1)).to(self.dtype)


class _Count(_FewThresholds):
    def __init__(
        self,
        thresholds: float | Sequence[float] | None = None,
        name: str | None = None,
        dtype: str | torch.dtype | Policy | None = None,
    ) -> None:
        super().__init__(thresholds, name=name, dtype=dtype)


class TruePositives(_Count):
    """How many ones are predicted above the threshold.   Keras: equals its namesake.

    >>> TruePositives()([0, 1, 1, 1], [1, 0, 1, 1])
    tensor(2.)
    """

    def result(self) -> Tensor:
        return self.true_positives


class FalsePositives(_Count):
    """How many zeros are predicted above the threshold.   Keras: equals its namesake.

    >>> FalsePositives()([0, 1, 0, 0], [0, 0, 1, 1])
    tensor(2.)
    """

    def result(self) -> Tensor:
        return self.false_positives


class TrueNegatives(_Count):
    """How many zeros are not predicted above the threshold.   Keras: equals its namesake.

    >>> TrueNegatives()([0, 1, 0, 0], [1, 1, 0, 0])
    tensor(2.)
    """

    def result(self) -> Tensor:
        return self.true_negatives


class FalseNegatives(_Count):
    """How many ones are not predicted above the threshold.   Keras: equals its namesake.

    >>> FalseNegatives()([0, 1, 1, 1], [0, 1, 0, 0])
    tensor(2.)
    """

    def result(self) -> Tensor:
        return self.false_negatives


class Precision(_FewThresholds):
    """The share of predictions above the threshold that are right; 0 if there are none.

    Args: ``thresholds``: one, or a list for a result each.  ``top_k``: only the k best scores of a row are predictions.
    ``class_id``: count this column only.   Keras: equals its namesake.

    >>> Precision()([0, 1, 1, 1], [1, 0, 1, 1])
    tensor(0.6667)
    """

    def __init__(
        self,
        thresholds: float | Sequence[float] | None = None,
        top_k: int | None = None,
        class_id: int | None = None,
        name: str | None = None,
        dtype: str | torch.dtype | Policy | None = None,
    ) -> None:
        super().__init__(thresholds, top_k=top_k, class_id=class_id, name=name, dtype=dtype)

    def result(self) -> Tensor:
        true, false = self.above()
        return self._shaped(divide_no_nan(true, true + false))


class Recall(_FewThresholds):
    """The share of ones that are predicted above the threshold; 0 if there are none.

    Args: as `Precision`.   Keras: equals its namesake.

    >>> Recall()([0, 1, 1, 1], [1, 0, 1, 1])
    tensor(0.6667)
    """

    def __init__(
        self,
        thresholds: float | Sequence[float] | None = None,
        top_k: int | None = None,
        class_id: int | None = None,
        name: str | None = None,
        dtype: str | torch.dtype | Policy | None = None,
    ) -> None:
        super().__init__(thresholds, top_k=top_k, class_id=class_id, name=name, dtype=dtype)

    def result(self) -> Tensor:
        return self._shaped(divide_no_nan(self.above()[0], self.totals()[0]))


def _evenly_spaced(levels: Sequence[float]) -> bool:
    """Whether they divide 0 … 1 evenly: there Keras clips predictions to 0 … 1 before it counts."""
    if len(levels) < 3:
        return False
    return bool(np.allclose(levels, np.linspace(0.0, 1.0, len(levels)), atol=1e-7))
