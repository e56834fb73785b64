"""Lesson: exclusive or, the smallest problem that one neuron cannot solve.

    python examples/xor.py [folder for the saved files]

The output is 1 when exactly one of two inputs is 1.  No straight line separates the ones from the zeros, so a hidden
layer is needed: 10 tanh units bend the plane, one sigmoid unit reads the answer as a probability.

    inputs 2  ──>  10 tanh units  ──>  1 sigmoid unit
                   2·10 + 10 = 30      10 + 1 = 11          41 parameters

The lesson trains until the network answers right, saves its structure and its weights in two files, and uses them again
without training.  No seed is fixed: every run starts from other weights and still ends at the same truth table.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np

import dougong as dg

X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype="float32")
Y = np.array([[0], [1], [1], [0]], dtype="float32")
GOAL = 0.0073  # the loss at which all four predictions are within 0.01 of the truth


class Lesson(NamedTuple):
    """What the run measured, for whoever wants to check it."""

    parameters: int
    untrained: np.ndarray
    losses: list[float]
    attempts: int
    trained: np.ndarray
    reloaded: np.ndarray


def new_network() -> dg.Sequential:
    """A network with new random starting weights.

    They are small, so that no tanh unit is saturated and predictions start near 0.5, which says "no idea": the loss of
    having no idea is ln 2 = 0.693.  They are random, because equal units would receive equal gradients for ever.
    """
    small = dg.initializers.RandomUniform(-0.6, 0.6)
    network = dg.Sequential(
        [
            dg.Input((2,)),
            dg.layers.Dense(10, activation="tanh", kernel_initializer=small),
            dg.layers.Dense(1, activation="sigmoid", kernel_initializer=small),
        ]
    )
    network.compile(optimizer=dg.optimizers.SGD(learning_rate=0.1), loss="binary_crossentropy", metrics=["accuracy"])
    return network


def show(title: str, predictions: np.ndarray) -> None:
    """The truth table beside the predicted probability and the class it means."""
    print(f"\n{title}\n  a  b   a xor b   predicted   class")
    for (a, b), wanted, p in zip(X, Y[:, 0], predictions[:, 0]):
        print(f"  {a:.0f}  {b:.0f}   {wanted:7.0f}   {p:9.3f}   {int(p > 0.5):5d}")


def train(attempts: int = 10) -> tuple[dg.Sequential, np.ndarray, list[float], int]:
    """Fit until the goal is met: first longer, then, if that does not help, from new starting weights."""
    for attempt in range(1, attempts + 1):
        network = new_network()
        untrained = network.predict(X, verbose=0)
        # All four samples are one batch, so an epoch is one step of gradient descent, and a small one.
        losses = network.fit(X, Y, epochs=100, verbose=0).history["loss"]
        while losses[-1] > GOAL and len(losses) < 10_000:
            losses += network.fit(X, Y, epochs=250, verbose=0).history["loss"]  # fit goes on where it stopped
        if losses[-1] <= GOAL:
            break
        print(f"attempt {attempt} is stuck at loss {losses[-1]:.3f}: try other starting weights")
    return network, untrained, losses, attempt


def main(folder: str | Path = "runs/xor") -> Lesson:
    network, untrained, losses, attempts = train()
    print(f"{network.count_params()} parameters")
    show("Before training", untrained)

    print("\n epochs     loss")
    for epoch in (1, 100, 500, 1000, 1500, 2000, 2500, 3000, len(losses)):
        if epoch <= len(losses):
            print(f"{epoch:7d}   {losses[epoch - 1]:.4f}")

    trained = network.predict(X, verbose=0)
    show("After training", trained)
    loss, accuracy = network.evaluate(X, Y, verbose=0)
    print(f"loss {loss:.4f}, accuracy {accuracy:.2f}")

    # The structure is text that a person can read; the weights are numbers, in HDF5.  Apart, one structure can go with
    # many weights; `network.save("xor.keras")` would put both into one file.
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "xor.json").write_text(network.to_json(indent=2), encoding="utf-8")
    network.save_weights(folder / "xor.weights.h5")

    again = dg.models.model_from_json((folder / "xor.json").read_text(encoding="utf-8"))
    again.load_weights(folder / "xor.weights.h5")
    reloaded = again.predict(X, verbose=0)
    show(f"Read back from {folder / 'xor.json'} and xor.weights.h5, not trained again", reloaded)
    return Lesson(network.count_params(), untrained, losses, attempts, trained, reloaded)


if __name__ == "__main__":
    main(*sys.argv[1:])
