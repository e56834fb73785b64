"""Lesson: one network, written in three ways, taken through the seven steps.

    python examples/three_ways.py [folder for the saved models]

  Sequential   a list of layers: for networks that are a chain
  functional   layers applied to symbols: for branches, several inputs, several outputs; any torch function may stand in
  subclass     a class with `call`: for whatever Python can say, loops and conditions on the data included

    1 create the model   2 add layers   3 compile   4 fit   5 evaluate   6 predict   7 save

Steps 1 and 2 differ, steps 3 to 7 are the same words.  So are the numbers: with the same seed the three draw the same
starting weights and see the samples in the same order, and every figure below agrees to the last bit.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

import dougong as dg

FEATURES, CLASSES = 13, 3  # the wine sample: a chemical analysis of wines of three cultivars


def sequential() -> dg.Model:
    model = dg.Sequential()
    model.add(dg.Input((FEATURES,)))
    model.add(dg.layers.Dense(16, activation="tanh"))
    model.add(dg.layers.Dropout(0.2))
    model.add(dg.layers.Dense(CLASSES, activation="softmax"))
    return model


def functional() -> dg.Model:
    inputs = dg.Input((FEATURES,))
    hidden = dg.layers.Dense(16, activation="tanh")(inputs)
    hidden = dg.layers.Dropout(0.2)(hidden)
    return dg.Model(inputs, dg.layers.Dense(CLASSES, activation="softmax")(hidden))


@dg.saving.register_keras_serializable(package="lessons")
class Subclass(dg.Model):
    """Registered, because a file names classes but holds no code: reading one back looks the name up."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = dg.layers.Dense(16, activation="tanh")
        self.dropout = dg.layers.Dropout(0.2)
        self.out = dg.layers.Dense(CLASSES, activation="softmax")

    def call(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.out(self.dropout(self.hidden(inputs)))


class Result(NamedTuple):
    """What the seven steps gave."""

    parameters: int
    losses: list[float]
    loss: float
    accuracy: float
    predictions: np.ndarray
    reloaded: np.ndarray


def wine() -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Inputs and targets to train and to test with; each measure in units of its spread in the training part."""
    parts = dg.data.load_sample("wine").parts(val=0.1, test=0.25)
    mean, spread = parts.train.inputs.mean(axis=0), parts.train.inputs.std(axis=0)
    train, test = (((part.inputs - mean) / spread, part.targets) for part in (parts.train, parts.test))
    return train, test


def seven_steps(make: Callable[[], dg.Model], folder: Path) -> Result:
    train, test = wine()
    dg.utils.set_random_seed(7)
    model = make()  # 1 and 2
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])  # 3
    model(train[0][:1])  # the subclass makes its weights when it first sees data; the others were told by Input
    dg.utils.set_random_seed(8)  # from here on the order of the samples and the dropout
    losses = model.fit(*train, batch_size=16, epochs=40, verbose=0).history["loss"]  # 4
    loss, accuracy = model.evaluate(*test, verbose=0)  # 5
    predictions = model.predict(test[0], verbose=0)  # 6
    path = folder / f"{make.__name__}.keras"
    model.save(path)  # 7
    reloaded = dg.models.load_model(path).predict(test[0], verbose=0)
    return Result(model.count_params(), losses, loss, accuracy, predictions, reloaded)


def main(folder: str | Path = "runs/three_ways") -> dict[str, Result]:
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    results = {make.__name__: seven_steps(make, folder) for make in (sequential, functional, Subclass)}

    print("            parameters   first loss    last loss    test loss  accuracy  read back")
    for name, r in results.items():
        same = "same" if np.array_equal(r.predictions, r.reloaded) else "DIFFERENT"
        print(f"{name:12}{r.parameters:10d}{r.losses[0]:13.9f}{r.losses[-1]:13.9f}{r.loss:13.9f}", end="")
        print(f"{r.accuracy:10.4f}  {same}")
    return results


if __name__ == "__main__":
    main(*sys.argv[1:])
