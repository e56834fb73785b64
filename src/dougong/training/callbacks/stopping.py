"""Callbacks that end training: no more progress, or no more numbers."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from dougong.training.averaging import averaged
from dougong.training.callbacks.callback import Callback
from dougong.training.callbacks.monitor import Monitor

__all__ = ["EarlyStopping", "TerminateOnNaN"]

_log = logging.getLogger("dougong")


class EarlyStopping(Callback):
    """Stop when ``monitor`` has not improved by ``min_delta`` for ``patience`` epochs.

    With ``baseline`` the patience runs on until that is beaten, too; epochs before ``start_from_epoch`` do not count.
    With ``restore_best_weights`` the model ends with the weights of its best epoch.  ``stopped_epoch``, ``best_epoch``,
    ``best`` and ``best_weights`` tell how it went; all begin anew with each fit.
    Keras: equals it, but a value that is NaN is never the best, and where the optimizer averages weights, it is the
    average, which validation has seen, that is restored.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ) -> None:
        super().__init__()
        self.monitor, self.patience, self.verbose = monitor, patience, verbose
        self.baseline, self.start_from_epoch = baseline, start_from_epoch
        self.restore_best_weights = restore_best_weights
        self._monitor = Monitor(monitor, mode, min_delta)
        self._reset()

    def _reset(self) -> None:
        self._monitor.reset()
        self.wait = self.stopped_epoch = self.best_epoch = 0
        self.best_weights: list[Any] | None = None

    @property
    def best(self) -> float | None:
        return self._monitor.best

    def state_dict(self) -> dict[str, Any]:
        names = ("wait", "stopped_epoch", "best_epoch", "best_weights", "best")
        return {name: getattr(self, name) for name in names}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.wait, self.stopped_epoch, self.best_epoch = state["wait"], state["stopped_epoch"], state["best_epoch"]
        self.best_weights, self._monitor.best = state["best_weights"], state["best"]

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._reset()
        self._monitor.ask(self.model)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        value = self._monitor.value(logs)
        if value is None or epoch < self.start_from_epoch:
            return
        improved = self._monitor.improves(value)
        if improved or (self.restore_best_weights and self.best_weights is None):
            self._keep(epoch)
        self.wait += 1
        if improved:
            if self.baseline is None or self._monitor.better(value, self.baseline):
                self.wait = 0
        elif self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def _keep(self, epoch: int) -> None:
        self.best_epoch = epoch
        if self.restore_best_weights:
            with averaged(self.model):
                self.best_weights = self.model.get_weights()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        if self.stopped_epoch > 0 and self.verbose:
            _log.warning("epoch %d: early stopping", self.stopped_epoch + 1)
        if self.best_weights is not None:
            if self.verbose:
                _log.warning("restoring the weights of epoch %d", self.best_epoch + 1)
            self.model.set_weights(self.best_weights)


class TerminateOnNaN(Callback):
    """End training quietly when the loss or a gradient is NaN or infinite; without it `fit` raises NonFiniteError.

    Either way the weights are those before the bad step.  The loop itself watches every step, so this callback only
    says what to do: close the epoch with the loss nan and end (``history.stopped`` says why), or raise all the same.
    Keras: as it, but there the bad step has already changed the weights.
    """

    def __init__(self, raise_error: bool = False) -> None:
        super().__init__()
        self.raise_error = raise_error
