"""What the optimizer tests share: a few parameters, random gradients, and a loop that feeds them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from dougong import optimizers

__all__ = ["CLASSES", "PATHS", "SHAPES", "ours", "parameters_of", "train", "values_and_gradients"]

CLASSES = ["SGD", "RMSprop", "Adagrad", "Adadelta", "Adam", "AdamW", "Adamax", "Nadam", "Lion", "Ftrl"]
CLASSES += ["Adafactor", "Lamb", "Muon", "ScheduleFreeAdamW"]
SHAPES = [(3, 4), (4,), (2, 3, 5), ()]
PATHS = ["net/dense/kernel", "net/dense/bias", "net/conv/kernel", "net/scale/gamma"]


def ours(name: str, **options: Any) -> Any:
    return getattr(optimizers, name)(**{"learning_rate": 0.125, **options})


def values_and_gradients(dtype: str = "float32", steps: int = 10, seed: int = 0) -> Any:
    random = np.random.default_rng(seed)
    values = [np.asarray(random.normal(size=shape), dtype) for shape in SHAPES]
    return values, [[np.asarray(random.normal(size=shape), dtype) for shape in SHAPES] for _ in range(steps)]


def parameters_of(values: Any) -> list[nn.Parameter]:
    return [nn.Parameter(torch.tensor(value)) for value in values]


def train(optimizer: Any, gradients: Any) -> None:
    for step in gradients:
        for view, gradient in zip(optimizer.gradients, step):
            view.copy_(torch.tensor(gradient))
        optimizer.step()
