"""Order: sorted elements, the places they come from, and where others would go among them.

NaN counts as the largest.   Keras: each equals ``keras.ops`` of its name.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from dougong.core.errors import ConfigError, ShapeError
from dougong.ops.op import axes_of, joined, op, tensor

__all__ = ["argpartition", "argsort", "digitize", "searchsorted", "sort"]


@op
def sort(x: Any, axis: int | None = -1) -> Tensor:
    """The elements from the smallest to the largest along ``axis``, or all of them for None.

    >>> sort([[3, 1], [2, 4]]), sort([[3, 1], [2, 4]], axis=None)
    (tensor([[1, 3],
            [2, 4]], dtype=torch.int32), tensor([1, 2, 3, 4], dtype=torch.int32))
    """
    x = tensor(x)
    rows, axis = (x.reshape(-1), 0) if axis is None else (x, axis)
    if x.dtype is torch.bool:  # which CUDA does not sort
        return torch.sort(rows.to(torch.uint8), dim=axis).values.to(torch.bool)
    return torch.sort(rows, dim=axis).values


@op
def argsort(x: Any, axis: int | None = -1) -> Tensor:
    """The places of the elements in the order of `sort`, equals in the order they stand, as int32.

    >>> argsort([3, 1, 2, 1])
    tensor([1, 3, 2, 0], dtype=torch.int32)
    """
    x = tensor(x)
    x = x.to(torch.uint8) if x.dtype is torch.bool else x
    rows, axis = (x.reshape(-1), 0) if axis is None else (x, axis)
    return torch.argsort(rows, dim=axis, stable=True).to(torch.int32)


@op
def argpartition(x: Any, kth: int, axis: int | None = -1) -> Tensor:
    """Places of which the ``kth`` leads to the element that `sort` puts there, smaller ones before, larger ones after.

    Here all of them are in order.   Keras: on torch it reads the elements as whole numbers, and so mixes 0.1 with 0.9.

    >>> argpartition([0.9, 0.1, 0.5], 1)
    tensor([1, 2, 0], dtype=torch.int32)
    """
    found = argsort(x, axis)
    length = found.shape[axes_of(-1 if axis is None else axis, found.ndim)[0]] if found.ndim else 1
    if not -length <= kth < length:
        raise ShapeError(f"kth={kth} is not among the {length} places of the axis")
    return found


@op
def searchsorted(sorted_sequence: Any, values: Any, side: str = "left") -> Tensor:
    """The places at which values would keep an ascending sequence in order, as int32.

    Before equals for "left", after them for "right".   Raises: ShapeError for a sequence with several axes.

    >>> searchsorted([1, 3, 5], [3, 4]), searchsorted([1, 3, 5], [3, 4], side="right")
    (tensor([1, 2], dtype=torch.int32), tensor([2, 2], dtype=torch.int32))
    """
    if side not in ("left", "right"):
        raise ConfigError(f"side must be 'left' or 'right'; got {side!r}")
    return _places(tensor(sorted_sequence), tensor(values), right=side == "right")


@op
def digitize(x: Any, bins: Any) -> Tensor:
    """The number of the bin that each element falls into, as int32: 0 below ``bins[0]``, len(bins) from the last on.

    >>> digitize([0.0, 1.0, 2.5], [1.0, 2.0])
    tensor([0, 1, 2], dtype=torch.int32)
    """
    return _places(tensor(bins), tensor(x), right=True)


def _places(edges: Tensor, values: Tensor, *, right: bool) -> Tensor:
    if edges.ndim != 1:
        raise ShapeError(f"the sequence to search must have one axis, got shape {tuple(edges.shape)}")
    edges, values = joined((edges, values))
    if values.dtype is torch.bool:
        edges, values = edges.to(torch.uint8), values.to(torch.uint8)
    return torch.searchsorted(edges, values, right=right, out_int32=True)
