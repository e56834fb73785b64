"""Callbacks that change the learning rate between epochs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from inspect import Parameter, signature
from numbers import Real
from typing import Any

import numpy as np
from torch import Tensor

from dougong.core.errors import ConfigError
from dougong.training.callbacks.callback import Callback
from dougong.training.callbacks.monitor import Monitor

__all__ = ["LearningRateScheduler", "ReduceLROnPlateau"]

_log = logging.getLogger("dougong")


class LearningRateScheduler(Callback):
    """Before each epoch the rate becomes ``schedule(epoch, rate)``, or ``schedule(epoch)``; it is logged after it.

    Raises: ConfigError for a rate that is no number.   Keras: equals it.
    """

    def __init__(self, schedule: Callable[..., float], verbose: int = 0) -> None:
        super().__init__()
        self.schedule, self.verbose = schedule, verbose
        self._takes_rate = _takes_two(schedule)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        optimizer = self.model.optimizer
        rate = self.schedule(epoch, float(optimizer.learning_rate)) if self._takes_rate else self.schedule(epoch)
        if isinstance(rate, Tensor | np.ndarray) and rate.ndim == 0:
            rate = rate.item()
        if not isinstance(rate, Real):
            raise ConfigError(f"the schedule must give a number, got {rate!r} for epoch {epoch}")
        optimizer.learning_rate = float(rate)
        if self.verbose:
            _log.warning("epoch %d: learning rate %g", epoch + 1, rate)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if logs is not None:
            logs["learning_rate"] = float(self.model.optimizer.learning_rate)


def _takes_two(function: Callable[..., Any]) -> bool:
    try:
        kinds = [parameter.kind for parameter in signature(function).parameters.values()]
    except ValueError:  # what is written in C may not say
        return False
    return len(kinds) > 1 or Parameter.VAR_POSITIONAL in kinds


class ReduceLROnPlateau(Callback):
    """Multiply the rate by ``factor``, down to ``min_lr``, when ``monitor`` has not improved for ``patience`` epochs.

    After that, ``cooldown`` epochs do not count.   Raises: ConfigError unless ``factor`` is below 1.
    Keras: equals it.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        super().__init__()
        if factor >= 1.0:
            raise ConfigError(f"factor must be below 1, got {factor}")
        self.monitor, self.factor, self.patience = monitor, factor, patience
        self.verbose, self.cooldown, self.min_lr = verbose, cooldown, min_lr
        self._monitor = Monitor(monitor, mode, min_delta)
        self.wait = self.cooldown_counter = 0

    @property
    def best(self) -> float | None:
        return self._monitor.best

    def state_dict(self) -> dict[str, Any]:
        return {"wait": self.wait, "cooldown_counter": self.cooldown_counter, "best": self.best}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.wait, self.cooldown_counter, self._monitor.best = state["wait"], state["cooldown_counter"], state["best"]

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._monitor.reset()
        self._monitor.ask(self.model)
        self.wait = self.cooldown_counter = 0

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        optimizer = self.model.optimizer
        if logs is not None:
            logs["learning_rate"] = float(optimizer.learning_rate)
        value = self._monitor.value(logs)
        if value is None:
            return
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.wait = 0
        if self._monitor.improves(value):
            self.wait = 0
            return
        if self.cooldown_counter == 0:
            self.wait += 1
            if self.wait >= self.patience:
                self._reduce(epoch)

    def _reduce(self, epoch: int) -> None:
        optimizer = self.model.optimizer
        rate = float(optimizer.learning_rate)
        if rate <= self.min_lr:
            return
        optimizer.learning_rate = max(rate * self.factor, self.min_lr)
        if self.verbose:
            _log.warning("epoch %d: learning rate reduced to %g", epoch + 1, optimizer.learning_rate)
        self.cooldown_counter, self.wait = self.cooldown, 0
