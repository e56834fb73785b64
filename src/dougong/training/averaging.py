"""Weights and their moving averages: which of the two a model shows."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

__all__ = ["averaged", "finish_average"]


def averaged(model: Any) -> AbstractContextManager[Any]:
    """Within the block the weights are their moving averages, where the model's optimizer keeps these."""
    optimizer = model.optimizer
    if optimizer is None or not getattr(optimizer, "use_ema", False) or not optimizer.built:
        return nullcontext()
    return optimizer.averaged()


def finish_average(model: Any) -> None:
    """End training with the averaged weights, where there are such.   Keras: the same."""
    optimizer = model.optimizer
    if getattr(optimizer, "use_ema", False) and optimizer.built:
        optimizer.finalize_variable_values()
