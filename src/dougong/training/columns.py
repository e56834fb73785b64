"""Numbers and names in columns: what a run's table is made of."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dougong.core.events import EpochEnded

__all__ = ["Columns", "clock", "duration", "milliseconds", "number"]

_NARROWEST = 9  # what a number may need


class Columns:
    """Rows whose columns stay where they are from epoch to epoch.

    A name that was not logged before begins a new head.  Where the width is limited, names are shortened, and what does
    not fit even so is left out at the right.

    >>> columns = Columns("20/20")
    >>> print("\\n".join(columns.rows("1/20", EpochEnded(0, {"loss": 0.25, "val_loss": 12.5}, 1.24, 100))))
    epoch     time  ms/step       loss   val_loss
     1/20    1.2 s     12.4     0.2500    12.5000
    """

    def __init__(self, longest_number: str) -> None:
        self._first = max(5, len(longest_number)) if longest_number else 0
        self._names: list[str] = []
        self._widths: list[int] = []
        self._limit: int | None = None

    def fit_to(self, width: int | None) -> None:
        """The width there is for a row; None for no limit."""
        self._limit = width

    def head(self, epoch: str) -> str:
        """How a row begins."""
        return f"{epoch:>{self._first}}  " if self._first else ""

    def rows(self, epoch: str, event: EpochEnded) -> Iterator[str]:
        """The row of an epoch, after a new head where there are new names."""
        shown = [name for name, value in event.logs.items() if isinstance(value, float | int)]
        new = [name for name in shown if name not in self._names]
        if new:
            self._names += new
            yield self._titles()
        each = milliseconds(event.seconds / event.steps) if event.steps else ""
        yield f"{self.head(epoch)}{duration(event.seconds):>7}  {each:>7}{self.values(event.logs)}".rstrip()

    def values(self, logs: Mapping[str, Any]) -> str:
        """The numbers under their titles; with their names where there are no titles yet."""
        if not self._names:
            found = ((name, value) for name, value in logs.items() if isinstance(value, float | int))
            return "".join(f"  {name} {number(value)}" for name, value in found)
        cells = (logs.get(name) for name in self._names)
        texts = ("" if not isinstance(cell, float | int) else number(cell) for cell in cells)
        row = "".join(f"  {text:>{width}}" for text, width in zip(texts, self._widths))
        return row.rstrip()

    def _titles(self) -> str:
        fixed = len(self.head("")) + 16
        titles = self._names
        for most in (40, 20, 16, 14, 12, 11, 10, _NARROWEST):
            titles = [_shortened(name, most) for name in self._names]
            self._widths = [max(_NARROWEST, len(title)) for title in titles]
            if self._limit is None or fixed + sum(self._widths) + 2 * len(titles) <= self._limit:
                return self._joined(titles)
        while self._limit is not None and titles and fixed + sum(self._widths) + 2 * len(titles) > self._limit - 2:
            titles, self._widths = titles[:-1], self._widths[:-1]
        return self._joined(titles)

    def _joined(self, titles: Sequence[str]) -> str:
        cells = "".join(f"  {title:>{width}}" for title, width in zip(titles, self._widths))
        more = " …" if len(titles) < len(self._names) else ""
        return f"{self.head('epoch')}{'time':>7}  {'ms/step':>7}{cells}{more}"


def _shortened(name: str, most: int) -> str:
    """At most ``most`` characters: the beginning and the end, which differ between names of one family."""
    if len(name) <= most:
        return name
    front = (most - 1) // 2
    return f"{name[:front]}…{name[len(name) - (most - 1 - front) :]}"


def number(value: float) -> str:
    """At most nine characters, four of them significant wherever that is possible.

    >>> number(0.25), number(12.34567), number(0.00125), number(1e-7), number(2.5e8)
    ('0.2500', '12.3457', '0.001250', '1.000e-07', '2.500e+08')
    """
    size = abs(value)
    if size == 0 or 0.1 <= size < 1e3 or math.isnan(size) or math.isinf(size):
        return f"{value:.4f}"
    if size < 1e-4 or size >= 1e5:
        return f"{value:.3e}"
    return f"{value:#.4g}" if size < 0.1 else f"{value:.2f}"


def duration(seconds: float) -> str:
    """A time as one says it.

    >>> duration(0.0123), duration(12.34), duration(83), duration(4000)
    ('12 ms', '12.3 s', '1:23', '1:06:40')
    """
    if seconds < 0.0995:
        return f"{seconds * 1e3:.0f} ms" if seconds >= 0.01 else f"{seconds * 1e3:.1f} ms"
    return f"{seconds:.1f} s" if seconds < 59.95 else clock(seconds)


def clock(seconds: float) -> str:
    """Hours, minutes and seconds.

    >>> clock(5), clock(4000)
    ('0:05', '1:06:40')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def milliseconds(seconds: float) -> str:
    """Three digits of them.

    >>> milliseconds(0.000125), milliseconds(0.0352), milliseconds(2.5)
    ('0.125', '35.2', '2500')
    """
    value = seconds * 1e3
    if value < 1:
        return f"{value:.3f}"
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:.0f}"
