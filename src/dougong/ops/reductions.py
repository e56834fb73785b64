"""Reductions: over all axes for ``axis=None``, over one or several otherwise, over none for ``axis=()``.

The axes reduced disappear, or stay with length 1 under ``keepdims``.  Sums and products of booleans, uint8, int8 and
int16 are int32.   Keras: each equals ``keras.ops`` of its name, except that on torch Keras forgets ``keepdims`` where
the axis is None, and that float64 and int64 are never narrowed here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from dougong.core.dtypes import torch_dtype
from dougong.core.errors import ShapeError
from dougong.ops.op import axes_of, floating, op, tensor

__all__ = [
    "all",
    "amax",
    "amin",
    "any",
    "argmax",
    "argmin",
    "count_nonzero",
    "max",
    "mean",
    "merged",
    "min",
    "over",
    "prod",
    "ptp",
    "restored",
    "std",
    "sum",
    "summed_dtype",
    "var",
]

_SMALL = (torch.bool, torch.uint8, torch.int8, torch.int16)


def over(kernel: Callable[..., Tensor], x: Tensor, axis: Any, keepdims: bool, **options: Any) -> Tensor:
    """A torch reduction over the axes that ``axis`` means; for none of them, of each element by itself.

    Torch itself takes ``dim=()`` for all axes.

    >>> over(torch.sum, torch.ones(2, 3), (), False).shape, over(torch.sum, torch.ones(2, 3), None, True).shape
    (torch.Size([2, 3]), torch.Size([1, 1]))
    """
    dims = axes_of(axis, x.ndim)
    if dims:
        return kernel(x, dim=dims, keepdim=keepdims, **options)
    return kernel(x.unsqueeze(0), dim=0, **options)


def merged(x: Tensor, axis: Any) -> Tensor:
    """The axes that ``axis`` means, brought to the end as one, for kernels that take but one.

    >>> merged(torch.ones(2, 3, 4), (0, 2)).shape
    torch.Size([3, 8])
    """
    dims = axes_of(axis, x.ndim)
    if not x.ndim or not dims:
        return x.unsqueeze(-1)
    kept = [dim for dim in range(x.ndim) if dim not in dims]
    return x.permute(*kept, *dims).flatten(len(kept))


def restored(result: Tensor, rank: int, axis: Any) -> Tensor:
    """A result over `merged` axes, with these back as axes of length 1: what ``keepdims`` asks for."""
    for dim in sorted(axes_of(axis, rank)) if rank else ():
        result = result.unsqueeze(dim)
    return result


def summed_dtype(x: Tensor) -> torch.dtype:
    """The dtype of a sum: int32 for booleans and small whole numbers, else that of ``x``."""
    return torch.int32 if x.dtype in _SMALL else x.dtype


@op
def sum(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The sum; 0 of nothing.

    >>> sum([[1, 2], [3, 4]]), sum([[1, 2], [3, 4]], axis=0)
    (tensor(10, dtype=torch.int32), tensor([4, 6], dtype=torch.int32))
    """
    x = tensor(x)
    return over(torch.sum, x, axis, keepdims, dtype=summed_dtype(x))


@op
def prod(x: Any, axis: Any = None, keepdims: bool = False, dtype: Any = None) -> Tensor:
    """The product, in ``dtype`` if given; 1 of nothing.

    >>> prod([[1, 2], [3, 4]], axis=(0, 1), keepdims=True)
    tensor([[24]], dtype=torch.int32)
    """
    x = tensor(x)
    found = torch.prod(merged(x, axis), -1, dtype=summed_dtype(x) if dtype is None else torch_dtype(dtype))
    return restored(found, x.ndim, axis) if keepdims else found


