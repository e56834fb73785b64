"""Adafactor.   Symbols: p parameter, g gradient, η learning rate, t update, from 1, v mean square of g."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from dougong.core.variable import Variable
from dougong.optimizers.flat import FlatGroup
from dougong.optimizers.optimizer import Optimizer
from dougong.optimizers.options import LearningRate

__all__ = ["Adafactor"]


class Adafactor(Optimizer):
    r"""Adam's scaling with the second moments of a matrix told by those of its rows and columns; no first moment.

    .. math::
        \beta = 1 - t^{\gamma}, \quad s = g^2 + \epsilon_1, \quad
        r \leftarrow \beta r + (1-\beta)\,\overline{s}_{\text{rows}}, \quad
        c \leftarrow \beta c + (1-\beta)\,\overline{s}_{\text{columns}}, \quad v = \frac{r}{\bar r}\,c^\top

    .. math::
        u = g/\sqrt v, \quad \eta' = \min(\eta, 1/\sqrt t), \quad
        p \leftarrow p - \eta' \max(\epsilon_2, \mathrm{rms}(p))\,\frac{u}{\max(1, \mathrm{rms}(u)/d)}

    with :math:`\gamma` ``beta_2_decay`` and :math:`d` ``clip_threshold``.  Rows and columns are the last two axes in
    Keras's layout; parameters with fewer axes keep their :math:`v \leftarrow \beta v + (1-\beta)\,s` in full.
    ``relative_step`` changes nothing beyond :math:`\eta'`, as in Keras.   Keras: equals ``Adafactor``; it keeps
    :math:`v` in full, too, so no memory is saved.   Ref: Shazeer & Stern 2018, arXiv:1804.04235.

    >>> weight, optimizer = torch.nn.Parameter(torch.tensor([1.0, -1.0])), Adafactor(0.25)
    >>> optimizer.apply([torch.tensor([100.0, 1.0])], [weight])
    >>> weight.data
    tensor([ 0.7500, -1.2500])
    """

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        beta_2_decay: float = -0.8,
        epsilon_1: float = 1e-30,
        epsilon_2: float = 1e-3,
        clip_threshold: float = 1.0,
        relative_step: bool = True,
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
        self.beta_2_decay = beta_2_decay
        self.epsilon_1 = epsilon_1
        self.epsilon_2 = epsilon_2
        self.clip_threshold = clip_threshold
        self.relative_step = relative_step

    def slots(self) -> tuple[tuple[str, ...], ...]:
        return (("velocity",),)

    def slots_apart(self, shape: tuple[int, ...]) -> Mapping[str, tuple[int, ...]]:
        return {"row": shape[:-1], "column": (*shape[:-2], shape[-1])} if len(shape) >= 2 else {}

    def slot_variables(self, block: Sequence[str], index: int) -> list[Any]:
        found = super().slot_variables(block, index)
        if "velocity" not in block:
            return found
        name, apart = self._weights[index].name, self._placed.apart[index]
        if apart:
            factors = [
                Variable.around(one, name, path=f"{self.name}/{name}", trainable=False) for one in apart.values()
            ]
        else:  # Keras saves two zeros in their place
            factors = [Variable(0, dtype="int32", name=name, trainable=False) for _ in range(2)]
        return [*factors, *found]

    def update(self, groups: Sequence[FlatGroup], rate: float, step: int) -> None:
        bound = min(rate, 1.0 / math.sqrt(step))
        newest = step**self.beta_2_decay
        for group in groups:
            self._update_factored(group, newest)
            self._update_whole(group, newest)
            torch.rsqrt(group.slots["velocity"], out=group.scratch()).mul_(group.gradients)
            roots = group.counts().sqrt()
            lengths, steps = group.norms(group.value_views) / roots, group.norms(group.scratch_views()) / roots
            scales = lengths.clamp_min_(self.epsilon_2) / steps.div_(self.clip_threshold).clamp_min_(1.0)
            torch._foreach_addcmul_(group.value_views, group.scratch_views(), scales.unbind(), value=-bound)

    def _update_factored(self, group: FlatGroup, newest: float) -> None:
        """v of the parameters that have rows and columns."""
        flat = self._placed
        found = [(i, self._weights[i].layout, flat.apart[i], flat.gradients[i]) for i in group.indices if flat.apart[i]]
        if not found:
            return
        seen = [layout.to_keras(gradient) for _, layout, _, gradient in found]
        for name, axis in (("row", -1), ("column", -2)):
            means = [torch.linalg.vector_norm(gradient, dim=axis) for gradient in seen]
            torch._foreach_mul_(means, means)
            torch._foreach_div_(means, [float(gradient.shape[axis]) for gradient in seen])
            torch._foreach_add_(means, self.epsilon_1)
            torch._foreach_lerp_([factors[name] for _, _, factors, _ in found], means, newest)
        for i, layout, factors, _ in found:
            row, column, velocity = factors["row"], factors["column"], flat.slot("velocity", i)
            shares = row / row.mean(-1, keepdim=True)
            product = shares.unsqueeze(-1), column.unsqueeze(-2)
            target = layout.to_keras(velocity)
            if target._base is velocity._base:  # the layout only permutes axes: written in place
                torch.mul(*product, out=target)
            else:
                velocity.copy_(layout.from_keras(torch.mul(*product)))

    def _update_whole(self, group: FlatGroup, newest: float) -> None:
        """v of the parameters that have not."""
        flat = self._placed
        whole = [i for i in group.indices if not flat.apart[i]]
        if whole:
            gradients = [flat.gradients[i] for i in whole]
            squares = torch._foreach_add(torch._foreach_mul(gradients, gradients), self.epsilon_1)
            torch._foreach_lerp_([flat.slot("velocity", i) for i in whole], squares, newest)
