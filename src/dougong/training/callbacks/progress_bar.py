"""`ProgbarLogger`: Keras's progress bar as a callback."""

from __future__ import annotations

import sys
from typing import Any

from dougong.training.callbacks.callback import Callback
from dougong.training.progbar import Progbar

__all__ = ["ProgbarLogger"]


class ProgbarLogger(Callback):
    """Shows ``Epoch 1/5`` and Keras's bar, in the place of the table that `fit` shows by itself.

    Keras: equals ``keras.callbacks.ProgbarLogger``.
    """

    def __init__(self) -> None:
        super().__init__()
        self.seen, self.target, self.epochs, self.verbose = 0, None, 1, 1
        self.progbar: Progbar | None = None
        self._fitting = False

    def set_params(self, params: dict[str, Any]) -> None:
        super().set_params(params)
        self.verbose = 1 if params.get("verbose", 1) == "auto" else params.get("verbose", 1)
        self.epochs, self.target = params.get("epochs", 1), params.get("steps")

    def _begin(self) -> None:
        self.seen = 0
        self.progbar = Progbar(self.target, verbose=self.verbose, stateless_metrics=())

    def _show(self, batch: int, logs: dict[str, Any] | None) -> None:
        if self.progbar is None:
            self._begin()
        self.seen = batch + 1
        if self.verbose == 1 and self.progbar is not None:
            self.progbar.update(self.seen, list((logs or {}).items()), finalize=False)

    def _finish(self, logs: dict[str, Any] | None) -> None:
        if self.progbar is None:
            return
        if self.target is None:
            self.target = self.progbar.target = self.seen
        self.progbar.update(self.target, list((logs or {}).items()), finalize=True)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._fitting = True

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self._fitting = False

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._begin()
        if self.verbose and self.epochs > 1:
            sys.stdout.write(f"Epoch {epoch + 1}/{self.epochs}\n")

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._show(batch, logs)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._finish(logs)

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        if not self._fitting:
            self._begin()

    def on_test_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if not self._fitting:
            self._show(batch, logs)

    def on_test_end(self, logs: dict[str, Any] | None = None) -> None:
        if not self._fitting:
            self._finish(logs)

    def on_predict_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._begin()

    def on_predict_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._show(batch, None)  # the outputs are no metrics

    def on_predict_end(self, logs: dict[str, Any] | None = None) -> None:
        self._finish(None)
