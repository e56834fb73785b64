"""The stopwatch of a worker: time per step, per predict call, and Python frames of a call."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from types import FrameType
from typing import Any

__all__ = ["Frames", "Steps", "chosen_steps", "count_frames", "time_calls", "time_steps"]

_REPEATS = 3  # of a measurement in one round
_MOST_EPOCHS = 5000  # in one fit call, where a step is an epoch


@dataclass(frozen=True)
class Steps:
    """``step_ms``: one more training step.   ``call_ms``: a whole ``train(1)``: one step and what any call costs."""

    step_ms: float
    call_ms: float


@dataclass(frozen=True)
class Frames:
    """``calls``: Python functions entered in one call.   ``depth``: the deepest nesting among them."""

    calls: int
    depth: int


def chosen_steps(train: Callable[[int], Any], most: int | None, seconds: float) -> int:
    """How many steps ``train(steps)`` may make to last about ``seconds`` / repeats; 3 at least, ``most`` at most."""
    limit = most or _MOST_EPOCHS
    steps = min(3, limit)
    while True:
        started = perf_counter()
        train(steps)
        elapsed = perf_counter() - started
        if steps == limit or elapsed > seconds / (2 * _REPEATS):
            return max(min(3, limit), min(limit, round(steps * seconds / _REPEATS / elapsed)))
        steps = min(limit, steps * 4)


def time_steps(train: Callable[[int], Any], steps: int, seconds: float) -> Steps:
    r"""The marginal time of a step, free of what a call to ``fit`` costs once.

    .. math:: t = \frac{\min T(n) - \min T(1)}{n - 1}

    The minimum is over up to three repeats of each, fewer when ``seconds`` are over.
    """
    ones, manys = [], []
    begun = perf_counter()
    while len(ones) < _REPEATS and (not ones or perf_counter() - begun < seconds):
        for times, count in ((ones, 1), (manys, steps)):
            started = perf_counter()
            train(count)
            times.append(perf_counter() - started)
    one, many = min(ones), min(manys)
    if steps == 1 or many <= one:  # too short to be told apart
        return Steps(1e3 * many / steps, 1e3 * one)
    return Steps(1e3 * (many - one) / (steps - 1), 1e3 * one)


def time_calls(call: Callable[[], Any], seconds: float) -> float:
    """Median milliseconds of a call, over at least three calls, and as many as fit into ``seconds``, 500 at most."""
    call()
    times: list[float] = []
    begun = perf_counter()
    while len(times) < 3 or (len(times) < 500 and perf_counter() - begun < seconds):
        started = perf_counter()
        call()
        times.append(perf_counter() - started)
    return 1e3 * median(times)


def count_frames(call: Callable[[], Any]) -> Frames:
    """Count the Python functions that one call enters, and how deep they nest.

    >>> count_frames(lambda: max([3, 1], key=lambda value: -value))
    Frames(calls=3, depth=2)
    """
    calls = depth = deepest = 0

    def watch(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal calls, depth, deepest
        if event == "call":
            calls, depth = calls + 1, depth + 1
            deepest = max(deepest, depth)
        elif event == "return":
            depth -= 1

    previous = sys.getprofile()
    sys.setprofile(watch)
    try:
        call()
    finally:
        sys.setprofile(previous)
    return Frames(calls, deepest)
