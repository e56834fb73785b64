"""Callbacks that write what is logged: a CSV table, TensorBoard's event files."""

from __future__ import annotations

import csv
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from dougong.core.errors import ConfigError
from dougong.core.weights import named_weights
from dougong.training.callbacks.callback import Callback

__all__ = ["CSVLogger", "TensorBoard"]


class CSVLogger(Callback):
    """One row an epoch: ``epoch`` (from 0) and everything logged, by name; ``NA`` where an epoch has no such value.

    The columns are those of the first epoch, and ``val_`` columns even if validation comes later; with ``append`` they
    are those of the file.  Missing folders are made.   Keras: equals it; there, appended rows ignore the file's head.
    """

    def __init__(self, filename: str | os.PathLike[str], separator: str = ",", append: bool = False) -> None:
        super().__init__()
        self.filename, self.separator, self.append = Path(filename), separator, append
        self._file: TextIO | None = None
        self._columns: list[str] = []

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self.on_train_end()
        self.filename.parent.mkdir(parents=True, exist_ok=True)
        self._columns = []
        if self.append and self.filename.exists() and self.filename.stat().st_size:
            with self.filename.open(newline="") as file:
                self._columns = next(csv.reader(file, delimiter=self.separator))[1:]
        self._file = self.filename.open("a" if self.append else "w", newline="")

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self._file is None:
            return
        logs = logs or {}
        writer = csv.writer(self._file, delimiter=self.separator)
        if not self._columns:
            self._columns = sorted(logs)
            if not any(name.startswith("val_") for name in logs):
                self._columns += [f"val_{name}" for name in self._columns]
            writer.writerow(["epoch", *self._columns])
        writer.writerow([epoch, *(_cell(logs.get(name, "NA")) for name in self._columns)])
        self._file.flush()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def _cell(value: Any) -> Any:
    """A value as Keras writes it: lists of numbers within quotes of their own."""
    if isinstance(value, np.ndarray) and value.ndim:
        return f'"[{", ".join(map(str, value))}]"'
    return value


class TensorBoard(Callback):
    """Scalars of every epoch, or every so many batches (``update_freq``), and histograms of the weights.

    Folders ``train`` and ``validation`` below ``log_dir``; tags ``epoch_loss``, ``batch_loss``,
    ``evaluation_loss_vs_iterations``, ``dense/kernel/histogram``.  Needs ``pip install 'dougong[tensorboard]'``.
    Raises: ConfigError without it, and for pictures, profiles and embeddings, which are not written.
    Keras: the same folders and tags.
    """

    def __init__(
        self,
        log_dir: str | os.PathLike[str] = "logs",
        histogram_freq: int = 0,
        write_graph: bool = True,
        write_images: bool = False,
        write_steps_per_second: bool = False,
        update_freq: str | int = "epoch",
        profile_batch: int = 0,
        embeddings_freq: int = 0,
        embeddings_metadata: Any = None,
    ) -> None:
        super().__init__()
        if write_images or profile_batch or embeddings_freq or embeddings_metadata is not None:
            raise ConfigError("TensorBoard writes scalars and histograms here; use torch.profiler for profiles")
        if update_freq not in ("epoch", "batch") and not (isinstance(update_freq, int) and update_freq > 0):
            raise ConfigError(f"update_freq must be 'epoch', 'batch' or a number of batches, got {update_freq!r}")
        self.log_dir, self.histogram_freq, self.update_freq = os.fspath(log_dir), histogram_freq, update_freq
        self.write_graph, self.write_steps_per_second = write_graph, write_steps_per_second
        self._writers: dict[str, Any] = {}
        self._batches = self._batches_before = 0
        self._began = 0.0
        self._every = 1 if update_freq == "batch" else update_freq
        if isinstance(self._every, int) or write_steps_per_second:
            self.on_train_batch_end = self._count_batch  # only then is every step reported

    def _writer(self, part: str) -> Any:
        if part not in self._writers:
            try:
                from torch.utils.tensorboard import SummaryWriter  # lazy: an optional dependency
            except ImportError as error:
                raise ConfigError("TensorBoard needs its package: pip install 'dougong[tensorboard]'") from error
            self._writers[part] = SummaryWriter(os.path.join(self.log_dir, part))
        return self._writers[part]

    def _write(self, part: str, logs: Mapping[str, Any], tag: str, step: int) -> None:
        for name, value in logs.items():
            if isinstance(value, float | int):
                self._writer(part).add_scalar(tag.format(name), value, step)

    def state_dict(self) -> dict[str, Any]:
        return {"batches": self._batches}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._batches = self._batches_before = state["batches"]

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._batches = 0
        self._writer("train")  # a missing package is told before the first epoch, not after it

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._began, self._batches_before = time.perf_counter(), self._batches

    def _count_batch(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._batches += 1
        if isinstance(self._every, int) and self._batches % self._every == 0:
            self._write("train", logs or {}, "batch_{}", self._batches)

    def on_test_end(self, logs: dict[str, Any] | None = None) -> None:
        self._write("validation", logs or {}, "evaluation_{}_vs_iterations", self.model.optimizer.iterations)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        logs = logs or {}
        train = {name: value for name, value in logs.items() if not name.startswith("val_")}
        train.setdefault("learning_rate", float(self.model.optimizer.learning_rate))
        if self.write_steps_per_second:
            spent = time.perf_counter() - self._began
            train["steps_per_second"] = (self._batches - self._batches_before) / spent
        self._write("train", train, "epoch_{}", epoch)
        held_out = {name.removeprefix("val_"): value for name, value in logs.items() if name.startswith("val_")}
        self._write("validation", held_out, "epoch_{}", epoch)
        if self.histogram_freq and epoch % self.histogram_freq == 0:
            for path, weight in named_weights(self.model):
                self._writer("train").add_histogram(f"{path}/histogram", weight.value().detach().cpu(), epoch)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()
