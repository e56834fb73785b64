"""Signs, rounding, bounds and parts of numbers, one element at a time.

Whole numbers stay whole where the result is; where it is not, they become the default float.
Keras: each equals ``keras.ops`` of its name, except that float64 and int64 are never narrowed to 32 bits.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from dougong.core.errors import ConfigError
from dougong.ops.op import common_dtype, floating, joined, op, tensor, widened

__all__ = [
    "abs",
    "absolute",
    "angle",
    "ceil",
    "clip",
    "conj",
    "conjugate",
    "fabs",
    "floor",
    "heaviside",
    "imag",
    "nan_to_num",
    "negative",
    "nextafter",
    "real",
    "reciprocal",
    "round",
    "sign",
    "signbit",
    "square",
    "trunc",
]


@op
def absolute(x: Any) -> Tensor:
    """The distance from 0; `abs` is the same function.

    >>> absolute([-2, 3])
    tensor([2, 3], dtype=torch.int32)
    """
    x = tensor(x)
    return x if x.dtype is torch.bool else torch.abs(x)


abs = absolute


@op
def fabs(x: Any) -> Tensor:
    """The distance from 0, as a float.   Raises: ConfigError for complex numbers."""
    x = floating(x)
    if x.is_complex():
        raise ConfigError("fabs takes real numbers, and these are complex; use absolute()")
    return torch.abs(x)


@op
def sign(x: Any) -> Tensor:
    """-1, 0 or 1; NaN stays NaN."""
    return torch.sign(tensor(x))


@op
def signbit(x: Any) -> Tensor:
    """Whether a number is negative, -0.0 included.

    >>> signbit([-0.0, 0.0])
    tensor([ True, False])
    """
    return torch.signbit(tensor(x))


@op
def negative(x: Any) -> Tensor:
    """``-x``.   Raises: RuntimeError for booleans; `logical_not` inverts those."""
    return torch.negative(tensor(x))


@op
def reciprocal(x: Any) -> Tensor:
    """``1 / x``, as a float.   NumPy: differs for whole numbers, which it divides without remainder."""
    return torch.reciprocal(floating(x))


@op
def square(x: Any) -> Tensor:
    """``x * x``; booleans become int32."""
    x = tensor(x)
    return torch.square(x.to(torch.int32) if x.dtype is torch.bool else x)


@op
def ceil(x: Any) -> Tensor:
    """The next whole number from ``x`` upwards, as a float.

    >>> ceil([-1.5, 1.2]), ceil(3)
    (tensor([-1.,  2.]), tensor(3.))
    """
    return torch.ceil(floating(x))


@op
def floor(x: Any) -> Tensor:
    """The next whole number from ``x`` downwards, as a float."""
    return torch.floor(floating(x))


@op
def trunc(x: Any) -> Tensor:
    """``x`` without its fraction; whole numbers and booleans as they are."""
    x = tensor(x)
    return torch.trunc(x) if x.is_floating_point() else x


@op
def round(x: Any, decimals: int = 0) -> Tensor:
    """``x`` rounded to ``decimals`` places, halves to the even neighbour; -2 rounds to hundreds.

    Keras: rounds whole numbers in float32, which spoils large ones; here they are exact.

    >>> round([0.5, 1.5, 2.25], 1), round([1250, 1251], -2)
    (tensor([0.5000, 1.5000, 2.2000]), tensor([1200, 1300], dtype=torch.int32))
    """
    x = tensor(x)
    if x.is_floating_point():
        return torch.round(x, decimals=decimals)
    return x if decimals >= 0 else torch.round(x.to(torch.float64), decimals=decimals).to(x.dtype)


@op
def clip(x: Any, x_min: Any, x_max: Any) -> Tensor:
    """``x`` kept within ``x_min`` and ``x_max``, numbers or tensors that broadcast; None leaves a side open.

    Booleans become int32; float bounds make whole numbers floats.

    >>> clip([1, 5, 9], 2, 6), clip([1, 5, 9], None, 6.5)
    (tensor([2, 5, 6], dtype=torch.int32), tensor([1.0000, 5.0000, 6.5000]))
    """
    x = tensor(x)
    given = [one for one in (x_min, x_max) if one is not None]
    kind = common_dtype(x, *given)
    x = x.to(torch.int32 if kind is torch.bool else kind)
    if any(not isinstance(one, bool | int | float) for one in given):
        x_min, x_max = (None if one is None else tensor(one, x.dtype) for one in (x_min, x_max))
    return torch.clamp(x, min=x_min, max=x_max)


@op
def nan_to_num(x: Any, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None) -> Tensor:
    """``x`` with numbers in place of NaN and the infinities, whose default is the dtype's largest and smallest number.

    >>> nan_to_num([float("nan"), float("inf"), 1.0], posinf=9.0)
    tensor([0., 9., 1.])
    """
    return torch.nan_to_num(tensor(x), nan=nan, posinf=posinf, neginf=neginf)


@op
def heaviside(x1: Any, x2: Any) -> Tensor:
    """0 below 0, 1 above, and ``x2`` where ``x1`` is 0.

    >>> heaviside([-1.0, 0.0, 2.0], 0.5)
    tensor([0.0000, 0.5000, 1.0000])
    """
    x1, x2 = joined((tensor(x1), tensor(x2)))
    return torch.heaviside(x1, x2) if x1.dtype is torch.bool else torch.heaviside(widened(x1), widened(x2))


@op
def nextafter(x1: Any, x2: Any) -> Tensor:
    """The next floating-point number from ``x1`` towards ``x2``.

    Keras: on torch it steps in float64 and rounds back, so that nothing moves; this one steps in the dtype of ``x1``.

    >>> (nextafter(1.0, 2.0) - 1.0).item() == torch.finfo(torch.float32).eps
    True
    """
    x1, x2 = joined((tensor(x1), tensor(x2)))
    return torch.nextafter(floating(x1), floating(x2))


@op
def real(x: Any) -> Tensor:
    """The real part; real numbers as they are."""
    return torch.real(tensor(x))


@op
def imag(x: Any) -> Tensor:
    """The imaginary part: 0 for real numbers, which Keras on torch refuses.

    >>> imag([1 + 2j, 3 + 0j]), imag([1.0])
    (tensor([2., 0.]), tensor([0.]))
    """
    x = tensor(x)
    return torch.imag(x) if x.is_complex() else torch.zeros_like(x)


@op
def conjugate(x: Any) -> Tensor:
    """``a - bi`` for ``a + bi``; `conj` is the same function."""
    return torch.conj(tensor(x)).resolve_conj()


conj = conjugate


@op
def angle(x: Any) -> Tensor:
    """The angle of a complex number in radians: 0 for positive numbers, pi for negative ones.

    >>> angle([1j, -1 + 0j])
    tensor([1.5708, 3.1416])
    """
    x = floating(x)
    if x.dtype in (torch.float16, torch.bfloat16):  # not every device has a kernel for these
        return torch.angle(x.float()).to(x.dtype)
    return torch.angle(x)
