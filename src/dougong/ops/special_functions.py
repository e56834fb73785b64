"""The error function and its kin, sums of exponentials, the largest values, distances.   Source: Keras 3 semantics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from dougong.core.errors import ShapeError
from dougong.ops.op import axes_of, floating, joined, op, tensor

__all__ = ["cdist", "erf", "erfc", "erfinv", "in_top_k", "logsumexp", "rsqrt", "top_k"]


@op
def rsqrt(x: Any) -> Tensor:
    """``1 / sqrt(x)``, elementwise.

    >>> rsqrt(4.0)
    tensor(0.5000)
    """
    return torch.rsqrt(floating(x))


@op
def erf(x: Any) -> Tensor:
    r""":math:`\frac{2}{\sqrt\pi} \int_0^x e^{-t^2}\,dt`, elementwise.

    >>> erf([0.0, 1.0])
    tensor([0.0000, 0.8427])
    """
    return torch.erf(floating(x))


@op
def erfc(x: Any) -> Tensor:
    """``1 - erf(x)``, with all its digits where that is small.

    >>> erfc(1.0)
    tensor(0.1573)
    """
    return torch.erfc(floating(x))


@op
def erfinv(x: Any) -> Tensor:
    """The inverse of `erf`; NaN outside [-1, 1].

    >>> erfinv(0.5)
    tensor(0.4769)
    """
    return torch.erfinv(floating(x))


@op
def logsumexp(x: Any, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
    r""":math:`\ln \sum e^x` over ``axis``, by default all, without overflow.

    >>> logsumexp([0.0, 0.0])
    tensor(0.6931)
    """
    x = floating(x)
    return torch.logsumexp(x, axes_of(axis, x.ndim), keepdim=keepdims) if x.ndim else x


@op
def top_k(x: Any, k: int, sorted: bool = True) -> tuple[Tensor, Tensor]:
    """The ``k`` largest of the last axis, and where they stand: ``values, indices``.

    Shapes: ``[…, C] -> […, k]`` twice.   Keras: equals its namesake on torch, where indices are int64.

    >>> top_k([1.0, 5.0, 3.0], 2).indices
    tensor([1, 2])
    """
    return torch.topk(tensor(x), k, sorted=sorted)


@op
def in_top_k(targets: Any, predictions: Any, k: int) -> Tensor:
    """Whether the class ``targets`` has one of the ``k`` largest predictions; ties count.

    Shapes: ``[N], [N, C] -> [N]``.   Keras: equals its namesake.

    >>> in_top_k([0, 2], [[0.1, 0.9, 0.3], [0.1, 0.9, 0.3]], 2)
    tensor([False,  True])
    """
    scores, labels = tensor(predictions), tensor(targets, torch.int64)
    if scores.ndim != 2 or labels.ndim != 1:
        raise ShapeError(
            f"in_top_k takes targets [N] and predictions [N, C], got {tuple(labels.shape)} and {tuple(scores.shape)}"
        )
    least = torch.topk(scores, k).values.amin(-1)
    return scores.gather(1, labels[:, None])[:, 0] >= least


@op
def cdist(x: Any, y: Any) -> Tensor:
    r"""Euclidean distances :math:`|x_i - y_j|`.   Shapes: ``[…, M, D], […, N, D] -> […, M, N]``.

    Raises: ShapeError.   Keras: equals its namesake; the gradient of a distance of 0 is 0 here, NaN there.

    >>> cdist([[0.0, 0.0]], [[3.0, 4.0]])
    tensor([[5.]])
    """
    x, y = joined((floating(x), floating(y)))
    if x.ndim < 2 or y.ndim < 2 or x.shape[-1] != y.shape[-1]:
        raise ShapeError(f"cdist takes points [M, D] and [N, D] of one D, got {tuple(x.shape)} and {tuple(y.shape)}")
    return torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist")
