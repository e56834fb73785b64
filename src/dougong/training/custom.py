"""Steps that the user wrote: `train_step`, `test_step`, `predict_step` of a model subclass, run as they are."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from dougong.core.errors import ConfigError, NonFiniteError
from dougong.core.nested import leaves, map_leaves
from dougong.training.objective import as_array, number

__all__ = ["CustomPredict", "CustomStep"]


class CustomStep:
    """Calls ``function(model, data)`` with Keras's ``data``, and keeps the logs that it returns."""

    data: Any = None

    def __init__(self, model: Any, function: Callable[[Any, Any], Any], metrics: Sequence[Any] = ()) -> None:
        self.model, self.metrics = model, metrics
        self.plan = f"eager: the model has its own {function.__name__}"
        self._function = function
        self._logs: dict[str, Any] = {}

    def expect(self, calls: int) -> None:
        """Nothing to expect: every call runs the user's code."""

    def prepare(self, batch: Any) -> None:
        """Nothing to prepare, either."""

    def work(self, batch: Any) -> int:
        """Multiply-adds of one call: three for each weight and row, as far as one can tell."""
        return 3 * len(next(leaves(batch))) * sum(parameter.numel() for parameter in self.model.parameters())

    def release(self) -> None:
        """Nothing is held."""

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
        value = math.nan if loss is None else float(loss.detach() if isinstance(loss, Tensor) else loss)
        if loss is not None and not math.isfinite(value) and self._function.__name__ == "train_step":
            raise NonFiniteError(f"train_step returned the loss {value}; check its inputs and its learning rate")
        return value

    def logs(self) -> dict[str, Any]:
        return {name: number(value) if isinstance(value, Tensor) else value for name, value in self._logs.items()}


class CustomPredict(CustomStep):
    """Calls the user's ``predict_step(data)``, whose result are the outputs for a batch."""

    def __call__(self, batch: tuple[Any, Any, Any]) -> Any:
        with torch.no_grad():
            return map_leaves(as_array, self._function(self.model, batch[0]))

    def at_once(self, x: Any) -> Any:
        """Nothing is captured: None."""


def _keras_data(batch: tuple[Any, Any, Any]) -> Any:
    x, y, sample_weight = batch
    if sample_weight is not None:
        return x, y, sample_weight
    return (x, y) if y is not None else x
