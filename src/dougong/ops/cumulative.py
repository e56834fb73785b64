"""Running sums and products, differences of neighbours, and the area under a line.

Keras: each equals ``keras.ops`` of its name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from dougong.core.dtypes import torch_dtype
from dougong.ops.op import op, tensor

__all__ = ["cumprod", "cumsum", "diff", "trapezoid"]


@op
def cumsum(x: Any, axis: int | None = None, dtype: Any = None) -> Tensor:
    """The sums of the elements up to each one along ``axis``, or of the flattened tensor.

    The dtype is that of ``x``, unlike torch's; booleans become int32.

    >>> cumsum([[1, 2], [3, 4]]), cumsum([[1, 2], [3, 4]], axis=1)[1]
    (tensor([ 1,  3,  6, 10], dtype=torch.int32), tensor([3, 7], dtype=torch.int32))
    """
    return _running(torch.cumsum, tensor(x), axis, dtype)


@op
def cumprod(x: Any, axis: int | None = None, dtype: Any = None) -> Tensor:
    """The products of the elements up to each one; as `cumsum` otherwise."""
    return _running(torch.cumprod, tensor(x), axis, dtype)


def _running(kernel: Callable[..., Tensor], x: Tensor, axis: int | None, dtype: Any) -> Tensor:
    kind = x.dtype if dtype is None else torch_dtype(dtype)
    kind = torch.int32 if kind is torch.bool else kind
    return kernel(x.flatten(), 0, dtype=kind) if axis is None else kernel(x, axis, dtype=kind)


@op
def diff(a: Any, n: int = 1, axis: int = -1) -> Tensor:
    """What each element exceeds the one before it by, ``n`` times over; of booleans, whether they differ.

    The axis becomes shorter by ``n``.

    >>> diff([1, 4, 9, 16]), diff([1, 4, 9, 16], n=2)
    (tensor([3, 5, 7], dtype=torch.int32), tensor([2, 2], dtype=torch.int32))
    """
    return torch.diff(tensor(a), n=n, dim=axis)


@op
def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Tensor:
    r"""The area under the line through ``y``, a float.

    .. math:: \sum_i \tfrac12 (y_i + y_{i+1}) (x_{i+1} - x_i)

    The abscissas are ``x``, shaped as ``y`` or as its axis; without ``x`` they are ``dx`` apart.

    >>> trapezoid([1, 2, 3]), trapezoid([1, 2, 3], x=[0, 1, 3])
    (tensor(4.), tensor(6.5000))
    """
    y = tensor(y)
    y = y.to(torch_dtype(None)) if y.dtype is torch.bool else y
    if x is not None:
        return torch.trapezoid(y, x=tensor(x), dim=axis)
    return torch.trapezoid(y, dim=axis) * (dx if isinstance(dx, int | float) else tensor(dx))
