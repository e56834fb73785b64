"""Errors of predicted numbers.

For each kind a ``*_terms`` function gives one term an element, for tensors that already fit, and the function named
like Keras's gives the mean over the last axis: ``[..., D], [..., D] -> [...]``, for anything that can be a tensor.
Raises: ShapeError if the shapes differ.   Ref: Keras 3 semantics.
"""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor
from torch.nn import functional

from dougong.core.errors import ConfigError
from dougong.core.settings import SETTINGS
from dougong.ops.targets import as_pair

__all__ = [
    "huber",
    "log_cosh",
    "log_cosh_terms",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "percentage_terms",
    "positive_delta",
    "squared_logarithmic_terms",
]


def mean_squared_error(y_true: Any, y_pred: Any) -> Tensor:
    r"""The mean of :math:`(t - p)^2`.   Units: those of ``y``, squared.   Keras: equals its namesake.

    >>> mean_squared_error([[0.0, 0.0]], [[1.0, 3.0]])
    tensor([5.])
    """
    y_true, y_pred = as_pair(y_true, y_pred)
    return functional.mse_loss(y_pred, y_true, reduction="none").mean(-1)


def mean_absolute_error(y_true: Any, y_pred: Any) -> Tensor:
    r"""The mean of :math:`|t - p|`.   Units: those of ``y``.   Keras: equals its namesake.

    >>> mean_absolute_error([[0.0, 0.0]], [[1.0, -3.0]])
    tensor([2.])
    """
    y_true, y_pred = as_pair(y_true, y_pred)
    return functional.l1_loss(y_pred, y_true, reduction="none").mean(-1)


def percentage_terms(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """``|t - p| / max(|t|, ε)``, a fraction."""
    return ((y_true - y_pred) / y_true.abs().clamp(min=SETTINGS.epsilon)).abs()


def mean_absolute_percentage_error(y_true: Any, y_pred: Any) -> Tensor:
    r"""The mean of :math:`100\,|t - p| / \max(|t|, \epsilon)`.   Units: per cent.   Keras: equals its namesake.

    Targets of zero count with :math:`\epsilon = 10^{-7}` and so dominate everything else.

    >>> mean_absolute_percentage_error([[2.0, 4.0]], [[1.0, 4.0]])
    tensor([25.])
    """
    return 100.0 * percentage_terms(*as_pair(y_true, y_pred)).mean(-1)


def squared_logarithmic_terms(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """``(ln(1 + t) - ln(1 + p))²``, with t and p no smaller than ε."""
    true_log, pred_log = y_true.clamp(min=SETTINGS.epsilon).log1p(), y_pred.clamp(min=SETTINGS.epsilon).log1p()
    return functional.mse_loss(pred_log, true_log, reduction="none")


def mean_squared_logarithmic_error(y_true: Any, y_pred: Any) -> Tensor:
    r"""The mean of :math:`(\ln(1 + t) - \ln(1 + p))^2`; negative values count as 0.   Keras: equals its namesake.

    >>> mean_squared_logarithmic_error([[0.0]], [[1.0]])
    tensor([0.4805])
    """
    return squared_logarithmic_terms(*as_pair(y_true, y_pred)).mean(-1)


def positive_delta(delta: float) -> float:
    """``delta`` itself.   Raises: ConfigError unless it is positive."""
    if not delta > 0:
        raise ConfigError(f"huber needs delta > 0, got {delta}; for delta towards 0 use the mean absolute error")
    return delta


def huber(y_true: Any, y_pred: Any, delta: float = 1.0) -> Tensor:
    r"""Squared error near zero, linear beyond ``delta``.

    .. math:: h(e) = \tfrac12 e^2 \ (|e| \le \delta), \qquad \delta|e| - \tfrac12\delta^2 \ (|e| > \delta)

    Units: those of ``y`` squared; ``delta`` those of ``y``.   Raises: ConfigError unless ``delta`` is positive.
    Keras: equals its namesake.   Ref: Huber 1964, doi:10.1214/aoms/1177703732.

    >>> huber([[0.0, 0.0]], [[0.5, 3.0]])
    tensor([1.3125])
    """
    y_true, y_pred = as_pair(y_true, y_pred)
    return functional.huber_loss(y_pred, y_true, reduction="none", delta=positive_delta(delta)).mean(-1)


def log_cosh_terms(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """``ln cosh(p - t)``, without the overflow of cosh."""
    error = y_pred - y_true
    return error + functional.softplus(-2.0 * error) - math.log(2.0)


def log_cosh(y_true: Any, y_pred: Any) -> Tensor:
    r"""The mean of :math:`\ln\cosh(p - t)`: half the squared error near zero, :math:`|e| - \ln 2` far away.

    Keras: equals its namesake.

    >>> log_cosh([[0.0, 0.0]], [[1.0, 1000.0]])
    tensor([499.8703])
    """
    return log_cosh_terms(*as_pair(y_true, y_pred)).mean(-1)
