"""Lamb.   Symbols: p parameter, g gradient, η learning rate, t update, from 1, m, v moments of g."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from dougong.optimizers.adam import fused_adam
from dougong.optimizers.flat import FlatGroup
from dougong.optimizers.optimizer import Optimizer
from dougong.optimizers.options import LearningRate, check_fraction

__all__ = ["Lamb"]


class Lamb(Optimizer):
    r"""Adam's direction, with a step as long as the parameter itself, times the rate: for very large batches.

    .. math::
        d = \frac{m/(1-\beta_1^t)}{\sqrt{v/(1-\beta_2^t)} + \epsilon}, \qquad
        p \leftarrow p - \eta\,\frac{\|p\|}{\|d\|}\,d \quad (\text{the ratio is 1 where a norm is 0})

    with Adam's :math:`m` and :math:`v`; norms are those of each parameter as a whole.
    Raises: ConfigError if a beta is outside [0, 1).   Keras: equals ``Lamb``.   Ref: You 2019, arXiv:1904.00962.

    >>> weight, optimizer = torch.nn.Parameter(torch.tensor([3.0, 4.0])), Lamb(0.25)
    >>> optimizer.apply([torch.tensor([0.0, 1.0])], [weight])
    >>> weight.data
    tensor([3.0000, 2.7500])
    """

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
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
        self.beta_1 = check_fraction("beta_1", beta_1)
        self.beta_2 = check_fraction("beta_2", beta_2)
        self.epsilon = epsilon

    def slots(self) -> tuple[tuple[str, ...], ...]:
        return (("momentum", "velocity"),)

    def update(self, groups: Sequence[FlatGroup], rate: float, step: int) -> None:
        for group in groups:
            momentum, velocity = group.slots["momentum"], group.slots["velocity"]
            direction = group.scratch().zero_()  # Adam's step from zero, at the rate 1, is minus the direction
            fused_adam(group, direction, momentum, velocity, 1.0, step, (self.beta_1, self.beta_2), self.epsilon)
            lengths, steps = group.norms(group.value_views), group.norms(group.scratch_views())
            ratios = torch.where((lengths > 0) & (steps > 0), lengths / steps, 1.0)
            torch._foreach_addcmul_(group.value_views, group.scratch_views(), ratios.unbind(), value=rate)
