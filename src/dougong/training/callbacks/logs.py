"""Callbacks that write what is logged: a CSV table, TensorBoard's event files."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from dougong.core.errors import ConfigError
from dougong.training.callbacks.callback import Callback

__all__ = ["CSVLogger", "TensorBoard"]


class CSVLogger(Callback):
    """One row an epoch: ``epoch`` and everything logged.   Keras: equals it."""

    def __init__(self, filename: str | os.PathLike[str], separator: str = ",", append: bool = False) -> None:
        super().__init__()
        self.filename, self.separator, self.append = Path(filename), separator, append
        self._file: TextIO | None = None
        self._columns: list[str] = []

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self.filename.parent.mkdir(parents=True, exist_ok=True)
        self._columns = []
        if self.append and self.filename.exists() and self.filename.stat().st_size:
            with self.filename.open(newline="") as file:
                self._columns = next(csv.reader(file, delimiter=self.separator))[1:]
        self._file = self.filename.open("a" if self.append else "w", newline="")

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self._file is None:
            return
        writer = csv.writer(self._file, delimiter=self.separator)
        if not self._columns:
            self._columns = sorted(logs or {})
            writer.writerow(["epoch", *self._columns])
        writer.writerow([epoch, *(_cell((logs or {}).get(name, "NA")) for name in self._columns)])
        self._file.flush()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def _cell(value: Any) -> Any:
    return str(value.tolist()) if isinstance(value, np.ndarray) else value


class TensorBoard(Callback):
    """Scalars of every epoch (and batch, if asked), and weight histograms, for TensorBoard.

    Needs ``pip install 'dougong[tensorboard]'``.   Keras: the same folders (train, validation) and tags.
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
        self.log_dir, self.histogram_freq, self.update_freq = os.fspath(log_dir), histogram_freq, update_freq
        self.write_graph, self.write_steps_per_second = write_graph, write_steps_per_second
        self._writers: dict[str, Any] = {}
        self._steps = 0
        self._every = 1 if update_freq == "batch" else update_freq
        if isinstance(self._every, int):
            self.on_train_batch_end = self._write_batch  # only then is every step reported

    def _writer(self, part: str) -> Any:
        if part not in self._writers:
            try:
                from torch.utils.tensorboard import SummaryWriter  # lazy: an optional dependency
            except ImportError as error:
                raise ConfigError("TensorBoard needs its package: pip install 'dougong[tensorboard]'") from error
            self._writers[part] = SummaryWriter(os.path.join(self.log_dir, part))
        return self._writers[part]

    def _write(self, logs: Mapping[str, Any], step: int, prefix: str) -> None:
        for name, value in logs.items():
            if isinstance(value, float | int):
                part = "validation" if name.startswith("val_") else "train"
                self._writer(part).add_scalar(f"{prefix}_{name.removeprefix('val_')}", value, step)

    def _write_batch(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._steps += 1
        if self._steps % int(self._every) == 0:
            self._write(logs or {}, self._steps, "batch")

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._write(logs or {}, epoch, "epoch")
        if self.histogram_freq and epoch % self.histogram_freq == 0:
            for name, tensor in self.model.named_parameters():
                self._writer("train").add_histogram(name.replace(".", "/"), tensor.detach().cpu(), epoch)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()
