"""FTRL-proximal.   Symbols: p parameter, g gradient, η learning rate, n sum of squared gradients, z linear term."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from dougong.core.errors import ConfigError
from dougong.optimizers.flat import FlatGroup
from dougong.optimizers.optimizer import Optimizer
from dougong.optimizers.options import LearningRate

__all__ = ["Ftrl"]


class Ftrl(Optimizer):
    r"""Follow the regularized leader: for wide sparse models; with L1, weights become exactly zero.

    .. math::
        n' = n + g^2, \quad
        z \leftarrow z + g + 2\lambda_s p - \frac{n'^{-k} - n^{-k}}{\eta}\,p, \quad
        p \leftarrow \frac{\mathrm{clip}(z, -\lambda_1, \lambda_1) - z}{n'^{-k}/\eta + 2\lambda_2 + \beta/\eta}

    with :math:`k` ``learning_rate_power``, :math:`\lambda_1, \lambda_2, \lambda_s` the strengths of L1, L2, shrinkage.
    The parameter's present value counts only through the last term of :math:`z`.
    Raises: ConfigError if a strength or the initial value is negative, or the power positive.   Keras: equals ``Ftrl``.
    Ref: McMahan 2013, https://research.google.com/pubs/archive/41159.pdf.

    >>> weight, optimizer = torch.nn.Parameter(torch.tensor([0.5])), Ftrl(0.5, l1_regularization_strength=10.0)
    >>> optimizer.apply([torch.tensor([1.0])], [weight])
    >>> weight.data
    tensor([0.])
    """

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        learning_rate_power: float = -0.5,
        initial_accumulator_value: float = 0.1,
        l1_regularization_strength: float = 0.0,
        l2_regularization_strength: float = 0.0,
        l2_shrinkage_regularization_strength: float = 0.0,
        beta: float = 0.0,
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
        self.learning_rate_power = learning_rate_power
        self.initial_accumulator_value = initial_accumulator_value
        self.l1_regularization_strength = l1_regularization_strength
        self.l2_regularization_strength = l2_regularization_strength
        self.l2_shrinkage_regularization_strength = l2_shrinkage_regularization_strength
        self.beta = beta
        self._check_strengths()

    def _check_strengths(self) -> None:
        if self.learning_rate_power > 0:
            raise ConfigError(f"learning_rate_power must be negative or zero, got {self.learning_rate_power!r}")
        kinds = ("l1_regularization", "l2_regularization", "l2_shrinkage_regularization")
        for name in ("initial_accumulator_value", *(f"{kind}_strength" for kind in kinds)):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} must not be negative, got {getattr(self, name)!r}")

    def slots(self) -> tuple[tuple[str, ...], ...]:
        return (("accumulator", "linear"),)

    def initial_value(self, slot: str) -> float:
        return self.initial_accumulator_value if slot == "accumulator" else 0.0

    def update(self, groups: Sequence[FlatGroup], rate: float, step: int) -> None:
        l1, l2 = self.l1_regularization_strength, self.l2_regularization_strength + self.beta / (2.0 * rate)
        for group in groups:
            accumulator, linear, values = group.slots["accumulator"], group.slots["linear"], group.values
            before = self._power(accumulator, group.scratch(0))
            accumulator.addcmul_(group.gradients, group.gradients)
            after = self._power(accumulator, group.scratch(1))
            growth = before.sub_(after).div_(rate)  # negative: what was, less what is
            linear.add_(group.gradients).add_(values, alpha=2.0 * self.l2_shrinkage_regularization_strength)
            linear.addcmul_(growth, values)
            quadratic = after.div_(rate).add_(2.0 * l2)
            torch.clamp(linear, -l1, l1, out=before).sub_(linear)
            torch.div(before, quadratic, out=values)

    def _power(self, accumulator: Tensor, out: Tensor) -> Tensor:
        return torch.pow(accumulator, -self.learning_rate_power, out=out)
