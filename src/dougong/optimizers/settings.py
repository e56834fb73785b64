"""What all optimizers are told: the common arguments, the learning rate, the count of steps, the config."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from dougong.core.config import Configurable
from dougong.core.errors import ConfigError
from dougong.core.names import snake_case, unique_name
from dougong.optimizers.live import LiveFloat, LiveInt
from dougong.optimizers.options import (
    LearningRate,
    check_accumulation,
    check_averaging,
    check_clipping,
    check_loss_scale,
    checked_rate,
    refuse_historic,
)
from dougong.optimizers.schedules import LearningRateSchedule
from dougong.optimizers.schedules import deserialize as deserialize_schedule

__all__ = ["Settings"]


class Settings(Configurable):
    """The arguments that all optimizers take, checked; see `Optimizer` for what each one means."""

    keras_module: ClassVar[str] = "keras.optimizers"

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        refuse_historic(cls.__name__, kwargs)
        self = super().__new__(cls, *args, **kwargs)
        self._begin()
        return self

    def _begin(self) -> None:
        """The state before any step; not in ``__init__``, so that its signature is the arguments that all take."""
        self._steps_done = 0

    def __init__(
        self,
        learning_rate: LearningRate,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
    ) -> None:
        self._learning_rate = checked_rate(learning_rate)
        self.weight_decay = weight_decay
        self.clipnorm = clipnorm
        self.clipvalue = clipvalue
        self.global_clipnorm = global_clipnorm
        self.use_ema = use_ema
        self.ema_momentum = ema_momentum
        self.ema_overwrite_frequency = ema_overwrite_frequency
        self.loss_scale_factor = loss_scale_factor
        self.gradient_accumulation_steps = gradient_accumulation_steps
        self.name = name or unique_name(snake_case(type(self).__name__))
        check_clipping(clipnorm=clipnorm, clipvalue=clipvalue, global_clipnorm=global_clipnorm)
        check_averaging(use_ema, ema_momentum, ema_overwrite_frequency)
        check_accumulation(gradient_accumulation_steps)
        check_loss_scale(loss_scale_factor)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(learning_rate={self._rate():g}, iterations={self._updates_done()})"

    @property
    def learning_rate(self) -> float:
        """The rate of the next step.  Assign a number or a schedule.

        Raises: ConfigError when a number is assigned while a schedule decides, as in Keras.

        >>> from dougong.optimizers import SGD
        >>> optimizer = SGD(0.5)
        >>> optimizer.learning_rate.assign(0.25)
        >>> optimizer.learning_rate, optimizer.learning_rate.numpy()
        (0.25, np.float32(0.25))
        """
        return LiveFloat.of(self._rate(), self._set_rate)

    @learning_rate.setter
    def learning_rate(self, value: LearningRate) -> None:
        self._set_rate(value)

    def _rate(self) -> float:
        rate = self._learning_rate
        if isinstance(rate, LearningRateSchedule):
            return float(rate(self._steps_done))
        return float(rate()) if callable(rate) else rate

    def _set_rate(self, value: LearningRate) -> None:
        if isinstance(self._learning_rate, LearningRateSchedule) and not callable(value):
            raise ConfigError(
                f"the learning rate of {self.name!r} is set by its {type(self._learning_rate).__name__}; "
                "assign another schedule, or create the optimizer with a number"
            )
        self._learning_rate = checked_rate(value)

    @property
    def iterations(self) -> int:
        """Updates done: steps, divided by ``gradient_accumulation_steps`` if that is set."""
        return LiveInt.of(self._updates_done(), self._set_updates)

    def _updates_done(self) -> int:
        return self._steps_done // (self.gradient_accumulation_steps or 1)

    def _set_updates(self, value: int) -> None:
        self._steps_done = int(value) * (self.gradient_accumulation_steps or 1)

    def scale_loss(self, loss: Any) -> Any:
        """The loss to differentiate: times ``loss_scale_factor``, if that is set; `step` divides the gradients by it.

        Keras: equals ``Optimizer.scale_loss``.
        """
        return loss if self.loss_scale_factor is None else loss * self.loss_scale_factor

    def constructor_arguments(self) -> dict[str, Any]:
        """As `Configurable` has it, with the schedule itself rather than its present value."""
        arguments = super().constructor_arguments()
        return {name: self._learning_rate if name == "learning_rate" else arguments[name] for name in arguments}

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Self:
        """Rebuild from `get_config`'s result; the state is not part of it."""
        rate = config.get("learning_rate")
        if isinstance(rate, Mapping):
            config = {**config, "learning_rate": deserialize_schedule(rate, custom_objects)}
        return super().from_config(config)
