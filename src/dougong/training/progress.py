"""What a run shows: a table with one row an epoch, and on a terminal a bar for the epoch at work.

    epoch     time  ms/step      loss  accuracy  val_loss  val_accuracy
     1/20    1.2 s     2.51    0.4311    0.8432    0.3522        0.8760
     2/20  ━━━━━━━━━━━━╌╌╌╌    0.3540    0.8710  312/469  0:01 left

Nothing is written more often than ten times a second: rows of many short epochs are left out, the last one never.
"""

from __future__ import annotations

import sys
import time
from typing import Any, Self

from dougong.core.errors import ConfigError
from dougong.core.events import EpochBegan, EpochEnded, Event, StepEnded, TrainEnded
from dougong.core.settings import SETTINGS
from dougong.training.columns import Columns, clock, duration, milliseconds, number

__all__ = ["Bar"]

_PAUSE = 0.1  # seconds between writes
_WIDTH = 16  # of the bar: that of the two columns in whose place it stands


class Bar:
    """``verbose`` 0 shows nothing, 1 a bar (rows alone where there is no terminal), 2 rows alone.

    "auto" is 1, or 2 once `dougong.config.disable_interactive_logging` was called.

    ``fitting`` tells a run of `fit` from a single evaluation or prediction, which shows a bar only while it runs.
    """

    def __init__(self, epochs: int, *, live: bool, fitting: bool = False) -> None:
        self.fitting = fitting
        self._epochs, self._live = epochs, live
        self._columns = Columns(f"{epochs}/{epochs}" if fitting else "")
        self._epoch = 0
        self._began = time.perf_counter()  # the epoch, or what else is at work
        self._task = ""
        self._written = 0.0
        self._held: EpochEnded | None = None
        self._logs: dict[str, Any] = {}
        self._console: Any = None
        self._display: Any = None

    @classmethod
    def for_verbosity(cls, verbose: Any, epochs: int, *, fitting: bool = False) -> Bar:
        """The bar that `fit`'s ``verbose`` means."""
        if verbose in (0, False):
            return _SILENT
        if verbose not in (1, 2, "auto"):
            raise ConfigError(f"verbose must be 0, 1, 2 or 'auto', got {verbose!r}")
        wanted = SETTINGS.interactive if verbose == "auto" else verbose == 1
        return cls(epochs, live=wanted and sys.stdout.isatty(), fitting=fitting)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._held is not None:
            self._row(self._held)
        if self._display is not None:
            self._display.stop()
            self._display = None

    def handle(self, event: Event) -> None:
        match event:
            case StepEnded():
                self._step_ended(event)
            case EpochBegan():
                self._epoch, self._began, self._task, self._logs = event.epoch, time.perf_counter(), "", {}
            case EpochEnded():
                self._epoch_ended(event)
            case TrainEnded():
                self._last_words(event.reason)

    # ── The epoch at work ───────────────────────────────────────────────────────────────────────────────────────────

    def _due(self) -> bool:
        """Whether the line at work may be written; a row that waits goes first."""
        now = time.perf_counter()
        if now - self._written < _PAUSE:
            return False
        if self._held is not None:
            self._row(self._held)
            return False
        return self._live and now - self._began >= _PAUSE

    def _step_ended(self, event: StepEnded) -> None:
        if self._due():
            self._logs = event.logs()
            self._show(event.step + 1, event.steps)

    def working(self, task: str, done: int, total: int | None) -> None:
        """Show how far ``task`` is."""
        if task != self._task:
            self._task, self._began = task, time.perf_counter()
        if self._due():
            self._show(done, total)

    def _show(self, done: int, total: int | None) -> None:
        self._written = time.perf_counter()
        spent = self._written - self._began
        if total and done:
            pace = f"{done}/{total}  {clock(spent / done * max(0, total - done))} left"
        else:
            pace = f"{done}/{total}" if total else f"{done} steps"
        parts = [self._columns.head(self._number()), self._drawn(done / total if total else None)]
        if self._logs:
            parts.append(self._columns.values(self._logs))
        parts.append(f"  {self._task} {pace}" if self._task else f"  {pace}")
        self._open().update(self._fitted("".join(parts)), refresh=True)

    def _number(self) -> str:
        return f"{self._epoch + 1}/{self._epochs}" if self.fitting else ""

    def _drawn(self, part: float | None) -> str:
        filled = 0 if part is None else min(_WIDTH, int(part * _WIDTH))
        return f"[green]{'━' * filled}[/green][bright_black]{'╌' * (_WIDTH - filled)}[/bright_black]"

    def _fitted(self, markup: str) -> Any:
        """One line, cut where the terminal ends."""
        from rich.text import Text  # lazy: as in _out

        line = Text.from_markup(markup, overflow="ellipsis")
        line.no_wrap = True
        line.truncate(self._console.width, overflow="ellipsis")
        return line

    def _open(self) -> Any:
        if self._display is None:
            from rich.live import Live  # lazy: as in _out

            self._display = Live(console=self._out(), auto_refresh=False, transient=True)
            self._display.start()
        return self._display

    def _out(self) -> Any:
        if self._console is None:
            from rich.console import Console  # lazy: 50 ms that a silent fit need not pay

            self._console = Console(highlight=False, soft_wrap=False)
            self._columns.fit_to(self._console.width if self._console.is_terminal else None)
        return self._console

    # ── Rows ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _epoch_ended(self, event: EpochEnded) -> None:
        self._held = event
        if time.perf_counter() - self._written >= _PAUSE:
            self._row(event)

    def _row(self, event: EpochEnded) -> None:
        self._held = None
        self._written = time.perf_counter()
        self._out()  # now the columns know how wide they may be
        if self._display is not None:
            self._display.update(
                "", refresh=True
            )  # the epoch is over; the line under the rows must not tell of it any more
        *head, row = self._columns.rows(f"{event.epoch + 1}/{self._epochs}", event)
        self._print("".join(f"[bold]{line}[/bold]\n" for line in head) + row)

    def _print(self, markup: str) -> None:
        """Lines that are cut, not wrapped, where a terminal ends."""
        out = self._out()
        out.print(markup, no_wrap=True, overflow="ellipsis" if out.is_terminal else "ignore", crop=out.is_terminal)

    def _last_words(self, reason: str) -> None:
        if self._held is not None:
            self._row(self._held)
        if reason:
            self._out().print(reason, markup=False)

    def evaluated(self, logs: dict[str, Any], steps: int, seconds: float) -> None:
        """The one line of an evaluation."""
        each = f"{milliseconds(seconds / steps)} ms/step  " if steps else ""
        shown = "  ".join(f"{name} {number(value)}" for name, value in logs.items() if isinstance(value, float | int))
        self._print(f"[bold]evaluated[/bold]  {duration(seconds)}  {each}{shown}")


class _Silent(Bar):
    """Shows nothing and costs nothing."""

    def handle(self, event: Event) -> None:
        pass

    def working(self, what: str, done: int, total: int | None) -> None:
        pass

    def evaluated(self, logs: dict[str, Any], steps: int, seconds: float) -> None:
        pass


_SILENT = _Silent(0, live=False)
