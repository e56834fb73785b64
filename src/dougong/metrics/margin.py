"""Means of margin errors.   Shapes: ``[N, ..., D], [N, ..., D]``, labels -1 and 1, or all 0 or 1.   Keras: equal."""

from __future__ import annotations

import torch

from dougong.core.dtypes import Policy
from dougong.metrics.reduction import MeanMetricWrapper
from dougong.ops import hinges

__all__ = ["CategoricalHinge", "Hinge", "SquaredHinge"]


class Hinge(MeanMetricWrapper):
    r"""The mean of :math:`\max(1 - t\,p, 0)`.

    >>> Hinge()([[-1.0, 1.0]], [[0.5, 0.5]])
    tensor(1.)
    """

    def __init__(self, name: str | None = "hinge", dtype: str | torch.dtype | Policy | None = None) -> None:
        super().__init__(hinges.hinge, name, dtype)


class SquaredHinge(MeanMetricWrapper):
    r"""The mean of :math:`\max(1 - t\,p, 0)^2`.

    >>> SquaredHinge()([[0, 1]], [[0.5, 0.5]])
    tensor(1.2500)
    """

    def __init__(self, name: str | None = "squared_hinge", dtype: str | torch.dtype | Policy | None = None) -> None:
        super().__init__(hinges.squared_hinge, name, dtype)


class CategoricalHinge(MeanMetricWrapper):
    """How far the right class's score stays behind the best wrong one's plus 1.

    >>> CategoricalHinge()([[0, 1]], [[0.6, 0.4]])
    tensor(1.2000)
    """

    def __init__(self, name: str | None = "categorical_hinge", dtype: str | torch.dtype | Policy | None = None) -> None:
        super().__init__(hinges.categorical_hinge, name, dtype)
