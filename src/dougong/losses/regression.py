"""Losses of predicted numbers.   Shapes: ``[N, ..., D], [N, ..., D]``.   Ref: Keras 3 semantics, and equal to it."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from dougong.core.dtypes import Policy
from dougong.losses.loss import PointwiseLoss, Reduction, StandardLoss
from dougong.ops import regression_errors as errors
from dougong.ops.targets import as_pair

__all__ = [
    "Huber",
    "LogCosh",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
]


class MeanSquaredError(StandardLoss):
    r"""The mean of :math:`(t - p)^2`.   Units: those of ``y``, squared.

    >>> MeanSquaredError()([[0.0, 1.0], [0.0, 0.0]], [[1.0, 1.0], [1.0, 0.0]])
    tensor(0.5000)
    """

    default_name = "mean_squared_error"

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return errors.mean_squared_error(y_true, y_pred)

    def batch_mean(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        y_true, y_pred = as_pair(y_true, y_pred)
        return functional.mse_loss(y_pred, y_true)


class MeanAbsoluteError(StandardLoss):
    r"""The mean of :math:`|t - p|`; its slope at 0 is 0.   Units: those of ``y``.

    >>> MeanAbsoluteError()([[0.0, 1.0], [0.0, 0.0]], [[1.0, 1.0], [1.0, 0.0]])
    tensor(0.5000)
    """

    default_name = "mean_absolute_error"

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return errors.mean_absolute_error(y_true, y_pred)

    def batch_mean(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        y_true, y_pred = as_pair(y_true, y_pred)
        return functional.l1_loss(y_pred, y_true)


class MeanAbsolutePercentageError(PointwiseLoss):
    r"""The mean of :math:`100\,|t - p| / \max(|t|, 10^{-7})`.   Units: per cent.

    >>> MeanAbsolutePercentageError()([[2.0, 4.0]], [[1.0, 4.0]])
    tensor(25.)
    """

    default_name = "mean_absolute_percentage_error"

    def terms(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return 100.0 * errors.percentage_terms(y_true, y_pred)


class MeanSquaredLogarithmicError(PointwiseLoss):
    r"""The mean of :math:`(\ln(1 + t) - \ln(1 + p))^2`; negative values count as 0.

    >>> MeanSquaredLogarithmicError()([[0.0]], [[1.0]])
    tensor(0.4805)
    """

    default_name = "mean_squared_logarithmic_error"

    def terms(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return errors.squared_logarithmic_terms(y_true, y_pred)


class Huber(StandardLoss):
    r"""Squared error near zero, linear beyond ``delta``; the formula stands at `dougong.losses.huber`.

    Units: those of ``y`` squared; ``delta`` those of ``y``.   Raises: ConfigError unless ``delta`` is positive.

    >>> Huber(delta=1.0)([[0.0, 0.0]], [[0.5, 3.0]])
    tensor(1.3125)
    """

    def __init__(
        self,
        delta: float = 1.0,
        reduction: Reduction = "sum_over_batch_size",
        name: str | None = "huber_loss",
        dtype: str | torch.dtype | Policy | None = None,
    ) -> None:
        super().__init__(reduction, name, dtype)
        self.delta = errors.positive_delta(delta)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return errors.huber(y_true, y_pred, self.delta)

    def batch_mean(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        y_true, y_pred = as_pair(y_true, y_pred)
        return functional.huber_loss(y_pred, y_true, delta=self.delta)


class LogCosh(PointwiseLoss):
    r"""The mean of :math:`\ln\cosh(p - t)`: like half the squared error near 0, :math:`|e| - \ln 2` far away.

    >>> LogCosh()([[0.0, 0.0]], [[1.0, 1000.0]])
    tensor(499.8703)
    """

    default_name = "log_cosh"

    def terms(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return errors.log_cosh_terms(y_true, y_pred)
