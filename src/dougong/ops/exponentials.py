"""Exponentials, logarithms and roots, one element at a time.

Whole numbers become the default float.   Keras: each equals ``keras.ops`` of its name, except that float64 stays.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from dougong.core.errors import ConfigError
from dougong.ops.op import floating, joined, op, tensor, widened

__all__ = [
    "cbrt",
    "exp",
    "exp2",
    "expm1",
    "i0",
    "ldexp",
    "log",
    "log1p",
    "log2",
    "log10",
    "logaddexp",
    "logaddexp2",
    "sqrt",
]


@op
def exp(x: Any) -> Tensor:
    r""":math:`e^x`.

    >>> exp([0, 1])
    tensor([1.0000, 2.7183])
    """
    return torch.exp(floating(x))


@op
def exp2(x: Any) -> Tensor:
    r""":math:`2^x`."""
    return torch.exp2(floating(x))


@op
def expm1(x: Any) -> Tensor:
    r""":math:`e^x - 1`, exact near 0, where `exp` would lose the digits.

    >>> expm1(1e-8).item() > 0, (exp(1e-8) - 1).item() > 0
    (True, False)
    """
    return torch.expm1(floating(x))


@op
def log(x: Any) -> Tensor:
    """The natural logarithm: -inf at 0, NaN below."""
    return torch.log(floating(x))


@op
def log2(x: Any) -> Tensor:
    """The logarithm to base 2."""
    return torch.log2(floating(x))


@op
def log10(x: Any) -> Tensor:
    """The logarithm to base 10.

    >>> log10([1, 1000])
    tensor([0., 3.])
    """
    return torch.log10(floating(x))


@op
def log1p(x: Any) -> Tensor:
    """``log(1 + x)``, exact near 0."""
    return torch.log1p(floating(x))


@op
def logaddexp(x1: Any, x2: Any) -> Tensor:
    r""":math:`\ln(e^{x_1} + e^{x_2})`, without overflow: the sum of two probabilities given by their logarithms.

    >>> logaddexp([1000.0], [1000.0])
    tensor([1000.6932])
    """
    x1, x2 = joined((tensor(x1), tensor(x2)))
    return torch.logaddexp(floating(x1), floating(x2))


@op
def logaddexp2(x1: Any, x2: Any) -> Tensor:
    r""":math:`\log_2(2^{x_1} + 2^{x_2})`, without overflow."""
    x1, x2 = joined((tensor(x1), tensor(x2)))
    return torch.logaddexp2(floating(x1), floating(x2))


@op
def ldexp(x1: Any, x2: Any) -> Tensor:
    r""":math:`x_1 2^{x_2}`, of whole exponents.   Raises: ConfigError for others.

    Keras: on torch it raises 2 in float32, which overflows from ``x2 = 128`` on; here float64 carries it.

    >>> ldexp([0.5, 1e-30], [3, 130])
    tensor([4.0000e+00, 1.3611e+09])
    """
    x1, x2 = floating(x1), tensor(x2)
    if x2.is_floating_point() or x2.is_complex() or x2.dtype is torch.bool:
        raise ConfigError(
            f"ldexp needs whole exponents, got x2 of {x2.dtype}; cast it to 'int32', or use x1 * exp2(x2)"
        )
    return (x1.to(torch.float64) * torch.pow(2.0, x2.to(torch.float64))).to(x1.dtype)


@op
def sqrt(x: Any) -> Tensor:
    """The square root; NaN below 0."""
    return torch.sqrt(floating(x))


@op
def cbrt(x: Any) -> Tensor:
    """The cube root, negative for negative numbers; int64 becomes float64.

    >>> cbrt([-8.0, 27.0])
    tensor([-2.,  3.])
    """
    x = widened(x)
    return torch.sign(x) * torch.abs(x) ** (1.0 / 3.0)


@op
def i0(x: Any) -> Tensor:
    """The modified Bessel function of the first kind, order 0; int64 becomes float64."""
    return torch.i0(widened(x))
