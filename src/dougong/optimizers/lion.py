"""Lion.   Symbols: p parameter, g gradient, η learning rate, m momentum."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from dougong.core.errors import ConfigError
from dougong.optimizers.flat import FlatGroup
from dougong.optimizers.optimizer import Optimizer
from dougong.optimizers.options import LearningRate, check_fraction

__all__ = ["Lion"]


class Lion(Optimizer):
    r"""Steps of one size, by the sign of an average of momentum and gradient; wants a rate 3 to 10 times below Adam's.

    .. math::
        p \leftarrow p - \eta\,\mathrm{sign}(\beta_1 m + (1-\beta_1)\,g), \qquad m \leftarrow \beta_2 m + (1-\beta_2)\,g

    Raises: ConfigError if ``beta_1`` is outside (0, 1] or ``beta_2`` outside [0, 1].   Keras: equals ``Lion``.
    Ref: Chen 2023, arXiv:2302.06675.

    >>> weight, optimizer = torch.nn.Parameter(torch.tensor([1.0, 1.0])), Lion(0.25)
    >>> optimizer.apply([torch.tensor([100.0, -0.01])], [weight])
    >>> weight.data
    tensor([0.7500, 1.2500])
    """

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.99,
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
        if not 0 < beta_1 <= 1:
            raise ConfigError(f"beta_1 of Lion must lie in (0, 1], got {beta_1!r}; with 0 it forgets its momentum")
        self.beta_1 = beta_1
        self.beta_2 = check_fraction("beta_2", beta_2, most=1.0)

    def slots(self) -> tuple[tuple[str, ...], ...]:
        return (("momentum",),)

    def update(self, groups: Sequence[FlatGroup], rate: float, step: int) -> None:
        for group in groups:
            momentum = group.slots["momentum"]
            direction = torch.lerp(momentum, group.gradients, 1.0 - self.beta_1, out=group.scratch()).sign_()
            group.values.add_(direction, alpha=-rate)
            momentum.lerp_(group.gradients, 1.0 - self.beta_2)
