"""Elements chosen by their place, or by a condition.

Places are counted from the end where they are negative.   Keras: each equals ``keras.ops`` of its name.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from dougong.core.errors import ConfigError
from dougong.ops.op import axes_of, op, operands, require_values, tensor

__all__ = ["get_item", "nonzero", "select", "take", "take_along_axis", "unravel_index", "where"]


@op
def where(condition: Any, x1: Any = None, x2: Any = None) -> Tensor:
    """``x1`` where the condition holds and ``x2`` elsewhere; all three broadcast.

    The condition alone gives the places where it holds, `nonzero` in int64.   Raises: ConfigError for one of the two.

    >>> where([True, False], [1, 2], 0)
    tensor([1, 0], dtype=torch.int32)
    """
    condition = tensor(condition, torch.bool)
    if x1 is None and x2 is None:
        require_values(condition, "the number of places that where() finds")
        return torch.stack(torch.where(condition), 0)
    if x1 is None or x2 is None:
        raise ConfigError("where takes both x1 and x2, or neither; give the one that is missing")
    return torch.where(condition, *operands(x1, x2))


@op
def select(condlist: Any, choicelist: Any, default: Any = 0) -> Tensor:
    """Of several choices the first whose condition holds; ``default`` where none does.

    Raises: ConfigError unless there is a choice for each condition.

    >>> select([[True, False, False], [True, True, False]], [[1, 2, 3], [10, 20, 30]])
    tensor([ 1, 20,  0], dtype=torch.int32)
    """
    if not condlist or len(condlist) != len(choicelist):
        raise ConfigError(f"select got {len(condlist)} conditions and {len(choicelist)} choices; give one of each")
    found = tensor(default)
    for condition, choice in reversed(list(zip(condlist, choicelist))):
        found = torch.where(tensor(condition, torch.bool), tensor(choice), found)
    return found


@op
def nonzero(x: Any) -> Tensor:
    """The places of the elements other than 0, a row for each axis of ``x``, as int32.

    >>> nonzero([[0, 5], [7, 0]])
    tensor([[0, 1],
            [1, 0]], dtype=torch.int32)
    """
    x = tensor(x)
    require_values(x, "the number of places that nonzero() finds")
    return torch.nonzero(x).T.to(torch.int32)


@op
def take(x: Any, indices: Any, axis: int | None = None) -> Tensor:
    """The elements at ``indices`` along ``axis``, or of the flattened tensor.

    Shapes: the axis is replaced by those of ``indices``.   Raises: IndexError for a place that is not there.

    >>> take([[1, 2], [3, 4]], [-1, 0], axis=1), take([[1, 2], [3, 4]], 2)
    (tensor([[2, 1],
            [4, 3]], dtype=torch.int32), tensor(3, dtype=torch.int32))
    """
    x, places = tensor(x), tensor(indices, torch.int64)
    x, axis = (x.reshape(-1), 0) if axis is None else (x, axes_of(axis, x.ndim)[0])
    places = _from_start(places, x.shape[axis])
    return x.index_select(axis, places.reshape(-1)).reshape(x.shape[:axis] + places.shape + x.shape[axis + 1 :])


def _from_start(places: Tensor, length: int) -> Tensor:
    return torch.where(places < 0, places + length, places)


@op
def take_along_axis(x: Any, indices: Any, axis: int | None = None) -> Tensor:
    """Along ``axis`` the elements at ``indices``, which has the other axes of ``x``; of the flattened for None.

    >>> take_along_axis([[1, 2], [3, 4]], [[0], [1]], axis=1)
    tensor([[1],
            [4]], dtype=torch.int32)
    """
    x, places = tensor(x), tensor(indices, torch.int64)
    if axis is None:
        x, places, axis = x.reshape(-1), places.reshape(-1), 0
    return torch.take_along_dim(x, _from_start(places.to(x.device), x.shape[axis]), axis)


@op
def get_item(x: Any, key: Any) -> Tensor:
    """``x[key]`` with NumPy's keys: numbers, slices, also backwards, ``...``, None, arrays of places or booleans.

    >>> get_item([1, 2, 3, 4], slice(None, None, -2))
    tensor([4, 2], dtype=torch.int32)
    """
    x = tensor(x)
    keys = [tensor(one) if isinstance(one, list) else one for one in (key if isinstance(key, tuple) else (key,))]
    if any(isinstance(one, slice) and one.step is not None and one.step < 0 for one in keys):
        x, keys = _forwards(x, keys)
    return x[tuple(keys)]


def _forwards(x: Tensor, keys: list[Any]) -> tuple[Tensor, list[Any]]:
    """The same elements under keys that torch takes: it knows no slice that runs backwards, so the axis is flipped."""
    used = [_axes_used(one) for one in keys]
    rest = x.ndim - sum(used)
    axis = 0
    for place, one in enumerate(keys):
        if isinstance(one, slice) and one.step is not None and one.step < 0:
            length = x.shape[axis]
            wanted = range(length)[one]
            x = x.flip(axis)
            keys[place] = slice(length - 1 - wanted[0], length - wanted[-1], -one.step) if wanted else slice(0, 0)
        axis += rest if one is Ellipsis else used[place]
    return x, keys


def _axes_used(key: Any) -> int:
    if key is None or key is Ellipsis:
        return 0
    return key.ndim if getattr(key, "dtype", None) in (torch.bool, bool) else 1


@op
def unravel_index(indices: Any, shape: Any) -> tuple[Tensor, ...]:
    """The places in a tensor of ``shape``, one tensor for each axis, of places in the flattened one.

    >>> unravel_index([1, 5], (2, 3))
    (tensor([0, 1], dtype=torch.int32), tensor([1, 2], dtype=torch.int32))
    """
    indices = tensor(indices)
    return tuple(one.to(indices.dtype) for one in torch.unravel_index(indices, tuple(shape)))
