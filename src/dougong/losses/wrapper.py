"""A loss from a function."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Self

import torch
from torch import Tensor

from dougong.core.config import resolve
from dougong.core.dtypes import Policy
from dougong.losses.functions import FUNCTIONS
from dougong.losses.loss import Loss, Reduction
from dougong.ops.targets import same_rank

__all__ = ["LossFunctionWrapper"]


class LossFunctionWrapper(Loss):
    """A function ``fn(y_true, y_pred, **kwargs)``, one value a sample, as a loss.

    Both arguments come as tensors of one dtype, and of one rank where they differ by a last axis of length 1 only.
    Keras: equals its namesake.

    >>> LossFunctionWrapper(lambda t, p, scale: scale * (t - p).abs().mean(-1), scale=2.0)([[1.0]], [[4.0]])
    tensor(6.)
    """

    def __init__(
        self,
        fn: Callable[..., Tensor],
        reduction: Reduction = "sum_over_batch_size",
        name: str | None = None,
        dtype: str | torch.dtype | Policy | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name, reduction, dtype)
        self.fn = fn
        self.kwargs = kwargs

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return self.fn(*same_rank(y_true, y_pred), **self.kwargs)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        function = config["fn"]
        if isinstance(function, Mapping) and function.get("class_name") == "function":
            function = function["config"]
        return super().from_config({**config, "fn": resolve(function, FUNCTIONS, "loss function")})
