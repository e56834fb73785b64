"""Watching one logged value: whether a new value is better than the best so far."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from typing import Any

from dougong.core.errors import ConfigError, near_names

__all__ = ["Monitor"]

_MODES = ("auto", "min", "max")
_RISING = ("acc", "accuracy", "auc", "fmeasure", "precision", "recall", "r2_score", "f1_score", "iou", "top_k")
_log = logging.getLogger("dougong")


class Monitor:
    """``mode`` auto is max for accuracies and their kin, min for everything else.

    >>> monitor = Monitor("val_loss"); monitor.improves(0.5), monitor.improves(0.7)
    (True, False)
    """

    def __init__(self, name: str, mode: str = "auto", min_delta: float = 0.0, best: float | None = None) -> None:
        if mode not in _MODES:
            raise ConfigError(f"mode must be one of {', '.join(_MODES)}, got {mode!r}")
        self.name, self.min_delta = name, abs(min_delta)
        self.rising = mode == "max" or (mode == "auto" and any(word in name for word in _RISING))
        self.start = best
        self.reset()

    def reset(self) -> None:
        self.best = self.start if self.start is not None else (-math.inf if self.rising else math.inf)

    def value(self, logs: Mapping[str, Any] | None) -> float | None:
        """The monitored value, or None, with a warning, when the logs do not have it."""
        found = (logs or {}).get(self.name)
        if found is None:
            near = near_names(self.name, logs or ())
            hint = f"; did you mean {near[0]!r}?" if near else ""
            advice = " Give fit validation data." if self.name.startswith("val_") else ""
            _log.warning("nothing is logged as %r; there are %s%s%s", self.name, ", ".join(logs or ()), hint, advice)
            return None
        return float(found)

    def better(self, value: float, than: float) -> bool:
        """Whether ``value`` beats ``than`` by more than min_delta."""
        return value - self.min_delta > than if self.rising else value + self.min_delta < than

    def improves(self, value: float) -> bool:
        """Whether ``value`` is a new best, which is then kept."""
        if not self.better(value, self.best):
            return False
        self.best = value
        return True
