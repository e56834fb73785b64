"""How far predicted numbers are off.   Shapes: ``[N, ..., D], [N, ..., D]``.   Keras: equal to their namesakes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional

from dougong.core.dtypes import Policy
from dougong.core.errors import ConfigError, ShapeError, UnknownNameError
from dougong.metrics.metric import Metric
from dougong.metrics.reduction import EXACT, Mean, MeanMetricWrapper
from dougong.ops import regression_errors as errors
from dougong.ops.targets import as_pair, match_weights

__all__ = [
    "LogCoshError",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "R2Score",
    "RootMeanSquaredError",
]


class MeanSquaredError(MeanMetricWrapper):
    r"""The mean of :math:`(t - p)^2`.   Units: those of ``y``, squared.

    >>> MeanSquaredError()([[0.0, 1.0], [0.0, 0.0]], [[1.0, 1.0], [1.0, 0.0]])
    tensor(0.5000)
    """

    def __init__(
        self, name: str | None = "mean_squared_error", dtype: str | torch.dtype | Policy | None = None
    ) -> None:
        super().__init__(errors.mean_squared_error, name, dtype)


class MeanAbsoluteError(MeanMetricWrapper):
    r"""The mean of :math:`|t - p|`.   Units: those of ``y``.

    >>> MeanAbsoluteError()([[0.0, 1.0], [0.0, 0.0]], [[1.0, 1.0], [1.0, 0.0]])
    tensor(0.5000)
    """

    def __init__(
        self, name: str | None = "mean_absolute_error", dtype: str | torch.dtype | Policy | None = None
    ) -> None:
        super().__init__(errors.mean_absolute_error, name, dtype)


class MeanAbsolutePercentageError(MeanMetricWrapper):
    r"""The mean of :math:`100\,|t - p| / \max(|t|, 10^{-7})`.   Units: per cent.

    >>> MeanAbsolutePercentageError()([[2.0, 4.0]], [[1.0, 4.0]])
    tensor(25.)
    """

    def __init__(
        self, name: str | None = "mean_absolute_percentage_error", dtype: str | torch.dtype | Policy | None = None
    ) -> None:
        super().__init__(errors.mean_absolute_percentage_error, name, dtype)


class MeanSquaredLogarithmicError(MeanMetricWrapper):
    r"""The mean of :math:`(\ln(1 + t) - \ln(1 + p))^2`; negative values count as 0.

    >>> MeanSquaredLogarithmicError()([[0.0]], [[1.0]])
    tensor(0.4805)
    """

    def __init__(
        self, name: str | None = "mean_squared_logarithmic_error", dtype: str | torch.dtype | Policy | None = None
    ) -> None:
        super().__init__(errors.mean_squared_logarithmic_error, name, dtype)


class LogCoshError(MeanMetricWrapper):
    r"""The mean of :math:`\ln\cosh(p - t)`.

    >>> LogCoshError()([[0.0, 0.0]], [[1.0, 1000.0]])
    tensor(499.8703)
    """

    def __init__(self, name: str | None = "logcosh", dtype: str | torch.dtype | Policy | None = None) -> None:
        super().__init__(errors.log_cosh, name, dtype)


class RootMeanSquaredError(Mean):
    r"""The root of the mean of :math:`(t - p)^2` over everything seen.   Units: those of ``y``.

    >>> RootMeanSquaredError()([[0.0], [0.0]], [[3.0], [1.0]])
    tensor(2.2361)
    """

    def __init__(
        self, name: str | None = "root_mean_squared_error", dtype: str | torch.dtype | Policy | None = None
    ) -> None:
        super().__init__(name, dtype)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        y_true, y_pred = as_pair(*self.take(y_true, y_pred))
        super().update_state(functional.mse_loss(y_pred, y_true, reduction="none"), sample_weight)

    def result(self) -> Tensor:
        return super().result().sqrt()


class R2Score(Metric):
    r"""The coefficient of determination, :math:`1 - \sum (t - p)^2 / \sum (t - \bar t)^2`, for each output column.

    Args: ``class_aggregation``: "uniform_average" of the columns, "variance_weighted_average", or None for all of them.
    ``num_regressors``: if p > 0, adjusted to :math:`1 - (1 - R^2)(n - 1)/(n - p - 1)`, where that has a meaning.
    Constant targets give 0, or NaN where they are also met exactly.
    Shapes: ``[N, D], [N, D]``, or ``[N]``, ``[N, 1]`` in any mixture.   Raises: ShapeError for others.

    >>> R2Score()([[1.0], [4.0], [3.0]], [[2.0], [4.0], [4.0]])
    tensor(0.5714)
    """

    residual: Tensor
    squared_sum: Tensor
    sum: Tensor
    count: Tensor

    def __init__(
        self,
        class_aggregation: Literal["uniform_average", "variance_weighted_average"] | None = "uniform_average",
        num_regressors: int = 0,
        name: str | None = "r2_score",
        dtype: str | torch.dtype | Policy | None = None,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        known = ("uniform_average", "variance_weighted_average")
        if class_aggregation is not None and class_aggregation not in known:
            raise UnknownNameError("class_aggregation", class_aggregation, known)
        if num_regressors < 0:
            raise ConfigError(f"num_regressors counts inputs of the model, so it is 0 or more, got {num_regressors}")
        self.class_aggregation = class_aggregation
        self.num_regressors = num_regressors
        self.add_state("num_samples", dtype=EXACT)

    def build(self, y_true_shape: Sequence[int | None], y_pred_shape: Sequence[int | None]) -> None:
        outputs = y_pred_shape[1] if len(y_pred_shape) == 2 else 1
        if len(y_pred_shape) not in (1, 2) or outputs is None:
            raise ShapeError(f"R2Score takes outputs of shape (N, D), got {tuple(y_pred_shape)}; flatten them first.")
        if "residual" not in self._initial:
            for name in ("residual", "squared_sum", "sum", "count"):
                self.add_state(name, (outputs,), dtype=EXACT)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        y_true, y_pred = as_pair(*self.take(y_true, y_pred))
        self.build(y_true.shape, y_pred.shape)
        # The sums below cancel in `result`; float64 leaves digits enough.
        y_true, y_pred = y_true.to(EXACT), y_pred.to(EXACT)
        if y_true.ndim == 1:
            y_true, y_pred = y_true.unsqueeze(1), y_pred.unsqueeze(1)
        weights = y_true.new_ones(()) if sample_weight is None else self.take(sample_weight)[0].to(EXACT)
        _, weights = match_weights(y_true, weights)
        weighted = y_true * weights
        self.sum.add_(weighted.sum(0))
        self.squared_sum.add_((y_true * weighted).sum(0))
        self.residual.add_(((y_true - y_pred).square() * weights).sum(0))
        self.count.add_(weights.expand_as(y_true).sum(0))
        self.get_buffer("num_samples").add_(y_true.numel())

    def result(self) -> Tensor:
        if "residual" not in self._initial:
            return torch.zeros((), dtype=self.dtype)
        total = self.squared_sum - self.sum.square() / self.count
        scores = 1.0 - self.residual / total
        scores = torch.where(scores.isinf(), 0.0, scores)
        if self.class_aggregation == "uniform_average":
            scores = scores.mean()
        elif self.class_aggregation == "variance_weighted_average":
            scores = (total * scores).sum() / total.sum()
        if self.num_regressors:
            samples = self.get_buffer("num_samples")
            spare = samples - self.num_regressors - 1
            adjusted = 1.0 - (1.0 - scores) * (samples - 1) / spare.clamp(min=1.0)
            scores = torch.where(spare > 0, adjusted, scores)
        return scores.to(self.dtype)
