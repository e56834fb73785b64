"""What an optimizer's arguments may be: refusals that say what to write instead."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from dougong.core.errors import ConfigError
from dougong.optimizers.schedules import LearningRateSchedule

__all__ = [
    "LearningRate",
    "check_accumulation",
    "check_averaging",
    "check_clipping",
    "check_fraction",
    "check_loss_scale",
    "checked_rate",
    "refuse_historic",
]

LearningRate: TypeAlias = float | LearningRateSchedule | Callable[[], float]

_HISTORIC = {
    "lr": "write learning_rate={value!r}",
    "decay": "write learning_rate=schedules.InverseTimeDecay(<initial rate>, decay_steps=1, decay_rate={value!r})",
}


def refuse_historic(owner: str, arguments: Mapping[str, Any]) -> None:
    """Raises: ConfigError naming ``learning_rate`` for the arguments of Keras 1 and 2."""
    for name, advice in _HISTORIC.items():
        if name in arguments:
            raise ConfigError(f"{owner} takes no {name!r}: {advice.format(value=arguments[name])}")


def checked_rate(rate: LearningRate) -> LearningRate:
    """A schedule or function as it is, anything else as a float.   Raises: ConfigError if it is no finite number."""
    if isinstance(rate, LearningRateSchedule) or callable(rate):
        return rate
    try:
        number = math.nan if isinstance(rate, str) else float(rate)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise ConfigError(f"learning_rate must be a finite number, a schedule or a function, got {rate!r}")
    return number


def check_clipping(**limits: float | None) -> None:
    """Raises: ConfigError if more than one limit is set, or one is negative."""
    given = {name: limit for name, limit in limits.items() if limit is not None}
    if len(given) > 1:
        raise ConfigError(f"only one of {', '.join(limits)} can be set, got {given}")
    for name, limit in given.items():
        if limit < 0:
            raise ConfigError(f"{name} must not be negative, got {limit!r}")


def check_averaging(use_ema: bool, momentum: float, overwrite_frequency: int | None) -> None:
    """Raises: ConfigError if an average is wanted and cannot be kept so."""
    if use_ema:
        check_fraction("ema_momentum", momentum, most=1.0)
        if overwrite_frequency and (not isinstance(overwrite_frequency, int) or overwrite_frequency < 1):
            raise ConfigError(
                f"ema_overwrite_frequency must be a positive integer or None, got {overwrite_frequency!r}"
            )


def check_accumulation(steps: int | None) -> None:
    """Raises: ConfigError for fewer than two steps."""
    if steps and (not isinstance(steps, int) or steps < 2):
        raise ConfigError(f"gradient_accumulation_steps must be an integer of 2 or more, or None, got {steps!r}")


def check_loss_scale(factor: float | None) -> None:
    """Raises: ConfigError for a factor that is not positive and finite."""
    if factor is not None and not 0 < factor < math.inf:
        raise ConfigError(f"loss_scale_factor must be a positive number or None, got {factor!r}")


def check_fraction(name: str, value: float, *, most: float | None = None) -> float:
    """``value`` if it lies in [0, 1), or in [0, most].   Raises: ConfigError otherwise."""
    if value >= 0 and (value < 1 if most is None else value <= most):
        return value
    raise ConfigError(f"{name} must lie in {'[0, 1)' if most is None else f'[0, {most:g}]'}, got {value!r}")
