"""Loss scaling that finds its own factor, for arithmetic in half precision."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

import torch
from torch import Tensor

from dougong.core.config import serialize
from dougong.core.errors import ConfigError
from dougong.core.variable import Variable
from dougong.optimizers.live import LiveInt
from dougong.optimizers.multiple import MultiOptimizer
from dougong.optimizers.optimizer import Optimizer
from dougong.optimizers.options import LearningRate
from dougong.optimizers.table import PLAIN, from_table
from dougong.optimizers.weight import Weight
from dougong.optimizers.wrapping import Wrapping

__all__ = ["LossScaleOptimizer"]

_LEAST = 2.0**-24  # the smallest number in half precision: a factor below it is not what makes gradients infinite
_UNUSED = {"weight_decay", "clipnorm", "clipvalue", "global_clipnorm", "use_ema", "ema_momentum"}
_UNUSED |= {"ema_overwrite_frequency", "loss_scale_factor", "gradient_accumulation_steps"}


class LossScaleOptimizer(Wrapping):
    r"""Multiplies losses by a factor, so that small gradients do not vanish, and divides the gradients by it again.

    A step whose gradients are not all finite is skipped and halves the factor; ``dynamic_growth_steps`` steps in a row
    that are not double it.  A factor that has come down to 6e-8 is no longer taken for the cause: training then stops
    with the first bad tensor named, as without scaling (Keras goes on halving).
    Raises: ConfigError for what is to be set on ``inner_optimizer``.   Keras: equals ``LossScaleOptimizer``.
    Ref: Micikevicius 2017, arXiv:1710.03740.

    >>> from dougong.optimizers import SGD
    >>> weight = torch.nn.Parameter(torch.tensor([1.0]))
    >>> optimizer = LossScaleOptimizer(SGD(0.25), initial_scale=8.0)
    >>> optimizer.apply([torch.tensor([float("inf")])], [weight])
    >>> optimizer.scale_loss(torch.tensor(1.0))
    tensor(4.)
    >>> optimizer.apply([torch.tensor([4.0])])
    >>> weight.data
    tensor([0.7500])
    """

    def __init__(
        self,
        inner_optimizer: Optimizer,
        initial_scale: float = 2.0**15,
        dynamic_growth_steps: int = 2000,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        if not kwargs.pop("dynamic", True):
            raise ConfigError("LossScaleOptimizer is always dynamic; set loss_scale_factor on the optimizer instead")
        given = {key: value for key, value in kwargs.items() if value not in (None, False)}
        given = {key: value for key, value in given.items() if (key, value) != ("ema_momentum", 0.99)}
        for key in (*given, *(kwargs.keys() - _UNUSED)):
            raise ConfigError(f"LossScaleOptimizer takes no {key!r}; set it on the inner optimizer")
        if not isinstance(inner_optimizer, Optimizer):
            raise ConfigError(f"inner_optimizer must be an optimizer such as Adam(), got {inner_optimizer!r}")
        self.inner_optimizer = inner_optimizer
        super().__init__([inner_optimizer], name)
        self.initial_scale = initial_scale
        self.dynamic_growth_steps = dynamic_growth_steps
        self.inner_optimizer.loss_scale_factor = None  # once is enough
        self._finite_steps = 0
        # A tensor, so that a captured step that was told to multiply by it sees every change.
        self.dynamic_scale = Variable.around(
            torch.tensor(float(initial_scale)), "dynamic_scale", path=f"{self.name}/dynamic_scale", trainable=False
        )

    def distribute(self, weights: Sequence[Weight]) -> None:
        self.inner_optimizer.build_on(weights)
        if weights:
            self.dynamic_scale.data = self.dynamic_scale.data.to(weights[0].tensor.device)

    # What the caller sees.

    def _rate(self) -> float:
        return self.inner_optimizer._rate()

    def _set_rate(self, value: LearningRate) -> None:
        self.inner_optimizer._set_rate(value)

    def _updates_done(self) -> int:
        return self.inner_optimizer._updates_done()

    def _set_updates(self, value: int) -> None:
        self.inner_optimizer._set_updates(value)

    @property
    def step_counter(self) -> int:
        """Steps with finite gradients since the factor last changed."""
        return LiveInt.of(self._finite_steps, self._set_counter)

    def _set_counter(self, value: int) -> None:
        self._finite_steps = value

    def scale_loss(self, loss: Any) -> Any:
        return loss * self.dynamic_scale

    def own_variables(self) -> list[Any]:
        return [*super().own_variables(), self._scalar("_finite_steps", "step_counter"), self.dynamic_scale]

    def get_config(self) -> dict[str, Any]:
        names = ("name", "inner_optimizer", "initial_scale", "dynamic_growth_steps")
        return {name: serialize(getattr(self, name)) for name in names}

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Self:
        table = {**PLAIN, "MultiOptimizer": MultiOptimizer}
        return cls(**{**config, "inner_optimizer": from_table(config["inner_optimizer"], table, custom_objects)})

    # Stepping.

    def takes_gradients(self) -> bool:
        return self.gradients_finite() or float(self.dynamic_scale) > _LEAST

    def step(self) -> None:
        if not self.gradients_finite():
            self._skip()
            return
        for group in self.groups:
            group.gradients.div_(self.dynamic_scale)
        self.inner_optimizer.step()
        self._count()

    def apply(self, grads: Iterable[Tensor | None], trainable_variables: Iterable[Tensor] | None = None) -> None:
        """Unscale these gradients and step, or skip the step if one is not finite; see `Optimizer.apply`."""
        grads = list(grads)
        listed = None if trainable_variables is None else list(trainable_variables)
        if not self.built:
            self.build(listed or self.parameters)
        if not all(bool(gradient.isfinite().all()) for gradient in grads if gradient is not None):
            self._skip()
            return
        scale = self.dynamic_scale.detach()
        self.inner_optimizer.apply([None if gradient is None else gradient / scale for gradient in grads], listed)
        self._count()

    def _skip(self) -> None:
        self._finite_steps = 0
        self._multiply(0.5)

    def _count(self) -> None:
        self._finite_steps += 1
        if self._finite_steps == self.dynamic_growth_steps:
            self._finite_steps = 0
            self._multiply(2.0)

    def _multiply(self, factor: float) -> None:
        with torch.no_grad():
            self.dynamic_scale.mul_(factor)
