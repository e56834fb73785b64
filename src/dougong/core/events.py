"""What a training run reports, in order.  The loop yields these; bars, logs and pages listen."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = ["EpochBegan", "EpochEnded", "Event", "StepEnded", "TrainBegan", "TrainEnded"]


class Event:
    """The base of all records."""

    __slots__ = ()


@dataclass(slots=True)
class TrainBegan(Event):
    """``epochs`` and ``steps`` (of an epoch; None when unknown) that are planned."""

    epochs: int
    steps: int | None
    plan: str = ""


@dataclass(slots=True)
class EpochBegan(Event):
    epoch: int


@dataclass(slots=True)
class StepEnded(Event):
    """One parameter update.  ``logs`` reads the running means off the device, so ask only when they are shown."""

    epoch: int
    step: int
    steps: int | None
    logs: Any


@dataclass(slots=True)
class EpochEnded(Event):
    epoch: int
    logs: dict[str, float]
    seconds: float


@dataclass(slots=True)
class TrainEnded(Event):
    """``reason`` is one sentence: why training stopped."""

    logs: dict[str, float] = field(default_factory=dict)
    reason: str = ""
