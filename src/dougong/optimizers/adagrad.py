"""Adagrad and Adadelta.   Symbols: p parameter, g gradient, η learning rate, a sum or mean of squared gradients."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from dougong.core.errors import ConfigError
from dougong.optimizers.flat import FlatGroup
from dougong.optimizers.optimizer import Optimizer
from dougong.optimizers.options import LearningRate, check_fraction

__all__ = ["Adadelta", "Adagrad"]


class Adagrad(Optimizer):
    r"""Divides the gradient by the root of the sum of all its squares: parameters seldom touched take longer steps.

    .. math:: a \leftarrow a + g^2, \qquad p \leftarrow p - \frac{\eta\,g}{\sqrt{a + \epsilon}}

    Raises: ConfigError if ``initial_accumulator_value`` is negative.   Keras: equals ``Adagrad``.
    Ref: Duchi 2011, https://jmlr.org/papers/v12/duchi11a.html.

    >>> weight, optimizer = torch.nn.Parameter(torch.tensor([1.0])), Adagrad(0.25, initial_accumulator_value=0.0)
    >>> optimizer.apply([torch.tensor([100.0])], [weight])
    >>> weight.data
    tensor([0.7500])
    """

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        initial_accumulator_value: float = 0.1,
        epsilon: float = 1e-7,
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
        super().__init__(
            learning_rate,
            weight_decay,
            clipnorm,
            clipvalue,
            global_clipnorm,
            use_ema,
            ema_momentum,
            ema_overwrite_frequency,
            loss_scale_factor,
            gradient_accumulation_steps,
            name,
        )
        if initial_accumulator_value < 0:
            raise ConfigError(f"initial_accumulator_value must not be negative, got {initial_accumulator_value!r}")
        self.initial_accumulator_value = initial_accumulator_value
        self.epsilon = epsilon

    def slots(self) -> tuple[tuple[str, ...], ...]:
        return (("accumulator",),)

    def initial_value(self, slot: str) -> float:
        return self.initial_accumulator_value if slot == "accumulator" else 0.0

    def update(self, groups: Sequence[FlatGroup], rate: float, step: int) -> None:
        for group in groups:
            accumulator = group.slots["accumulator"].addcmul_(group.gradients, group.gradients)
            root = torch.add(accumulator, self.epsilon, out=group.scratch()).sqrt_()
            group.values.addcdiv_(group.gradients, root, value=-rate)


class Adadelta(Optimizer):
    r"""Adagrad with a fading memory, whose steps have the parameter's unit.

    .. math::
        a \leftarrow \rho a + (1-\rho)\,g^2, \quad \Delta = \sqrt{\frac{d + \epsilon}{a + \epsilon}}\;g, \quad
        d \leftarrow \rho d + (1-\rho)\,\Delta^2, \quad p \leftarrow p - \eta \Delta

    Raises: ConfigError if ``rho`` is outside [0, 1].   Keras: equals ``Adadelta``.   Ref: Zeiler 2012, arXiv:1212.5701.

    >>> weight, optimizer = torch.nn.Parameter(torch.tensor([1.0])), Adadelta(1.0, rho=0.75, epsilon=0.0625)
    >>> optimizer.apply([torch.tensor([100.0])], [weight])
    >>> weight.data
    tensor([0.5000])
    """

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        rho: float = 0.95,
        epsilon: float = 1e-7,
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
        super().__init__(
            learning_rate,
            weight_decay,
            clipnorm,
            clipvalue,
            global_clipnorm,
            use_ema,
            ema_momentum,
            ema_overwrite_frequency,
            loss_scale_factor,
            gradient_accumulation_steps,
            name,
        )
        self.rho = check_fraction("rho", rho, most=1.0)
        self.epsilon = epsilon

    def slots(self) -> tuple[tuple[str, ...], ...]:
        return (("accumulated_grad", "accumulated_delta_var"),)

    def update(self, groups: Sequence[FlatGroup], rate: float, step: int) -> None:
        for group in groups:
            squares, changes = group.slots["accumulated_grad"], group.slots["accumulated_delta_var"]
            squares.mul_(self.rho).addcmul_(group.gradients, group.gradients, value=1.0 - self.rho)
            delta = torch.add(changes, self.epsilon, out=group.scratch(0)).sqrt_().mul_(group.gradients)
            delta.div_(torch.add(squares, self.epsilon, out=group.scratch(1)).sqrt_())
            changes.mul_(self.rho).addcmul_(delta, delta, value=1.0 - self.rho)
            group.values.add_(delta, alpha=-rate)
