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
import time
from pathlib import Path
from typing import NamedTuple

import activations_pictures as pictures
import numpy as np
import torch

import dougong as dg

NAMES = ("sigmoid", "tanh", "relu", "leaky_relu", "elu")
RATES = (0.01, 0.03, 0.1, 0.3, 1.0)
DEPTH = 10


def curve(name: str, z: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """The function and, by autograd, its slope."""
    z = z.clone().requires_grad_()
    value = dg.activations.get(name)(z)
    (slope,) = torch.autograd.grad(value.sum(), z)
    return value.detach().numpy(), slope.numpy()


def gradient_by_layer(name: str) -> list[float]:
    """How long each layer's gradient is in an untrained network of ten layers, relative to the last layer's."""
    dg.utils.set_random_seed(1)
    layers = [dg.layers.Dense(64, activation=name) for _ in range(DEPTH)]
    network = dg.Sequential([dg.Input((64,)), *layers])
    loss = (network(torch.randn(256, 64)) - torch.randn(256, 64)).square().mean()
    loss.backward()
    norms = [layer.weight.grad.norm().item() for layer in layers]
    return [norm / norms[-1] for norm in norms]


def descent(name: str, steps: int = 600) -> np.ndarray:
    """The way of two weights from (0, 0) to (1, -1), sample by sample; the inputs have passed the function.   [steps, 2]

    The goal wants one weight to rise and the other to fall, which is what inputs of one sign make hard.
    """
    dg.utils.set_random_seed(1)
    inputs = dg.activations.get(name)(torch.randn(steps, 2))
    unit = dg.Sequential([dg.Input((2,)), dg.layers.Dense(1, use_bias=False, kernel_initializer="zeros")])
    # Each function gets the rate that suits the size of its values, so that only directions differ.
    unit.compile(dg.optimizers.SGD(0.25 / inputs.square().sum(1).mean().item()), "mse")
    path = [np.zeros(2)]
    note = dg.callbacks.LambdaCallback(on_train_batch_end=lambda *_: path.append(unit.get_weights()[0][:, 0].copy()))
    wanted = inputs @ torch.tensor([[1.0], [-1.0]])
    unit.fit(inputs, wanted, batch_size=1, shuffle=False, callbacks=[note], verbose=0)
    return np.array(path)


def one_sign(path: np.ndarray) -> float:
    """The share of steps in which both weights rose or both fell."""
    moves = np.diff(path, axis=0)
    moves = moves[(np.abs(moves) > 1e-9).all(axis=1)]
    return float((moves.prod(axis=1) > 0).mean())


def dead_units(name: str, rate: float) -> tuple[float, float]:
    """The share of 100 hidden units with slope 0 for all digits after training at this rate, and the accuracy."""
    dg.utils.set_random_seed(1)
    digits = dg.data.load_sample("digits")
    x = torch.tensor(digits.inputs, dtype=torch.float32).flatten(1) / 16
    sums = dg.layers.Dense(100)
    network = dg.Sequential([dg.Input((64,)), sums, dg.layers.Activation(name), dg.layers.Dense(10)])
    loss = dg.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile(dg.optimizers.SGD(rate, momentum=0.9), loss, metrics=["accuracy"])
    network.fit(x, digits.targets, batch_size=32, epochs=8, verbose=0)
    _, slope = curve(name, sums(x).detach())
    return float((slope == 0).all(axis=0).mean()), network.evaluate(x, digits.targets, verbose=0)[1]


def cost(name: str, values: int = 100_000, repeats: int = 200) -> float:
    """Nanoseconds for one value, forward and backward, with one thread: the quickest of many runs."""
    function, z = dg.activations.get(name), torch.randn(values, requires_grad=True)
    ones, best = torch.ones(values), float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        torch.autograd.grad(function(z), z, ones)
        best = min(best, time.perf_counter() - start)
    return best / values * 1e9
