"""`Progbar`: one line that shows how far a loop of the user's own is.   Keras: ``keras.utils.Progbar``."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from dougong.core.errors import ConfigError
from dougong.training.columns import clock

__all__ = ["Progbar"]

_BOLD, _GREEN, _WHITE, _PLAIN = "\x1b[1m", "\x1b[32m", "\x1b[37m", "\x1b[0m"


class Progbar:
    """Steps done of ``target`` (None: unknown), time, and values, on one line that is written again and again.

    ``verbose`` 0 shows nothing, 1 a bar every ``interval`` seconds, 2 one line at the end.  Values are averaged over
    steps, but for the names in ``stateful_metrics``; with ``stateless_metrics`` only those names are averaged.
    Raises: ConfigError for both of these.   Keras: equals ``keras.utils.Progbar``.

    >>> bar = Progbar(2, verbose=2)
    >>> bar.update(1, [("loss", 0.5)]); bar.add(1, [("loss", 0.25)])  # doctest: +ELLIPSIS
    2/2 - 0s - ...s/step - loss: 0.2500
    """

    def __init__(
        self,
        target: int | None,
        width: int = 20,
        verbose: int = 1,
        interval: float = 0.05,
        stateful_metrics: Iterable[str] | None = None,
        stateless_metrics: Iterable[str] | None = None,
        unit_name: str = "step",
    ) -> None:
        if stateful_metrics is not None and stateless_metrics is not None:
            raise ConfigError("give stateful_metrics (shown as they are) or stateless_metrics (averaged), not both")
        self.target, self.width, self.verbose = target, width, verbose
        self.interval, self.unit_name = interval, unit_name
        self._averaged = None if stateless_metrics is None else frozenset(stateless_metrics)
        self._as_given = frozenset(stateful_metrics or ())
        self._sums: dict[str, tuple[float, int]] = {}
        self._seen = self._shown_width = 0
        self._began = time.perf_counter()
        self._first_step_done: float | None = None
        self._shown = 0.0
        self._in_place = sys.stdout.isatty() or "ipykernel" in sys.modules or "posix" in sys.modules
        self._in_place = self._in_place or "PYCHARM_HOSTED" in os.environ

    def add(self, n: int, values: Sequence[tuple[str, Any]] | None = None) -> None:
        """``n`` more steps are done."""
        self.update(self._seen + n, values)

    def update(
        self, current: int, values: Sequence[tuple[str, Any]] | None = None, finalize: bool | None = None
    ) -> None:
        """``current`` steps are done; ``values`` are names and what the last step gave; ``finalize`` ends the line."""
        if finalize is None:
            finalize = self.target is not None and current >= self.target
        for name, value in values or ():
            self._take(name, value, max(current - self._seen, 1), finalize)
        self._seen = current
        now = time.perf_counter()
        pace = self._pace(current, now)
        if self.verbose == 1 and (finalize or now - self._shown >= self.interval):
            self._draw(current, now, pace, finalize)
        elif self.verbose == 2 and finalize and self.target:
            head = f"{current:{len(str(self.target))}d}/{self.target} - {now - self._began:.0f}s - "
            sys.stdout.write(f"{head}{self._each(pace)}{self._values()}\n")
        else:
            return
        self._shown = now

    def _take(self, name: str, value: Any, steps: int, final: bool) -> None:
        averaged = name not in self._as_given if self._averaged is None else name in self._averaged
        mean = float(np.mean(value))
        if averaged and not final:
            total, count = self._sums.get(name, (0.0, 0))
            self._sums[name] = (total + mean * steps, count + steps)
        else:
            self._sums[name] = (mean, 1)

    def _pace(self, current: int, now: float) -> float:
        """Seconds a step; the first one, which is slower, is left out once there are more."""
        if not current:
            return 0.0
        if self._first_step_done is not None and current > 1:
            pace = (now - self._first_step_done) / (current - 1)
        else:
            pace = (now - self._began) / current
        if current == 1:
            self._first_step_done = now
        return pace

    def _draw(self, current: int, now: float, pace: float, final: bool) -> None:
        if self.target:
            count = f"{current:{len(str(self.target))}d}/{self.target}"
            filled = int(self.width * current / self.target)
            bar = f"{_GREEN}{'━' * filled}{_PLAIN}" if filled > 0 else ""
            bar += f"{_WHITE}{'━' * (self.width - filled)}{_PLAIN}"
            line, shown = f"{_BOLD}{count}{_PLAIN} {bar}", len(count) + 1 + max(self.width, filled)
        else:
            line = f"{current:7d}/Unknown"
            shown = len(line)
        left = pace * ((self.target or 0) - current)
        spent = _time_left(left) if self.target and not final else f"{now - self._began:.0f}s"
        tail = f" {self._each(pace)}{self._values()}"
        shown += 1 + len(spent) + len(tail)
        start = "\b" * self._shown_width + "\r" if self._in_place else "\n"
        padding = " " * max(0, self._shown_width - shown)
        sys.stdout.write(f"{start}{line} {_BOLD}{spent}{_PLAIN}{tail}{padding}" + "\n" * final)
        sys.stdout.flush()
        self._shown_width = shown

    def _each(self, pace: float) -> str:
        if pace >= 1 or pace == 0:
            return f"{pace:.0f}s/{self.unit_name}"
        return f"{pace * 1e3:.0f}ms/{self.unit_name}" if pace >= 1e-3 else f"{pace * 1e6:.0f}us/{self.unit_name}"

    def _values(self) -> str:
        means = {name: total / max(1, count) for name, (total, count) in self._sums.items()}
        return "".join(f" - {n}: {v:.4f}" if abs(v) > 1e-3 else f" - {n}: {v:.4e}" for n, v in means.items())


def _time_left(seconds: float) -> str:
    return clock(int(seconds)) if seconds > 60 else f"{int(seconds)}s"