@op
def mean(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The mean, a float; NaN of nothing.

    >>> mean([[1, 2], [3, 6]], axis=-1)
    tensor([1.5000, 4.5000])
    """
    return over(torch.mean, floating(x), axis, keepdims)


@op
def var(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The variance, the mean square of what differs from the mean.   Torch: its default divides by one less.

    >>> var([1, 3]), std([1, 3])
    (tensor(1.), tensor(1.))
    """
    return over(torch.var, floating(x), axis, keepdims, correction=0)


@op
def std(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The standard deviation, the root of `var`."""
    return over(torch.std, floating(x), axis, keepdims, correction=0)


@op
def max(x: Any, axis: Any = None, keepdims: bool = False, initial: Any = None) -> Tensor:
    """The largest element, at least ``initial``; NaN if there is one.  `amax` is the same function.

    Raises: ShapeError for the largest of nothing without ``initial``.

    >>> max([[1, 5], [7, 2]], axis=1), max([1, 5], initial=6)
    (tensor([5, 7], dtype=torch.int32), tensor(6, dtype=torch.int32))
    """
    return _extreme(torch.amax, torch.maximum, tensor(x), axis, keepdims, initial)


@op
def min(x: Any, axis: Any = None, keepdims: bool = False, initial: Any = None) -> Tensor:
    """The smallest element, at most ``initial``; NaN if there is one.  `amin` is the same function.

    Raises: ShapeError for the smallest of nothing without ``initial``.
    """
    return _extreme(torch.amin, torch.minimum, tensor(x), axis, keepdims, initial)


amax, amin = max, min


def _extreme(
    kernel: Callable[..., Tensor],
    pairwise: Callable[[Tensor, Tensor], Tensor],
    x: Tensor,
    axis: Any,
    keepdims: bool,
    initial: Any,
) -> Tensor:
    if initial is None:
        return over(kernel, _not_empty(x, axis), axis, keepdims)
    if not x.numel():
        return over(torch.sum, x, axis, keepdims, dtype=x.dtype).fill_(initial)
    found = over(kernel, x, axis, keepdims)
    return pairwise(found, tensor(initial, found.dtype).to(found.device))


def _not_empty(x: Tensor, axis: Any) -> Tensor:
    if not x.numel() and not merged(x, axis).shape[-1]:
        raise ShapeError(
            f"shape {tuple(x.shape)} has no elements over axis {axis}, and of none there is no largest or smallest;"
            " max() and min() take initial="
        )
    return x


@op
def ptp(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The span from the smallest to the largest element ("peak to peak").

    >>> ptp([[1.0, 5.0], [7.0, 2.0]], axis=0)
    tensor([6., 3.])
    """
    x = _not_empty(tensor(x), axis)
    return over(torch.amax, x, axis, keepdims) - over(torch.amin, x, axis, keepdims)


@op
def all(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Whether every element is other than 0; true of nothing."""
    return over(torch.all, tensor(x).bool(), axis, keepdims)


@op
def any(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Whether an element is other than 0; false of nothing.

    >>> any([[0, 1], [0, 0]], axis=1), all([])
    (tensor([ True, False]), tensor(True))
    """
    return over(torch.any, tensor(x).bool(), axis, keepdims)


@op
def count_nonzero(x: Any, axis: Any = None) -> Tensor:
    """How many elements are other than 0, as int32.

    >>> count_nonzero([[0, 3], [5, 7]], axis=0)
    tensor([1, 2], dtype=torch.int32)
    """
    return over(torch.sum, tensor(x) != 0, axis, False, dtype=torch.int32)


@op
def argmax(x: Any, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Where the largest element stands, the first of several, as int32; in the flattened tensor for ``axis=None``.

    >>> argmax([[1, 5], [7, 2]]), argmax([[1, 5], [7, 2]], axis=1)
    (tensor(2, dtype=torch.int32), tensor([1, 0], dtype=torch.int32))
    """
    return torch.argmax(_ordered(x, axis), dim=axis, keepdim=keepdims).to(torch.int32)


@op
def argmin(x: Any, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Where the smallest element stands, the first of several, as int32; in the flattened tensor for ``axis=None``."""
    return torch.argmin(_ordered(x, axis), dim=axis, keepdim=keepdims).to(torch.int32)


def _ordered(x: Any, axis: int | None) -> Tensor:
    x = _not_empty(tensor(x), axis)
    return x.to(torch.uint8) if x.dtype is torch.bool else x
