"""Learning rates that depend on the step number: plain arithmetic on Python numbers.   Ref: Keras 3 semantics."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from dougong.core import config as configs
from dougong.core.errors import ConfigError

__all__ = [
    "CosineDecay",
    "CosineDecayRestarts",
    "ExponentialDecay",
    "InverseTimeDecay",
    "LearningRateSchedule",
    "PiecewiseConstantDecay",
    "PolynomialDecay",
    "deserialize",
    "serialize",
]


class LearningRateSchedule(configs.Configurable, ABC):
    """A function from the number of steps done so far to the learning rate.

    Subclass it and write ``__call__``; store constructor arguments under their own names and it can be saved.

    >>> class Halving(LearningRateSchedule):
    ...     def __init__(self, start: float) -> None:
    ...         self.start = start
    ...     def __call__(self, step: int) -> float:
    ...         return self.start / 2**step
    >>> Halving(1.0)(3), Halving(1.0).get_config()
    (0.125, {'start': 1.0})
    """

    keras_module: ClassVar[str] = "keras.optimizers.schedules"

    @abstractmethod
    def __call__(self, step: int) -> float:
        """The learning rate after ``step`` optimizer steps."""


class ExponentialDecay(LearningRateSchedule):
    r"""Multiply the rate by ``decay_rate`` every ``decay_steps`` steps, smoothly or (``staircase``) at once.

    .. math:: \eta(t) = \eta_0 r^{t/T}, \qquad \eta_0 r^{\lfloor t/T \rfloor} \ \text{(staircase)}

    Raises: ConfigError if ``decay_steps`` is not positive.   Keras: equals ``ExponentialDecay``.

    >>> ExponentialDecay(0.1, decay_steps=10, decay_rate=0.5)(20)
    0.025
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        decay_rate: float,
        staircase: bool = False,
        name: str = "ExponentialDecay",
    ) -> None:
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = _positive("decay_steps", decay_steps)
        self.decay_rate = decay_rate
        self.staircase = staircase
        self.name = name

    def __call__(self, step: int) -> float:
        periods = step / self.decay_steps
        return self.initial_learning_rate * self.decay_rate ** (math.floor(periods) if self.staircase else periods)


class InverseTimeDecay(LearningRateSchedule):
    r"""Divide the rate by a number that grows with time.

    .. math:: \eta(t) = \eta_0 / (1 + r\,t/T), \qquad \eta_0 / (1 + r \lfloor t/T \rfloor) \ \text{(staircase)}

    With ``decay_steps=1`` it is the ``decay`` argument of Keras 1 and 2.
    Raises: ConfigError if ``decay_steps`` is not positive.   Keras: equals ``InverseTimeDecay``.

    >>> InverseTimeDecay(0.1, decay_steps=1, decay_rate=0.5)(2)
    0.05
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        decay_rate: float,
        staircase: bool = False,
        name: str = "InverseTimeDecay",
    ) -> None:
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = _positive("decay_steps", decay_steps)
        self.decay_rate = decay_rate
        self.staircase = staircase
        self.name = name

    def __call__(self, step: int) -> float:
        periods = step / self.decay_steps
        return self.initial_learning_rate / (
            1.0 + self.decay_rate * (math.floor(periods) if self.staircase else periods)
        )


class PiecewiseConstantDecay(LearningRateSchedule):
    r"""A constant for each interval: ``values[i]`` for ``boundaries[i-1] < step <= boundaries[i]``.

    Raises: ConfigError unless there is one value more than boundaries.   Keras: equals ``PiecewiseConstantDecay``.

    >>> rate = PiecewiseConstantDecay([100, 200], [1.0, 0.5, 0.1])
    >>> rate(100), rate(101), rate(1000)
    (1.0, 0.5, 0.1)
    """

    def __init__(self, boundaries: Sequence[float], values: Sequence[float], name: str = "PiecewiseConstant") -> None:
        if len(boundaries) != len(values) - 1:
            raise ConfigError(
                f"PiecewiseConstantDecay needs one value more than boundaries, got {len(values)} values and "
                f"{len(boundaries)} boundaries; give the rate before, between and after the boundaries"
            )
        self.boundaries = boundaries
        self.values = values
        self.name = name

    def __call__(self, step: int) -> float:
        return self.values[sum(step > boundary for boundary in self.boundaries)]


class PolynomialDecay(LearningRateSchedule):
    r"""From the initial to the end rate along a power of the time left.

    .. math:: \eta(t) = (\eta_0 - \eta_1)\,(1 - \min(t, T)/T)^p + \eta_1

    With ``cycle`` the rate does not stay at the end: :math:`T` becomes the first multiple of ``decay_steps`` not below
    :math:`t`.   Raises: ConfigError if ``decay_steps`` is not positive.   Keras: equals ``PolynomialDecay``.

    >>> rate = PolynomialDecay(1.0, decay_steps=10, end_learning_rate=0.0)
    >>> rate(0), rate(5), rate(50)
    (1.0, 0.5, 0.0)
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        end_learning_rate: float = 0.0001,
        power: float = 1.0,
        cycle: bool = False,
        name: str = "PolynomialDecay",
    ) -> None:
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = _positive("decay_steps", decay_steps)
        self.end_learning_rate = end_learning_rate
        self.power = power
        self.cycle = cycle
        self.name = name

    def __call__(self, step: int) -> float:
        if self.cycle:
            done = step / (self.decay_steps * max(1, math.ceil(step / self.decay_steps)))
        else:
            done = min(step, self.decay_steps) / self.decay_steps
        return (self.initial_learning_rate - self.end_learning_rate) * (
            1.0 - done
        ) ** self.power + self.end_learning_rate


