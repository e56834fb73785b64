"""What a training run reports, in order.  The loop yields these; bars, logs and pages listen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["EpochBegan", "EpochEnded", "Event", "StepBegan", "StepEnded", "TrainBegan", "TrainEnded"]


class Event:
    """The base of all records."""

    __slots__ = ()


@dataclass(slots=True)
class TrainBegan(Event):
    """``epochs`` and ``steps`` (of an epoch; None when unknown) that are planned; ``plan`` says how a step runs."""

    epochs: int
    steps: int | None
    plan: str


@dataclass(slots=True)
class EpochBegan(Event):
    epoch: int


@dataclass(slots=True)
class StepBegan(Event):
    """A step is about to run.  Yielded only when a listener asked for every step."""

    epoch: int
    step: int


@dataclass(slots=True)
class StepEnded(Event):
    """A step is done.  ``logs()`` reads the running means off the device, so call it only to show them."""

    epoch: int
    step: int
    steps: int | None
    logs: Callable[[], dict[str, Any]]


@dataclass(slots=True)
class EpochEnded(Event):
    """``logs`` are the epoch's means, validation included; ``seconds`` its duration, ``steps`` how many it had."""

    epoch: int
    logs: dict[str, Any]
    seconds: float
    steps: int = 0


@dataclass(slots=True)
class TrainEnded(Event):
    """``reason`` is why training ended early, or empty."""

    logs: dict[str, Any]
    reason: str
