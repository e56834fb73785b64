"""Losses of predicted probabilities.   Shapes: N batch, C classes.   Units: nats.   Ref: Keras 3, and equal to it.

``from_logits=True`` is both faster and more exact than a softmax or sigmoid before the loss: no clipping is needed, and
gradients stay right however extreme the logits are.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from dougong.core.dtypes import Policy
from dougong.losses.loss import PointwiseLoss, Reduction, StandardLoss
from dougong.ops import crossentropy as ops
from dougong.ops.targets import as_pair

__all__ = ["BinaryCrossentropy", "CategoricalCrossentropy", "KLDivergence", "Poisson", "SparseCategoricalCrossentropy"]


class BinaryCrossentropy(PointwiseLoss):
    r"""The mean of :math:`-t \ln p - (1 - t)\ln(1 - p)`, for targets 0 and 1 or anything between.

    Args: ``from_logits``: predictions are logits, not probabilities.  ``label_smoothing`` s draws targets to one half.
    ``axis``: the one `call` averages over.

    >>> BinaryCrossentropy()([[0.0], [1.0]], [[0.5], [0.5]])
    tensor(0.6931)
    """

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: Reduction = "sum_over_batch_size",
        name: str | None = "binary_crossentropy",
        dtype: str | torch.dtype | Policy | None = None,
    ) -> None:
        super().__init__(reduction, name, dtype)
        self.from_logits = from_logits
        self.label_smoothing = label_smoothing
        self.axis = axis

    def terms(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return ops.binary_crossentropy_terms(y_true, y_pred, self.from_logits, self.label_smoothing)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return self.terms(*as_pair(y_true, y_pred)).mean(self.axis)


class CategoricalCrossentropy(StandardLoss):
    r""":math:`-\sum_c t_c \ln p_c` for one-hot targets.   Shapes: ``(N, ..., C), (N, ..., C)`` with C at ``axis``.

    Args: ``from_logits``: predictions are logits; else they are scaled to sum to 1.  ``label_smoothing`` s makes the
    targets :math:`t(1 - s) + s/C`.
    Raises: ShapeError for class numbers; `SparseCategoricalCrossentropy` takes those.

    >>> CategoricalCrossentropy()([[0, 1, 0]], [[0.2, 0.5, 0.3]])
    tensor(0.6931)
    """

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: Reduction = "sum_over_batch_size",
        name: str | None = "categorical_crossentropy",
        dtype: str | torch.dtype | Policy | None = None,
    ) -> None:
        super().__init__(reduction, name, dtype)
        self.from_logits = from_logits
        self.label_smoothing = label_smoothing
        self.axis = axis

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return ops.categorical_crossentropy(y_true, y_pred, self.from_logits, self.label_smoothing, self.axis)

    def batch_mean(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        y_true, y_pred = ops.categorical_pair(y_true, y_pred, self.axis)
        terms = ops.categorical_crossentropy_terms(y_true, y_pred, self.from_logits, self.label_smoothing, self.axis)
        return terms.sum() * (-y_pred.shape[self.axis] / y_pred.numel())


class SparseCategoricalCrossentropy(StandardLoss):
    r""":math:`-\ln p_t` for class numbers t.   Shapes: ``(N, ...) or (N, ..., 1), (N, ..., C)`` with C at ``axis``.

    Args: ``from_logits``: predictions are logits; else they are scaled to sum to 1.  ``ignore_class``: samples of this
    class number (-1 or 255, say) do not count.
    Raises: ShapeError for one-hot targets.  Class numbers outside 0 … C - 1 are for the caller to check.

    >>> SparseCategoricalCrossentropy()([1, 0], [[0.5, 0.5], [0.25, 0.75]])
    tensor(1.0397)
    """

    casts_targets = False

    def __init__(
        self,
        from_logits: bool = False,
        ignore_class: int | None = None,
        reduction: Reduction = "sum_over_batch_size",
        axis: int = -1,
        name: str | None = "sparse_categorical_crossentropy",
        dtype: str | torch.dtype | Policy | None = None,
    ) -> None:
        super().__init__(reduction, name, dtype)
        self.from_logits = from_logits
        self.ignore_class = ignore_class
        self.axis = axis

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return ops.sparse_categorical_crossentropy(y_true, y_pred, self.from_logits, self.ignore_class, self.axis)

    def batch_mean(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        if self.ignore_class is not None:
            return super().batch_mean(y_true, y_pred)
        labels, scores, _ = ops.sparse_pair(y_true, y_pred, self.axis)
        logs = ops.log_probabilities(scores, self.from_logits, 1)
        return functional.nll_loss(logs, labels, ignore_index=ops.NO_CLASS)


class KLDivergence(StandardLoss):
    r""":math:`\sum t \ln(t / p)`, with t and p clipped to :math:`[10^{-7}, 1]`.

    >>> KLDivergence()([[0.5, 0.5]], [[0.25, 0.75]])
    tensor(0.1438)
    """

    default_name = "kl_divergence"

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return ops.kl_divergence(y_true, y_pred)


class Poisson(PointwiseLoss):
    r"""The mean of :math:`p - t \ln(p + 10^{-7})`: for counts t at predicted rates p.

    >>> Poisson()([[2.0]], [[1.0]]).round(decimals=4)
    tensor(1.)
    """

    default_name = "poisson"

    def terms(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return ops.poisson_terms(y_true, y_pred)