class CosineDecay(LearningRateSchedule):
    r"""Half a cosine from the initial rate down to ``alpha`` times it, after a linear warm-up if a target is given.

    .. math:: \eta(t) = \eta_0 \left[(1-\alpha)\,\tfrac12\left(1 + \cos(\pi \min(t, T)/T)\right) + \alpha\right]

    With ``warmup_target`` the rate first goes linearly from the initial one to the target, in ``warmup_steps`` steps;
    the cosine starts there, from the target.
    Raises: ConfigError if ``decay_steps`` is not positive.   Keras: equals ``CosineDecay``.
    Ref: Loshchilov & Hutter 2016, arXiv:1608.03983; Goyal 2017, arXiv:1706.02677.

    >>> rate = CosineDecay(0.0, decay_steps=10, warmup_target=1.0, warmup_steps=4)
    >>> rate(2), rate(4), rate(9), rate(14)
    (0.5, 1.0, 0.5, 0.0)
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        alpha: float = 0.0,
        name: str = "CosineDecay",
        warmup_target: float | None = None,
        warmup_steps: float = 0,
    ) -> None:
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = _positive("decay_steps", decay_steps)
        self.alpha = alpha
        self.name = name
        self.warmup_target = warmup_target
        self.warmup_steps = warmup_steps

    def __call__(self, step: int) -> float:
        top, elapsed = self.initial_learning_rate, float(step)
        if self.warmup_target is not None:
            if step < self.warmup_steps:
                return top + (self.warmup_target - top) * step / self.warmup_steps
            top, elapsed = self.warmup_target, step - self.warmup_steps
        cosine = 0.5 * (1.0 + math.cos(math.pi * min(elapsed, self.decay_steps) / self.decay_steps))
        return top * ((1.0 - self.alpha) * cosine + self.alpha)


class CosineDecayRestarts(LearningRateSchedule):
    r"""Cosine decay that starts again, each period ``t_mul`` times as long and ``m_mul`` times as high as the last.

    .. math:: \eta(t) = \eta_0 \left[(1-\alpha)\,\tfrac{m^i}{2}\left(1 + \cos(\pi f)\right) + \alpha\right]

    where :math:`i` counts the restarts and :math:`f` is the part done of the current period, which lasts
    :math:`T\,t_{mul}^i` steps.   Raises: ConfigError if ``first_decay_steps`` or ``t_mul`` is not positive.
    Keras: equals ``CosineDecayRestarts``, except that its float32 arithmetic may restart one step late where a period
    ends exactly on a step.   Ref: Loshchilov & Hutter 2016, arXiv:1608.03983.

    >>> rate = CosineDecayRestarts(1.0, first_decay_steps=10, m_mul=0.5)
    >>> rate(0), round(rate(5), 6), rate(10), rate(30)
    (1.0, 0.5, 0.5, 0.25)
    """

    def __init__(
        self,
        initial_learning_rate: float,
        first_decay_steps: float,
        t_mul: float = 2.0,
        m_mul: float = 1.0,
        alpha: float = 0.0,
        name: str = "SGDRDecay",
    ) -> None:
        self.initial_learning_rate = initial_learning_rate
        self.first_decay_steps = _positive("first_decay_steps", first_decay_steps)
        self.t_mul = _positive("t_mul", t_mul)
        self.m_mul = m_mul
        self.alpha = alpha
        self.name = name

    def __call__(self, step: int) -> float:
        restarts, done = self._period(step / self.first_decay_steps)
        cosine = 0.5 * self.m_mul**restarts * (1.0 + math.cos(math.pi * done))
        return self.initial_learning_rate * ((1.0 - self.alpha) * cosine + self.alpha)

    def _period(self, periods: float) -> tuple[int, float]:
        """How many periods ended, and which part of the present one is done; ``periods`` counts first periods."""
        growth = self.t_mul
        if growth == 1.0:
            return math.floor(periods), periods % 1.0
        left = 1.0 - periods * (1.0 - growth)
        if left <= 0.0:
            raise ConfigError(
                f"CosineDecayRestarts with t_mul={growth} ends after {1 / (1 - growth):.3g} first periods, since "
                "its periods grow ever shorter; train for fewer steps or use t_mul >= 1"
            )
        restarts = math.floor(math.log(left) / math.log(growth))
        # The quotient of logarithms may miss a boundary by one rounding.
        restarts += (left >= growth ** (restarts + 1)) if growth > 1.0 else (left <= growth ** (restarts + 1))
        begin = (1.0 - growth**restarts) / (1.0 - growth)
        return restarts, (periods - begin) / growth**restarts


_SCHEDULES: dict[str, type[LearningRateSchedule]] = {
    schedule.__name__: schedule
    for schedule in (
        CosineDecay,
        CosineDecayRestarts,
        ExponentialDecay,
        InverseTimeDecay,
        PiecewiseConstantDecay,
        PolynomialDecay,
    )
}


def serialize(learning_rate_schedule: LearningRateSchedule) -> dict[str, Any]:
    """The schedule as a JSON-able dict.   Keras: equals ``keras.optimizers.schedules.serialize``.

    >>> serialize(ExponentialDecay(0.1, 10, 0.5))["class_name"]
    'ExponentialDecay'
    """
    return configs.serialize(learning_rate_schedule)


def deserialize(config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> LearningRateSchedule:
    """A schedule from what `serialize` gave.   Raises: UnknownNameError listing near names.

    >>> deserialize(serialize(ExponentialDecay(0.1, 10, 0.5)))(10)
    0.05
    """
    with configs.custom_object_scope(custom_objects):
        return configs.deserialize(config, _SCHEDULES, "learning rate schedule")


def _positive(name: str, value: float) -> float:
    if not value > 0:
        raise ConfigError(f"{name} must be positive, got {value!r}")
    return value
