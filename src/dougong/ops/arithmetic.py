"""Arithmetic of two operands that broadcast against each other.

A Python number beside a tensor takes the tensor's dtype, unless it is of a higher kind (a float beside whole numbers).
Keras: each equals ``keras.ops`` of its name; where both are booleans, what Keras on torch refuses is done in int32.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from dougong.ops.op import common_dtype, floating, joined, op, operands, tensor

__all__ = [
    "add",
    "divide",
    "divide_no_nan",
    "floor_divide",
    "fmax",
    "fmin",
    "fmod",
    "gcd",
    "lcm",
    "maximum",
    "minimum",
    "mod",
    "multiply",
    "power",
    "subtract",
    "true_divide",
]


@op
def add(x1: Any, x2: Any) -> Tensor:
    """``x1 + x2``; of two booleans, whether one is true.

    >>> add([[1], [2]], [10, 20])
    tensor([[11, 21],
            [12, 22]], dtype=torch.int32)
    """
    x1, x2 = operands(x1, x2)
    return torch.add(x1, x2)


@op
def subtract(x1: Any, x2: Any) -> Tensor:
    """``x1 - x2``.   Raises: RuntimeError for two booleans; `logical_xor` tells whether they differ."""
    x1, x2 = operands(x1, x2)
    kind = common_dtype(x1, x2)
    return torch.sub(_unless_bool(x1, kind), _unless_bool(x2, kind))


def _unless_bool(x: Any, kind: torch.dtype) -> Any:
    return x.to(kind) if isinstance(x, Tensor) and x.dtype is torch.bool else x


@op
def multiply(x1: Any, x2: Any) -> Tensor:
    """``x1 * x2``; of two booleans, whether both are true."""
    x1, x2 = operands(x1, x2)
    return torch.mul(x1, x2)


@op
def true_divide(x1: Any, x2: Any) -> Tensor:
    """``x1 / x2`` as a float, whatever the operands; `divide` is the same function.

    >>> true_divide([1, 0], 2), true_divide(1.0, [0.0, 4.0])
    (tensor([0.5000, 0.0000]), tensor([   inf, 0.2500]))
    """
    x1, x2 = operands(x1, x2)
    return torch.true_divide(x1, x2)


divide = true_divide


@op
def divide_no_nan(x1: Any, x2: Any) -> Tensor:
    """``x1 / x2``, and 0 where ``x2`` is 0, with a gradient of 0 there.

    >>> divide_no_nan([1.0, 2.0], [0.0, 4.0])
    tensor([0.0000, 0.5000])
    """
    x1, x2 = (floating(one) for one in joined((x1, x2)))
    is_zero = x2 == 0
    # The quotient itself must be finite: the gradient of `where` is 0 times that of the other branch.
    return torch.where(is_zero, 0, x1 / torch.where(is_zero, 1, x2))


def _counting(x1: Any, x2: Any) -> tuple[Tensor, Any]:
    """Operands, the first a tensor, of which two booleans have become int32, for kernels that count."""
    x1, x2 = operands(x1, x2)
    x1 = x1 if isinstance(x1, Tensor) else torch.scalar_tensor(x1, dtype=x2.dtype)
    return (x1.to(torch.int32), x2) if x1.dtype is torch.bool and common_dtype(x1, x2) is torch.bool else (x1, x2)


@op
def floor_divide(x1: Any, x2: Any) -> Tensor:
    """``x1 / x2`` rounded down; it has no gradient.   Raises: RuntimeError for a whole number divided by 0.

    >>> floor_divide([7, -7], 2)
    tensor([ 3, -4], dtype=torch.int32)
    """
    return torch.floor_divide(*_counting(*joined((x1, x2))))


@op
def mod(x1: Any, x2: Any) -> Tensor:
    """What remains of ``x1`` after `floor_divide` by ``x2``, with the sign of ``x2``.

    >>> mod([7, -7], 3), fmod([7, -7], 3)
    (tensor([1, 2], dtype=torch.int32), tensor([ 1, -1], dtype=torch.int32))
    """
    return torch.remainder(*_counting(x1, x2))


@op
def fmod(x1: Any, x2: Any) -> Tensor:
    """What remains of ``x1`` after division by ``x2`` rounded towards 0, with the sign of ``x1``."""
    return torch.fmod(*_counting(x1, x2))


@op
def power(x1: Any, x2: Any) -> Tensor:
    """``x1`` to the power ``x2``.   Raises: RuntimeError for a whole number to a negative whole one.

    >>> power([1, 2, 3], 2), power(2.0, [0.5, -1.0])
    (tensor([1, 4, 9], dtype=torch.int32), tensor([1.4142, 0.5000]))
    """
    return torch.pow(*_counting(x1, x2))


@op
def maximum(x1: Any, x2: Any) -> Tensor:
    """The larger of two; NaN where one of them is NaN.

    >>> maximum([1.0, float("nan")], 2.0), fmax([1.0, float("nan")], 2.0)
    (tensor([2., nan]), tensor([2., 2.]))
    """
    return torch.maximum(*joined((x1, x2)))


@op
def minimum(x1: Any, x2: Any) -> Tensor:
    """The smaller of two; NaN where one of them is NaN."""
    return torch.minimum(*joined((x1, x2)))


@op
def fmax(x1: Any, x2: Any) -> Tensor:
    """The larger of two; of a number and NaN, the number."""
    return torch.fmax(*joined((x1, x2)))


@op
def fmin(x1: Any, x2: Any) -> Tensor:
    """The smaller of two; of a number and NaN, the number."""
    return torch.fmin(*joined((x1, x2)))


@op
def gcd(x1: Any, x2: Any) -> Tensor:
    """The greatest common divisor of whole numbers.

    >>> gcd([12, 18], 8), lcm([4, 6], 6)
    (tensor([4, 2], dtype=torch.int32), tensor([12,  6], dtype=torch.int32))
    """
    return torch.gcd(tensor(x1), tensor(x2))


@op
def lcm(x1: Any, x2: Any) -> Tensor:
    """The least common multiple of whole numbers."""
    return torch.lcm(tensor(x1), tensor(x2))
