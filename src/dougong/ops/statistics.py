"""Averages, quantiles, correlation.

Keras: each equals ``keras.ops`` of its name, except that float64 stays.   Shapes: Q quantiles asked for.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from dougong.core.errors import ConfigError, ShapeError
from dougong.ops.op import axes_of, floating, joined, op, tensor, widened
from dougong.ops.reductions import merged, over, restored

__all__ = ["average", "corrcoef", "correlate", "median", "percentile", "quantile", "quantiles"]


@op
def average(x: Any, axis: Any = None, weights: Any = None) -> Tensor:
    r"""The mean, weighted if ``weights`` are given: :math:`\sum w x / \sum w`.

    The weights have the shape of ``x``, or that of its reduced axes.   Raises: ShapeError for other shapes.
    Keras: on torch it divides by the weights' sum along their last axis, whatever ``axis`` is; this is NumPy's.

    >>> average([1, 3]), average([[1.0, 3.0], [5.0, 7.0]], axis=0, weights=[1.0, 3.0])
    (tensor(2.), tensor([4., 6.]))
    """
    if weights is None:
        return over(torch.mean, floating(x), axis, False)
    x, weights = (floating(one) for one in joined((tensor(x), tensor(weights))))
    weights = _along(weights, x.shape, axis)
    return over(torch.sum, x * weights, axis, False) / over(torch.sum, weights, axis, False)


def _along(weights: Tensor, shape: torch.Size, axis: Any) -> Tensor:
    """The weights spread over a tensor of ``shape``, if they are given for its reduced axes alone."""
    if weights.shape == shape:
        return weights
    dims = axes_of(axis, len(shape))
    if axis is None or tuple(weights.shape) != tuple(shape[dim] for dim in dims):
        raise ShapeError(
            f"average over axis {axis} of shape {tuple(shape)} got weights of shape {tuple(weights.shape)};"
            " give weights of the same shape, or of that of the axes reduced"
        )
    weights = weights.permute(sorted(range(len(dims)), key=dims.__getitem__))
    return weights.reshape([size if dim in dims else 1 for dim, size in enumerate(shape)]).expand(shape)


@op
def quantile(x: Any, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False) -> Tensor:
    """The value below which the fraction ``q``, from 0 to 1, of the sorted elements lies; NaN if one is NaN.

    Between two elements ``method`` decides: "linear", "lower", "higher", "midpoint" or "nearest".
    Several ``q`` give a first axis of Q.   Torch: its own refuses more than 16 million elements.

    >>> quantile([1, 2, 3, 4], 0.5), quantile([1, 2, 3, 4], [0.0, 0.25], method="lower")
    (tensor(2.5000), tensor([1., 1.]))
    """
    return quantiles(tensor(x), q, axis, method, keepdims)


@op
def percentile(x: Any, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False) -> Tensor:
    """`quantile` with ``q`` from 0 to 100.

    >>> percentile([1, 2, 3, 4], 100)
    tensor(4.)
    """
    return quantiles(tensor(x), fraction_of(q), axis, method, keepdims)


@op
def median(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The middle of the sorted elements, between the two middle ones of an even number, unlike torch's.

    >>> median([[1, 2], [3, 4]], axis=0), median([3, 1, 2, 4])
    (tensor([2., 3.]), tensor(2.5000))
    """
    return quantiles(tensor(x), 0.5, axis, "linear", keepdims)


def fraction_of(q: Any) -> Tensor:
    """Percent as fractions, Python numbers in float64."""
    return _fractions(q) / 100


def _fractions(q: Any) -> Tensor:
    # Not the default float: 0.3 in float32 lies above 3/10, and "higher" would take the next element.
    return floating(q) if isinstance(q, Tensor) else tensor(q, torch.float64)


