"""The progress bar: a listener that writes at most ten times a second, and a line for an epoch on what is no terminal."""

from __future__ import annotations

import sys
import time
from typing import Any, Self

from dougong.core.events import EpochBegan, EpochEnded, Event, StepEnded, TrainBegan, TrainEnded

__all__ = ["Bar"]

_PAUSE = 0.1  # seconds between writes


class Bar:
    """``verbose`` 0 shows nothing, 1 a bar (lines where there is no terminal), 2 one line an epoch.

    Many short epochs share lines: what would be faster than ten a second is left out, the last epoch never.
    """

    def __init__(self, epochs: int, *, live: bool) -> None:
        self.epochs, self.live = epochs, live
        self._epoch = 0
        self._began = self._epoch_began = time.perf_counter()
        self._written = 0.0
        self._held: tuple[EpochEnded, Any] | None = None
        self._display: Any = None
        self._console: Any = None

    @classmethod
    def for_verbosity(cls, verbose: Any, epochs: int) -> Bar:
        if verbose in (0, False):
            return _Silent(epochs, live=False)
        return cls(epochs, live=verbose in ("auto", 1, True) and sys.stdout.isatty())

    def __enter__(self) -> Self:
        from rich.console import Console  # lazy: 50 ms that a silent fit need not pay
        from rich.live import Live  # lazy: as above

        self._console = Console(highlight=False, soft_wrap=not self.live)
        if self.live:
            self._display = Live(console=self._console, auto_refresh=False, transient=True)
            self._display.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._held is not None:
            self._print_epoch(*self._held)
        if self._display is not None:
            self._display.stop()
            self._display = None

    def say(self, text: str) -> None:
        """A line of its own."""
        if self._console is not None:
            self._console.print(text)

    def handle(self, event: Event) -> None:
        match event:
            case StepEnded():
                self._step(event)
            case EpochBegan():
                self._epoch, self._epoch_began = event.epoch, time.perf_counter()
            case EpochEnded():
                self._epoch_ended(event)
            case TrainBegan():
                self._began = time.perf_counter()
                self._steps = event.steps
            case TrainEnded():
                pass

    def _step(self, event: StepEnded) -> None:
        now = time.perf_counter()
        if self._display is None or now - self._written < _PAUSE:
            return
        self._written = now
        done = event.step + 1
        spent = now - self._epoch_began
        part = done / event.steps if event.steps else None
        left = f"ETA {_clock(spent / done * (event.steps - done))}" if event.steps else f"{done} steps"
        self._display.update(self._line(part, f"{done}/{event.steps or '?'}", left, event.logs()), refresh=True)

    def _line(self, part: float | None, count: str, timing: str, logs: dict[str, Any]) -> Any:
        from rich.text import Text  # lazy: only where something is shown

        width = 24
        filled = width if part is None else min(width, int(part * width))
        line = Text()
        line.append(f"epoch {self._epoch + 1:>{len(str(self.epochs))}}/{self.epochs} ", "bold")
        line.append("━" * filled, "green").append("━" * (width - filled), "bright_black")
        line.append(f" {count}  {timing}  ", "cyan").append(_numbers(logs))
        return line

    def _epoch_ended(self, event: EpochEnded) -> None:
        now = time.perf_counter()
        steps = self._steps
        self._steps = steps
        last = event.epoch + 1 == self.epochs
        if now - self._written < _PAUSE and not last:
            self._held = (event, steps)
            return
        self._written = now
        self._held = None
        self._print_epoch(event, steps)

    def _print_epoch(self, event: EpochEnded, steps: int | None) -> None:
        number = f"{event.epoch + 1:>{len(str(self.epochs))}}/{self.epochs}"
        each = f"{event.seconds / steps * 1e3:.3g} ms/step" if steps else ""
        self._console.print(f"[bold]epoch {number}[/bold]  {_seconds(event.seconds)}  {each}  {_numbers(event.logs)}")

    def evaluated(self, logs: dict[str, Any], steps: int | None, seconds: float) -> None:
        """The one line of an evaluation."""
        self.__enter__()
        each = f"{seconds / steps * 1e3:.3g} ms/step  " if steps else ""
        self.say(f"[bold]evaluated[/bold]  {_seconds(seconds)}  {each}{_numbers(logs)}")
        self.__exit__()


class _Silent(Bar):
    """Shows nothing and costs nothing."""

    def __enter__(self) -> Self:
        return self

    def handle(self, event: Event) -> None:
        pass

    def evaluated(self, logs: dict[str, Any], steps: int | None, seconds: float) -> None:
        pass


def _numbers(logs: dict[str, Any]) -> str:
    """``loss 0.1234  accuracy 0.987``; what is no single number is left out."""
    return "  ".join(f"{name} {_digits(value)}" for name, value in logs.items() if isinstance(value, float | int))


def _digits(value: float) -> str:
    return f"{value:.4f}" if 1e-3 <= abs(value) < 1e4 or value == 0 else f"{value:.3e}"


def _seconds(seconds: float) -> str:
    return f"{seconds * 1e3:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02d}"
