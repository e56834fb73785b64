"""Lesson: backpropagation by hand, with every weight and every derivative named.

    python examples/backprop_by_hand.py

       i1 ──w1──> h1 ──w5──> o1        w9, w10 are the biases of h1, h2
          ╲ w3 ╱     ╲ w7 ╱            w11, w12 are the biases of o1, o2
          ╱ w2 ╲     ╱ w6 ╲            every unit is a sigmoid: s(z) = 1 / (1 + e^-z)
       i2 ──w4──> h2 ──w8──> o2        the loss is E = ½ (t1 - o1)² + ½ (t2 - o2)²

One sample is learned in four movements, repeated: forward pass, loss, chain rule, update.  Three computations of the
same thing are compared: the formulas written out below, torch's autograd, and a Dougong model with the same weights.
The starting numbers are those of M. Mazur's "A Step by Step Backpropagation Example" (2015).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

import dougong as dg

I1, I2, T1, T2, RATE = 0.05, 0.10, 0.01, 0.99, 0.5  # the inputs, their targets, the learning rate
START = {f"w{n}": w for n, w in enumerate([0.15, 0.2, 0.25, 0.3, 0.4, 0.45, 0.5, 0.55, 0.35, 0.35, 0.6, 0.6], 1)}


def sigmoid(z: Any) -> Any:
    return 1 / (1 + math.e**-z)  # works on numbers and on torch's tensors alike


def forward(w: dict[str, Any]) -> tuple[Any, Any, Any, Any, Any]:
    """The outputs of the four units, and the loss."""
    h1 = sigmoid(w["w1"] * I1 + w["w2"] * I2 + w["w9"])
    h2 = sigmoid(w["w3"] * I1 + w["w4"] * I2 + w["w10"])
    o1 = sigmoid(w["w5"] * h1 + w["w6"] * h2 + w["w11"])
    o2 = sigmoid(w["w7"] * h1 + w["w8"] * h2 + w["w12"])
    return h1, h2, o1, o2, (T1 - o1) ** 2 / 2 + (T2 - o2) ** 2 / 2


def derivatives(w: dict[str, float]) -> dict[str, tuple[str, float]]:
    """∂E/∂w of every weight: its formula and its value.

    δ of a unit is ∂E/∂z, with z the unit's weighted sum.  The chain rule gives it from the units behind, so the last
    layer comes first: that is the "back" in backpropagation.  The slope of a sigmoid is s(1 - s).
    """
    h1, h2, o1, o2, _ = forward(w)
    d_o1 = (o1 - T1) * o1 * (1 - o1)
    d_o2 = (o2 - T2) * o2 * (1 - o2)
    # A hidden unit has a share in both errors, each through the weight that leads there.
    d_h1 = (d_o1 * w["w5"] + d_o2 * w["w7"]) * h1 * (1 - h1)
    d_h2 = (d_o1 * w["w6"] + d_o2 * w["w8"]) * h2 * (1 - h2)
    return {
        "δo1": ("(o1 - t1) · o1 (1 - o1)", d_o1),
        "δo2": ("(o2 - t2) · o2 (1 - o2)", d_o2),
        "δh1": ("(δo1 w5 + δo2 w7) · h1 (1 - h1)", d_h1),
        "δh2": ("(δo1 w6 + δo2 w8) · h2 (1 - h2)", d_h2),
        # A weight's derivative is the δ of the unit that it leads to times the signal it carries; a bias carries 1.
        "w1": ("δh1 · i1", d_h1 * I1),
        "w2": ("δh1 · i2", d_h1 * I2),
        "w3": ("δh2 · i1", d_h2 * I1),
        "w4": ("δh2 · i2", d_h2 * I2),
        "w5": ("δo1 · h1", d_o1 * h1),
        "w6": ("δo1 · h2", d_o1 * h2),
        "w7": ("δo2 · h1", d_o2 * h1),
        "w8": ("δo2 · h2", d_o2 * h2),
        "w9": ("δh1", d_h1),
        "w10": ("δh2", d_h2),
        "w11": ("δo1", d_o1),
        "w12": ("δo2", d_o2),
    }


def updated(w: dict[str, float]) -> dict[str, float]:
    """One step against the gradient.  All derivatives are taken at the old weights, before any weight moves."""
    rows = derivatives(w)
    return {name: w[name] - RATE * rows[name][1] for name in w}


def autograd(w: dict[str, float]) -> dict[str, float]:
    """The same derivatives, found by torch from the forward pass alone."""
    tensors = {name: torch.tensor(value, dtype=torch.float64, requires_grad=True) for name, value in w.items()}
    *_, loss = forward(tensors)
    return dict(zip(w, (g.item() for g in torch.autograd.grad(loss, list(tensors.values())))))


def model_losses(epochs: int) -> list[float]:
    """The same network as a model.  Its mean squared error over two outputs is E: the mean divides by 2."""
    layers = [dg.layers.Dense(2, activation="sigmoid", dtype="float64") for _ in range(2)]
    model = dg.Sequential([dg.Input((2,), dtype="float64"), *layers])
    w = np.array(list(START.values()))
    # A kernel has a column for each unit, so w1 and w2, which lead to h1, stand in the first column.
    model.set_weights([w[0:4].reshape(2, 2).T, w[8:10], w[4:8].reshape(2, 2).T, w[10:12]])
    model.compile(dg.optimizers.SGD(RATE), loss=dg.losses.MeanSquaredError(dtype="float64"))
    return model.fit(np.array([[I1, I2]]), np.array([[T1, T2]]), epochs=epochs, verbose=0).history["loss"]


def main() -> tuple[dict[str, float], dict[str, float], list[float], list[float]]:
    """Returns the derivatives by hand and by autograd, and the losses by hand and by the model."""
    print("1  Forward:  h1 {:.9f}   h2 {:.9f}   o1 {:.9f}   o2 {:.9f}\n2  Loss:     E  {:.9f}".format(*forward(START)))
    rows, by_autograd, after = derivatives(START), autograd(START), updated(START)
    print("\n3  Chain rule, backwards; 4  update: new w = w - 0.5 ∂E/∂w")
    print(f"{'':5}{'∂E/∂ by the chain rule':34}{'by hand':>15}{'by autograd':>15}{'w':>7}{'new w':>12}")
    for name, (formula, value) in rows.items():
        right = f"{by_autograd[name]:15.9f}{START[name]:7.2f}{after[name]:12.8f}" if name in START else ""
        print(f"{name:5}{formula:34}{value:15.9f}{right}")
    by_hand = {name: rows[name][1] for name in START}
    print(f"largest difference between hand and autograd: {max(abs(by_hand[w] - by_autograd[w]) for w in START):.1e}")

    losses, w = [], START
    while not losses or losses[-1] > 1e-6:  # until both outputs are within about 0.001 of their targets
        losses.append(forward(w)[-1])
        w = updated(w)
    by_model = model_losses(len(losses))
    print(f"\nAgain and again, until it fits\n{'step':>7}{'E by hand':>16}{'E by the model':>16}")
    for step in (0, 1, 10, 100, 1000, 10_000, len(losses) - 1):
        print(f"{step:7d}{losses[step]:16.9f}{by_model[step]:16.9f}")
    print(f"largest difference between the two: {max(abs(a - b) for a, b in zip(losses, by_model)):.1e}")
    print("outputs now {2:.4f} and {3:.4f}; wanted {T1} and {T2}".format(*forward(w), T1=T1, T2=T2))
    return by_hand, by_autograd, losses, by_model


if __name__ == "__main__":
    main()