def quantiles(x: Tensor, q: Any, axis: Any, method: str, keepdims: bool, skip_nan: bool = False) -> Tensor:
    """What `quantile` and its kin share: sort, and look up at rank ``q * (count - 1)``."""
    x = floating(x)
    q = _fractions(q).to(x.device)
    rows = merged(x.float() if x.dtype in (torch.float16, torch.bfloat16) else x, axis)
    if not rows.shape[-1]:
        raise ShapeError(f"a quantile over axis {axis} of shape {tuple(x.shape)} has no elements to choose from")
    rows = rows.sort(-1).values  # NaN comes last
    last = (~rows.isnan()).sum(-1, keepdim=True) - 1 if skip_nan else rows.shape[-1] - 1
    rank = (last * q.flatten()).clamp(min=0).expand(*rows.shape[:-1], q.numel())
    found = _at_rank(rows, rank, method)
    if not skip_nan:
        found = torch.where(rows[..., -1:].isnan(), torch.nan, found)
    found = found.movedim(-1, 0).reshape(q.shape + rows.shape[:-1]).to(x.dtype)
    if not keepdims:
        return found
    rank_kept = tuple(dim + q.ndim for dim in axes_of(axis, x.ndim)) if x.ndim else ()
    return restored(found, x.ndim + q.ndim, rank_kept)


def _at_rank(rows: Tensor, rank: Tensor, method: str) -> Tensor:
    if method == "nearest":
        return rows.gather(-1, rank.round().long())
    below = rows.gather(-1, rank.floor().long())
    above = rows.gather(-1, rank.ceil().long())
    if method == "lower":
        return below
    if method == "higher":
        return above
    if method not in ("linear", "midpoint"):
        raise ConfigError(f"method must be 'linear', 'lower', 'higher', 'midpoint' or 'nearest'; got {method!r}")
    weight = (rank - rank.floor()).to(rows.dtype)
    weight = torch.where(weight > 0, 0.5, 0.0).to(rows.dtype) if method == "midpoint" else weight
    # Between two equal infinities lies that infinity, not their NaN difference.
    return torch.where(below.isinf() & (below == above), below, torch.lerp(below, above, weight))


@op
def corrcoef(x: Any) -> Tensor:
    r"""The correlations of N variables, each a row of observations: ``[N, T] -> [N, N]``, ``[T] -> []``.

    .. math:: r_{ij} = c_{ij} / \sqrt{c_{ii} c_{jj}}, \qquad c\ \text{the covariance}

    int64 becomes float64.

    >>> corrcoef([[1, 2, 3], [3, 2, 1]])
    tensor([[ 1., -1.],
            [-1.,  1.]])
    """
    return torch.corrcoef(widened(x))


@op
def correlate(x1: Any, x2: Any, mode: str = "valid") -> Tensor:
    r"""The sums of products of one sequence with another moved along it: :math:`c_k = \sum_n a_{n+k} \bar v_n`.

    "full" gives every overlap, N + M - 1; "same" the middle max(N, M); "valid" those with no part outside.
    Raises: ShapeError unless both have one axis; ConfigError for another mode.
    Keras: on torch "same" has the length of ``x1``; this is NumPy's.

    >>> correlate([1, 2, 3], [0, 1]), correlate([1, 2, 3], [0, 1], mode="full")
    (tensor([2., 3.]), tensor([1., 2., 3., 0.]))
    """
    a, v = joined((widened(x1), widened(x2)))
    if a.ndim != 1 or v.ndim != 1 or not a.numel() or not v.numel():
        raise ShapeError(f"correlate takes two sequences, got shapes {tuple(a.shape)} and {tuple(v.shape)}")
    short, long = sorted((len(a), len(v)))
    full = torch.nn.functional.conv1d(a[None, None], v.conj()[None, None], padding=len(v) - 1)[0, 0]
    if mode == "full":
        return full
    if mode == "valid":
        return full[short - 1 : long]
    if mode == "same":
        start = (short - 1) // 2 if len(a) >= len(v) else short // 2
        return full[start : start + long]
    raise ConfigError(f"mode must be 'valid', 'same' or 'full'; got {mode!r}")
