"""How alike two vectors are, one number a sample.   Shapes: ``[..., D], [..., D] -> [...]`` for ``axis=-1``."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn import functional

from dougong.core.settings import SETTINGS
from dougong.ops.targets import as_pair

__all__ = ["concordance_correlation", "cosine_similarity", "pearson_correlation"]


def cosine_similarity(y_true: Any, y_pred: Any, axis: int = -1) -> Tensor:
    r"""The cosine of the angle between two vectors.

    .. math:: \frac{t \cdot p}{\max(|t|, \epsilon)\,\max(|p|, \epsilon)}, \quad \epsilon = 10^{-7}

    A zero vector gives 0.   Raises: ShapeError if the shapes differ.
    Keras: equals what ``keras.metrics.CosineSimilarity`` averages; the loss of that name is its negative.

    >>> cosine_similarity([[1.0, 0.0]], [[3.0, 4.0]])
    tensor([0.6000])
    """
    y_true, y_pred = as_pair(y_true, y_pred)
    return functional.cosine_similarity(y_true, y_pred, dim=axis, eps=SETTINGS.epsilon)


def pearson_correlation(y_true: Any, y_pred: Any, axis: int = -1) -> Tensor:
    r"""Pearson's correlation: the mean product of the standardised values.

    Constant values have no correlation: NaN.   Raises: ShapeError if the shapes differ.
    Keras: equals ``keras.metrics.pearson_correlation``.

    >>> pearson_correlation([[1.0, 2.0, 3.0]], [[2.0, 4.0, 6.0]]).round(decimals=4)
    tensor([1.])
    """
    y_true, y_pred = as_pair(y_true, y_pred)
    y_true, y_pred = _centred(y_true, axis), _centred(y_pred, axis)
    scale = (y_true.square().mean(axis) * y_pred.square().mean(axis)).sqrt()
    return (y_true * y_pred).mean(axis) / scale


def _centred(values: Tensor, axis: int) -> Tensor:
    return values - values.mean(axis, keepdim=True)


def concordance_correlation(y_true: Any, y_pred: Any, axis: int = -1) -> Tensor:
    r"""Agreement with the line of equality: 1 only where the predictions are the targets.

    .. math:: \frac{2\,\mathrm{cov}(t, p)}{\sigma_t^2 + \sigma_p^2 + (\mu_t - \mu_p)^2}

    Raises: ShapeError if the shapes differ.   Keras: equals ``keras.metrics.concordance_correlation``.
    Ref: Lin 1989, doi:10.2307/2532051.

    >>> concordance_correlation([[1.0, 2.0, 3.0]], [[1.0, 2.0, 3.0]]).round(decimals=4)
    tensor([1.])
    """
    y_true, y_pred = as_pair(y_true, y_pred)
    offset = y_true.mean(axis) - y_pred.mean(axis)
    y_true, y_pred = _centred(y_true, axis), _centred(y_pred, axis)
    scale = y_true.square().mean(axis) + y_pred.square().mean(axis) + offset.square()
    return 2.0 * (y_true * y_pred).mean(axis) / (scale + SETTINGS.epsilon)
