"""Many rounds of times to one number with its spread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

__all__ = ["Spread", "ratio"]


@dataclass(frozen=True)
class Spread:
    """The median of some values, and the least and greatest of them."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """
        >>> Spread.of([3.0, 1.0, 2.0])
        Spread(median=2.0, low=1.0, high=3.0)
        """
        if not values:
            raise ValueError("Spread.of needs at least one value; no round was measured.")
        return cls(median(values), min(values), max(values))


def ratio(times: Sequence[float], baseline: Sequence[float]) -> Spread:
    """Times over the baseline's, each divided by that of its own round, so that slow moments of the machine cancel.

    Below 1 is faster than the baseline. Raises: ValueError if the numbers of rounds differ or are zero.

    >>> ratio([1.0, 4.0, 3.0], [2.0, 8.0, 2.0])
    Spread(median=0.5, low=0.5, high=1.5)
    """
    return Spread.of([mine / theirs for mine, theirs in zip(times, baseline, strict=True)])
