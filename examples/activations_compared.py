"""Lesson: what activation functions do to learning, measured and drawn.

    python examples/activations_compared.py [folder for the pictures]

Four small experiments, each on the same five functions:

  1  Saturation.  Where a function is flat its slope is near 0, and a gradient that passes through ten layers is
     multiplied by ten slopes: with sigmoids, whose slope is 0.25 at most, hardly anything reaches the first layer.
  2  Zigzag.  A unit's gradient is one number (its δ) times its inputs.  If all inputs are positive, as a sigmoid's
     outputs are, then all components have one sign: the weights can only rise together or fall together.
  3  Dead units.  A ReLU unit whose sum is negative for every sample has slope 0 everywhere.  It never learns again.
  4  Cost.  A sigmoid and a tanh need an exponential for each value; a ReLU needs a comparison.
"""

from __future__ import annotations

import sys
import timeit
from pathlib import Path

import activations_pictures as pictures
import numpy as np
import torch

import dougong as dg

NAMES = ("sigmoid", "tanh", "relu", "leaky_relu", "elu")
RATES = (0.02, 0.05, 0.1, 0.2)
Z = torch.linspace(-8, 8, 1601)


def curve(name: str, z: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """The function and, by autograd, its slope."""
    z = z.clone().requires_grad_()
    values = dg.activations.get(name)(z)
    (slopes,) = torch.autograd.grad(values.sum(), z)
    return values.detach().numpy(), slopes.numpy()


def gradient_by_layer(name: str) -> list[float]:
    """How long each layer's gradient is in an untrained network of ten layers, relative to the last layer's."""
    dg.utils.set_random_seed(1)  # here and below: the same data and starting weights for each function and rate
    layers = [dg.layers.Dense(64, activation=name) for _ in range(10)]
    network = dg.Sequential([dg.Input((64,)), *layers])
    (network(torch.randn(256, 64)) - torch.randn(256, 64)).square().mean().backward()
    norms = [layer.weight.grad.norm().item() for layer in layers]
    return [norm / norms[-1] for norm in norms]


def descent(name: str, steps: int = 300) -> tuple[np.ndarray, np.ndarray, int]:
    """The way of two weights from (0, 0) to (1, -1), the shape of the error there, and the steps until it is near."""
    # One weight has to rise and the other to fall, which is what inputs of one sign make hard.
    dg.utils.set_random_seed(1)
    inputs = dg.activations.get(name)(torch.randn(steps, 2))  # what a layer with this function would hand on
    unit = dg.Sequential([dg.Input((2,)), dg.layers.Dense(1, use_bias=False, kernel_initializer="zeros")])
    # Each function gets the rate that suits the size of its values, so that only directions differ.
    unit.compile(dg.optimizers.SGD(0.25 / inputs.square().sum(1).mean().item()), "mse")
    way = [np.zeros(2)]
    note = dg.callbacks.LambdaCallback(on_train_batch_end=lambda *_: way.append(unit.get_weights()[0][:, 0].copy()))
    wanted = inputs @ torch.tensor([[1.0], [-1.0]])
    unit.fit(inputs, wanted, batch_size=1, shuffle=False, callbacks=[note], verbose=0)
    distance = np.linalg.norm(np.array(way) - [1, -1], axis=1)
    return np.array(way), (inputs.mT @ inputs / steps).numpy(), int((distance < 0.1).argmax())


def one_sign(way: np.ndarray) -> float:
    """The share of steps in which both weights rose or both fell, among those in which both moved."""
    products = np.diff(way, axis=0).prod(axis=1)
    return float((products > 0).sum() / (products != 0).sum())


def dead_units(name: str, rate: float) -> tuple[float, float]:
    """The share of 100 hidden units with slope 0 for all digits after training at this rate, and the accuracy."""
    dg.utils.set_random_seed(1)
    digits = dg.data.load_sample("digits")
    x = torch.tensor(digits.inputs, dtype=torch.float32).flatten(1) / 16
    sums = dg.layers.Dense(100)
    network = dg.Sequential([dg.Input((64,)), sums, dg.layers.Activation(name), dg.layers.Dense(10, "softmax")])
    network.compile(dg.optimizers.SGD(rate, momentum=0.9), "sparse_categorical_crossentropy", metrics=["accuracy"])
    network.fit(x, digits.targets, batch_size=32, epochs=8, verbose=0)
    _, slopes = curve(name, sums(x).detach())
    return float((slopes == 0).all(axis=0).mean()), network.evaluate(x, digits.targets, verbose=0)[1]


def cost(name: str, count: int = 30_000) -> float:
    """Nanoseconds for one value, forward and backward; so few values that they stay in the processor's cache."""
    function, z, ones = dg.activations.get(name), torch.randn(count, requires_grad=True), torch.ones(count)
    seconds = timeit.repeat(lambda: torch.autograd.grad(function(z), z, ones), number=1, repeat=1000)
    return min(seconds) / count * 1e9  # the quickest run is the least disturbed one


def measure(name: str) -> pictures.Measured:
    """All four experiments on one function."""
    dead, accuracy = zip(*(dead_units(name, rate) for rate in RATES))
    return pictures.Measured(
        *curve(name, Z), gradient_by_layer(name), *descent(name), list(dead), list(accuracy), cost(name)
    )


def main(folder: str | Path = "runs/activations") -> dict[str, pictures.Measured]:
    torch.set_num_threads(1)  # these networks are so small that a second thread would only be waited for
    results = {name: measure(name) for name in NAMES}
    print("           largest  first layer  moves of  steps to   dead at   ns a")
    print(f"             slope  of ten gets  one sign  the goal  rate {RATES[-1]}  value")
    for name, m in results.items():
        print(f"{name:12}{m.slopes.max():7.2f}{m.arriving[0]:13.1e}{one_sign(m.way):10.0%}", end="")
        print(f"{m.steps:10d}{m.dead[-1]:10.0%}{m.cost:7.2f}")

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    pictures.saturation(folder / "saturation.png", Z.numpy(), results)
    pictures.zigzag(folder / "zigzag.png", {name: results[name] for name in ("sigmoid", "tanh")})
    pictures.dead(folder / "dead_units.png", RATES, results)
    pictures.cost(folder / "cost.png", results)
    print("\npictures: " + ", ".join(str(path) for path in sorted(folder.glob("*.png"))))
    return results


if __name__ == "__main__":
    main(*sys.argv[1:])
