"""Small data and models that the tests of training share."""

from __future__ import annotations

from typing import Any

import numpy as np

import dougong as dg
from closeness import close

__all__ = ["RNG", "T", "X", "Y", "classifier", "mlp", "regressor", "same"]

RNG = np.random.default_rng(5)
X = RNG.standard_normal((40, 4)).astype("float32")
Y = RNG.integers(0, 3, 40)
T = X.sum(1, keepdims=True)


def mlp(k: Any) -> Any:
    return k.Sequential([k.Input((4,)), k.layers.Dense(6, activation="tanh"), k.layers.Dense(3, activation="softmax")])


def classifier(k: Any = dg, **options: Any) -> Any:
    model = mlp(k)
    model.compile(k.optimizers.SGD(0.1), "sparse_categorical_crossentropy", metrics=["accuracy"], **options)
    return model


def regressor(*layers: Any, optimizer: Any = "sgd", **options: Any) -> Any:
    model = dg.Sequential([dg.Input((4,)), *layers, dg.layers.Dense(1)])
    model.compile(optimizer, "mse", **options)
    return model


def same(got: list[Any], want: list[Any], because: str) -> None:
    assert len(got) == len(want), because
    for mine, theirs in zip(got, want):
        close(mine, theirs, because=because, tolerance=0)
