"""What every function of `dougong.ops` shares: it takes tensors, arrays, numbers or symbols, and has Keras's dtypes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import numpy as np
import torch
from torch import Tensor

from dougong.core import device
from dougong.core.dtypes import torch_dtype
from dougong.core.symbol import Symbol, contains_symbol, record

__all__ = ["axes_of", "floating", "joined", "op", "operands", "tensor"]

_P = ParamSpec("_P")
_R = TypeVar("_R")
_NESTING = (list, tuple, dict)


def op(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Decorator: applied to symbols the function is recorded as one node; otherwise it runs at once.

    The body therefore only ever sees values.  A recorded graph calls the body itself, without this hop.

    >>> from dougong.core.symbol import Input
    >>> @op
    ... def doubled(x):
    ...     return tensor(x) * 2
    >>> doubled([1, 2]), doubled(Input((3,)))
    (tensor([2, 4], dtype=torch.int32), <Symbol 'doubled' shape=(None, 3) dtype=float32>)
    """

    @wraps(function)
    def apply(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        given = args if not kwargs else (*args, *kwargs.values())
        for value in given:
            kind = type(value)
            if kind is Symbol or (kind in _NESTING and contains_symbol(value)):
                return record(function, args, kwargs)
        return function(*args, **kwargs)

    return apply


def tensor(value: Any, dtype: Any = None) -> Tensor:
    """A tensor from a tensor, an array, or Python numbers, nested or not, on the default device.

    Python numbers become int32, float32 (or what `dougong.config.set_floatx` says) and bool; arrays keep their dtype.
    Keras: equals ``keras.ops.convert_to_tensor``.

    >>> tensor(1).dtype, tensor([1.5, 2]).dtype, tensor(np.zeros(2)).dtype
    (torch.int32, torch.float32, torch.float64)
    """
    wanted = None if dtype is None else torch_dtype(dtype)
    if isinstance(value, Tensor):
        return value if wanted is None or value.dtype is wanted else value.to(wanted)
    if isinstance(value, np.ndarray | np.generic):
        made = torch.as_tensor(value, device=device.default())
    elif isinstance(value, list | tuple) and any(isinstance(item, Tensor) for item in value):
        made = torch.stack([tensor(item) for item in value])
    else:
        made = torch.as_tensor(value, device=device.default())
        if wanted is None and made.dtype is torch.int64:
            made = made.to(torch.int32)
        elif wanted is None and made.dtype is torch.float64:  # a list of NumPy numbers
            made = made.to(torch_dtype(None))
    return made if wanted is None else made.to(wanted)


def operands(*values: Any) -> tuple[Any, ...]:
    """Operands of a broadcasting function: tensors, with Python numbers left as they are if a tensor is among them.

    A Python number then takes the tensor's dtype, as Keras's weak types do.

    >>> operands([1, 2], 3)
    (tensor([1, 2], dtype=torch.int32), 3)
    """
    plain = [isinstance(value, bool | int | float | complex) for value in values]
    if all(plain):
        return tuple(tensor(value) for value in values)
    return tuple(value if is_plain else tensor(value) for value, is_plain in zip(values, plain))


def floating(value: Any) -> Tensor:
    """A tensor of floating-point numbers: whole numbers and booleans become the default float.

    >>> floating([1, 2])
    tensor([1., 2.])
    """
    made = tensor(value)
    return made if made.is_floating_point() or made.is_complex() else made.to(torch_dtype(None))


def joined(values: Iterable[Any]) -> list[Tensor]:
    """Tensors of one dtype, that to which all of ``values`` can be raised.

    >>> [one.dtype for one in joined([[1], [0.5]])]
    [torch.float32, torch.float32]
    """
    made = [tensor(value) for value in values]
    kind = made[0].dtype
    for one in made[1:]:
        kind = torch.promote_types(kind, one.dtype)
    return [one.to(kind) for one in made]


def axes_of(axis: Any, rank: int) -> tuple[int, ...]:
    """The axes that an argument means, counted from 0; None means all.

    >>> axes_of((0, -1), 3), axes_of(None, 2)
    ((0, 2), (0, 1))
    """
    if axis is None:
        return tuple(range(rank))
    given = (axis,) if isinstance(axis, int) else tuple(axis)
    return tuple(one + rank if one < 0 else one for one in given)
