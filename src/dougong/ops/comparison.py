"""Comparisons, tests and logic, one element at a time; the results are booleans.

Operands broadcast.   Keras: each equals ``keras.ops`` of its name.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from dougong.ops.op import joined, op, operands, tensor

__all__ = [
    "allclose",
    "equal",
    "greater",
    "greater_equal",
    "isclose",
    "isfinite",
    "isin",
    "isinf",
    "isnan",
    "isneginf",
    "isposinf",
    "isreal",
    "less",
    "less_equal",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "not_equal",
]


@op
def equal(x1: Any, x2: Any) -> Tensor:
    """``x1 == x2``; NaN equals nothing.

    >>> equal([1, 2], 2)
    tensor([False,  True])
    """
    x1, x2 = operands(x1, x2)
    return x1 == x2


@op
def not_equal(x1: Any, x2: Any) -> Tensor:
    """``x1 != x2``."""
    x1, x2 = operands(x1, x2)
    return x1 != x2


@op
def less(x1: Any, x2: Any) -> Tensor:
    """``x1 < x2``."""
    x1, x2 = operands(x1, x2)
    return x1 < x2


@op
def less_equal(x1: Any, x2: Any) -> Tensor:
    """``x1 <= x2``.

    >>> less_equal(2, [1, 2, 3])
    tensor([False,  True,  True])
    """
    x1, x2 = operands(x1, x2)
    return x1 <= x2


@op
def greater(x1: Any, x2: Any) -> Tensor:
    """``x1 > x2``."""
    x1, x2 = operands(x1, x2)
    return x1 > x2


@op
def greater_equal(x1: Any, x2: Any) -> Tensor:
    """``x1 >= x2``."""
    x1, x2 = operands(x1, x2)
    return x1 >= x2


@op
def isclose(x1: Any, x2: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Tensor:
    r"""Whether :math:`|x_1 - x_2| \le atol + rtol\,|x_2|`.

    Keras: on torch it ignores the tolerances for whole numbers; here they count, as in NumPy.

    >>> isclose([1.0, 1.1], 1.000001), isclose([1_000_000], [1_000_001])
    (tensor([ True, False]), tensor([True]))
    """
    x1, x2 = joined((x1, x2))
    return torch.isclose(x1, x2, rtol=rtol, atol=atol, equal_nan=equal_nan)


@op
def allclose(x1: Any, x2: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Tensor:
    """Whether `isclose` holds everywhere: one boolean."""
    x1, x2 = joined((x1, x2))
    return torch.isclose(x1, x2, rtol=rtol, atol=atol, equal_nan=equal_nan).all()


@op
def isin(x1: Any, x2: Any, assume_unique: bool = False, invert: bool = False) -> Tensor:
    """Whether each element of ``x1`` is among those of ``x2``; with ``invert``, whether it is not.

    ``assume_unique`` promises that neither holds an element twice.

    >>> isin([1, 2, 3], [3, 1])
    tensor([ True, False,  True])
    """
    x1, x2 = joined((tensor(x1), tensor(x2)))
    if x1.dtype is torch.bool:
        x1, x2 = x1.to(torch.uint8), x2.to(torch.uint8)
    return torch.isin(x1, x2, assume_unique=assume_unique, invert=invert)


@op
def isfinite(x: Any) -> Tensor:
    """Whether a number is neither infinite nor NaN."""
    return torch.isfinite(tensor(x))


@op
def isinf(x: Any) -> Tensor:
    """Whether a number is infinite.

    >>> x = [float("-inf"), float("nan"), 1.0]
    >>> isinf(x), isnan(x), isposinf(x)
    (tensor([ True, False, False]), tensor([False,  True, False]), tensor([False, False, False]))
    """
    return torch.isinf(tensor(x))


@op
def isnan(x: Any) -> Tensor:
    """Whether a number is NaN."""
    return torch.isnan(tensor(x))


@op
def isneginf(x: Any) -> Tensor:
    """Whether a number is minus infinity."""
    return torch.isneginf(tensor(x))


@op
def isposinf(x: Any) -> Tensor:
    """Whether a number is plus infinity."""
    return torch.isposinf(tensor(x))


@op
def isreal(x: Any) -> Tensor:
    """Whether a number has no imaginary part."""
    return torch.isreal(tensor(x))


@op
def logical_and(x1: Any, x2: Any) -> Tensor:
    """Whether both are other than 0.

    >>> logical_and([0, 2, 3], [1, 1, 0])
    tensor([False,  True, False])
    """
    return torch.logical_and(*joined((x1, x2)))


@op
def logical_or(x1: Any, x2: Any) -> Tensor:
    """Whether one of them, or both, is other than 0."""
    return torch.logical_or(*joined((x1, x2)))


@op
def logical_xor(x1: Any, x2: Any) -> Tensor:
    """Whether just one of them is other than 0."""
    return torch.logical_xor(*joined((x1, x2)))


@op
def logical_not(x: Any) -> Tensor:
    """Whether it is 0."""
    return torch.logical_not(tensor(x))
