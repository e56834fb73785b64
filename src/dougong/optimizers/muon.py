"""Muon.   Symbols: p parameter, g gradient, η learning rate, m momentum, μ its decay."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import torch
from torch import Tensor

from dougong.optimizers.adam import fused_adam
from dougong.optimizers.flat import FlatGroup
from dougong.optimizers.optimizer import Optimizer
from dougong.optimizers.options import LearningRate, check_fraction

__all__ = ["Muon", "orthogonalized"]


class Muon(Optimizer):
    r"""Momentum whose matrix steps are made orthogonal; all that is no hidden matrix is trained by AdamW.

    .. math::
        m \leftarrow \mu m + g, \qquad
        p \leftarrow p - \eta\,\rho\,\sqrt{\max(\text{rows}, \text{columns})}\;\mathrm{orth}(g + \mu m)

    with :math:`\rho` ``rms_rate`` (None: no factor but :math:`\eta`), and :math:`\mathrm{orth}(m)` without
    ``nesterov``; see `orthogonalized`.  Adam's update, at the rate ``adam_lr_ratio`` :math:`\cdot\,\eta`, is for
    parameters that have not two axes in Keras's layout, embeddings (``exclude_embeddings``: those with "embedding" in
    their path), and those in whose path an expression of ``exclude_layers`` is found; name the output layer there.
    Weights decay by ``adam_weight_decay`` and ``weight_decay``.
    Raises: ConfigError if an Adam beta is outside [0, 1).   Keras: equals ``Muon``.
    Ref: Jordan 2024, https://kellerjordan.github.io/posts/muon; Liu 2025, arXiv:2502.16982.

    >>> weight, optimizer = torch.nn.Parameter(torch.eye(2)), Muon(0.25, weight_decay=None)
    >>> optimizer.apply([torch.tensor([[9.0, 0.0], [0.0, 1.0]])], [weight])
    >>> [round(value, 2) for value in weight.diagonal().tolist()]
    [0.95, 0.95]
    """

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        adam_beta_1: float = 0.9,
        adam_beta_2: float = 0.999,
        adam_weight_decay: float | None = 0.004,
        epsilon: float = 1e-7,
        weight_decay: float | None = 0.004,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
        exclude_layers: Sequence[str] | None = None,
        exclude_embeddings: bool = True,
        muon_a: float = 3.4445,
        muon_b: float = -4.7750,
        muon_c: float = 2.0315,
        adam_lr_ratio: float = 1,
        momentum: float = 0.95,
        ns_steps: int = 5,
        nesterov: bool = True,
        rms_rate: float | None = 0.2,
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
        self.adam_beta_1 = check_fraction("adam_beta_1", adam_beta_1)
        self.adam_beta_2 = check_fraction("adam_beta_2", adam_beta_2)
        self.adam_weight_decay = adam_weight_decay
        self.epsilon = epsilon
        self.exclude_layers = list(exclude_layers or [])
        self.exclude_embeddings = exclude_embeddings
        self.muon_a, self.muon_b, self.muon_c = muon_a, muon_b, muon_c
        self.adam_lr_ratio = adam_lr_ratio
        self.momentum = momentum
        self.ns_steps = ns_steps
        self.nesterov = nesterov
        self.rms_rate = rms_rate

    def slots(self) -> tuple[tuple[str, ...], ...]:
        return (("momentum", "velocity"),)

    def kind(self, shape: tuple[int, ...], path: str) -> str:
        spared = self.exclude_embeddings and "embedding" in path.lower()
        spared = spared or any(re.search(expression, path) for expression in self.exclude_layers)
        return "matrix" if len(shape) == 2 and not spared else "adam"

    def keeps(self, slot: str, kind: str) -> bool:
        return slot != "velocity" or kind == "adam"

    def decay_of(self, kind: str) -> float | None:
        return self.adam_weight_decay if kind == "adam" else self.weight_decay

    def update(self, groups: Sequence[FlatGroup], rate: float, step: int) -> None:
        for group in groups:
            if group.kind == "adam":
                self._update_by_adam(group, rate * self.adam_lr_ratio, step)
                continue
            momentum = group.slots["momentum"].mul_(self.momentum).add_(group.gradients)
            direction = group.scratch().copy_(momentum)
            if self.nesterov:
                direction.mul_(self.momentum).add_(group.gradients)
            self._orthogonalize(group)
            group.values.add_(direction, alpha=-rate)

    def _update_by_adam(self, group: FlatGroup, rate: float, step: int) -> None:
        epsilon = self.epsilon / math.sqrt(1.0 - self.adam_beta_2**step)  # see Adam
        betas = self.adam_beta_1, self.adam_beta_2
        fused_adam(group, group.values, group.slots["momentum"], group.slots["velocity"], rate, step, betas, epsilon)

    def _orthogonalize(self, group: FlatGroup) -> None:
        """Make every matrix in the scratch orthogonal and of its step's length: those of one shape together."""
        batches: dict[tuple[int, int], list[tuple[int, Tensor]]] = {}
        for k, i in enumerate(group.indices):
            matrix = self._weights[i].layout.to_keras(group.scratch_views()[k])
            wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.mT
            batches.setdefault((wide.shape[0], wide.shape[1]), []).append((k, wide))
        for (_, longer), batch in batches.items():
            stacked = torch.stack([wide for _, wide in batch])
            found = orthogonalized(stacked, self.ns_steps, self.muon_a, self.muon_b, self.muon_c)
            if self.rms_rate is not None:
                found.mul_(math.sqrt(longer) * self.rms_rate)
            for (k, _), one in zip(batch, found):
                weight = self._weights[group.indices[k]]
                seen = one if weight.shape[0] <= weight.shape[1] else one.mT
                group.scratch_views()[k].copy_(weight.layout.from_keras(seen))


def orthogonalized(
    matrices: Tensor, steps: int = 5, a: float = 3.4445, b: float = -4.7750, c: float = 2.0315
) -> Tensor:
    r"""Matrices with the same singular vectors and singular values near 1, by a Newton-Schulz iteration.

    .. math:: X_0 = M/(\|M\|_F + 10^{-7}), \qquad X_{k+1} = a X_k + (b A + c A^2) X_k, \quad A = X_k X_k^\top

    Shapes: ``[N, R, C] -> [N, R, C]``; cheapest with R at most C.   Ref: Jordan 2024.

    >>> torch.linalg.svdvals(orthogonalized(torch.tensor([[[9.0, 0.0], [0.0, 1.0]]]))).round(decimals=1)
    tensor([[0.8000, 0.7000]])
    """
    x = matrices / (torch.linalg.matrix_norm(matrices, keepdim=True) + 1e-7)
    for _ in range(steps):
        products = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(products, products, products, beta=b, alpha=c), x, beta=a)
    return x
