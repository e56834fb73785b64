"""Which class is taken for which.   Shapes: N batch, C classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from dougong.core.dtypes import Policy
from dougong.core.errors import ConfigError, ShapeError
from dougong.core.settings import SETTINGS
from dougong.metrics.metric import Metric
from dougong.metrics.reduction import EXACT

__all__ = ["BinaryIoU", "ConfusionMatrix", "IoU", "MeanIoU", "OneHotIoU", "OneHotMeanIoU"]


class _ClassCounts(Metric):
    """Counts by true and predicted class; anything outside 0 … C - 1 is left out."""

    matrix: Tensor

    def __init__(
        self, num_classes: int, *, name: str | None = None, dtype: str | torch.dtype | Policy | None = None
    ) -> None:
        if num_classes < 1:
            raise ConfigError(f"num_classes must be 1 or more, got {num_classes}")
        super().__init__(name=name, dtype=None if dtype in ("int", "int32", "int64") else dtype)
        self.num_classes = num_classes
        self.add_state("matrix", (num_classes, num_classes), dtype=EXACT)

    def count(self, true: Tensor, predicted: Tensor, weights: Tensor | None, ignore_class: int | None = None) -> None:
        """Count class numbers.   Shapes: all alike, or weights a single number.   Raises: ShapeError."""
        if true.numel() != predicted.numel() or (weights is not None and weights.numel() not in (1, true.numel())):
            shapes = [tuple(x.shape) for x in (true, predicted, weights) if x is not None]
            raise ShapeError(f"classes, predicted classes and weights must be alike in shape, got {shapes}.")
        true, predicted = (x.reshape(-1).to(torch.int64) for x in (true, predicted))
        last = self.num_classes - 1
        counted = (true == true.clamp(0, last)) & (predicted == predicted.clamp(0, last))
        if ignore_class is not None:
            counted = counted & (true != ignore_class)
        amounts = counted.to(EXACT)
        if weights is not None:
            amounts = amounts * weights.reshape(-1)
        cell = torch.where(counted, true * self.num_classes + predicted, 0)
        self.matrix.view(-1).index_add_(0, cell, amounts)


class ConfusionMatrix(_ClassCounts):
    """How often each class (row) was taken for each class (column).

    Targets are class numbers ``[N, ...]`` or ``[N, ..., 1]``, or one-hot ``[N, ..., C]``; predictions are scores
    ``[N, ..., C]``, the probability of class 1 of two ``[N, ..., 1]``, or class numbers.  Weights: one for each target.
    Keras: has no such metric; rows and columns are those of scikit-learn's ``confusion_matrix``.
    Raises: ConfigError, ShapeError.

    >>> ConfusionMatrix(2)([0, 1, 1], [[0.9, 0.1], [0.3, 0.7], [0.6, 0.4]])
    tensor([[1., 0.],
            [1., 1.]])
    """

    def __init__(
        self,
        num_classes: int,
        name: str | None = "confusion_matrix",
        dtype: str | torch.dtype | Policy | None = None,
    ) -> None:
        super().__init__(num_classes, name=name, dtype=dtype)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        y_true, y_pred = self.take(y_true, y_pred)
        weights = None if sample_weight is None else self.take(sample_weight)[0]
        predicted = self._classes(y_pred)
        if y_true.ndim == y_pred.ndim and y_pred.ndim > 1 and y_true.shape[-1] == self.num_classes > 1:
            y_true = y_true.argmax(-1)
        self.count(y_true, predicted, weights)

    def _classes(self, y_pred: Tensor) -> Tensor:
        if y_pred.ndim > 1 and y_pred.shape[-1] == self.num_classes > 1:
            return y_pred.argmax(-1)
        if self.num_classes == 2 and y_pred.is_floating_point():
            return y_pred > 0.5
        if y_pred.ndim > 1 and y_pred.shape[-1] != 1:
            raise ShapeError(
                f"confusion matrix of {self.num_classes} classes got predictions of shape {tuple(y_pred.shape)};"
                f" the last axis must be {self.num_classes} scores or 1 class number."
            )
        return y_pred

    def result(self) -> Tensor:
        return self.matrix.to(self.dtype)


class IoU(_ClassCounts):
    r"""The mean over ``target_class_ids`` of intersection by union, :math:`tp / (tp + fp + fn)`.

    Classes that appear nowhere do not count.  ``ignore_class``: targets to leave out.  ``sparse_y_true``,
    ``sparse_y_pred``: class numbers; if False, scores with the classes at ``axis``.
    Keras: equals its namesake, but weights need not be whole numbers, whatever ``dtype`` is.

    >>> IoU(num_classes=2, target_class_ids=[0])([0, 0, 1, 1], [0, 1, 0, 1])
    tensor(0.3333)
    """

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Sequence[int],
        name: str | None = None,
        dtype: str | torch.dtype | Policy | None = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ) -> None:
        super().__init__(num_classes, name=name, dtype=dtype)
        if not all(0 <= target < num_classes for target in target_class_ids):
            raise ConfigError(f"target_class_ids must lie in 0 … {num_classes - 1}, got {list(target_class_ids)}")
        self.target_class_ids = list(target_class_ids)
        self.ignore_class = ignore_class
        self.sparse_y_true = sparse_y_true
        self.sparse_y_pred = sparse_y_pred
        self.axis = axis

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        y_true, y_pred = self.take(y_true, y_pred)
        weights = None if sample_weight is None else self.take(sample_weight)[0]
        true = y_true if self.sparse_y_true else y_true.argmax(self.axis)
        predicted = y_pred if self.sparse_y_pred else y_pred.argmax(self.axis)
        self.count(true, predicted, weights, self.ignore_class)

    def result(self) -> Tensor:
        hits = self.matrix.diagonal()[self.target_class_ids]
        union = (self.matrix.sum(0) + self.matrix.sum(1) - self.matrix.diagonal())[self.target_class_ids]
        appears = union > 1e-9
        shares = torch.where(appears, hits / (union + SETTINGS.epsilon), 0.0)
        return (shares.sum() / (appears.sum() + SETTINGS.epsilon)).to(torch.float32)


class BinaryIoU(IoU):
    """`IoU` of two classes, told apart by a ``threshold``, which itself belongs to class 1.

    >>> BinaryIoU(target_class_ids=[0, 1], threshold=0.3)([0, 1, 0, 1], [0.1, 0.2, 0.4, 0.7])
    tensor(0.3333)
    """

    def __init__(
        self,
        target_class_ids: Sequence[int] = (0, 1),
        threshold: float = 0.5,
        name: str | None = None,
        dtype: str | torch.dtype | Policy | None = None,
    ) -> None:
        super().__init__(2, target_class_ids, name, dtype)
        self.threshold = threshold

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        (y_pred,) = self.take(y_pred)
        super().update_state(y_true, y_pred >= self.threshold, sample_weight)


class MeanIoU(IoU):
    """`IoU` over all classes.

    >>> MeanIoU(num_classes=2)([0, 0, 1, 1], [0, 1, 0, 1])
    tensor(0.3333)
    """

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        dtype: str | torch.dtype | Policy | None = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ) -> None:
        super().__init__(num_classes, range(num_classes), name, dtype, ignore_class, sparse_y_true, sparse_y_pred, axis)


class OneHotIoU(IoU):
    """`IoU` for one-hot targets and for scores.

    >>> OneHotIoU(num_classes=2, target_class_ids=[1])([[1, 0], [0, 1]], [[0.2, 0.8], [0.1, 0.9]])
    tensor(0.5000)
    """

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Sequence[int],
        name: str | None = None,
        dtype: str | torch.dtype | Policy | None = None,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ) -> None:
        super().__init__(num_classes, target_class_ids, name, dtype, ignore_class, False, sparse_y_pred, axis)


class OneHotMeanIoU(IoU):
    """`IoU` over all classes, for one-hot targets and for scores.

    >>> OneHotMeanIoU(num_classes=2)([[1, 0], [0, 1]], [[0.2, 0.8], [0.1, 0.9]])
    tensor(0.2500)
    """

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        dtype: str | torch.dtype | Policy | None = None,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ) -> None:
        super().__init__(num_classes, range(num_classes), name, dtype, ignore_class, False, sparse_y_pred, axis)
