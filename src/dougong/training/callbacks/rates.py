"""Callbacks that change the learning rate between epochs."""

from __future__ import annotations

import logging
from collections.abc import Callable
from inspect import signature
from typing import Any

from dougong.core.errors import ConfigError
from dougong.training.callbacks.callback import Callback
from dougong.training.callbacks.monitor import Monitor

__all__ = ["LearningRateScheduler", "ReduceLROnPlateau"]

_log = logging.getLogger("dougong")


class LearningRateScheduler(Callback):
    """Before each epoch the rate becomes ``schedule(epoch, rate)``.   Keras: equals it."""

    def __init__(self, schedule: Callable[..., float], verbose: int = 0) -> None:
        super().__init__()
        self.schedule, self.verbose = schedule, verbose
        self._takes_rate = len(signature(schedule).parameters) > 1

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        optimizer = self.model.optimizer
        rate = self.schedule(epoch, float(optimizer.learning_rate)) if self._takes_rate else self.schedule(epoch)
        if not isinstance(rate, float | int):
            raise ConfigError(f"the schedule must give a float, got {rate!r} for epoch {epoch}")
        optimizer.learning_rate = float(rate)
        if self.verbose:
            _log.warning("epoch %d: learning rate %g", epoch + 1, rate)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if logs is not None:
            logs["learning_rate"] = float(self.model.optimizer.learning_rate)


class ReduceLROnPlateau(Callback):
    """Multiply the rate by ``factor`` when ``monitor`` has not improved for ``patience`` epochs.   Keras: equals it."""

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
        self.on_train_begin()

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._monitor.reset()
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
        if self.cooldown_counter > 0:
            return
        self.wait += 1
        rate = float(optimizer.learning_rate)
        if self.wait >= self.patience and rate > self.min_lr:
            optimizer.learning_rate = max(rate * self.factor, self.min_lr)
            if self.verbose:
                _log.warning("epoch %d: learning rate reduced to %g", epoch + 1, optimizer.learning_rate)
            self.cooldown_counter, self.wait = self.cooldown, 0
