"""Overlap losses.   Shapes: any, alike; ``axis`` is what is summed over, None for everything.   Keras: equal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from dougong.core.dtypes import Policy
from dougong.core.settings import SETTINGS
from dougong.losses.loss import Reduction, StandardLoss
from dougong.ops.targets import as_pair

__all__ = ["Dice", "Tversky", "dice", "tversky"]

Axis = int | Sequence[int] | None


def dice(y_true: Any, y_pred: Any, axis: Axis = None) -> Tensor:
    r""":math:`1 - 2\,\sum tp / (\sum t + \sum p + \epsilon)`: 0 where the two coincide, 1 where they do not touch.

    Raises: ShapeError if the shapes differ.   Keras: equals its namesake.

    >>> dice([[1.0, 1.0]], [[1.0, 0.0]])
    tensor(0.3333)
    """
    y_true, y_pred = as_pair(y_true, y_pred)
    overlap = _sum(y_true * y_pred, axis)
    return 1.0 - 2.0 * overlap / (_sum(y_true, axis) + _sum(y_pred, axis) + SETTINGS.epsilon)


def tversky(y_true: Any, y_pred: Any, alpha: float = 0.5, beta: float = 0.5, axis: Axis = None) -> Tensor:
    r""":math:`1 - o / (o + \alpha \sum t(1 - p) + \beta \sum p(1 - t) + \epsilon)`, for the overlap o.

    :math:`o = \sum tp`; ``alpha`` weighs what is missed, ``beta`` what is invented; both 0.5 give `dice`.
    Raises: ShapeError if the shapes differ.   Keras: equals its namesake (whose docstring swaps the two words).
    Ref: Salehi et al. 2017, arXiv:1706.05721.

    >>> tversky([[1.0, 1.0]], [[1.0, 0.0]], alpha=1.0)
    tensor(0.5000)
    """
    y_true, y_pred = as_pair(y_true, y_pred)
    overlap = _sum(y_true * y_pred, axis)
    missed, invented = _sum(y_true * (1.0 - y_pred), axis), _sum(y_pred * (1.0 - y_true), axis)
    return 1.0 - overlap / (overlap + alpha * missed + beta * invented + SETTINGS.epsilon)


def _sum(values: Tensor, axis: Axis) -> Tensor:
    return values.sum() if axis is None else values.sum(axis)  # pyright: ignore[reportCallIssue, reportArgumentType]


class Dice(StandardLoss):
    """1 minus twice the overlap by the sizes; see `dice`.

    >>> Dice()([[1.0, 1.0]], [[1.0, 0.0]])
    tensor(0.3333)
    """

    def __init__(
        self,
        reduction: Reduction = "sum_over_batch_size",
        name: str | None = "dice",
        axis: Axis = None,
        dtype: str | torch.dtype | Policy | None = None,
    ) -> None:
        super().__init__(reduction, name, dtype)
        self.axis = axis

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return dice(y_true, y_pred, self.axis)


class Tversky(StandardLoss):
    """An overlap loss that weighs misses by ``alpha`` and false alarms by ``beta``; see `tversky`.

    >>> Tversky(alpha=1.0)([[1.0, 1.0]], [[1.0, 0.0]])
    tensor(0.5000)
    """

    def __init__(
        self,
        alpha: float = 0.5,
        beta: float = 0.5,
        reduction: Reduction = "sum_over_batch_size",
        name: str | None = "tversky",
        axis: Axis = None,
        dtype: str | torch.dtype | Policy | None = None,
    ) -> None:
        super().__init__(reduction, name, dtype)
        self.alpha = alpha
        self.beta = beta
        self.axis = axis

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return tversky(y_true, y_pred, self.alpha, self.beta, self.axis)
