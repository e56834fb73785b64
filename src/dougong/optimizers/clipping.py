"""Keep gradients small: by value, by the norm of each parameter's or of all.   Ref: Pascanu 2012, arXiv:1211.5063."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from dougong.optimizers.flat import FlatGroup

__all__ = ["clip_by_global_norm", "clip_by_norm", "clip_by_value"]


def clip_by_value(groups: Sequence[FlatGroup], limit: float) -> None:
    """Clip every gradient element to ``[-limit, limit]``, in place.   Keras: ``clipvalue``."""
    for group in groups:
        group.gradients.clamp_(-limit, limit)


def clip_by_norm(groups: Sequence[FlatGroup], limit: float) -> None:
    r"""Scale each parameter's gradient to a norm of at most ``limit``, in place.   Keras: ``clipnorm``.

    .. math:: g \leftarrow g \cdot \mathrm{limit} / \max(\|g\|_2, \mathrm{limit})
    """
    for group in groups:
        norms = torch.stack(torch._foreach_norm(group.gradient_views))
        scales = norms.clamp_min_(limit).reciprocal_().mul_(limit)
        torch._foreach_mul_(group.gradient_views, scales.unbind())


def clip_by_global_norm(groups: Sequence[FlatGroup], limit: float) -> None:
    r"""Scale all gradients by one factor, so that their common norm is at most ``limit``.   Keras: ``global_clipnorm``.

    .. math:: g_i \leftarrow g_i \cdot \mathrm{limit} / \max(\|(g_1, g_2, \ldots)\|_2, \mathrm{limit})

    If an element is not finite, it becomes NaN and the finite ones zero, so that it is seen where it arose; Keras makes
    all of them NaN.
    """
    if not groups:
        return
    norms = [torch.linalg.vector_norm(group.gradients) for group in groups]
    norm = norms[0]
    if len(norms) > 1:
        norm = torch.linalg.vector_norm(torch.stack([n.to(norms[0].device, torch.float64) for n in norms]))
    scale = norm.clamp_min(limit).reciprocal_().mul_(limit).nan_to_num_(0.0)
    for group in groups:
        group.gradients.mul_(scale.to(group.device, group.dtype))
