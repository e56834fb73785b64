"""Sums and means over everything seen.   Shapes: N batch."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Self

import torch
from torch import Tensor

from dougong.core.config import resolve
from dougong.core.dtypes import Policy
from dougong.metrics.functions import FUNCTIONS
from dougong.metrics.metric import Metric
from dougong.ops.targets import divide_no_nan, mask_of, match_weights, merge_mask, same_rank

__all__ = ["Mean", "MeanMetricWrapper", "Sum"]

EXACT = torch.float64
"""Totals are float64: counts stay exact up to 2^53 samples, and sums do not drift over millions of batches."""


class Sum(Metric):
    """The sum of all values, each times its weight.   Keras: equals its namesake.

    >>> Sum()([1.0, 2.0, 3.0], sample_weight=[1.0, 1.0, 0.0])
    tensor(3.)
    """

    total: Tensor

    def __init__(self, name: str | None = "sum", dtype: str | torch.dtype | Policy | None = None) -> None:
        super().__init__(name=name, dtype=dtype)
        self.add_state("total", dtype=EXACT)

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        (values,) = self.take(values)
        if sample_weight is not None:
            (sample_weight,) = self.take(sample_weight)
            values, sample_weight = match_weights(values.to(self.dtype), sample_weight.to(self.dtype))
            values = values * sample_weight
        self.total.add_(values.sum())

    def result(self) -> Tensor:
        return self.total.to(self.dtype)


class Mean(Metric):
    """The mean over samples: of each sample's mean, weighted by its weight; 0 before any sample.

    Weights are one a sample, or one for each value along the first axes.  A batch whose size is known may come as its
    mean, with the size as a number for its weight.   Keras: equals its namesake.

    >>> mean = Mean()
    >>> mean.update_state([1.0, 3.0]); mean.update_state([8.0], sample_weight=[2.0]); mean.result()
    tensor(5.)
    """

    total: Tensor
    count: Tensor

    def __init__(self, name: str | None = "mean", dtype: str | torch.dtype | Policy | None = None) -> None:
        super().__init__(name=name, dtype=dtype)
        self.add_state("total", dtype=EXACT)
        self.add_state("count", dtype=EXACT)

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        mask = mask_of(values)
        (values,) = self.take(values)
        if values.is_floating_point():
            values = values.to(self.dtype)
        if sample_weight is None:
            # As in Keras, a mask on the values alone (from ignore_class, say) does not count here.
            samples = values.shape[0] if values.ndim else 1
            self.total.add_(values.sum(), alpha=1.0 / math.prod(values.shape[1:]) if values.numel() else 1.0)
            self.count.add_(samples)
        elif isinstance(sample_weight, int | float):
            self.total.add_(values.to(self.dtype).mean(), alpha=sample_weight)
            self.count.add_(sample_weight)
        else:
            (sample_weight,) = self.take(sample_weight)
            weights = merge_mask(sample_weight.to(self.dtype), mask, self.dtype)
            assert weights is not None
            self._add_weighted(values, weights)

    def _add_weighted(self, values: Tensor, weights: Tensor) -> None:
        values, weights = same_rank(values.to(self.dtype), weights)
        if weights.ndim < values.ndim:
            values = values.mean(list(range(weights.ndim, values.ndim)))
        values, weights = match_weights(values, weights)
        inner = math.prod(values.shape[1:]) or 1
        repeated = values.numel() / weights.numel() if weights.numel() else 1.0
        self.total.add_((values * weights).sum(), alpha=1.0 / inner)
        self.count.add_(weights.sum(), alpha=repeated / inner)

    def result(self) -> Tensor:
        return divide_no_nan(self.total, self.count).to(self.dtype)


class MeanMetricWrapper(Mean):
    """The mean of a function ``fn(y_true, y_pred, **kwargs)`` that gives one value a sample.

    A mask on the predictions sets weights to 0.   Keras: equals its namesake.

    >>> MeanMetricWrapper(lambda t, p: (t - p).abs())([1.0, 2.0], [1.0, 4.0])
    tensor(1.)
    """

    def __init__(
        self,
        fn: Callable[..., Tensor],
        name: str | None = None,
        dtype: str | torch.dtype | Policy | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        self.fn = fn
        self.kwargs = kwargs

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        mask = mask_of(y_pred)
        y_true, y_pred = self.take(y_true, y_pred)
        if mask is not None:
            if sample_weight is not None:
                sample_weight = self.take(sample_weight)[0].to(self.dtype)
            sample_weight = merge_mask(sample_weight, mask, self.dtype)
        super().update_state(self.fn(y_true, y_pred, **self.kwargs), sample_weight)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        function = config.get("fn")
        if function is None:
            return super().from_config(config)
        if isinstance(function, Mapping) and function.get("class_name") == "function":
            function = function["config"]
        return super().from_config({**config, "fn": resolve(function, FUNCTIONS, "metric function")})
