"""Several tensors made one, and one made several.

Dtypes that differ are raised to the one that holds them all.   Keras: each equals ``keras.ops`` of its name.
"""

from __future__ import annotations

from collections.abc import Iterable
from operator import index
from typing import Any

import torch
from torch import Tensor

from dougong.core.errors import ConfigError, ShapeError
from dougong.ops.op import joined, op, tensor

__all__ = [
    "append",
    "array_split",
    "concatenate",
    "dsplit",
    "dstack",
    "hsplit",
    "hstack",
    "split",
    "stack",
    "vsplit",
    "vstack",
]


@op
def concatenate(xs: Any, axis: int | None = 0) -> Tensor:
    """The tensors one after the other along an axis that they have; all flattened for None.

    >>> concatenate([[[1, 2]], [[3.0, 4.0]]])
    tensor([[1., 2.],
            [3., 4.]])
    """
    made = joined(xs)
    return torch.cat([one.flatten() for one in made]) if axis is None else torch.cat(made, axis)


@op
def append(x1: Any, x2: Any, axis: int | None = None) -> Tensor:
    """``x2`` after ``x1`` along ``axis``; both flattened for None.

    >>> append([1, 2], [[3]])
    tensor([1, 2, 3], dtype=torch.int32)
    """
    x1, x2 = joined((x1, x2))
    return torch.cat((x1.flatten(), x2.flatten())) if axis is None else torch.cat((x1, x2), axis)


@op
def stack(x: Any, axis: int = 0) -> Tensor:
    """Tensors of one shape side by side along a new axis.

    >>> stack([[1, 2], [3, 4]], axis=1)
    tensor([[1, 3],
            [2, 4]], dtype=torch.int32)
    """
    return torch.stack(joined(x), axis)


@op
def hstack(xs: Any) -> Tensor:
    """The tensors one after the other along axis 1, or along the only axis.

    >>> hstack([[1, 2], [3]]), vstack([[1, 2], [3, 4]])
    (tensor([1, 2, 3], dtype=torch.int32), tensor([[1, 2],
            [3, 4]], dtype=torch.int32))
    """
    return torch.hstack(joined(xs))


@op
def vstack(xs: Any) -> Tensor:
    """The tensors one below the other along axis 0; those with one axis are rows."""
    return torch.vstack(joined(xs))


@op
def dstack(xs: Any) -> Tensor:
    """The tensors one behind the other along axis 2; ``[N]`` counts as ``[1, N, 1]``, ``[M, N]`` as ``[M, N, 1]``."""
    return torch.dstack(joined(xs))


@op
def split(x: Any, indices_or_sections: Any, axis: int = 0) -> list[Tensor]:
    """``x`` cut along ``axis`` into so many equal parts, or before each of several places.

    Raises: ShapeError where the parts would not be equal; `array_split` takes that.

    >>> split([1, 2, 3, 4], 2), split([1, 2, 3, 4], [1, 3])[1]
    ([tensor([1, 2], dtype=torch.int32), tensor([3, 4], dtype=torch.int32)], tensor([2, 3], dtype=torch.int32))
    """
    x = tensor(x)
    cut = indices_or_sections
    if isinstance(cut, Iterable):
        return list(torch.tensor_split(x, [index(one) for one in cut], dim=axis))
    cut = index(cut)
    if cut < 1 or x.shape[axis] % cut:
        raise ShapeError(
            f"split cannot cut axis {axis} of shape {tuple(x.shape)} into {cut} equal parts; use array_split()"
        )
    return list(torch.tensor_split(x, cut, dim=axis))


@op
def array_split(x: Any, indices_or_sections: int, axis: int = 0) -> list[Tensor]:
    """``x`` cut along ``axis`` into so many parts, the first of which are longer by one where they cannot be equal.

    >>> [len(part) for part in array_split([1, 2, 3, 4, 5], 3)]
    [2, 2, 1]
    """
    if not isinstance(indices_or_sections, int) or indices_or_sections < 1:
        raise ConfigError(f"array_split needs a number of parts, 1 or more; got {indices_or_sections!r}; use split()")
    return list(torch.tensor_split(tensor(x), indices_or_sections, dim=axis))


@op
def hsplit(x: Any, indices_or_sections: Any) -> list[Tensor]:
    """`split` along axis 1, or along the only axis."""
    x = tensor(x)
    return split(x, indices_or_sections, axis=1 if x.ndim > 1 else 0)


@op
def vsplit(x: Any, indices_or_sections: Any) -> list[Tensor]:
    """`split` along axis 0.

    >>> vsplit([[1, 2], [3, 4]], 2)[1]
    tensor([[3, 4]], dtype=torch.int32)
    """
    return split(_at_least(x, 2, "vsplit"), indices_or_sections, axis=0)


@op
def dsplit(x: Any, indices_or_sections: Any) -> list[Tensor]:
    """`split` along axis 2."""
    return split(_at_least(x, 3, "dsplit"), indices_or_sections, axis=2)


def _at_least(x: Any, rank: int, name: str) -> Tensor:
    x = tensor(x)
    if x.ndim < rank:
        raise ShapeError(f"{name} needs {rank} axes or more, got shape {tuple(x.shape)}")
    return x
