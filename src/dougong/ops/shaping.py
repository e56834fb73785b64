"""Shapes: the same elements under other axes, turned, or repeated.

Keras: each equals ``keras.ops`` of its name.
"""

from __future__ import annotations

from collections.abc import Iterable
from operator import index
from typing import Any

import torch
from torch import Tensor

from dougong.core.errors import ShapeError
from dougong.ops.op import axes_of, op, require_values, tensor

__all__ = [
    "broadcast_to",
    "expand_dims",
    "flip",
    "fliplr",
    "flipud",
    "moveaxis",
    "ndim",
    "ravel",
    "repeat",
    "reshape",
    "roll",
    "rot90",
    "size",
    "squeeze",
    "swapaxes",
    "tile",
    "transpose",
]


@op
def ndim(x: Any) -> int:
    """The number of axes, a Python int."""
    return tensor(x).ndim


@op
def size(x: Any) -> Tensor:
    """The number of elements, int64.

    >>> size([[1, 2, 3]]), ndim([[1, 2, 3]])
    (tensor(3), 2)
    """
    x = tensor(x)
    return torch.full((), x.numel(), dtype=torch.int64, device=x.device)


@op
def reshape(x: Any, newshape: Any) -> Tensor:
    """The elements in their order under another shape; one size may be -1, for what is left.

    >>> reshape([1, 2, 3, 4], (2, -1))
    tensor([[1, 2],
            [3, 4]], dtype=torch.int32)
    """
    return torch.reshape(tensor(x), _ints(newshape))


def _ints(value: Any) -> tuple[int, ...]:
    if type(value) is tuple:
        return value
    return tuple(index(one) for one in value) if isinstance(value, Iterable) else (index(value),)


@op
def ravel(x: Any) -> Tensor:
    """All elements in one axis."""
    return torch.ravel(tensor(x))


@op
def broadcast_to(x: Any, shape: Any) -> Tensor:
    """``x`` repeated along axes of length 1 and new leading ones, without a copy.

    >>> broadcast_to([1, 2], (2, 2))
    tensor([[1, 2],
            [1, 2]], dtype=torch.int32)
    """
    return torch.broadcast_to(tensor(x), _ints(shape))


@op
def expand_dims(x: Any, axis: Any) -> Tensor:
    """New axes of length 1 which, in the result, stand at ``axis``, one or several.

    >>> expand_dims([1, 2], -1).shape, expand_dims([1, 2], (0, 2)).shape
    (torch.Size([2, 1]), torch.Size([1, 2, 1]))
    """
    x = tensor(x)
    count = len(tuple(axis)) if isinstance(axis, Iterable) else 1
    for place in sorted(axes_of(axis, x.ndim + count)):
        x = x.unsqueeze(place)
    return x


@op
def squeeze(x: Any, axis: Any = None) -> Tensor:
    """``x`` without its axes of length 1, or without those at ``axis``.

    Raises: ShapeError for another length, which torch, and Keras on torch, pass over.

    >>> squeeze([[[1], [2]]]).shape, squeeze([[[1], [2]]], axis=0).shape
    (torch.Size([2]), torch.Size([2, 1]))
    """
    x = tensor(x)
    if axis is None:
        return torch.squeeze(x)
    dims = axes_of(axis, x.ndim)
    if x.ndim and any(x.shape[dim] != 1 for dim in dims):
        raise ShapeError(f"squeeze over axis {axis} needs length 1 there, but the shape is {tuple(x.shape)}")
    return torch.squeeze(x, dims)


@op
def transpose(x: Any, axes: Any = None) -> Tensor:
    """The axes in the order of ``axes``, reversed for None.

    >>> transpose([[1, 2], [3, 4]])
    tensor([[1, 3],
            [2, 4]], dtype=torch.int32)
    """
    x = tensor(x)
    return torch.permute(x, tuple(range(x.ndim))[::-1] if axes is None else _ints(axes))


@op
def moveaxis(x: Any, source: Any, destination: Any) -> Tensor:
    """The axes at ``source`` brought to ``destination``, one or several; the others keep their order.

    >>> moveaxis(torch.ones(2, 3, 4), 0, -1).shape
    torch.Size([3, 4, 2])
    """
    return torch.moveaxis(tensor(x), source, destination)


@op
def swapaxes(x: Any, axis1: int, axis2: int) -> Tensor:
    """Two axes, each in the other's place."""
    return torch.swapaxes(tensor(x), axis1, axis2)


@op
def flip(x: Any, axis: Any = None) -> Tensor:
    """The elements in reverse along ``axis``, one or several; along all for None.

    >>> flip([1, 2, 3])
    tensor([3, 2, 1], dtype=torch.int32)
    """
    x = tensor(x)
    return torch.flip(x, axes_of(axis, x.ndim))


@op
def fliplr(x: Any) -> Tensor:
    """`flip` along axis 1: left becomes right."""
    return torch.fliplr(tensor(x))


@op
def flipud(x: Any) -> Tensor:
    """`flip` along axis 0: up becomes down."""
    return torch.flipud(tensor(x))


@op
def rot90(array: Any, k: int = 1, axes: Any = (0, 1)) -> Tensor:
    """``k`` quarter turns in the plane of two axes, from the first towards the second.

    >>> rot90([[1, 2], [3, 4]])
    tensor([[2, 4],
            [1, 3]], dtype=torch.int32)
    """
    return torch.rot90(tensor(array), k, _ints(axes))


@op
def roll(x: Any, shift: Any, axis: Any = None) -> Tensor:
    """The elements moved on by ``shift``, those beyond the end coming back at the start; as flattened for None.

    >>> roll([1, 2, 3], 1)
    tensor([3, 1, 2], dtype=torch.int32)
    """
    return torch.roll(tensor(x), shift, dims=axis)


@op
def repeat(x: Any, repeats: Any, axis: int | None = None) -> Tensor:
    """Each element ``repeats`` times, one number or one for each place along ``axis``; as flattened for None.

    >>> repeat([1, 2], 2), repeat([1, 2], [1, 3])
    (tensor([1, 1, 2, 2], dtype=torch.int32), tensor([1, 2, 2, 2], dtype=torch.int32))
    """
    x = tensor(x)
    x, axis = (x.flatten(), 0) if axis is None else (x, axes_of(axis, x.ndim)[0])
    if isinstance(repeats, int):  # as views, so that the length is known without looking at values
        return x.unsqueeze(axis + 1).repeat_interleave(repeats, axis + 1).flatten(axis, axis + 1)
    if isinstance(repeats, Tensor):
        require_values(repeats, "the length of repeat()")
    counts = tensor(repeats, torch.int64)
    total = sum(repeats) if isinstance(repeats, list | tuple) and len(repeats) == x.shape[axis] else None
    return torch.repeat_interleave(x, counts.to(x.device), dim=axis, output_size=total)


@op
def tile(x: Any, repeats: Any) -> Tensor:
    """``x`` as a whole repeated along each axis, the last for one number.

    >>> tile([1, 2], 2), tile([1, 2], (2, 1))
    (tensor([1, 2, 1, 2], dtype=torch.int32), tensor([[1, 2],
            [1, 2]], dtype=torch.int32))
    """
    return torch.tile(tensor(x), _ints(repeats))
