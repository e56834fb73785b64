"""Gradient descent, with momentum.   Symbols: p parameter, g gradient, η learning rate, μ momentum, v velocity."""

from __future__ import annotations

from collections.abc import Sequence

from dougong.optimizers.flat import FlatGroup
from dougong.optimizers.optimizer import Optimizer
from dougong.optimizers.options import LearningRate, check_fraction

__all__ = ["SGD"]


class SGD(Optimizer):
    r"""Steps against the gradient; with momentum, a running sum of steps.

    .. math:: v \leftarrow \mu v - \eta g, \qquad p \leftarrow p + v, \qquad
        \text{nesterov: } p \leftarrow p + \mu v - \eta g

    The rate is inside the velocity, so that a change of rate acts slowly; ``torch.optim.SGD`` has it outside.
    Raises: ConfigError if ``momentum`` is outside [0, 1].   Keras: equals ``SGD``.
    Ref: Sutskever 2013, http://proceedings.mlr.press/v28/sutskever13.html.

    >>> import torch
    >>> weight, optimizer = torch.nn.Parameter(torch.tensor([1.0])), SGD(0.25, momentum=0.5)
    >>> for _ in range(2):
    ...     optimizer.apply([torch.tensor([1.0])], [weight])
    >>> weight.data
    tensor([0.3750])
    """

    def __init__(
        self,
        learning_rate: LearningRate = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
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
        self.momentum = check_fraction("momentum", momentum, most=1.0)
        self.nesterov = nesterov

    def slots(self) -> tuple[tuple[str, ...], ...]:
        return (("momentum",),) if self.momentum else ()

    def update(self, groups: Sequence[FlatGroup], rate: float, step: int) -> None:
        for group in groups:
            if not self.momentum:
                group.values.add_(group.gradients, alpha=-rate)
                continue
            velocity = group.slots["momentum"]
            velocity.mul_(self.momentum).add_(group.gradients, alpha=-rate)
            if self.nesterov:
                group.values.add_(group.gradients, alpha=-rate).add_(velocity, alpha=self.momentum)
            else:
                group.values.add_(velocity)
