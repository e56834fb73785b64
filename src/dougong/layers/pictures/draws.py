"""Draws that several picture layers share.   Shapes: N batch, K parts."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from dougong.layers.pictures.base import PictureLayer

__all__ = ["chosen", "random_shares"]


def chosen(layer: PictureLayer, data: Any, chance: tuple[float, float], seed: Any) -> Tensor:
    """Which pictures a layer is to change: each has its own probability, drawn from ``chance``.   Shapes: ``[N]``."""
    images = layer.pictures(data)
    shape, stream = (layer.sizes(data).batch,), layer.stream(images.device, seed)
    probability = layer.uniform(shape, *chance, on=images, seed=stream)
    return layer.uniform(shape, on=images, seed=stream) < probability


def random_shares(concentration: Tensor, generator: torch.Generator | None = None) -> Tensor:
    r"""Positive numbers with sum 1, from Dirichlet's distribution; of two parts, the first is from the beta's.

    .. math:: w = \operatorname{softmax}(\log g),\quad
              \log g_k = \log \Gamma_k + \tfrac{1}{\alpha_k} \log u_k,\quad
              \Gamma_k \sim \operatorname{Gamma}(\alpha_k + 1),\ u_k \sim U(0, 1)

    In logarithms, since for an alpha of 0.01 half of the gamma numbers themselves are too small for a float32.
    Shapes: ``[..., K] -> [..., K]``.   Ref: Marsaglia & Tsang 2000, doi:10.1145/358407.358414, section 6.

    >>> random_shares(torch.full((4, 3), 0.001)).sum(-1)
    tensor([1., 1., 1., 1.])
    """
    uniform = torch.empty_like(concentration).uniform_(generator=generator)
    log_uniform = uniform.clamp_min(torch.finfo(uniform.dtype).tiny).log()
    gamma = torch._standard_gamma(concentration + 1.0, generator=generator)
    return torch.softmax(gamma.log() + log_uniform / concentration, -1)
