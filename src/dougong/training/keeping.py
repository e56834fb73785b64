"""The best weights so far, so that an interrupted run can end with them."""

from __future__ import annotations

from typing import Any

import torch

from dougong.core.events import EpochEnded, Event
from dougong.training.callbacks.monitor import Monitor

__all__ = ["BestWeights"]


class BestWeights:
    """A listener that copies the weights whenever ``name`` improves."""

    def __init__(self, model: Any, name: str) -> None:
        self._model, self._monitor = model, Monitor(name)
        self._epoch = -1
        self._last = -1
        self._copies: list[torch.Tensor] = []

    def handle(self, event: Event) -> None:
        if not isinstance(event, EpochEnded):
            return
        self._last = event.epoch
        value = event.logs.get(self._monitor.name)
        if value is None or not self._monitor.improves(value):
            return
        self._epoch = event.epoch
        with torch.no_grad():
            weights = [*self._model.parameters(), *self._model.buffers()]
            if len(self._copies) != len(weights):
                self._copies = [weight.detach().clone() for weight in weights]
            else:
                for copy, weight in zip(self._copies, weights):
                    copy.copy_(weight)

    def restore(self) -> str:
        """Put the best weights back, and say so."""
        if self._epoch < 0:
            return ""
        with torch.no_grad():
            for weight, copy in zip([*self._model.parameters(), *self._model.buffers()], self._copies):
                weight.copy_(copy)
        return f"; kept the weights of epoch {self._epoch + 1} ({self._monitor.name} {self._monitor.best:.4g})"
