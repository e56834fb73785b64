"""Losses of directions and embeddings.   Shapes: N batch, D embedding.   Ref: Keras 3, and equal to it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from dougong.core.dtypes import Policy
from dougong.core.errors import ShapeError
from dougong.losses.loss import Reduction, StandardLoss
from dougong.ops import similarity
from dougong.ops.targets import as_tensor

__all__ = ["Circle", "CosineSimilarity", "circle", "cosine_similarity"]


def cosine_similarity(y_true: Any, y_pred: Any, axis: int = -1) -> Tensor:
    r"""Minus the cosine of the angle between two vectors: -1 is best, a zero vector gives 0.

    Raises: ShapeError if the shapes differ.   Keras: equals ``keras.losses.cosine_similarity``.

    >>> cosine_similarity([[1.0, 0.0]], [[3.0, 4.0]])
    tensor([-0.6000])
    """
    return -similarity.cosine_similarity(y_true, y_pred, axis)


class CosineSimilarity(StandardLoss):
    """Minus the cosine of the angle between two vectors along ``axis``.

    >>> CosineSimilarity()([[1.0, 0.0]], [[3.0, 4.0]])
    tensor(-0.6000)
    """

    def __init__(
        self,
        axis: int = -1,
        reduction: Reduction = "sum_over_batch_size",
        name: str | None = "cosine_similarity",
        dtype: str | torch.dtype | Policy | None = None,
    ) -> None:
        super().__init__(reduction, name, dtype)
        self.axis = axis

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return cosine_similarity(y_true, y_pred, self.axis)


def circle(
    y_true: Any,
    y_pred: Any,
    ref_labels: Any = None,
    ref_embeddings: Any = None,
    remove_diagonal: bool = True,
    gamma: float = 80.0,
    margin: float = 0.4,
) -> Tensor:
    r"""Circle loss of embeddings of length 1: alike within a class, unlike between classes.

    .. math:: \ln\Bigl(1 + \sum_{\text{others}} e^{\gamma \alpha_n (1 - m - d_n)}
              \sum_{\text{same}} e^{\gamma \alpha_p (d_p - m)}\Bigr), \quad
              d = \max(1 - \cos, 0),\ \alpha_p = [d_p + m]_+,\ \alpha_n = [1 + m - d_n]_+

    Samples are compared with ``ref_embeddings``, by default with one another; ``remove_diagonal`` leaves out each with
    itself.  A sample without a partner of its class gives 0 and, through a mask, does not count in a mean.
    Shapes: ``(N,) or (N, 1), (N, D) -> (N,)``.   Keras: equals its namesake.   Ref: Sun et al. 2020, arXiv:2002.10857.

    >>> circle([0, 0, 1], [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]], gamma=1.0)
    tensor([0.5459, 0.5459, 0.0000])
    """
    y_pred = as_tensor(y_pred)
    labels = as_tensor(y_true, torch.int64, y_pred.device)
    if y_pred.ndim != 2 or labels.numel() != y_pred.shape[0]:
        raise ShapeError(
            f"circle takes class numbers (N,) and embeddings (N, D), got {tuple(labels.shape)} and"
            f" {tuple(y_pred.shape)}."
        )
    references = y_pred if ref_embeddings is None else as_tensor(ref_embeddings, y_pred.dtype, y_pred.device)
    others = labels if ref_labels is None else as_tensor(ref_labels, torch.int64, y_pred.device)
    same = labels.reshape(-1, 1) == others.reshape(1, -1)
    different = ~same
    if remove_diagonal:
        same = same & ~torch.eye(*same.shape, dtype=torch.bool, device=same.device)
    distance = (1.0 - y_pred @ references.mT).clamp(min=0.0)
    attraction = -gamma * (margin + distance).clamp(min=0.0) * (margin - distance)
    repulsion = gamma * (1.0 + margin - distance).clamp(min=0.0) * (1.0 - margin - distance)
    values = functional.softplus(_log_sum_exp(attraction, same) + _log_sum_exp(repulsion, different))
    setattr(values, "_keras_mask", values > 0)  # noqa: B010  an attribute torch does not declare
    return values


def _log_sum_exp(values: Tensor, kept: Tensor) -> Tensor:
    return values.masked_fill(~kept, -torch.inf).logsumexp(1)


class Circle(StandardLoss):
    """Metric learning: embeddings alike within a class, unlike between classes; see `circle`.

    Args: ``gamma``: how sharply; ``margin``: how far apart, as a cosine; ``remove_diagonal``: compare none with itself.

    >>> Circle(gamma=1.0)([0, 0, 1], [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    tensor(0.5459)
    """

    casts_targets = False

    def __init__(
        self,
        gamma: float = 80.0,
        margin: float = 0.4,
        remove_diagonal: bool = True,
        reduction: Reduction = "sum_over_batch_size",
        name: str | None = "circle",
        dtype: str | torch.dtype | Policy | None = None,
    ) -> None:
        super().__init__(reduction, name, dtype)
        self.gamma = gamma
        self.margin = margin
        self.remove_diagonal = remove_diagonal

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return circle(y_true, y_pred, remove_diagonal=self.remove_diagonal, gamma=self.gamma, margin=self.margin)
