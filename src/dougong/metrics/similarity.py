"""How alike predictions and targets are.   Shapes: ``[N, ..., D], [N, ..., D]``, D at ``axis``.   Keras: equal."""

from __future__ import annotations

import torch

from dougong.core.dtypes import Policy
from dougong.metrics.reduction import MeanMetricWrapper
from dougong.ops import similarity

__all__ = ["ConcordanceCorrelation", "CosineSimilarity", "PearsonCorrelation"]


class CosineSimilarity(MeanMetricWrapper):
    """The mean cosine of the angle between predictions and targets: 1 is best (the *loss* of this name has -1).

    >>> CosineSimilarity()([[1.0, 0.0]], [[3.0, 4.0]])
    tensor(0.6000)
    """

    def __init__(
        self,
        name: str | None = "cosine_similarity",
        dtype: str | torch.dtype | Policy | None = None,
        axis: int = -1,
    ) -> None:
        super().__init__(similarity.cosine_similarity, name, dtype, axis=axis)
        self.axis = axis


class PearsonCorrelation(MeanMetricWrapper):
    """The mean of Pearson's correlations along ``axis``.

    >>> PearsonCorrelation()([[0.0, 1.0, 0.5]], [[0.1, 0.9, 0.5]]).round(decimals=4)
    tensor(1.)
    """

    def __init__(
        self,
        name: str | None = "pearson_correlation",
        dtype: str | torch.dtype | Policy | None = None,
        axis: int = -1,
    ) -> None:
        super().__init__(similarity.pearson_correlation, name, dtype, axis=axis)
        self.axis = axis


class ConcordanceCorrelation(MeanMetricWrapper):
    """The mean of Lin's concordance correlations along ``axis``.

    >>> ConcordanceCorrelation()([[0.0, 1.0, 0.5]], [[0.1, 0.9, 0.5]]).round(decimals=4)
    tensor(0.9756)
    """

    def __init__(
        self,
        name: str | None = "concordance_correlation",
        dtype: str | torch.dtype | Policy | None = None,
        axis: int = -1,
    ) -> None:
        super().__init__(similarity.concordance_correlation, name, dtype, axis=axis)
        self.axis = axis
