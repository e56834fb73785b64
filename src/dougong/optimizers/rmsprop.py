"""RMSprop.   Symbols: p parameter, g gradient, η learning rate, ρ decay of averages, v mean square, b momentum."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from dougong.optimizers.flat import FlatGroup
from dougong.optimizers.optimizer import Optimizer
from dougong.optimizers.options import LearningRate, check_fraction

__all__ = ["RMSprop"]


class RMSprop(Optimizer):
    r"""Divides the gradient by the root of its recent mean square.

    .. math::
        v \leftarrow \rho v + (1-\rho)\,g^2, \quad \Delta = \frac{\eta\,g}{\sqrt{v + \epsilon}}, \quad
        p \leftarrow p - \Delta \quad\text{or}\quad b \leftarrow \mu b + \Delta,\ p \leftarrow p - b

    ``centered`` subtracts the square of the gradient's mean from :math:`v` under the root.
    Raises: ConfigError if ``rho`` or ``momentum`` is outside [0, 1].   Keras: equals ``RMSprop``.
    Ref: Hinton 2012, http://www.cs.toronto.edu/~tijmen/csc321/slides/lecture_slides_lec6.pdf; centered: Graves 2013,
    arXiv:1308.0850.

    >>> weight, optimizer = torch.nn.Parameter(torch.tensor([1.0])), RMSprop(0.25, rho=0.75)
    >>> optimizer.apply([torch.tensor([100.0])], [weight])
    >>> weight.data
    tensor([0.5000])
    """

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
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
        self.momentum = check_fraction("momentum", momentum, most=1.0)
        self.epsilon = epsilon
        self.centered = centered

    def slots(self) -> tuple[tuple[str, ...], ...]:
        names = ["velocity", *(["momentum"] if self.momentum else []), *(["average_gradient"] if self.centered else [])]
        return tuple((name,) for name in names)

    def update(self, groups: Sequence[FlatGroup], rate: float, step: int) -> None:
        for group in groups:
            gradients, velocity = group.gradients, group.slots["velocity"]
            velocity.mul_(self.rho).addcmul_(gradients, gradients, value=1.0 - self.rho)
            root = torch.add(velocity, self.epsilon, out=group.scratch())
            if self.centered:
                mean = group.slots["average_gradient"].lerp_(gradients, 1.0 - self.rho)
                root.addcmul_(mean, mean, value=-1.0)
            root.sqrt_()
            if self.momentum:
                momentum = group.slots["momentum"].mul_(self.momentum).addcdiv_(gradients, root, value=rate)
                group.values.sub_(momentum)
            else:
                group.values.addcdiv_(gradients, root, value=-rate)
