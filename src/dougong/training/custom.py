"""Steps that the user wrote: `train_step` and `test_step` of a model subclass, run as they are."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from dougong.core.errors import ConfigError, NonFiniteError

__all__ = ["CustomStep"]


class CustomStep:
    """Calls ``function(model, data)`` with Keras's ``data``, and keeps the logs that it returns."""

    plan = "eager: the model has its own train_step"
    multiply_adds = 0

    def __init__(self, model: Any, function: Callable[[Any, Any], Any], metrics: Sequence[Any]) -> None:
        self.model, self.metrics = model, metrics
        self._function = function
        self._logs: dict[str, Any] = {}

    def expect(self, calls: int) -> None:
        """Nothing to expect: every call runs the user's code."""

    def prepare(self, batch: Any) -> None:
        """Nothing to prepare, either."""

    def reset(self) -> None:
        self._logs = {}
        for metric in self.metrics:
            metric.reset_state()

    def __call__(self, batch: tuple[Any, Any, Any]) -> float:
        with torch.enable_grad():
            logs = self._function(self.model, _keras_data(batch))
        if not isinstance(logs, dict):
            raise ConfigError(f"train_step and test_step must return a dict of logs, got {type(logs).__name__}")
        self._logs = logs
        loss = logs.get("loss")
        value = math.nan if loss is None else float(loss)
        if loss is not None and not math.isfinite(value):
            raise NonFiniteError(f"train_step returned the loss {value}; check its inputs and its learning rate")
        return value

    def logs(self) -> dict[str, Any]:
        return {name: _number(value) for name, value in self._logs.items()}


def _keras_data(batch: tuple[Any, Any, Any]) -> Any:
    x, y, sample_weight = batch
    if sample_weight is not None:
        return x, y, sample_weight
    return (x, y) if y is not None else x


def _number(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.item() if value.numel() == 1 else value.detach().cpu().numpy()
    return value
