"""Lesson: the neuron, from the perceptron's step to the sigmoid.

    python examples/neuron.py

A perceptron adds up its inputs, each times its weight, adds a bias, and fires (1) if the sum is not negative:

    output = hardlim(w1 x1 + w2 x2 + b),   hardlim(z) = 1 for z >= 0, else 0

Three experiments: what the bias is for; how one perceptron learns, and what it cannot learn; and why networks that are
to learn need units that are smooth: in a stack of steps, a small change of a weight does nothing, or flips the answer.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import NamedTuple

import numpy as np
import torch

import dougong as dg

INPUTS = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype="float32")
GATES = {"and": [0, 0, 0, 1], "or": [0, 1, 1, 1], "nand": [1, 1, 1, 0], "nor": [1, 0, 0, 0], "xor": [0, 1, 1, 0]}


class Lesson(NamedTuple):
    """Right answers out of 4 for each gate; changes of the outputs of both stacks for each change of the weight."""

    without_bias: dict[str, int]
    with_bias: dict[str, int]
    learned: dict[str, int]
    step_changes: list[float]
    sigmoid_changes: list[float]


def perceptron(use_bias: bool = True) -> dg.Sequential:
    """A weighted sum and a step.  `HardLim` passes no gradient: the perceptron learns by a rule of its own."""
    return dg.Sequential([dg.Input((2,)), dg.layers.Dense(1, use_bias=use_bias), dg.layers.HardLim()])


def best_by_trying(use_bias: bool) -> dict[str, int]:
    """The most right answers for each gate over a grid of weights: nothing is left to the luck of training."""
    unit, grid = perceptron(use_bias), [-1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5]
    best = dict.fromkeys(GATES, 0)
    for w1, w2, b in product(grid, grid, grid if use_bias else [0.0]):
        unit.set_weights([np.array([[w1], [w2]]), np.array([b])][: 1 + use_bias])
        outputs = unit(INPUTS)[:, 0].numpy()
        for gate, wanted in GATES.items():
            best[gate] = max(best[gate], int((outputs == wanted).sum()))
    return best


def learn(gate: str, epochs: int = 20) -> int:
    """Rosenblatt's rule: after a wrong answer move the weights by (wanted - output) times the input."""
    unit = perceptron()
    unit.set_weights([np.zeros((2, 1)), np.zeros(1)])
    for _ in range(epochs):
        for x, wanted in zip(INPUTS, GATES[gate]):
            error = wanted - unit(x[None]).item()
            kernel, bias = unit.get_weights()
            unit.set_weights([kernel + error * x[:, None], bias + error])
    return int((unit(INPUTS)[:, 0].numpy() == GATES[gate]).sum())


def stack(unit: Callable[[], dg.Layer]) -> dg.Sequential:
    """Two inputs, three units, one unit: the same weights whatever the unit."""
    model = dg.Sequential([dg.Input((2,)), dg.layers.Dense(3), unit(), dg.layers.Dense(1), unit()])
    kernel = np.array([[1.0, -0.6, 0.5], [-0.4, 0.8, 0.7]])
    model.set_weights([kernel, np.array([-0.2, 0.1, -0.9]), np.array([[1.0], [-0.7], [0.6]]), np.array([-0.2])])
    return model


def output_after(model: dg.Sequential, change: float) -> float:
    """The answer to one input with the first weight of the stack moved by ``change``."""
    weights = model.get_weights()
    weights[0][0, 0] += change
    moved = dg.models.clone_model(model)
    moved.set_weights(weights)
    return moved(torch.tensor([[0.5, 0.4]])).item()


def main() -> Lesson:
    print("1  The bias.  Without it the input (0, 0) always sums to 0, whatever the weights: the answer there is stuck")
    print("   at 1.  Right answers out of 4, with the best weights of a grid, and learned by Rosenblatt's rule:")
    without, with_bias = best_by_trying(use_bias=False), best_by_trying(use_bias=True)
    learned = {gate: learn(gate) for gate in GATES}
    print(f"\n   {'gate':6}{'no bias':>9}{'bias':>9}{'learned':>9}")
    for gate in GATES:
        print(f"   {gate:6}{without[gate]:9d}{with_bias[gate]:9d}{learned[gate]:9d}")
    print("\n2  No single perceptron learns xor: one straight line cannot part its ones from its zeros.  See xor.py.")

    print("\n3  A stack of three units and one, as steps and as sigmoids.  One weight is moved a little:\n")
    print(f"   {'change of w':>11}{'step output':>14}{'change':>9}{'sigmoid output':>17}{'change':>11}{'per unit':>10}")
    steps, sigmoids = stack(dg.layers.HardLim), stack(lambda: dg.layers.Activation("sigmoid"))
    step0, smooth0 = output_after(steps, 0.0), output_after(sigmoids, 0.0)
    step_changes, smooth_changes = [], []
    for change in (-0.001, -0.01, -0.1, -0.2, -0.3, -0.4, -0.8):
        step, smooth = output_after(steps, change), output_after(sigmoids, change)
        step_changes.append(step - step0)
        smooth_changes.append(smooth - smooth0)
        left, right = f"{change:11.3f}{step:14.0f}{step - step0:9.0f}", f"{smooth:17.6f}{smooth - smooth0:11.6f}"
        print(f"   {left}{right}{(smooth - smooth0) / change:10.4f}")
    print("\n   The step says nothing for a long while and then everything at once: no direction to learn from.")
    print("   The sigmoid answers each small change with a small one, nearly in proportion: a derivative exists.")
    return Lesson(without, with_bias, learned, step_changes, smooth_changes)


if __name__ == "__main__":
    main()
