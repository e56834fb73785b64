"""Adam and its relatives.   Symbols: p parameter, g gradient, η learning rate, t update, from 1, m, v moments of g."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cache
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from dougong.core.errors import ConfigError
from dougong.optimizers.flat import FlatGroup
from dougong.optimizers.optimizer import Optimizer
from dougong.optimizers.options import LearningRate, check_fraction

__all__ = ["Adam", "AdamW", "Adamax", "Nadam", "fused_adam", "keras_rounding"]


class Adam(Optimizer):
    r"""Steps of a size that does not depend on the gradient's scale.

    .. math::
        m \leftarrow \beta_1 m + (1-\beta_1)\,g, \quad v \leftarrow \beta_2 v + (1-\beta_2)\,g^2, \quad
        p \leftarrow p - \eta\,\frac{\sqrt{1-\beta_2^t}}{1-\beta_1^t}\,\frac{m}{\sqrt{v}+\epsilon}

    ``amsgrad`` puts the greatest :math:`v` so far in place of :math:`v`.  :math:`\epsilon` is Keras's: added before the
    bias correction (``torch.optim.Adam`` adds it after; its default is 1e-8).
    Raises: ConfigError if a beta is outside [0, 1).   Keras: equals ``Adam``.
    Ref: Kingma & Ba 2014, arXiv:1412.6980; Reddi 2018, arXiv:1904.09237.

    >>> weight, optimizer = torch.nn.Parameter(torch.tensor([1.0, 1.0])), Adam(0.25)
    >>> optimizer.apply([torch.tensor([100.0, -1.0])], [weight])
    >>> weight.data
    tensor([0.7500, 1.2500])
    """

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
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
        self.amsgrad = amsgrad

    def slots(self) -> tuple[tuple[str, ...], ...]:
        return (("momentum", "velocity"), *([("velocity_hat",)] if self.amsgrad else []))

    def update(self, groups: Sequence[FlatGroup], rate: float, step: int) -> None:
        # The kernel adds epsilon after the bias correction of v; divided by it beforehand, epsilon is Keras's.
        epsilon = self.epsilon / math.sqrt(1.0 - self.beta_2**step)
        for group in groups:
            slots = group.slots
            largest = slots["velocity_hat"] if self.amsgrad else None
            betas = self.beta_1, self.beta_2
            shown = rate * keras_rounding(betas, step) if group.values.dtype is torch.float32 else rate
            fused_adam(group, group.values, slots["momentum"], slots["velocity"], shown, step, betas, epsilon, largest)


def keras_rounding(betas: tuple[float, float], step: int) -> float:
    r"""What Keras's bias correction in float32 is, divided by the exact one: its betas are rounded to float32.

    .. math:: \sqrt{\frac{1-\hat\beta_2^t}{1-\beta_2^t}} \cdot \frac{1-\beta_1^t}{1-\hat\beta_1^t}

    It is within 10⁻⁵ of 1; with it a training run has Keras's numbers to seven digits, without it to four.

    >>> f"{keras_rounding((0.9, 0.999), 1) - 1:.1e}"
    '-6.7e-06'
    """
    first, second = betas
    first_rounded, second_rounded = _rounded(first), _rounded(second)
    of_second = (1.0 - second_rounded**step) / (1.0 - second**step)
    return math.sqrt(of_second) * (1.0 - first**step) / (1.0 - first_rounded**step)


@cache
def _rounded(value: float) -> float:
    return float(np.float32(value))


def fused_adam(
    group: FlatGroup,
    values: Tensor,
    momentum: Tensor,
    velocity: Tensor,
    rate: float,
    step: int,
    betas: tuple[float, float],
    epsilon: float,
    largest: Tensor | None = None,
) -> None:
    r"""Adam as one kernel on flat tensors, from a group's gradients; ``largest`` velocities are AMSGrad's.

    .. math:: p \leftarrow p - \eta\,\frac{m/(1-\beta_1^t)}{\sqrt{v/(1-\beta_2^t)} + \epsilon}
    """
    torch._fused_adam_(
        [values],
        [group.gradients],
        [momentum],
        [velocity],
        [] if largest is None else [largest],
        [group.counter.fill_(step)],
        lr=rate,
        beta1=betas[0],
        beta2=betas[1],
        weight_decay=0.0,
        eps=epsilon,
        amsgrad=largest is not None,
        maximize=False,
    )


class AdamW(Adam):
    r"""Adam whose weights decay by themselves, not through the gradient.

    .. math:: p \leftarrow p\,(1 - \eta \lambda) \quad \text{before Adam's update, } \lambda = \text{weight\_decay}

    Raises: ConfigError if ``weight_decay`` is None.   Keras: equals ``AdamW``.
    Ref: Loshchilov & Hutter 2017, arXiv:1711.05101.

    >>> weight, optimizer = torch.nn.Parameter(torch.tensor([1.0])), AdamW(0.25, weight_decay=0.5)
    >>> optimizer.apply([torch.tensor([0.0])], [weight])
    >>> weight.data
    tensor([0.8750])
    """

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        weight_decay: float = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
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
            beta_1,
            beta_2,
            epsilon,
            amsgrad,
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
        if weight_decay is None:
            raise ConfigError("AdamW needs a weight_decay, got None; use Adam for none")


class Nadam(Optimizer):
    r"""Adam with Nesterov momentum.

    .. math::
        u_t = \beta_1\left(1 - \tfrac12\, 0.96^t\right), \quad U_t = \prod_{i \le t} u_i, \quad
        \hat m = \frac{u_{t+1}\,m}{1 - U_{t+1}} + \frac{(1-u_t)\,g}{1 - U_t}, \quad
        p \leftarrow p - \eta\,\frac{\hat m}{\sqrt{v/(1-\beta_2^t)} + \epsilon}

    with Adam's :math:`m` and :math:`v`.   Raises: ConfigError if a beta is outside [0, 1).   Keras: equals ``Nadam``.
    Ref: Dozat 2015, http://cs229.stanford.edu/proj2015/054_report.pdf.

    >>> weight, optimizer = torch.nn.Parameter(torch.tensor([1.0])), Nadam(0.25)
    >>> optimizer.apply([torch.tensor([100.0])], [weight])
    >>> weight.data
    tensor([0.7343])
    """

    saved_scalars: ClassVar[Mapping[str, str]] = {"u_product": "variable"}

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
        self.u_product = 1.0

    def slots(self) -> tuple[tuple[str, ...], ...]:
        return (("momentum", "velocity"),)

    def update(self, groups: Sequence[FlatGroup], rate: float, step: int) -> None:
        now = self.beta_1 * (1.0 - 0.5 * 0.96**step)
        following = self.beta_1 * (1.0 - 0.5 * 0.96 ** (step + 1))
        self.u_product *= now
        correction = math.sqrt(1.0 - self.beta_2**step)
        of_momentum = rate * correction * following / (1.0 - self.u_product * following)
        of_gradient = rate * correction * (1.0 - now) / (1.0 - self.u_product)
        for group in groups:
            momentum, velocity, gradients = group.slots["momentum"], group.slots["velocity"], group.gradients
            momentum.lerp_(gradients, 1.0 - self.beta_1)
            velocity.mul_(self.beta_2).addcmul_(gradients, gradients, value=1.0 - self.beta_2)
            denominator = torch.sqrt(velocity, out=group.scratch()).add_(self.epsilon * correction)
            group.values.addcdiv_(momentum, denominator, value=-of_momentum)
            group.values.addcdiv_(gradients, denominator, value=-of_gradient)


class Adamax(Optimizer):
    r"""Adam with the greatest recent gradient in place of the second moment.

    .. math::
        m \leftarrow \beta_1 m + (1-\beta_1)\,g, \quad u \leftarrow \max(\beta_2 u, |g|), \quad
        p \leftarrow p - \frac{\eta}{1-\beta_1^t}\,\frac{m}{u+\epsilon}

    Raises: ConfigError if a beta is outside [0, 1).   Keras: equals ``Adamax``.
    Ref: Kingma & Ba 2014, arXiv:1412.6980.

    >>> weight, optimizer = torch.nn.Parameter(torch.tensor([1.0])), Adamax(0.25)
    >>> optimizer.apply([torch.tensor([100.0])], [weight])
    >>> weight.data
    tensor([0.7500])
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
        return (("momentum", "norm"),)

    def update(self, groups: Sequence[FlatGroup], rate: float, step: int) -> None:
        for group in groups:
            momentum, norm, scratch = group.slots["momentum"], group.slots["norm"], group.scratch()
            momentum.lerp_(group.gradients, 1.0 - self.beta_1)
            torch.abs(group.gradients, out=scratch)
            torch.maximum(norm.mul_(self.beta_2), scratch, out=norm)
            torch.add(norm, self.epsilon, out=scratch)
            group.values.addcdiv_(momentum, scratch, value=-rate / (1.0 - self.beta_1**step))
