"""Watching one logged value: which direction is better, and whether a new value is the best so far."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from dougong import metrics
from dougong.core.errors import ConfigError, near_names
from dougong.losses.functions import FUNCTIONS

__all__ = ["Monitor"]

_MODES = ("auto", "min", "max")
_RISING = (
    metrics.Accuracy,
    metrics.AUC,
    metrics.BinaryAccuracy,
    metrics.CategoricalAccuracy,
    metrics.ConcordanceCorrelation,
    metrics.CosineSimilarity,
    metrics.FBetaScore,
    metrics.IoU,
    metrics.PearsonCorrelation,
    metrics.Precision,
    metrics.PrecisionAtRecall,
    metrics.R2Score,
    metrics.Recall,
    metrics.RecallAtPrecision,
    metrics.SensitivityAtSpecificity,
    metrics.SparseCategoricalAccuracy,
    metrics.SparseTopKCategoricalAccuracy,
    metrics.SpecificityAtSensitivity,
    metrics.TopKCategoricalAccuracy,
)
_FALLING = (
    metrics.BinaryCrossentropy,
    metrics.CategoricalCrossentropy,
    metrics.SparseCategoricalCrossentropy,
    metrics.KLDivergence,
    metrics.Poisson,
    metrics.Hinge,
    metrics.SquaredHinge,
    metrics.CategoricalHinge,
    metrics.MeanSquaredError,
    metrics.RootMeanSquaredError,
    metrics.MeanAbsoluteError,
    metrics.MeanAbsolutePercentageError,
    metrics.MeanSquaredLogarithmicError,
    metrics.LogCoshError,
)
_LOSS_FUNCTIONS = tuple(FUNCTIONS.values())
# Names decide where there is no metric to ask: logs of a train_step of the user's own.
_RISING_WORDS = set("acc accuracy auc precision recall f1 score iou r2 similarity correlation".split())
_FALLING_WORDS = set("loss error mse mae rmse mape msle crossentropy hinge divergence perplexity".split())
_log = logging.getLogger("dougong")


class Monitor:
    """Keeps the ``best`` value of a log; ``min_delta`` is what a new value must gain to be better.

    ``mode`` auto asks the model's metric, then the words of the name.  NaN is never better.
    Raises: ConfigError for another mode, or when auto cannot tell.

    >>> monitor = Monitor("val_loss"); monitor.improves(0.5), monitor.improves(0.7), monitor.best
    (True, False, 0.5)
    """

    def __init__(self, name: str, mode: str = "auto", min_delta: float = 0.0, best: float | None = None) -> None:
        if mode not in _MODES:
            raise ConfigError(f"mode must be one of {', '.join(_MODES)}, got {mode!r}")
        self.name, self.min_delta = name, abs(min_delta)
        self._rising = None if mode == "auto" else mode == "max"
        self._start = best
        self._model: Any = None
        self.reset()

    def reset(self) -> None:
        self.best: float | None = self._start

    def ask(self, model: Any) -> None:
        """From now on ``model`` says what its metrics are."""
        self._model = model

    @property
    def rising(self) -> bool:
        """Whether more is better."""
        if self._rising is None:
            self._rising = _rises(self.name, self._model)
        return self._rising

    def value(self, logs: Mapping[str, Any] | None) -> float | None:
        """The monitored value, or None, with a warning, when the logs do not have it."""
        found = (logs or {}).get(self.name)
        if found is None:
            near = near_names(self.name, logs or ())
            hint = f"; did you mean {near[0]!r}?" if near else ""
            advice = " Give fit validation data." if self.name.startswith("val_") else ""
            _log.warning("nothing is logged as %r; there are %s%s%s", self.name, ", ".join(logs or ()), hint, advice)
            return None
        if np.size(found) != 1:
            _log.warning("%r is logged as %s numbers; a single one can be watched", self.name, np.size(found))
            return None
        return float(found)

    def better(self, value: float, than: float | None) -> bool:
        """Whether ``value`` beats ``than`` by more than min_delta; anything but NaN beats None."""
        if than is None:
            return not math.isnan(value)
        return value - self.min_delta > than if self.rising else value + self.min_delta < than

    def improves(self, value: float) -> bool:
        """Whether ``value`` is a new best, which is then kept."""
        if not self.better(value, self.best):
            return False
        self.best = value
        return True


def _rises(name: str, model: Any) -> bool:
    plain = name.removeprefix("val_")
    compiled = getattr(model, "_compiled", None)
    metric = None if compiled is None else compiled.objective.named_metrics.get(plain)
    if isinstance(metric, _RISING):
        return True
    if plain == "loss" or isinstance(metric, _FALLING) or getattr(metric, "fn", None) in _LOSS_FUNCTIONS:
        return False
    words = set(plain.lower().split("_"))
    if words & _FALLING_WORDS:
        return False
    if words & _RISING_WORDS:
        return True
    raise ConfigError(f"is more of {name!r} better, or less? Say so: mode='max' or mode='min'")
