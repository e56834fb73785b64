"""The best weights so far, so that an interrupted run can end with them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from dougong.training.averaging import averaged
from dougong.training.callbacks.monitor import Monitor

__all__ = ["BestWeights"]


class BestWeights:
    """Copies of the weights that had the best value of a log."""

    def __init__(self, model: Any, name: str) -> None:
        self._model, self._monitor = model, Monitor(name)
        self._epoch = -1
        self._copies: list[Tensor] = []

    def see(self, epoch: int, logs: dict[str, Any]) -> None:
        """Keep the weights if ``logs``, those of ``epoch``, are the best."""
        value = logs.get(self._monitor.name)
        if value is None or not self._monitor.improves(value):
            return
        self._epoch = epoch
        with torch.no_grad(), averaged(self._model):
            weights = self._weights()
            if len(self._copies) != len(weights):
                self._copies = [weight.detach().clone() for weight in weights]
            else:
                for copy, weight in zip(self._copies, weights, strict=True):
                    copy.copy_(weight)

    def _weights(self) -> list[Tensor]:
        return [*self._model.parameters(), *self._model.buffers()]

    def restore(self) -> str:
        """Put the best weights back, and say so; empty where there are none."""
        if self._epoch < 0:
            return ""
        with torch.no_grad():
            for weight, copy in zip(self._weights(), self._copies, strict=True):
                weight.copy_(copy)
        return f"kept the weights of epoch {self._epoch + 1} ({self._monitor.name} {self._monitor.best:.4g})"
