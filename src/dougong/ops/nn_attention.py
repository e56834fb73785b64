"""Attention in one call of torch's fused kernel.

Shapes: N batch, Q queries, T keys, H heads, G key heads, D and E features.   Source: Keras 3 semantics.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from dougong.core.errors import ConfigError, ShapeError
from dougong.ops.op import floating, joined, op, tensor

__all__ = ["dot_product_attention"]

_WITHOUT_FLASH = [SDPBackend.MATH, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.CUDNN_ATTENTION]


@op
def dot_product_attention(
    query: Any,
    key: Any,
    value: Any,
    bias: Any = None,
    mask: Any = None,
    scale: float | None = None,
    is_causal: bool = False,
    flash_attention: bool | None = None,
    attn_logits_soft_cap: float | None = None,
) -> Tensor:
    r"""For each query the mean of the values, weighted by how well their keys match.

    .. math:: y = \operatorname{softmax}(s\, q k^\top + b)\, v, \qquad s = 1/\sqrt{D}\ \text{unless given}

    ``mask`` is True where a query may look; a query that may look nowhere sees all keys alike.  ``is_causal`` lets
    query i look at keys up to i.  With G < H each key head serves H / G query heads.  ``flash_attention`` None leaves
    the kernel to torch; False keeps the flash kernel out, True allows no other.
    Shapes: ``[N, Q, H, D], [N, T, G, D], [N, T, G, E] -> [N, Q, H, E]``; bias and mask broadcast to ``[N, H, Q, T]``.
    Raises: ShapeError, ConfigError.   Keras: equals its namesake.  Ref: Vaswani 2017, arXiv:1706.03762.

    >>> q = torch.zeros(1, 1, 1, 2); k = torch.zeros(1, 2, 1, 2); v = torch.tensor([[[[1.0]], [[3.0]]]])
    >>> dot_product_attention(q, k, v).item()
    2.0
    """
    if attn_logits_soft_cap is not None:
        raise ConfigError("attn_logits_soft_cap is for JAX on TPU only; leave it out")
    if bias is not None and mask is not None:
        raise ConfigError("give bias or mask, not both; a mask can be written as a bias of -inf")
    parts = joined((floating(query), floating(key), floating(value)))
    if any(part.ndim != 4 for part in parts):
        shapes = ", ".join(str(tuple(part.shape)) for part in parts)
        raise ShapeError(f"query, key and value must be [batch, length, heads, features], got {shapes}")
    q, k, v = (part.transpose(1, 2) for part in parts)
    added = _added(q, k, bias, mask, is_causal)
    with _kernels(flash_attention):
        grouped = 1 < k.shape[1] < q.shape[1]
        causal = is_causal and added is None
        attended = F.scaled_dot_product_attention(q, k, v, added, 0.0, causal, scale=scale, enable_gqa=grouped)
    return attended.transpose(1, 2)


def _added(q: Tensor, k: Tensor, bias: Any, mask: Any, is_causal: bool) -> Tensor | None:
    """What is added to the scores, or None."""
    causal = None
    if is_causal and (bias is not None or mask is not None):  # torch takes a mask or "causal", not both
        causal = torch.ones(q.shape[-2], k.shape[-2], dtype=torch.bool, device=q.device).tril()
    # Far below every score yet finite, as in Keras: of a row without keys softmax then makes a plain mean.
    never = -0.7 * (65500.0 if q.dtype is torch.float16 else 3.38953e38)
    if mask is not None:
        allowed = tensor(mask, torch.bool)
        allowed = allowed if causal is None else allowed & causal
        return torch.zeros(allowed.shape, dtype=q.dtype, device=q.device).masked_fill(~allowed, never)
    if bias is not None:
        added = tensor(bias, q.dtype)
        return added if causal is None else torch.where(causal, added, never)
    return None


def _kernels(flash_attention: bool | None) -> Any:
    if flash_attention is None:
        return nullcontext()
    return sdpa_kernel([SDPBackend.FLASH_ATTENTION] if flash_attention else _WITHOUT_FLASH)
