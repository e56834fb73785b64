"""``keras.ops``'s normalizations: shift and scale along axes.   Source: Keras 3 semantics.

Statistics of float16 and bfloat16 are taken in float32.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from dougong.core.errors import ConfigError, ShapeError
from dougong.core.settings import SETTINGS
from dougong.ops.op import axes_of, floating, op, tensor

__all__ = ["batch_normalization", "layer_normalization", "moments", "normalize", "rms_normalization"]

Axes = int | Sequence[int]


@op
def moments(x: Any, axes: Axes, keepdims: bool = False, synchronized: bool = False) -> tuple[Tensor, Tensor]:
    """The mean and the variance, sum / n, over ``axes``.

    Keras: equals its namesake, whose E[x²] - E[x]² loses the digits of a variance far below the squared mean; this one
    does not.  ``synchronized`` is refused, as on Keras's torch.

    >>> moments([1.0, 3.0], axes=0)
    (tensor(2.), tensor(1.))
    """
    if synchronized:
        raise ConfigError("moments(synchronized=True) is not offered on PyTorch; use layers with SyncBatchNorm")
    x = floating(x)
    variance, mean = torch.var_mean(_wide(x), axes_of(axes, x.ndim), correction=0, keepdim=keepdims)
    return _narrow(mean, x.dtype), _narrow(variance, x.dtype)


@op
def batch_normalization(
    x: Any, mean: Any, variance: Any, axis: int, offset: Any = None, scale: Any = None, epsilon: float = 1e-3
) -> Tensor:
    r"""Scale and shift with given statistics, one of each for every channel along ``axis``.

    .. math:: y = \gamma (x - \mu) / \sqrt{\sigma^2 + \epsilon} + \beta

    Keras: equals its namesake; differentiable in every argument.

    >>> batch_normalization([[3.0]], [1.0], [4.0], axis=-1, epsilon=0.0)
    tensor([[1.]])
    """
    x = floating(x)
    shape = [1] * x.ndim
    shape[axis] = x.shape[axis]

    def spread(value: Any) -> Tensor:
        return tensor(value, x.dtype).reshape(shape)

    factor = torch.rsqrt(spread(variance) + epsilon)
    if scale is not None:
        factor = factor * spread(scale)
    y = (x - spread(mean)) * factor
    return y if offset is None else y + spread(offset)


@op
def layer_normalization(
    x: Any,
    gamma: Any = None,
    beta: Any = None,
    axis: Axes = -1,
    epsilon: float | None = None,
    *,
    rms_scaling: bool = False,
) -> Tensor:
    r"""Subtract the mean over ``axis``, divide by the deviation, scale by γ and shift by β.

    .. math:: y = \gamma (x - \mu) / \sqrt{\sigma^2 + \epsilon} + \beta

    ``gamma`` and ``beta`` have the sizes of ``axis``, in order.  ``rms_scaling``, which Keras deprecates, neither
    subtracts the mean nor shifts.
    Keras: equals its namesake; on torch Keras 3.15 takes the *last* axes, whatever one ``axis`` is given.

    >>> layer_normalization([[1.0, 3.0]], epsilon=0.0)
    tensor([[-1.,  1.]])
    """
    given = floating(x)
    x, axes = _wide(given), _sorted_axes(axis, given.ndim)
    sizes = tuple(x.shape[one] for one in axes)
    epsilon = SETTINGS.epsilon if epsilon is None else epsilon
    scale, shift = (None if one is None else _fitted(one, sizes, x.dtype) for one in (gamma, beta))
    if not rms_scaling and axes[-1] - axes[0] == len(axes) - 1 and axes[-1] == x.ndim - 1:
        return F.layer_norm(x, sizes, scale, shift, epsilon).to(given.dtype)
    if rms_scaling:
        warnings.warn("rms_scaling=True is deprecated; use rms_normalization", DeprecationWarning, stacklevel=3)
    spread = [x.shape[one] if one in axes else 1 for one in range(x.ndim)]
    variance, mean = torch.var_mean(x, axes, correction=0, keepdim=True)
    factor = torch.rsqrt(variance + epsilon)
    if scale is not None:
        factor = factor * scale.reshape(spread)
    y = x * factor if rms_scaling else (x - mean) * factor
    if shift is not None and not rms_scaling:
        y = y + shift.reshape(spread)
    return y.to(given.dtype)


@op
def rms_normalization(x: Any, scale: Any = None, axis: Axes = -1, epsilon: float | None = None) -> Tensor:
    r"""Divide by the root mean square over ``axis``: :math:`y = \gamma x / \sqrt{\overline{x^2} + \epsilon}`.

    Keras: equals its namesake; on torch Keras 3.15 takes the *last* axes, whatever one ``axis`` is given.
    Ref: Zhang & Sennrich 2019, arXiv:1910.07467.

    >>> rms_normalization([[3.0, 4.0]], epsilon=0.0)
    tensor([[0.8485, 1.1314]])
    """
    given = floating(x)
    x = _wide(given).reshape(1) if given.ndim == 0 else _wide(given)
    axes = _sorted_axes(axis, x.ndim)
    sizes = tuple(x.shape[one] for one in axes)
    epsilon = SETTINGS.epsilon if epsilon is None else epsilon
    factor = None if scale is None else tensor(scale, x.dtype)
    if axes[-1] - axes[0] == len(axes) - 1 and axes[-1] == x.ndim - 1 and (factor is None or factor.shape == sizes):
        return F.rms_norm(x, sizes, factor, epsilon).to(given.dtype)
    y = x * torch.rsqrt(x.square().mean(axes, keepdim=True) + epsilon)
    if factor is not None:
        if tuple(factor.shape) == sizes:  # one number for each place on the axes that are normalized
            factor = factor.reshape([x.shape[one] if one in axes else 1 for one in range(x.ndim)])
        y = y * factor
    return y.to(given.dtype)


@op
def normalize(x: Any, axis: Axes | None = -1, order: int = 2, epsilon: float | None = None) -> Tensor:
    r""":math:`x / \max(\|x\|_p, \epsilon)` along ``axis``, p being ``order``; zeros stay zeros.

    Keras: equals its namesake.

    >>> normalize([[3.0, 4.0]])
    tensor([[0.6000, 0.8000]])
    """
    if isinstance(order, bool) or not isinstance(order, int) or order < 1:
        raise ConfigError(f"order must be an int >= 1, got {order!r}")
    x = torch.atleast_1d(floating(x))
    length = torch.linalg.vector_norm(x, order, axes_of(axis, x.ndim), keepdim=True)
    return x / length.clamp_min(SETTINGS.epsilon if epsilon is None else epsilon)


def _sorted_axes(axis: Axes, rank: int) -> tuple[int, ...]:
    axes = tuple(sorted(axes_of(axis, rank)))
    if not axes or not all(0 <= one < rank for one in axes):
        raise ShapeError(f"axis {axis} does not fit an input with {rank} axes")
    return axes


def _fitted(value: Any, sizes: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """γ or β in the sizes of the axes that are normalized; axes of length 1 between them do not matter."""
    made = tensor(value, dtype)
    if made.numel() != torch.Size(sizes).numel():
        raise ShapeError(f"gamma and beta must have the sizes {sizes} of the axes normalized, got {tuple(made.shape)}")
    return made.reshape(sizes)


def _wide(x: Tensor) -> Tensor:
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def _narrow(x: Tensor, dtype: torch.dtype) -> Tensor:
    """Back to the dtype given, at most its largest number."""
    if x.dtype is dtype:
        return x
    return x.clamp(torch.finfo(dtype).min, torch.finfo(dtype).max).to(dtype)
