"""Margin losses.   Shapes: ``[N, ..., D], [N, ..., D]``, labels -1 and 1, or all of them 0 or 1.   Ref: Keras 3."""

from __future__ import annotations

from torch import Tensor

from dougong.losses.loss import PointwiseLoss, StandardLoss
from dougong.ops import hinges

__all__ = ["CategoricalHinge", "Hinge", "SquaredHinge"]


class Hinge(PointwiseLoss):
    r"""The mean of :math:`\max(1 - t\,p, 0)`.   Keras: equals its namesake.

    >>> Hinge()([[-1.0, 1.0]], [[0.5, 0.5]])
    tensor(1.)
    """

    default_name = "hinge"

    def terms(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return hinges.hinge_terms(y_true, y_pred)


class SquaredHinge(PointwiseLoss):
    r"""The mean of :math:`\max(1 - t\,p, 0)^2`.   Keras: equals its namesake.

    >>> SquaredHinge()([[0, 1]], [[0.5, 0.5]])
    tensor(1.2500)
    """

    default_name = "squared_hinge"

    def terms(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return hinges.hinge_terms(y_true, y_pred).square()


class CategoricalHinge(StandardLoss):
    r"""The right class's score shall pass the best wrong one's by 1.   Keras: equals its namesake.

    >>> CategoricalHinge()([[0, 1]], [[0.6, 0.4]])
    tensor(1.2000)
    """

    default_name = "categorical_hinge"

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return hinges.categorical_hinge(y_true, y_pred)
