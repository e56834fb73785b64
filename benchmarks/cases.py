"""The cases: what is trained, on what data, in batches of what size.

Nothing here imports a framework: the parent process, which only keeps time, reads this file too.
Shapes are Keras's: N batch, H height, W width, C channels, T time, D features.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np

__all__ = ["CASES", "LEARNING_RATE", "Case", "dataset", "quick"]

LEARNING_RATE = 1e-3  # Adam's, for every peer


@dataclass(frozen=True)
class Case:
    """One network with its data.

    ``shape``: one sample, channels last.   ``outputs``: units of the last layer, which gives logits.
    ``batches``: how many batches the data hold, hence the most steps one ``fit`` call makes.
    ``unit``: what "a step" is; ``"epoch"`` trains full batch, one step an epoch, and counts epochs.
    ``hidden``: widths of the hidden layers of a multilayer perceptron; empty for other networks.
    """

    name: str
    title: str
    shape: tuple[int, ...]
    outputs: int
    batch: int
    batches: int
    loss: Literal["binary", "categorical"] = "categorical"
    unit: Literal["step", "epoch"] = "step"
    hidden: tuple[int, ...] = ()
    activation: Literal["tanh", "relu"] = "relu"

    @property
    def rows(self) -> int:
        """Number of samples."""
        return self.batch * self.batches


_ALL = (
    Case("xor", "XOR 2-10-1", (2,), 1, 4, 1000, loss="binary", hidden=(10,), activation="tanh"),
    Case("mlp-small", "MLP 4-10-3", (4,), 3, 32, 1000, hidden=(10,), activation="tanh"),
    Case("mlp-epoch", "MLP 4-10-3, full-batch epoch", (4,), 3, 150, 1, unit="epoch", hidden=(10,), activation="tanh"),
    Case("mlp-large", "MLP 784-256-128-10", (784,), 10, 128, 100, hidden=(256, 128)),
    Case("lenet5", "LeNet-5 28×28", (28, 28, 1), 10, 64, 60),
    Case("lstm", "LSTM(64) on 50×16", (50, 16), 10, 32, 30),
    Case("mobile", "Depthwise net 96×96×3", (96, 96, 3), 10, 32, 6),
    Case("transformer", "Transformer encoder, 2 layers", (64, 128), 10, 32, 12),
)
CASES: dict[str, Case] = {case.name: case for case in _ALL}


def quick(case: Case) -> Case:
    """The same network on little data: at most 8 samples a batch (a full batch stays whole), at most 40 batches."""
    if case.unit == "epoch":
        return case
    return replace(case, batch=min(case.batch, 8), batches=min(case.batches, 40))


def dataset(case: Case, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Inputs ``[rows, *shape]`` float32 and targets: ``[rows]`` int64 class numbers, or ``[rows, 1]`` float32 for XOR.

    Every class has its own mean, so that training has something to find; equal for all peers.

    >>> x, y = dataset(CASES["xor"])
    >>> x[:4].tolist(), y[:4, 0].tolist()
    ([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], [0.0, 1.0, 1.0, 0.0])
    """
    import numpy as np  # lazy: the parent reads CASES and should stay small, so that it starts workers fast

    if case.loss == "binary":
        corners = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=np.float32)
        x = np.resize(corners, (case.rows, 2))
        return x, (x[:, :1] != x[:, 1:]).astype(np.float32)
    generator = np.random.default_rng(seed)
    y = generator.integers(0, case.outputs, size=case.rows)
    means = generator.standard_normal((case.outputs, *case.shape), dtype=np.float32)
    x = generator.standard_normal((case.rows, *case.shape), dtype=np.float32)
    x += 0.5 * means[y]
    return x, y
