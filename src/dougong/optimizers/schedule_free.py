"""Schedule-free AdamW.   Symbols: p parameter, g gradient, η learning rate, t update, from 1, v mean square of g."""

from __future__ import annotations

from collections.abc import Sequence

from dougong.core.errors import ConfigError
from dougong.optimizers.adam import fused_adam
from dougong.optimizers.flat import FlatGroup
from dougong.optimizers.optimizer import Optimizer
from dougong.optimizers.options import LearningRate, check_fraction

__all__ = ["ScheduleFreeAdamW"]


class ScheduleFreeAdamW(Optimizer):
    r"""Adam without a schedule: steps are taken at a point between the fast weights and their running mean.

    .. math::
        z' = z - \frac{\eta\,g}{\sqrt{v/(1-\beta_2^t)} + \epsilon}, \quad
        x' = \left(1-\tfrac1t\right) x + \tfrac1t z', \quad p \leftarrow (1-\beta_1)\,z' + \beta_1 x'

    with Adam's :math:`v`.  :math:`z` begins as the parameter and is the slot ``momentum``; the mean :math:`x` is
    not kept but found from :math:`p` and :math:`z`.  In the first ``warmup_steps`` updates :math:`\eta` grows
    linearly to the learning rate.   Raises: ConfigError if ``beta_1`` is outside (0, 1] or ``beta_2`` outside [0, 1).
    Keras: equals ``ScheduleFreeAdamW`` on JAX and TensorFlow; on PyTorch Keras 3.15 overwrites :math:`z` before it is
    used for :math:`x`.   Ref: Defazio 2024, arXiv:2405.15682.

    >>> import torch
    >>> weight, optimizer = torch.nn.Parameter(torch.tensor([1.0])), ScheduleFreeAdamW(0.25)
    >>> optimizer.apply([torch.tensor([100.0])], [weight])
    >>> weight.data
    tensor([0.7500])
    """

    def __init__(
        self,
        learning_rate: LearningRate = 0.0025,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        warmup_steps: int = 0,
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
            raise ConfigError(f"beta_1 of ScheduleFreeAdamW must lie in (0, 1], got {beta_1!r}; its mean divides by it")
        self.beta_1 = beta_1
        self.beta_2 = check_fraction("beta_2", beta_2)
        self.epsilon = epsilon
        self.warmup_steps = warmup_steps

    def slots(self) -> tuple[tuple[str, ...], ...]:
        return (("momentum", "velocity"),)

    def start(self, groups: Sequence[FlatGroup]) -> None:
        for group in groups:
            group.slots["momentum"].copy_(group.values)

    def update(self, groups: Sequence[FlatGroup], rate: float, step: int) -> None:
        if self.warmup_steps > 0:
            rate *= min(step / self.warmup_steps, 1.0)
        newest, fast = 1.0 / step, 1.0 - self.beta_1
        for group in groups:
            z, velocity = group.slots["momentum"], group.slots["velocity"]
            group.values.add_(z, alpha=-fast).mul_(1.0 - newest)  # what the old mean adds to p
            # Adam's kernel without a first moment: the gradient itself passes through the scratch.
            fused_adam(group, z, group.scratch(), velocity, rate, step, (0.0, self.beta_2), self.epsilon)
            group.values.add_(z, alpha=fast + self.beta_1 * newest)
