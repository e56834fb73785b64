"""The one training loop: it yields what happens, and listeners show, record and steer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from dougong.core.events import EpochBegan, EpochEnded, Event, StepBegan, StepEnded, TrainBegan, TrainEnded
from dougong.training.interrupt import Interruption

__all__ = ["Control", "Steps", "train"]

_REPORTS_PER_SECOND = 10


class Steps(Protocol):
    """What the loop asks of a step: see `training.steps` and `training.custom`."""

    plan: str

    def __call__(self, batch: Any) -> Any: ...
    def reset(self) -> None: ...
    def logs(self) -> dict[str, Any]: ...


class Batches(Protocol):
    """What the loop asks of a source of data."""

    @property
    def num_batches(self) -> int | None: ...
    def epoch(self, index: int) -> Iterator[Any]: ...


@dataclass
class Control:
    """How listeners steer a running loop: set ``reason`` and it stops after the step at hand."""

    interruption: Interruption = field(default_factory=Interruption)
    stopped: Callable[[], bool] = lambda: False
    reason: str = ""

    def stop(self) -> bool:
        if self.interruption.requested and not self.reason:
            self.reason = "stopped by Ctrl-C"
        return bool(self.reason) or self.stopped()


def train(
    step: Steps,
    source: Batches,
    *,
    epochs: range,
    control: Control,
    validate: Callable[[int], dict[str, Any]] | None = None,
    every_step: bool = False,
) -> Iterator[Event]:
    """Run ``epochs`` over ``source``.  Steps are reported at most ten times a second unless ``every_step``."""
    yield TrainBegan(epochs.stop, source.num_batches, step.plan)
    logs: dict[str, Any] = {}
    for epoch in epochs:
        yield EpochBegan(epoch)
        started = reported = time.perf_counter()
        step.reset()
        for index, batch in enumerate(source.epoch(epoch)):
            if every_step:
                yield StepBegan(epoch, index)
            step(batch)
            now = time.perf_counter()
            if every_step or now - reported > 1 / _REPORTS_PER_SECOND:
                reported = now
                yield StepEnded(epoch, index, source.num_batches, step.logs)
            if control.stop():
                break
        logs = step.logs()
        if validate is not None and not control.interruption.requested:
            logs |= validate(epoch)
        yield EpochEnded(epoch, logs, time.perf_counter() - started)
        if control.stop() or getattr(source, "exhausted", False):
            break
    yield TrainEnded(logs, control.reason)
