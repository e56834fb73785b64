"""The one training loop: it yields what happens, and listeners show, record and steer."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from dougong.core.errors import NonFiniteError
from dougong.core.events import EpochBegan, EpochEnded, Event, StepBegan, StepEnded, TrainBegan, TrainEnded
from dougong.training.interrupt import Interruption

__all__ = ["Control", "Steps", "train"]

_PAUSE = 0.1  # seconds between reports of steps, unless someone wants them all


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
    def epoch(self, index: int, start: int = 0) -> Iterator[Any]: ...


def _never() -> bool:
    return False


@dataclass
class Control:
    """How listeners steer a running loop: it ends after the step at hand once there is a ``reason``.

    ``stopped`` tells whether a callback wants the end; with ``endures`` a loss that is not finite is an end, no error.
    ``backup`` is the callback that may take up a run begun before.
    """

    interruption: Interruption = field(default_factory=Interruption)
    stopped: Callable[[], bool] = _never
    endures: bool = False
    backup: Any = None
    reason: str = ""

    def stop(self, epoch: int) -> bool:
        """Whether to end now, in ``epoch``."""
        if self.reason:
            return True
        if self.interruption.requested:
            self.reason = f"stopped by Ctrl-C in epoch {epoch + 1}"
        elif self.stopped():
            self.reason = f"stopped by a callback in epoch {epoch + 1}"
        return bool(self.reason)


def train(
    steps: Callable[[], Steps],
    source: Batches,
    *,
    epochs: range,
    control: Control,
    validate: Callable[[int], dict[str, Any]] | None = None,
    every_step: bool = False,
) -> Iterator[Event]:
    """Run ``epochs`` over ``source``.  Steps are reported at most ten times a second unless ``every_step``.

    ``steps`` gives the step for an epoch, since what callbacks do between epochs may ask for another one.
    An epoch that is cut short is closed like any other: its means so far, validation unless Ctrl-C came, its event.
    Raises: NonFiniteError, saying where, with the weights as they were before the step.
    """
    yield TrainBegan(epochs.stop, source.num_batches, steps().plan)
    logs: dict[str, Any] = {}
    epochs, first = (epochs, 0) if control.backup is None else control.backup.resume(epochs, source, control)
    for epoch in epochs:
        yield EpochBegan(epoch)
        started = reported = time.perf_counter()
        step = steps()
        step.reset()
        batches = source.epoch(epoch, first)
        if control.backup is not None:
            control.backup.follow(step)
        index, finite = first - 1, True
        for index, batch in enumerate(batches, first):
            if every_step:
                yield StepBegan(epoch, index)
            try:
                step(batch)
            except NonFiniteError as error:
                finite = False
                control.reason = f"epoch {epoch + 1}, step {index + 1}: {error}"
                if not control.endures:
                    raise NonFiniteError(control.reason) from None
            now = time.perf_counter()
            if every_step or now - reported > _PAUSE:
                reported = now
                yield StepEnded(epoch, index, source.num_batches, step.logs)
            if control.stop(epoch):
                break
        logs = step.logs() if finite else step.logs() | {"loss": math.nan}
        if validate is not None and not control.interruption.requested:
            logs |= validate(epoch)
        yield EpochEnded(epoch, logs, time.perf_counter() - started, index + 1)
        if control.stop(epoch) or getattr(source, "exhausted", False):
            break
        first = 0
    yield TrainEnded(logs, control.reason)
