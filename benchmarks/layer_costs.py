"""``python -m benchmarks.layer_costs``: each layer, forward and with its gradients, beside plain PyTorch and Keras.

Layers are called directly, uncaptured, on one thread; the three take turns, and a ratio is the median of the turns'
ratios of times: below 1, Dougong is faster.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn

import dougong as dg
from benchmarks import machine
from benchmarks.layer_cases import CASES, Case

__all__ = ["Cost", "main", "measure"]

_RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Cost:
    """Microseconds of Dougong's layer, and its time divided by the others', None where there is none."""

    name: str
    what: str
    microseconds: float
    to_torch: float | None
    to_keras: float | None


def measure(case: Case, keras_layers: Any, rounds: int, seconds: float) -> list[Cost]:
    """The costs of one case, forward in inference and step in training."""
    torch.manual_seed(0)
    inputs = [_numbers(case) for _ in range(case.inputs)]
    rivals: dict[str, tuple[Callable[..., Any], list[Tensor], bool]] = {
        "dougong": (case.make(dg.layers), inputs, True),
        "keras": (case.make(keras_layers), inputs, True),
    }
    if case.plain is not None:
        rivals["torch"] = (case.plain(), [case.arrange(one) for one in inputs], False)
    found = []
    for what in ("forward", "step"):
        calls = {name: _call(*rival, training=what == "step") for name, rival in rivals.items()}
        times = _turns(calls, rounds, seconds)
        ratios = {
            name: median(own / other for own, other in zip(times["dougong"], times[name]))
            for name in ("torch", "keras")
            if name in times
        }
        own = 1e6 * median(times["dougong"])
        found.append(Cost(case.name, what, own, ratios.get("torch"), ratios.get("keras")))
    return found


def _numbers(case: Case) -> Tensor:
    if case.whole:
        return torch.randint(0, 100, case.shape)
    return torch.randn(case.shape)


def _call(layer: Callable[..., Any], inputs: list[Tensor], packed: bool, *, training: bool) -> Callable[[], Any]:
    """One forward pass, or one with gradients of the inputs and the weights."""
    given: list[Any] = [one.clone().requires_grad_(training and one.is_floating_point()) for one in inputs]
    arguments = [given] if packed and len(given) > 1 and _merges(layer) else given
    options = {}
    if isinstance(layer, nn.Module) and (not packed or isinstance(layer, dg.Layer)):
        layer.train(training)  # as in PyTorch, so that the call has no more to say
    else:
        options = {"training": training} if packed else {}
    with torch.no_grad():
        layer(*arguments, **options)

    def forward() -> Any:
        with torch.no_grad():
            return layer(*arguments, **options)

    def step() -> None:
        output = layer(*arguments, **options)
        if output.requires_grad:
            output.sum().backward()

    return step if training else forward


def _merges(layer: Any) -> bool:
    return type(layer).__name__ in ("Add", "Concatenate", "Attention", "AdditiveAttention")


def _turns(calls: dict[str, Callable[[], Any]], rounds: int, seconds: float) -> dict[str, list[float]]:
    counts = {}
    for name, call in calls.items():
        call()
        begun = time.perf_counter()
        call()
        counts[name] = max(1, int(seconds / max(1e-7, time.perf_counter() - begun)))
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            begun = time.perf_counter()
            for _ in range(counts[name]):
                call()
            times[name].append((time.perf_counter() - begun) / counts[name])
    return times


def page(costs: Sequence[Cost], found: dict[str, Any], date: str) -> str:
    """The table as Markdown."""
    lines = [
        f"# What a layer costs, {date}",
        "",
        f"{found['cpu']}, one thread, torch {torch.__version__}.  Time of a direct, uncaptured call of the layer in",
        "Dougong, and that time divided by plain PyTorch's and by Keras's on torch: below 1, Dougong is faster.",
        "",
        "| layer | forward, µs | ÷ PyTorch | ÷ Keras | forward and backward, µs | ÷ PyTorch | ÷ Keras |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for forward, step in zip(costs[::2], costs[1::2]):
        cells = [
            cell
            for one in (forward, step)
            for cell in (f"{one.microseconds:,.0f}", _ratio(one.to_torch), _ratio(one.to_keras))
        ]
        lines.append(f"| {forward.name} | " + " | ".join(cells) + " |")
    for what in ("forward", "step"):
        for rival in ("to_torch", "to_keras"):
            ratios = [(value, one.name) for one in costs if one.what == what and (value := getattr(one, rival))]
            name, (most, worst) = "PyTorch" if rival == "to_torch" else "Keras", max(ratios)
            middle = median(value for value, _ in ratios)
            lines += ["", f"{what} ÷ {name}: median {middle:.2f}, largest {most:.2f} ({worst})."]
    return "\n".join(lines) + "\n"


def _ratio(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def main(argv: Sequence[str] | None = None) -> None:
    """Measure all layers, or those named, and write the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.layer_costs", description=__doc__)
    parser.add_argument("names", nargs="*", help="parts of names; all if none")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=0.01, help="of each turn")
    arguments = parser.parse_args(argv)
    os.environ.setdefault("KERAS_BACKEND", "torch")
    import keras  # lazy: the backend must be chosen first

    torch.set_num_threads(1)
    chosen = [case for case in CASES if not arguments.names or any(name in case.name for name in arguments.names)]
    costs: list[Cost] = []
    for case in chosen:
        costs += measure(case, keras.layers, arguments.rounds, arguments.seconds)
        for one in costs[-2:]:
            print(f"{one.name:26s} {one.what:8s} {one.microseconds:10.1f} µs  ÷ torch {_ratio(one.to_torch):5s}"
                  f" ÷ keras {_ratio(one.to_keras):5s}")  # fmt: skip
    found, date = machine.describe(), time.strftime("%Y-%m-%d")
    text = page(costs, found, date)
    if len(chosen) == len(CASES):
        path = _RESULTS / f"layers-{machine.slug(found)}-{date}.md"
        path.write_text(text)
        print(f"written: {path}")
    else:
        print(text)


if __name__ == "__main__":
    main()
