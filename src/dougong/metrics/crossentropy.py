"""Means of cross-entropies and divergences.   Shapes: N batch, C classes.   Units: nats.   Keras: equal."""

from __future__ import annotations

import torch

from dougong.core.dtypes import Policy
from dougong.metrics.reduction import MeanMetricWrapper
from dougong.ops import crossentropy as ops

__all__ = ["BinaryCrossentropy", "CategoricalCrossentropy", "KLDivergence", "Poisson", "SparseCategoricalCrossentropy"]


class BinaryCrossentropy(MeanMetricWrapper):
    r"""The mean of :math:`-t \ln p - (1 - t)\ln(1 - p)`.   Shapes: ``[N, ...], [N, ...]``.

    >>> BinaryCrossentropy()([[0.0], [1.0]], [[0.5], [0.5]])
    tensor(0.6931)
    """

    def __init__(
        self,
        name: str | None = "binary_crossentropy",
        dtype: str | torch.dtype | Policy | None = None,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(ops.binary_crossentropy, name, dtype, from_logits=from_logits, label_smoothing=label_smoothing)
        self.from_logits = from_logits
        self.label_smoothing = label_smoothing


class CategoricalCrossentropy(MeanMetricWrapper):
    r"""The mean of :math:`-\sum_c t_c \ln p_c`.   Shapes: ``[N, ..., C], [N, ..., C]``, targets one-hot, C at ``axis``.

    >>> CategoricalCrossentropy()([[0, 1, 0]], [[0.2, 0.5, 0.3]])
    tensor(0.6931)
    """

    def __init__(
        self,
        name: str | None = "categorical_crossentropy",
        dtype: str | torch.dtype | Policy | None = None,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
    ) -> None:
        super().__init__(
            ops.categorical_crossentropy,
            name,
            dtype,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
        )
        self.from_logits = from_logits
        self.label_smoothing = label_smoothing
        self.axis = axis


class SparseCategoricalCrossentropy(MeanMetricWrapper):
    r"""The mean of :math:`-\ln p_t` for class numbers t.   Shapes: ``[N, ...], [N, ..., C]``, C at ``axis``.

    Samples of ``ignore_class`` count as 0, and are left out only where sample weights are given: so does Keras.

    >>> SparseCategoricalCrossentropy()([1, 0], [[0.5, 0.5], [0.25, 0.75]])
    tensor(1.0397)
    """

    def __init__(
        self,
        name: str | None = "sparse_categorical_crossentropy",
        dtype: str | torch.dtype | Policy | None = None,
        from_logits: bool = False,
        ignore_class: int | None = None,
        axis: int = -1,
    ) -> None:
        super().__init__(
            ops.sparse_categorical_crossentropy,
            name,
            dtype,
            from_logits=from_logits,
            ignore_class=ignore_class,
            axis=axis,
        )
        self.from_logits = from_logits
        self.ignore_class = ignore_class
        self.axis = axis


class KLDivergence(MeanMetricWrapper):
    r"""The mean of :math:`\sum t \ln(t / p)`.   Shapes: ``[N, ..., C], [N, ..., C]``.

    >>> KLDivergence()([[0.5, 0.5]], [[0.25, 0.75]])
    tensor(0.1438)
    """

    def __init__(self, name: str | None = "kl_divergence", dtype: str | torch.dtype | Policy | None = None) -> None:
        super().__init__(ops.kl_divergence, name, dtype)


class Poisson(MeanMetricWrapper):
    r"""The mean of :math:`p - t \ln p`.   Shapes: ``[N, ...], [N, ...]``.

    >>> Poisson()([[2.0]], [[3.0]])
    tensor(0.8028)
    """

    def __init__(self, name: str | None = "poisson", dtype: str | torch.dtype | Policy | None = None) -> None:
        super().__init__(ops.poisson, name, dtype)
