"""Areas under curves, and the best point on one.   Shapes: N batch, T thresholds, L labels.   Ref: Keras 3."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dougong.core.dtypes import Policy
from dougong.core.errors import ConfigError, ShapeError, UnknownNameError
from dougong.core.settings import SETTINGS
from dougong.metrics.thresholds import ThresholdMetric
from dougong.ops.targets import divide_no_nan

__all__ = ["AUC", "PrecisionAtRecall", "RecallAtPrecision", "SensitivityAtSpecificity", "SpecificityAtSensitivity"]

_CURVES = ("ROC", "PR", "PRGAIN")
_SUMS = ("interpolation", "minoring", "majoring")


class AUC(ThresholdMetric):
    """The area under a curve, by a sum over ``num_thresholds`` thresholds.

    Args: ``curve``: "ROC" (recall over false alarms), "PR" (precision over recall), "PRGAIN".
    ``summation_method``: "interpolation" (trapezia; for PR the way of Davis and Goadrich), "minoring", "majoring".
    ``thresholds``: those between 0 and 1, in place of evenly spaced ones.  ``multi_label``: an area for each column,
    averaged with ``label_weights``; otherwise these weigh the columns' predictions.  ``num_labels``: how many columns;
    if it is not given, the first batch or `build` tells.  ``from_logits``: apply a sigmoid first.
    Shapes: ``[N, ...], [N, ...]``, with ``multi_label`` ``[N, L], [N, L]``; targets 0 or 1.
    Raises: ConfigError, UnknownNameError, ShapeError.   Keras: equals its namesake.
    Ref: Davis & Goadrich 2006, doi:10.1145/1143844.1143874; Flach & Kull 2015 (PRGAIN).

    >>> AUC(num_thresholds=3)([0, 0, 1, 1], [0.0, 0.5, 0.3, 0.9])
    tensor(0.7500)
    """

    def __init__(
        self,
        num_thresholds: int = 200,
        curve: str = "ROC",
        summation_method: str = "interpolation",
        name: str | None = None,
        dtype: str | torch.dtype | Policy | None = None,
        thresholds: Sequence[float] | None = None,
        multi_label: bool = False,
        num_labels: int | None = None,
        label_weights: Sequence[float] | None = None,
        from_logits: bool = False,
    ) -> None:
        if thresholds is None:
            if num_thresholds < 2:
                raise ConfigError(f"an area needs num_thresholds of 2 or more, got {num_thresholds}")
            inner = [i / (num_thresholds - 1) for i in range(1, num_thresholds - 1)]
        else:
            inner = sorted(thresholds)
        super().__init__([0.0 - SETTINGS.epsilon, *inner, 1.0 + SETTINGS.epsilon], name=name, dtype=dtype)
        self.num_thresholds = len(inner) + 2
        self.curve = _one_of("curve", curve.upper(), _CURVES)
        self.summation_method = _one_of("summation_method", summation_method.lower(), _SUMS)
        self.multi_label = multi_label
        self.num_labels = num_labels
        self.from_logits = from_logits
        self.label_weights = None if label_weights is None else np.asarray(label_weights, np.float64).tolist()
        if num_labels and not multi_label:
            raise ConfigError("num_labels is for multi_label=True only; leave it out")
        if self.label_weights is not None:
            self.register_buffer("_label_weights", torch.tensor(self.label_weights, dtype=self.dtype), persistent=False)
        if num_labels or not multi_label:
            self.make_histogram(num_labels or 1)

    def build(self, y_true_shape: Sequence[int | None], y_pred_shape: Sequence[int | None]) -> None:
        if "histogram" in self._initial:
            return
        labels = y_pred_shape[-1]
        if len(y_pred_shape) != 2 or labels is None:
            raise ShapeError(f"AUC with multi_label=True takes outputs of shape (N, L), got {tuple(y_pred_shape)}.")
        self.make_histogram(labels)

    def columns(self, y_true: Any, y_pred: Any, sample_weight: Any) -> tuple[Tensor, Tensor, Tensor | None]:
        y_true, y_pred = self.take(y_true, y_pred)
        self.build(y_true.shape, y_pred.shape)
        if self.from_logits:
            y_pred = y_pred.to(self.dtype).sigmoid()
        y_true, y_pred, weights = super().columns(y_true, y_pred, sample_weight)
        if self.label_weights is not None and not self.multi_label:
            of_labels = self.get_buffer("_label_weights")
            weights = of_labels.expand_as(y_pred) if weights is None else weights * of_labels
        return y_true, y_pred, weights

    def result(self) -> Tensor:
        if "histogram" not in self._initial:
            return torch.zeros((), dtype=self.dtype)
        if self.curve == "PR" and self.summation_method == "interpolation":
            areas = self._interpolated_precision_area()
        else:
            x, y = self._curve_points()
            areas = (x[:-1] - x[1:]) * self._heights(y)
        by_label = areas.sum(0)
        if not self.multi_label or self.label_weights is None:
            return by_label.mean().to(self.dtype)
        weights = self.get_buffer("_label_weights")
        return divide_no_nan((by_label * weights).sum(), weights.sum()).to(self.dtype)

    def _curve_points(self) -> tuple[Tensor, Tensor]:
        true, false = self.above()
        ones, zeros = self.totals()
        recall = divide_no_nan(true, ones.expand_as(true))
        if self.curve == "ROC":
            return divide_no_nan(false, zeros.expand_as(false)), recall
        if self.curve == "PR":
            return recall, divide_no_nan(true, true + false)
        odds = divide_no_nan(ones, zeros)
        recall_gain = torch.where(true == 0, 0.0, 1.0 - odds * divide_no_nan(ones - true, true))
        precision_gain = torch.where(true == 0, 1.0, 1.0 - odds * divide_no_nan(false, true))
        return recall_gain.clamp(min=0.0), precision_gain

    def _heights(self, y: Tensor) -> Tensor:
        if self.summation_method == "interpolation":
            return (y[:-1] + y[1:]) / 2.0
        return torch.minimum(y[:-1], y[1:]) if self.summation_method == "minoring" else torch.maximum(y[:-1], y[1:])

    def _interpolated_precision_area(self) -> Tensor:
        """Between two thresholds true positives grow in proportion to all positives, so precision bends."""
        true, false = self.above()
        positives = true + false
        gained, grown = true[:-1] - true[1:], positives[:-1] - positives[1:]
        slope = divide_no_nan(gained, grown.clamp(min=0.0))
        intercept = true[1:] - slope * positives[1:]
        both = (positives[:-1] > 0) & (positives[1:] > 0)
        ratio = torch.where(both, divide_no_nan(positives[:-1], positives[1:].clamp(min=0.0)), 1.0)
        ones = self.totals()[0].clamp(min=0.0)
        return divide_no_nan(slope * (gained + intercept * ratio.log()), ones.expand_as(slope))


class _BestUnderConstraint(ThresholdMetric):
    """The best of one rate among the thresholds at which another reaches a value."""

    def __init__(
        self,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: str | torch.dtype | Policy | None = None,
    ) -> None:
        if num_thresholds < 1:
            raise ConfigError(f"num_thresholds must be 1 or more, got {num_thresholds}")
        levels = [0.5] if num_thresholds == 1 else [i / (num_thresholds - 1) for i in range(num_thresholds)]
        super().__init__(levels, class_id=class_id, name=name, dtype=dtype)
        self.num_thresholds = num_thresholds
        self.make_histogram()

    def sensitivities(self) -> Tensor:
        return divide_no_nan(self.above()[0], self.totals()[0])

    def specificities(self) -> Tensor:
        zeros = self.totals()[1]
        return divide_no_nan(zeros - self.above()[1], zeros)

    def precisions(self) -> Tensor:
        true, false = self.above()
        return divide_no_nan(true, true + false)

    def _best(self, rate: Tensor, constrained: Tensor, least: float) -> Tensor:
        reached = constrained.to(self.dtype) >= least
        return torch.where(reached, rate, 0.0).max().to(self.dtype)


class SensitivityAtSpecificity(_BestUnderConstraint):
    """The best sensitivity (recall) at a ``specificity`` no less than asked for.   Keras: equals its namesake.

    >>> SensitivityAtSpecificity(0.5)([0, 0, 0, 1, 1], [0.0, 0.3, 0.8, 0.3, 0.8])
    tensor(0.5000)
    """

    def __init__(
        self,
        specificity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: str | torch.dtype | Policy | None = None,
    ) -> None:
        super().__init__(num_thresholds, class_id, name, dtype)
        self.specificity = _rate("specificity", specificity)

    def result(self) -> Tensor:
        return self._best(self.sensitivities(), self.specificities(), self.specificity)


class SpecificityAtSensitivity(_BestUnderConstraint):
    """The best specificity at a ``sensitivity`` (recall) no less than asked for.   Keras: equals its namesake.

    >>> SpecificityAtSensitivity(0.5)([0, 0, 0, 1, 1], [0.0, 0.3, 0.8, 0.3, 0.8]).round(decimals=4)
    tensor(0.6667)
    """

    def __init__(
        self,
        sensitivity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: str | torch.dtype | Policy | None = None,
    ) -> None:
        super().__init__(num_thresholds, class_id, name, dtype)
        self.sensitivity = _rate("sensitivity", sensitivity)

    def result(self) -> Tensor:
        return self._best(self.specificities(), self.sensitivities(), self.sensitivity)


class PrecisionAtRecall(_BestUnderConstraint):
    """The best precision at a ``recall`` no less than asked for.   Keras: equals its namesake.

    >>> PrecisionAtRecall(0.5)([0, 0, 0, 1, 1], [0.0, 0.3, 0.8, 0.3, 0.8])
    tensor(0.5000)
    """

    def __init__(
        self,
        recall: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: str | torch.dtype | Policy | None = None,
    ) -> None:
        super().__init__(num_thresholds, class_id, name, dtype)
        self.recall = _rate("recall", recall)

    def result(self) -> Tensor:
        return self._best(self.precisions(), self.sensitivities(), self.recall)


class RecallAtPrecision(_BestUnderConstraint):
    """The best recall at a ``precision`` no less than asked for.   Keras: equals its namesake.

    >>> RecallAtPrecision(0.8)([0, 0, 1, 1], [0.0, 0.5, 0.3, 0.9])
    tensor(0.5000)
    """

    def __init__(
        self,
        precision: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: str | torch.dtype | Policy | None = None,
    ) -> None:
        super().__init__(num_thresholds, class_id, name, dtype)
        self.precision = _rate("precision", precision)

    def result(self) -> Tensor:
        return self._best(self.sensitivities(), self.precisions(), self.precision)


def _rate(name: str, value: float) -> float:
    if not 0.0 <= value <= 1.0:
        raise ConfigError(f"{name} is a share, from 0 to 1, got {value}")
    return value


def _one_of(kind: str, value: str, known: Sequence[str]) -> str:
    if value not in known:
        raise UnknownNameError(kind, value, known)
    return value
