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
from dougong.core.errors import BuildError, ShapeError
from dougong.core.symbol import Symbol, contains_symbol
from dougong.ops.symbolic_calls import record_call

__all__ = ["axes_of", "common_dtype", "floating", "joined", "op", "operands", "require_values", "tensor", "widened"]

_P = ParamSpec("_P")
_R = TypeVar("_R")
_NESTING = (list, tuple, dict)
_NUMBERS = (bool, int, float, complex)
_PYTHON = (*_NUMBERS, list, tuple)
_TENSOR_OR_NUMBER = (Tensor, *_NUMBERS)
_RANKS = {bool: 0, int: 1, float: 2, complex: 3}  # of kinds, from the lowest up; NumPy's float64 is a float too


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
                return record_call(function, args, kwargs)
        return function(*args, **kwargs)

    return apply


def tensor(value: Any, dtype: Any = None) -> Tensor:
    """A tensor from a tensor, an array, or Python numbers, nested or not, on the default device.

    Python numbers become int32 (int64 where they need it), float32 (or what `dougong.config.set_floatx` says) and
    bool; arrays keep their dtype.   Keras: equals ``keras.ops.convert_to_tensor``.

    >>> tensor(1).dtype, tensor([1.5, 2]).dtype, tensor(np.zeros(2)).dtype, tensor(2**40).dtype
    (torch.int32, torch.float32, torch.float64, torch.int64)
    """
    wanted = None if dtype is None else torch_dtype(dtype)
    if isinstance(value, Tensor):
        return value if wanted is None or value.dtype is wanted else value.to(wanted)
    if isinstance(value, list | tuple) and any(isinstance(item, Tensor) for item in value):
        made = torch.stack([tensor(item) for item in value])
    elif isinstance(value, _PYTHON):
        made = _from_python(value, wanted).to(device.default())
    else:
        made = torch.as_tensor(_shareable(np.asarray(value)), device=device.default())
    return made if wanted is None else made.to(wanted)


def _from_python(value: Any, wanted: torch.dtype | None) -> Tensor:
    if isinstance(value, list | tuple) and any(isinstance(item, np.ndarray) for item in value):
        value = np.asarray(value)
    made = torch.as_tensor(value, dtype=wanted)
    if wanted is not None:
        return made
    if made.dtype is torch.int64:
        narrow = made.to(torch.int32)
        return narrow if torch.equal(narrow.to(torch.int64), made) else made
    default = torch_dtype(None)
    return torch.as_tensor(value, dtype=default) if made.is_floating_point() and made.dtype is not default else made


def _shareable(array: np.ndarray) -> np.ndarray:
    """An array that torch can share: copied if it is read-only or runs backwards; uint32 as int64."""
    if array.dtype == np.uint32:
        return array.astype(np.int64)
    return array if array.flags.writeable and min(array.strides, default=0) >= 0 else array.copy()


def operands(x1: Any, x2: Any) -> tuple[Any, Any]:
    """The two operands of a broadcasting function: tensors, a Python number being left as it is beside a tensor.

    Torch then gives the result the tensor's dtype, raised only if the number is of a higher kind, as in Keras.

    >>> operands([1, 2], 3)
    (tensor([1, 2], dtype=torch.int32), 3)
    """
    if isinstance(x1, Tensor):
        if isinstance(x2, Tensor):
            return x1, x2
        return _beside(x1, x2) if isinstance(x2, _NUMBERS) else (x1, tensor(x2))
    if isinstance(x1, _NUMBERS) and not isinstance(x2, _NUMBERS):
        value, number = _beside(tensor(x2), x1)
        return number, value
    return operands(tensor(x1), x2)


def _beside(value: Tensor, number: Any) -> tuple[Tensor, Any]:
    """A tensor raised, where it has to be, to the kind of the number beside it."""
    kind = common_dtype(value, number)
    if isinstance(number, bool) and kind is not torch.bool:
        number = int(number)
    return (value if value.dtype is kind else value.to(kind)), number


