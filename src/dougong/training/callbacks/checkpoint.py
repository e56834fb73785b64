"""`ModelCheckpoint`: the model on disk while it trains, so that a crash loses little."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dougong.core.errors import ConfigError
from dougong.training.averaging import averaged
from dougong.training.callbacks.callback import Callback
from dougong.training.callbacks.monitor import Monitor

__all__ = ["ModelCheckpoint"]

_log = logging.getLogger("dougong")


class ModelCheckpoint(Callback):
    """Save the model, or its weights, after epochs or every ``save_freq`` batches.

    ``filepath`` may hold ``{epoch}`` and ``{batch}``, counted from 1, and logged names:
    ``"net-{epoch:02d}-{val_loss:.3f}.keras"``.  Writing is atomic, and missing folders are made.  With
    ``save_best_only`` only what improves ``monitor``, at first ``initial_value_threshold``, is saved.  Where the
    optimizer averages weights, a weights file holds the average, which validation has seen, a model file both.
    Raises: ConfigError for another file ending, or a name in ``filepath`` that is not logged.   Keras: equals it.
    """

    def __init__(
        self,
        filepath: str | os.PathLike[str],
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: str | int = "epoch",
        initial_value_threshold: float | None = None,
    ) -> None:
        super().__init__()
        self.filepath = os.fspath(filepath)
        wanted = ".weights.h5" if save_weights_only else ".keras"
        if not self.filepath.endswith(wanted):
            raise ConfigError(f"ModelCheckpoint writes {wanted} files here; got {self.filepath!r}")
        if save_freq != "epoch" and (not isinstance(save_freq, int) or save_freq < 1):
            raise ConfigError(f"save_freq must be 'epoch' or a number of batches, got {save_freq!r}")
        self.monitor, self.verbose, self.save_freq = monitor, verbose, save_freq
        self.save_best_only, self.save_weights_only = save_best_only, save_weights_only
        self._monitor = Monitor(monitor, mode, best=initial_value_threshold)
        self._batches = self._epoch = 0
        if isinstance(save_freq, int):
            self.on_train_batch_end = self._count_batch  # only then is every step reported

    @property
    def best(self) -> float | None:
        return self._monitor.best

    def state_dict(self) -> dict[str, Any]:
        return {"batches": self._batches, "best": self.best}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._batches, self._monitor.best = state["batches"], state["best"]

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._monitor.ask(self.model)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._epoch = epoch

    def _count_batch(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._batches += 1
        if self._batches % int(self.save_freq) == 0:
            self._save(self._epoch, batch, logs)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self.save_freq == "epoch":
            self._save(epoch, None, logs)

    def _save(self, epoch: int, batch: int | None, logs: dict[str, Any] | None) -> None:
        path = self._path(epoch, batch, logs or {})
        if not self._wanted(epoch, logs):
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        if self.save_weights_only:
            with averaged(self.model):
                self.model.save_weights(path)
        else:
            self.model.save(path)
        if self.verbose:
            _log.warning("epoch %d: saved %s", epoch + 1, path)

    def _path(self, epoch: int, batch: int | None, logs: dict[str, Any]) -> Path:
        names = {"epoch": epoch + 1} | ({} if batch is None else {"batch": batch + 1}) | logs
        try:
            return Path(self.filepath.format(**names))
        except KeyError as error:
            raise ConfigError(
                f"{self.filepath!r} names {error}, which is not logged; there are {sorted(names)}"
            ) from error

    def _wanted(self, epoch: int, logs: dict[str, Any] | None) -> bool:
        """Whether to save now; a value that is not logged is no reason to save nothing."""
        if not self.save_best_only:
            return True
        value, before = self._monitor.value(logs), self.best
        if value is None or self._monitor.improves(value):
            return True
        if self.verbose:
            _log.warning("epoch %d: %s did not improve from %s", epoch + 1, self.monitor, before)
        return False
