"""Margin errors of classifiers with labels -1 and 1.   Shapes: ``[..., D], [..., D] -> [...]``.

Labels of 0 and 1 are understood too: if *every* label is 0 or 1, they become -1 and 1.
Raises: ShapeError if the shapes differ.   Keras: equal its namesakes.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from dougong.ops.targets import as_pair

__all__ = ["categorical_hinge", "hinge", "hinge_terms", "squared_hinge"]


def hinge_terms(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """``max(1 - t·p, 0)``, one term an element."""
    binary = ((y_true == 0) | (y_true == 1)).all()
    signs = torch.where(binary, 2.0 * y_true - 1.0, y_true)
    return (1.0 - signs * y_pred).clamp(min=0.0)


def hinge(y_true: Any, y_pred: Any) -> Tensor:
    r"""The mean of :math:`\max(1 - t\,p, 0)`.

    >>> hinge([[-1.0, 1.0]], [[0.5, 0.5]])
    tensor([1.])
    """
    return hinge_terms(*as_pair(y_true, y_pred)).mean(-1)


def squared_hinge(y_true: Any, y_pred: Any) -> Tensor:
    r"""The mean of :math:`\max(1 - t\,p, 0)^2`.

    >>> squared_hinge([[0, 1]], [[0.5, 0.5]])
    tensor([1.2500])
    """
    return hinge_terms(*as_pair(y_true, y_pred)).square().mean(-1)


def categorical_hinge(y_true: Any, y_pred: Any) -> Tensor:
    r""":math:`\max(n - p + 1, 0)`: the right class's score p shall pass the best wrong one's, n, by 1.

    >>> categorical_hinge([[0, 1]], [[0.6, 0.4]])
    tensor([1.2000])
    """
    y_true, y_pred = as_pair(y_true, y_pred)
    right = (y_true * y_pred).sum(-1)
    wrong = ((1.0 - y_true) * y_pred).amax(-1)
    return (wrong - right + 1.0).clamp(min=0.0)
