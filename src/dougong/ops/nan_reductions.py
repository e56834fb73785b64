"""Reductions that pass over NaN, as if it were not there.

Keras: each equals ``keras.ops`` of its name; on torch Keras's running sums and products also replace infinities.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from dougong.ops.cumulative import cumprod, cumsum
from dougong.ops.op import floating, op, tensor
from dougong.ops.reductions import amax, amin, argmax, argmin, over, prod, summed_dtype
from dougong.ops.statistics import fraction_of, quantiles

__all__ = [
    "nanargmax",
    "nanargmin",
    "nancumprod",
    "nancumsum",
    "nanmax",
    "nanmean",
    "nanmedian",
    "nanmin",
    "nanpercentile",
    "nanprod",
    "nanquantile",
    "nanstd",
    "nansum",
    "nanvar",
]


def _filled(x: Any, value: float) -> Tensor:
    """``x`` with ``value`` in place of NaN."""
    x = tensor(x)
    return torch.where(x.isnan(), value, x) if x.is_floating_point() or x.is_complex() else x


@op
def nansum(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """`sum`, NaN counting 0.

    >>> nansum([1.0, float("nan"), 2.0]), nanprod([3.0, float("nan"), 2.0])
    (tensor(3.), tensor(6.))
    """
    x = tensor(x)
    return over(torch.nansum if x.is_floating_point() else torch.sum, x, axis, keepdims, dtype=summed_dtype(x))


@op
def nanprod(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """`prod`, NaN counting 1."""
    return prod(_filled(x, 1.0), axis, keepdims)


@op
def nancumsum(x: Any, axis: int | None = None, dtype: Any = None) -> Tensor:
    """`cumsum`, NaN counting 0.

    >>> nancumsum([1.0, float("nan"), 2.0])
    tensor([1., 1., 3.])
    """
    return cumsum(_filled(x, 0.0), axis, dtype)


@op
def nancumprod(x: Any, axis: int | None = None, dtype: Any = None) -> Tensor:
    """`cumprod`, NaN counting 1."""
    return cumprod(_filled(x, 1.0), axis, dtype)


@op
def nanmean(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The mean of the numbers; NaN where there is none.

    >>> nanmean([[1.0, float("nan")], [3.0, 5.0]], axis=0)
    tensor([2., 5.])
    """
    return over(torch.nanmean, floating(x), axis, keepdims)


@op
def nanvar(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The variance of the numbers, `var`; NaN where there is none."""
    return _variance(floating(x), axis, keepdims)


@op
def nanstd(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The standard deviation of the numbers, `std`; NaN where there is none.

    >>> nanvar([1.0, 5.0, float("nan")]), nanstd([1.0, 5.0, float("nan")])
    (tensor(4.), tensor(2.))
    """
    return torch.sqrt(_variance(floating(x), axis, keepdims))


def _variance(x: Tensor, axis: Any, keepdims: bool) -> Tensor:
    valid = ~x.isnan()
    centred = torch.where(valid, x - over(torch.nanmean, x, axis, True), 0)
    squares = over(torch.sum, centred.abs().square() if x.is_complex() else centred.square(), axis, keepdims)
    return squares / over(torch.sum, valid, axis, keepdims)


@op
def nanmax(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The largest number; NaN where there is none.

    >>> nanmax([[1.0, float("nan")], [float("nan")] * 2], axis=1), nanmin([2.0, float("nan")])
    (tensor([1., nan]), tensor(2.))
    """
    return _or_nan(amax(_filled(x, -torch.inf), axis, keepdims), x, axis, keepdims)


@op
def nanmin(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The smallest number; NaN where there is none."""
    return _or_nan(amin(_filled(x, torch.inf), axis, keepdims), x, axis, keepdims)


def _or_nan(found: Tensor, x: Any, axis: Any, keepdims: bool) -> Tensor:
    if not found.is_floating_point():
        return found
    return torch.where(over(torch.all, tensor(x).isnan(), axis, keepdims), torch.nan, found)


@op
def nanargmax(x: Any, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Where the largest number stands; -1 where there is none.

    >>> nanargmax([[float("nan"), 1.0], [float("nan")] * 2], axis=1)
    tensor([ 1, -1], dtype=torch.int32)
    """
    return _or_nowhere(argmax(_filled(x, -torch.inf), axis, keepdims), x, axis, keepdims)


@op
def nanargmin(x: Any, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Where the smallest number stands; -1 where there is none."""
    return _or_nowhere(argmin(_filled(x, torch.inf), axis, keepdims), x, axis, keepdims)


def _or_nowhere(found: Tensor, x: Any, axis: int | None, keepdims: bool) -> Tensor:
    return torch.where(over(torch.all, tensor(x).isnan(), axis, keepdims), -1, found)


@op
def nanquantile(x: Any, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False) -> Tensor:
    """`quantile` of the numbers; NaN where there is none.

    >>> nanquantile([1.0, float("nan"), 3.0], [0.0, 0.5])
    tensor([1., 2.])
    """
    return quantiles(tensor(x), q, axis, method, keepdims, skip_nan=True)


@op
def nanpercentile(x: Any, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False) -> Tensor:
    """`nanquantile` with ``q`` from 0 to 100."""
    return quantiles(tensor(x), fraction_of(q), axis, method, keepdims, skip_nan=True)


@op
def nanmedian(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """`median` of the numbers; NaN where there is none.

    >>> nanmedian([1.0, float("nan"), 3.0, 8.0])
    tensor(3.)
    """
    return quantiles(tensor(x), 0.5, axis, "linear", keepdims, skip_nan=True)
