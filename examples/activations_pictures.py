"""The pictures of the lesson on activation functions.  Drawing only: activations_compared.py does the measuring."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# One colour for each function in all pictures, from the palette of Okabe and Ito, which colour-blind readers can tell
# apart; the dashes keep lines apart that lie on each other.
STYLES: dict[str, dict[str, Any]] = {
    "sigmoid": {"color": "#D55E00", "linestyle": "-", "marker": "o"},
    "tanh": {"color": "#0072B2", "linestyle": "-", "marker": "s"},
    "relu": {"color": "#009E73", "linestyle": "-", "marker": "^"},
    "leaky_relu": {"color": "#CC79A7", "linestyle": "--", "marker": "v"},
    "elu": {"color": "#E69F00", "linestyle": "-.", "marker": "D"},
}
INK, FAINT = "#333333", "#DDDDDD"


class Measured(NamedTuple):
    """What the lesson measures of one function."""

    values: np.ndarray  # f(z) at the z drawn
    slopes: np.ndarray  # f'(z) there
    arriving: list[float]  # length of each layer's gradient, the last layer's being 1
    way: np.ndarray  # two weights, step by step, [steps + 1, 2]
    bowl: np.ndarray  # mean products of the two inputs, [2, 2]: the shape of the error around the goal
    steps: int  # until the two weights are near their goal
    dead: list[float]  # share of dead units for each learning rate
    accuracy: list[float]  # share of digits read right for each learning rate
    cost: float  # nanoseconds a value


def dress(axes: Axes, title: str, x: str, y: str) -> None:
    """Title on the left, names of both axes, a faint grid, no box."""
    axes.set_title(title, loc="left", fontsize=12, color=INK, pad=10)
    axes.set_xlabel(x, color=INK)
    axes.set_ylabel(y, color=INK)
    axes.grid(color=FAINT, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(colors=INK)


def figure(width: float, height: float = 4.4) -> Figure:
    return Figure(figsize=(width, height), dpi=150, layout="constrained", facecolor="white")


def saturation(path: Path, z: np.ndarray, results: Mapping[str, Measured]) -> None:
    drawing = figure(15)
    left, middle, right = drawing.subplots(1, 3)
    for name, result in results.items():
        plain = {**STYLES[name], "marker": "", "linewidth": 2, "label": name}
        left.plot(z, result.values, **plain)
        middle.plot(z, result.slopes, **plain)
        right.plot(range(1, len(result.arriving) + 1), result.arriving, **STYLES[name], linewidth=2, markersize=5)
    dress(left, "Five activation functions", "weighted sum z of a unit", "output f(z)")
    dress(middle, "Their slopes: where one is 0, nothing is learned", "weighted sum z of a unit", "slope f ′(z)")
    dress(right, "What arrives of the gradient, ten layers deep", "layer", "length of the gradient; last layer = 1")
    left.set_ylim(-2, 4)
    right.set_yscale("log")
    right.set_xticks(range(1, len(results["sigmoid"].arriving) + 1))
    lost = results["sigmoid"].arriving[0]
    right.annotate(f"sigmoid: {lost:.0e}", (1, lost), (1.7, lost * 0.8), color=STYLES["sigmoid"]["color"])
    left.legend(frameon=False, loc="upper left")
    drawing.savefig(path)


def zigzag(path: Path, results: Mapping[str, Measured]) -> None:
    """The ways of two weights over the bowl of the error, whose lines of equal height are drawn."""
    drawing = figure(10.5, 5.6)
    w1, w2 = np.meshgrid(np.linspace(-0.8, 1.8, 200), np.linspace(-1.8, 0.8, 200))
    for axes, (name, result) in zip(drawing.subplots(1, 2, sharey=True), results.items()):
        (a, b), (_, c) = result.bowl / np.trace(result.bowl)
        error = a * (w1 - 1) ** 2 + 2 * b * (w1 - 1) * (w2 + 1) + c * (w2 + 1) ** 2
        axes.contour(w1, w2, error, levels=np.geomspace(0.01, 4, 10), colors="#BBBBBB", linewidths=0.8)
        axes.plot(*result.way.T, color=STYLES[name]["color"], linewidth=1.4, marker=".", label="a step for each sample")
        axes.plot(0, 0, "o", color=INK, markersize=8, label="start")
        axes.plot(1, -1, "*", color=INK, markersize=15, label="goal")
        axes.plot([], [], color="#BBBBBB", linewidth=0.8, label="equal error")
        signs = "all positive" if name == "sigmoid" else "of both signs"
        dress(axes, f"Inputs from {name}, {signs}: {result.steps} steps", "weight w1", "weight w2")
        axes.set_aspect("equal")
        axes.label_outer()
        axes.legend(framealpha=0.95, edgecolor="none", loc="lower left")
    drawing.savefig(path)


def dead(path: Path, rates: Sequence[float], results: Mapping[str, Measured]) -> None:
    drawing = figure(11)
    left, right = drawing.subplots(1, 2)
    for name, result in results.items():
        for axes, shares in ((left, result.dead), (right, result.accuracy)):
            axes.plot(rates, 100 * np.array(shares), **STYLES[name], label=name, linewidth=2, markersize=5)
    dress(left, "Units whose slope is 0 for every picture", "learning rate", "dead hidden units, %")
    dress(right, "What the network reads after training", "learning rate", "digits read right, %")
    for axes in (left, right):
        axes.set_xscale("log")
        axes.set_xticks(rates, [f"{rate:g}" for rate in rates])
        axes.minorticks_off()
    left.legend(frameon=False, loc="upper left")
    drawing.savefig(path)


def cost(path: Path, results: Mapping[str, Measured]) -> None:
    drawing = figure(8, 3.2)
    axes = drawing.subplots()
    names = sorted(results, key=lambda name: -results[name].cost)
    bars = axes.barh(names, [results[n].cost for n in names], color=[STYLES[n]["color"] for n in names], height=0.62)
    axes.bar_label(bars, fmt="%.2f", padding=4, color=INK)
    dress(axes, "Time for one value, forward and backward", "nanoseconds, one thread", "")
    axes.margins(x=0.1)
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)
    drawing.savefig(path)
