"""How often values occur.   Keras: each equals ``keras.ops`` of its name."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from dougong.core.errors import ConfigError, ShapeError
from dougong.ops.op import common_dtype, floating, op, require_values, tensor

__all__ = ["bincount", "histogram", "unique"]


@op
def bincount(x: Any, weights: Any = None, minlength: int = 0, sparse: bool = False) -> Tensor:
    """How often 0, 1, 2 … occur, as int32; or the sums of the ``weights`` at them.

    ``[T] -> [K]``, ``[N, T] -> [N, K]``: K is one more than the largest element, at least ``minlength``.
    Raises: ShapeError for more axes; ConfigError for ``sparse``.

    >>> bincount([1, 1, 3]), bincount([[0, 1], [1, 1]], weights=[[0.5, 1.0], [2.0, 3.0]])
    (tensor([0, 2, 0, 1], dtype=torch.int32), tensor([[0.5000, 1.0000],
            [0.0000, 5.0000]]))
    """
    x = tensor(x)
    if sparse:
        raise ConfigError("bincount gives dense counts only; leave out sparse=True")
    if x.ndim not in (1, 2):
        raise ShapeError(f"bincount takes [T] or [N, T], got shape {tuple(x.shape)}")
    require_values(x, "the length of bincount()")
    places = x.long()
    length = max(minlength, int(places.max()) + 1 if x.numel() else 0)
    if weights is None:
        added = torch.ones((), dtype=torch.int32, device=x.device).expand(x.shape)
    else:
        weights = tensor(weights).to(x.device)
        added = weights.to(common_dtype(x, weights)).expand(x.shape)
    return added.new_zeros(*x.shape[:-1], length).scatter_add(-1, places, added)


@op
def histogram(x: Any, bins: int = 10, range: tuple[Any, Any] | None = None) -> tuple[Tensor, Tensor]:
    """How many elements fall into each of ``bins`` bins of equal width, and the bins' edges, as floats.

    The last bin holds its upper edge too.  Without ``range`` the bins reach from the smallest to the largest element;
    a range of no width is widened by 0.5 at both sides, as in NumPy.   Raises: ShapeError for more than one axis.

    >>> histogram([1, 2, 1, 4], bins=3)
    (tensor([2., 1., 1.]), tensor([1., 2., 3., 4.]))
    """
    x = floating(x)
    x = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x  # which cannot count far
    if x.ndim > 1:
        raise ShapeError(f"histogram takes one axis, got shape {tuple(x.shape)}; use ravel() first")
    if not isinstance(bins, int) or bins < 1:
        raise ConfigError(f"bins must be an int, 1 or more; got {bins!r}")
    if range is not None and (len(range) != 2 or range[0] > range[1]):
        raise ConfigError(f"range must be a pair (lower, upper); got {range!r}")
    if range:
        lower, upper = (tensor(one, x.dtype).to(x.device) for one in range)
    else:
        lower, upper = (x.amin(), x.amax()) if x.numel() else (x.new_zeros(()), x.new_ones(()))
    flat = lower == upper
    lower, upper = torch.where(flat, lower - 0.5, lower), torch.where(flat, upper + 0.5, upper)
    edges = torch.lerp(lower, upper, torch.linspace(0, 1, bins + 1, dtype=x.dtype, device=x.device))
    places = _bins(x.reshape(-1), edges)
    return torch.bincount(places, minlength=bins + 1)[:bins].to(x.dtype), edges


def _bins(x: Tensor, edges: Tensor) -> Tensor:
    """The bin that each element falls into: computed, then set right by the edges; of those outside one bin more."""
    lower, upper, bins = edges[0], edges[-1], len(edges) - 1
    inside = (x >= lower) & (x <= upper)
    places = torch.where(inside, (x - lower) / (upper - lower) * bins, 0).long().clamp(0, bins - 1)
    places = places - (x < edges[places]).long()
    places = places + ((x >= edges[places + 1]) & (places < bins - 1)).long()
    return torch.where(inside, places, bins)


@op
def unique(
    x: Any,
    sorted: bool = True,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: int | None = None,
    size: int | None = None,
    fill_value: Any = None,
) -> Any:
    """The different elements, or slices along ``axis``, ascending.

    After them, as asked for: the place of each one's first occurrence, the place among them of every element, and how
    often each occurs, all int64.  ``size`` fixes their number, by cutting or by adding ``fill_value`` (0 by default).

    >>> unique([3, 1, 3], return_counts=True)
    (tensor([1, 3], dtype=torch.int32), tensor([1, 2]))
    >>> unique([3, 1, 3], size=3, fill_value=-1)
    tensor([ 1,  3, -1], dtype=torch.int32)
    """
    x = tensor(x)
    if size is None:
        require_values(x, "the number of elements that unique() finds")
    values, inverse, counts = torch.unique(x, sorted=sorted, return_inverse=True, return_counts=True, dim=axis)
    dim = 0 if axis is None else axis
    found = [_sized(values, dim, size, 0 if fill_value is None else fill_value)]
    if return_index:
        flat = inverse.reshape(-1)
        places = torch.arange(len(flat), device=x.device)
        first = torch.zeros_like(counts).scatter_reduce(0, flat, places, "amin", include_self=False)
        found.append(_sized(first, 0, size, 0))
    if return_inverse:
        found.append(inverse)
    if return_counts:
        found.append(_sized(counts, 0, size, 0))
    return found[0] if len(found) == 1 else tuple(found)


def _sized(values: Tensor, axis: int, size: int | None, fill_value: Any) -> Tensor:
    if size is None:
        return values
    missing = size - values.shape[axis]
    if missing <= 0:
        return values.narrow(axis, 0, size)
    shape = list(values.shape)
    shape[axis] = missing
    return torch.cat((values, values.new_full(shape, fill_value)), axis)
