"""Keras and Dougong as their users run them: ``compile``, ``fit``, ``predict``.   One program, two modules."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np

from benchmarks.cases import Case
from benchmarks.keras_models import compiled

__all__ = ["KerasSession", "dense_call"]


class KerasSession:
    """``fit`` and ``predict`` of module ``k``, ``keras`` or ``dougong``; shuffling is left on, as it comes."""

    def __init__(self, case: Case, x: np.ndarray, y: np.ndarray, *, module: str) -> None:
        self.k: Any = import_module(module)
        self.case, self.x, self.y = case, x, y
        self.sample = x[: case.batch]
        self.model = compiled(case, self.k)

    def train(self, steps: int) -> float:
        """Make ``steps`` training steps (epochs, for an epoch case) by one call to ``fit``; the last mean loss."""
        batch = self.case.batch
        if self.case.unit == "epoch":
            history = self.model.fit(self.x, self.y, batch_size=batch, epochs=steps, verbose=0)
        else:
            rows = steps * batch
            history = self.model.fit(self.x[:rows], self.y[:rows], batch_size=batch, epochs=1, verbose=0)
        return float(history.history["loss"][-1])

    def predict(self) -> np.ndarray:
        """Logits of one batch, NumPy in and out: ``[N, *shape] -> [N, outputs]``."""
        return self.model.predict(self.sample, batch_size=self.case.batch, verbose=0)

    def parameters(self) -> int:
        """Number of trainable values."""
        return sum(int(np.prod(weight.shape)) for weight in self.model.trainable_weights)

    def threads(self) -> int | None:
        """Threads PyTorch computes with, if PyTorch it is."""
        if self.k.__name__ == "keras" and self.k.backend.backend() != "torch":
            return None
        return import_module("torch").get_num_threads()


def dense_call(module: str) -> Callable[[], Any]:
    """One dense layer with ReLU on ``[32, 64]``, built and ready to be called: for counting Python frames."""
    k: Any = import_module(module)
    layer = k.layers.Dense(64, activation="relu")
    x = np.zeros((32, 64), dtype=np.float32)
    batch = import_module("torch").from_numpy(x) if module == "dougong" else k.ops.convert_to_tensor(x)
    layer(batch)
    return partial(layer, batch)
