"""The loss base class and the reductions.   Shapes: N batch.   Ref: Keras 3 semantics."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from dougong.core.config import Configurable
from dougong.core.dtypes import Policy, arithmetic_dtype
from dougong.core.errors import UnknownNameError
from dougong.core.names import snake_case, unique_name
from dougong.ops.targets import as_pair, as_tensor, divide_no_nan, mask_of, match_weights, merge_mask

__all__ = ["Loss", "PointwiseLoss", "Reduction", "StandardLoss", "reduce_weighted"]

Reduction = Literal["sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", "none"] | None

_REDUCTIONS = ("sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", "none")
_MEANS = ("sum_over_batch_size", "mean", "mean_with_sample_weight")


class Loss(Configurable):
    r"""Targets and predictions to one number.  Subclasses write `call`, which gives one value a sample (or a step).

    ``reduction``, for values v, weights w (ones if none are given) and n values:

    - ``"sum_over_batch_size"``, ``"mean"``: :math:`\sum wv / n`: zero weights still count in n;
    - ``"mean_with_sample_weight"``: :math:`\sum wv / \sum w`, and 0 where all weights are 0;
    - ``"sum"``: :math:`\sum wv`;   ``"none"``, None: :math:`wv`, not reduced.

    Where the predictions carry a mask, masked values have weight 0 and do not count in n.
    Keras: equals ``keras.losses.Loss`` on its torch backend, but the mean of an empty batch is always a scalar 0.
    Raises: ShapeError, naming both shapes, where targets or weights do not fit.

    >>> class Bias(Loss):
    ...     def call(self, y_true, y_pred):
    ...         return (y_pred - y_true).mean(-1)
    >>> Bias()([[1.0], [2.0]], [[2.0], [5.0]], sample_weight=[1.0, 0.0])
    tensor(0.5000)
    """

    keras_module = "keras.losses"
    casts_targets: ClassVar[bool] = True
    """Whether targets are cast to `dtype` before `call`; not so for class numbers."""

    def __init__(
        self,
        name: str | None = None,
        reduction: Reduction = "sum_over_batch_size",
        dtype: str | torch.dtype | Policy | None = None,
    ) -> None:
        if reduction is not None and reduction not in _REDUCTIONS:
            raise UnknownNameError("reduction", reduction, _REDUCTIONS)
        self.name = name or unique_name(snake_case(type(self).__name__))
        self.reduction: Reduction = reduction
        self.dtype = arithmetic_dtype(dtype)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """One value a sample, or a step of one.   Shapes: ``[N, ..., D], [N, ..., D] -> [N, ...]``."""
        raise NotImplementedError(f"{type(self).__name__} must define call(y_true, y_pred)")

    def batch_mean(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """The unweighted mean.  Override it where torch has fewer kernels for it than for `call` and a mean."""
        values = self.call(y_true, y_pred)
        return reduce_weighted(values, None, mask_of(values), self.reduction)

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Tensor:
        mask = mask_of(y_pred)
        y_pred = as_tensor(y_pred, self.dtype)
        y_true = as_tensor(y_true, self.dtype if self.casts_targets else None, y_pred.device)
        if sample_weight is None and mask is None and self.reduction in _MEANS and y_pred.numel():
            return self.batch_mean(y_true, y_pred)
        values = self.call(y_true, y_pred)
        if sample_weight is not None:
            sample_weight = as_tensor(sample_weight, values.dtype, values.device)
        return reduce_weighted(values, sample_weight, _both(mask, mask_of(values)), self.reduction)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(name={self.name!r}, reduction={self.reduction!r})"


class StandardLoss(Loss):
    """A loss of Keras's: the order of its arguments is another than `Loss`'s, and its name is its own."""

    default_name: ClassVar[str | None] = None

    def __init__(
        self,
        reduction: Reduction = "sum_over_batch_size",
        name: str | None = None,
        dtype: str | torch.dtype | Policy | None = None,
    ) -> None:
        super().__init__(name or self.default_name, reduction, dtype)


class PointwiseLoss(StandardLoss):
    """A loss that averages one term an element over the last axis.  Subclasses write `terms`."""

    def terms(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """One term an element, for floating-point tensors of one shape."""
        raise NotImplementedError(f"{type(self).__name__} must define terms(y_true, y_pred)")

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return self.terms(*as_pair(y_true, y_pred)).mean(-1)

    def batch_mean(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return self.terms(*as_pair(y_true, y_pred)).mean()


def reduce_weighted(values: Tensor, sample_weight: Tensor | None, mask: Tensor | None, reduction: Reduction) -> Tensor:
    """Weigh values and reduce them, as `Loss` says.

    >>> reduce_weighted(torch.tensor([1.0, 3.0]), None, torch.tensor([True, False]), "mean")
    tensor(1.)
    """
    weights = merge_mask(sample_weight, mask, values.dtype)
    if weights is not None:
        values, weights = match_weights(values, weights)
        values = values * weights
    if reduction in (None, "none") or not values.ndim:
        return values
    if reduction == "sum" or not values.numel():
        return values.sum()
    if reduction == "mean_with_sample_weight" and weights is not None:
        return divide_no_nan(values.sum(), weights.sum())
    if mask is None:
        return values.mean()
    valid = mask.sum(dtype=values.dtype)
    return values.sum() * (mask.numel() / values.numel()) / valid.clamp(min=1.0)


def _both(first: Tensor | None, second: Tensor | None) -> Tensor | None:
    if first is None or second is None:
        return second if first is None else first
    return first & second
