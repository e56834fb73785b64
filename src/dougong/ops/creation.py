"""New tensors, filled in a given way, on the default device.

A shape is an int or several; a dtype is the default float unless given.   Keras: each equals ``keras.ops`` of its name.
"""

from __future__ import annotations

from collections.abc import Iterable
from operator import index
from typing import Any

import torch
from torch import Tensor

from dougong.core import device
from dougong.core.dtypes import torch_dtype
from dougong.ops.op import common_dtype, op, require_values, tensor

__all__ = [
    "arange",
    "array",
    "copy",
    "empty",
    "empty_like",
    "eye",
    "full",
    "full_like",
    "identity",
    "ones",
    "ones_like",
    "tri",
    "zeros",
    "zeros_like",
]


def _sizes(shape: Any) -> tuple[int, ...]:
    return tuple(index(size) for size in shape) if isinstance(shape, Iterable) else (index(shape),)


@op
def array(x: Any, dtype: Any = None) -> Tensor:
    """A tensor from an array, numbers or a tensor; the same one if nothing has to change.

    >>> array([1.5, 2]), array([1.5, 2], dtype="int32")
    (tensor([1.5000, 2.0000]), tensor([1, 2], dtype=torch.int32))
    """
    return tensor(x, dtype)


@op
def copy(x: Any) -> Tensor:
    """A tensor of the same values in memory of its own."""
    return torch.clone(tensor(x))


def empty(shape: Any, dtype: Any = None) -> Tensor:
    """A tensor whose values are whatever stood in the memory."""
    return torch.empty(_sizes(shape), dtype=torch_dtype(dtype), device=device.default())


def zeros(shape: Any, dtype: Any = None) -> Tensor:
    """Zeros.

    >>> zeros((2, 3)), ones(2, dtype="int32")
    (tensor([[0., 0., 0.],
            [0., 0., 0.]]), tensor([1, 1], dtype=torch.int32))
    """
    return torch.zeros(_sizes(shape), dtype=torch_dtype(dtype), device=device.default())


def ones(shape: Any, dtype: Any = None) -> Tensor:
    """Ones."""
    return torch.ones(_sizes(shape), dtype=torch_dtype(dtype), device=device.default())


@op
def full(shape: Any, fill_value: Any, dtype: Any = None) -> Tensor:
    """``fill_value``, which broadcasts to ``shape``, in the default float unless ``dtype`` is given.

    >>> full((2, 2), [1, 2])
    tensor([[1., 2.],
            [1., 2.]])
    """
    return tensor(fill_value, torch_dtype(dtype)).expand(_sizes(shape)).clone()


@op
def empty_like(x: Any, dtype: Any = None) -> Tensor:
    """`empty` of the shape and, unless given, the dtype of ``x``."""
    x = tensor(x)
    return torch.empty_like(x, dtype=x.dtype if dtype is None else torch_dtype(dtype))


@op
def zeros_like(x: Any, dtype: Any = None) -> Tensor:
    """`zeros` of the shape and, unless given, the dtype of ``x``."""
    x = tensor(x)
    return torch.zeros_like(x, dtype=x.dtype if dtype is None else torch_dtype(dtype))


@op
def ones_like(x: Any, dtype: Any = None) -> Tensor:
    """`ones` of the shape and, unless given, the dtype of ``x``.

    >>> ones_like([[2, 3]], dtype="float32")
    tensor([[1., 1.]])
    """
    x = tensor(x)
    return torch.ones_like(x, dtype=x.dtype if dtype is None else torch_dtype(dtype))


@op
def full_like(x: Any, fill_value: Any, dtype: Any = None) -> Tensor:
    """`full` of the shape and, unless given, the dtype of ``x``.

    >>> full_like([1, 2], 7.9)
    tensor([7, 7], dtype=torch.int32)
    """
    x = tensor(x)
    value = tensor(fill_value, x.dtype if dtype is None else torch_dtype(dtype))
    return value.to(x.device).expand(x.shape).clone()


def eye(N: int, M: int | None = None, k: int = 0, dtype: Any = None) -> Tensor:
    """Ones on the ``k``-th diagonal of ``[N, M]``, M being N unless given; zeros elsewhere.

    >>> eye(2, 3, k=1)
    tensor([[0., 1., 0.],
            [0., 0., 1.]])
    """
    return _offsets(N, M).eq(k or 0).to(torch_dtype(dtype))


def _offsets(rows: int, columns: int | None) -> Tensor:
    """How far each place of a matrix lies to the right of the main diagonal."""
    places = torch.arange(max(index(rows), index(rows if columns is None else columns)), device=device.default())
    return places[: index(rows if columns is None else columns)] - places[: index(rows), None]


def identity(n: int, dtype: Any = None) -> Tensor:
    """The ``[n, n]`` matrix that changes nothing: `eye`."""
    return eye(n, dtype=dtype)


def tri(N: int, M: int | None = None, k: int = 0, dtype: Any = None) -> Tensor:
    """Ones on the ``k``-th diagonal of ``[N, M]`` and below it, zeros above.

    >>> tri(2, 3, dtype="int32")
    tensor([[1, 0, 0],
            [1, 1, 0]], dtype=torch.int32)
    """
    return _offsets(N, M).le(k).to(torch_dtype(dtype))


@op
def arange(start: Any, stop: Any = None, step: Any = None, dtype: Any = None) -> Tensor:
    """The numbers from ``start`` (0 if it is the only one) by ``step`` up to ``stop``, which is left out.

    int32 of whole numbers, the default float of others.

    >>> arange(4), arange(1.0, 2.0, 0.5)
    (tensor([0, 1, 2, 3], dtype=torch.int32), tensor([1.0000, 1.5000]))
    """
    given = [one for one in (start, stop, step) if one is not None]
    for one in given:
        if isinstance(one, Tensor):
            require_values(one, "the length of arange()")
    kind = common_dtype(*given) if dtype is None else torch_dtype(dtype)
    start, stop = (0, start) if stop is None else (start, stop)
    return torch.arange(start, stop, 1 if step is None else step, dtype=kind, device=device.default())
