"""How often predictions are right.   Shapes: N batch, C classes.   Keras: equal to their namesakes."""

from __future__ import annotations

import torch

from dougong.core.dtypes import Policy
from dougong.metrics import matches
from dougong.metrics.reduction import MeanMetricWrapper

__all__ = [
    "Accuracy",
    "BinaryAccuracy",
    "CategoricalAccuracy",
    "SparseCategoricalAccuracy",
    "SparseTopKCategoricalAccuracy",
    "TopKCategoricalAccuracy",
]


class Accuracy(MeanMetricWrapper):
    """How often the prediction is the target itself; the name "accuracy" in ``compile`` chooses a fitting one instead.

    >>> Accuracy()([1, 2, 3, 4], [0, 2, 3, 4])
    tensor(0.7500)
    """

    def __init__(self, name: str | None = "accuracy", dtype: str | torch.dtype | Policy | None = None) -> None:
        super().__init__(matches.accuracy_matches, name, dtype)


class BinaryAccuracy(MeanMetricWrapper):
    """How often the prediction lies on its target's side of ``threshold``.  Logits need ``threshold=0``.

    Shapes: ``[N, ...], [N, ...]``, targets 0 or 1.

    >>> BinaryAccuracy()([[1.0], [1.0], [0.0], [0.0]], [[0.98], [1.0], [0.0], [0.6]])
    tensor(0.7500)
    """

    def __init__(
        self,
        name: str | None = "binary_accuracy",
        dtype: str | torch.dtype | Policy | None = None,
        threshold: float = 0.5,
    ) -> None:
        super().__init__(matches.binary_matches, name, dtype, threshold=threshold)
        self.threshold = threshold


class CategoricalAccuracy(MeanMetricWrapper):
    """How often the largest score is the target's class.   Shapes: ``[N, ..., C], [N, ..., C]``, targets one-hot.

    >>> CategoricalAccuracy()([[0, 1], [1, 0]], [[0.2, 0.8], [0.4, 0.6]])
    tensor(0.5000)
    """

    def __init__(
        self, name: str | None = "categorical_accuracy", dtype: str | torch.dtype | Policy | None = None
    ) -> None:
        super().__init__(matches.categorical_matches, name, dtype)


class SparseCategoricalAccuracy(MeanMetricWrapper):
    """How often the largest score is the target's class.   Shapes: ``[N, ...] or [N, ..., 1], [N, ..., C]``.

    >>> SparseCategoricalAccuracy()([1, 0], [[0.2, 0.8], [0.4, 0.6]])
    tensor(0.5000)
    """

    def __init__(
        self, name: str | None = "sparse_categorical_accuracy", dtype: str | torch.dtype | Policy | None = None
    ) -> None:
        super().__init__(matches.sparse_matches, name, dtype)


class TopKCategoricalAccuracy(MeanMetricWrapper):
    """How often the target's class is among the ``k`` largest scores.   Shapes: ``[N, ..., C], [N, ..., C]``.

    >>> TopKCategoricalAccuracy(k=2)([[0, 1, 0], [0, 0, 1]], [[0.5, 0.3, 0.2], [0.5, 0.3, 0.2]])
    tensor(0.5000)
    """

    def __init__(
        self,
        k: int = 5,
        name: str | None = "top_k_categorical_accuracy",
        dtype: str | torch.dtype | Policy | None = None,
    ) -> None:
        super().__init__(matches.top_k_matches, name, dtype, k=k)
        self.k = k


class SparseTopKCategoricalAccuracy(MeanMetricWrapper):
    """How often the target's class is among the ``k`` largest scores.   Shapes: ``[N, ...], [N, ..., C]``.

    With ``from_sorted_ids`` the predictions are class numbers, best first.

    >>> SparseTopKCategoricalAccuracy(k=2)([1, 2], [[0.5, 0.3, 0.2], [0.5, 0.3, 0.2]])
    tensor(0.5000)
    """

    def __init__(
        self,
        k: int = 5,
        name: str | None = "sparse_top_k_categorical_accuracy",
        dtype: str | torch.dtype | Policy | None = None,
        from_sorted_ids: bool = False,
    ) -> None:
        super().__init__(matches.sparse_top_k_matches, name, dtype, k=k, from_sorted_ids=from_sorted_ids)
        self.k = k
        self.from_sorted_ids = from_sorted_ids
