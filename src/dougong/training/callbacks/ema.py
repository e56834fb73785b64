"""`SwapEMAWeights`: what looks at the model between epochs sees the moving averages of its weights."""

from __future__ import annotations

from typing import Any

from dougong.core.errors import ConfigError
from dougong.training.averaging import hide_average, show_average, shows_average
from dougong.training.callbacks.callback import Callback

__all__ = ["SwapEMAWeights"]


class SwapEMAWeights(Callback):
    """The weights are their moving averages while the model is tested, and, with ``swap_on_epoch``, between epochs.

    For an optimizer with ``use_ema=True``.  Validation within `fit` uses the averages anyway; ``swap_on_epoch=True``
    shows them to the callbacks that stand after this one, so that they save or inspect these.
    Raises: ConfigError if the optimizer keeps no averages.   Keras: as ``keras.callbacks.SwapEMAWeights``, but
    `predict` gives the weights back too, and a run that a callback stops ends with the averages as any other.
    """

    def __init__(self, swap_on_epoch: bool = False) -> None:
        super().__init__()
        self.swap_on_epoch = swap_on_epoch
        self._swapped = False

    def set_model(self, model: Any) -> None:
        super().set_model(model)
        optimizer = getattr(model, "optimizer", None)
        optimizer = getattr(optimizer, "inner_optimizer", optimizer)
        within = getattr(optimizer, "optimizers", [optimizer])
        if not any(getattr(one, "use_ema", False) for one in within):
            raise ConfigError("SwapEMAWeights needs an optimizer that averages weights: give it use_ema=True")

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        hide_average(self.model)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self.swap_on_epoch:
            show_average(self.model)

    def _begin(self) -> None:
        self._swapped = not shows_average(self.model)  # `fit` swaps by itself
        if self._swapped:
            show_average(self.model)

    def _end(self) -> None:
        if self._swapped:
            hide_average(self.model)
        self._swapped = False

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._begin()

    def on_test_end(self, logs: dict[str, Any] | None = None) -> None:
        self._end()

    def on_predict_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._begin()

    def on_predict_end(self, logs: dict[str, Any] | None = None) -> None:
        self._end()