def common_dtype(*values: Any) -> torch.dtype:
    """The dtype to which all tensors can be raised; Python numbers count only by their kind: bool, int, float, complex.

    >>> common_dtype(torch.ones(2, dtype=torch.float16), 2.5), common_dtype(1, 2.5), common_dtype(torch.tensor(True), 1)
    (torch.float16, torch.float32, torch.int32)
    """
    kind = torch.bool
    number = 0
    for value in values:
        if isinstance(value, _NUMBERS):
            number = max(number, _RANKS.get(type(value), 3 if isinstance(value, complex) else 2))
            continue
        own = value.dtype if isinstance(value, Tensor) else _dtype_of(value)
        kind = own if kind is torch.bool or kind is own else torch.promote_types(kind, own)
    if number == 1 and kind is torch.bool:
        return torch.int32
    if number == 2 and not (kind.is_floating_point or kind.is_complex):
        return torch_dtype(None)
    return torch.promote_types(kind, torch.complex64) if number == 3 else kind


def _dtype_of(value: Any) -> torch.dtype:
    return torch_dtype(value.dtype) if isinstance(value, np.ndarray | np.generic) else tensor(value).dtype


def floating(value: Any) -> Tensor:
    """A tensor of floating-point numbers: whole numbers and booleans become the default float.

    >>> floating([1, 2])
    tensor([1., 2.])
    """
    made = tensor(value)
    return made if made.is_floating_point() or made.is_complex() else made.to(torch_dtype(None))


def widened(value: Any) -> Tensor:
    """Floating-point numbers as `floating` makes them, but int64 becomes float64, which holds more of its digits.

    >>> widened([1, 2]).dtype, widened(torch.tensor([1, 2])).dtype
    (torch.float32, torch.float64)
    """
    made = tensor(value)
    return made.to(torch.float64) if made.dtype is torch.int64 else floating(made)


def joined(values: Iterable[Any]) -> list[Tensor]:
    """Tensors of one dtype, that to which all of ``values`` can be raised; see `common_dtype`.

    >>> [one.dtype for one in joined([[1], [0.5]])], joined([torch.tensor([1.0]), 2])
    ([torch.float32, torch.float32], [tensor([1.]), tensor(2.)])
    """
    made = [value if isinstance(value, _TENSOR_OR_NUMBER) else tensor(value) for value in values]
    kind = common_dtype(*made)
    return [_raised(one, kind) for one in made]


def _raised(value: Any, kind: torch.dtype) -> Tensor:
    if isinstance(value, Tensor):
        return value if value.dtype is kind else value.to(kind)
    return torch.scalar_tensor(value, dtype=kind)  # a scalar of the host, which kernels of any device take


def require_values(x: Tensor, what: str) -> None:
    """Raises: BuildError if ``x`` stands in for a symbol, whose values ``what`` would need.

    >>> require_values(torch.zeros(2, device="meta"), "the number of rows")
    Traceback (most recent call last):
    dougong.core.errors.BuildError: the number of rows depends on values, which a symbol does not have yet; \
put the call into a layer's call()
    """
    if x.is_meta:
        raise BuildError(
            f"{what} depends on values, which a symbol does not have yet; put the call into a layer's call()"
        )


def axes_of(axis: Any, rank: int) -> tuple[int, ...]:
    """The axes that an argument means, counted from 0; None means all.   Raises: ShapeError for one that is not there.

    >>> axes_of((0, -1), 3), axes_of(None, 2)
    ((0, 2), (0, 1))
    """
    if axis is None:
        return tuple(range(rank))
    if type(axis) is int and -rank <= axis < rank:
        return (axis % rank,)
    given = tuple(axis) if isinstance(axis, Iterable) else (axis,)
    rank = max(rank, 1)
    if any(not -rank <= one < rank for one in given):
        raise ShapeError(
            f"axis {axis} does not exist in a tensor with {rank} axes; give axes from {-rank} to {rank - 1}"
        )
    return tuple(one % rank for one in given)
