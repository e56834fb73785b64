"""Trigonometric and hyperbolic functions and their inverses, of angles in radians.

Whole numbers become the default float.   Keras: each equals ``keras.ops`` of its name, except that float64 stays.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from dougong.ops.op import floating, joined, op, tensor, widened

__all__ = [
    "arccos",
    "arccosh",
    "arcsin",
    "arcsinh",
    "arctan",
    "arctan2",
    "arctanh",
    "cos",
    "cosh",
    "deg2rad",
    "hypot",
    "rad2deg",
    "sin",
    "sinc",
    "sinh",
    "tan",
    "tanh",
]


@op
def sin(x: Any) -> Tensor:
    """The sine.

    >>> sin([0, 1])
    tensor([0.0000, 0.8415])
    """
    return torch.sin(floating(x))


@op
def cos(x: Any) -> Tensor:
    """The cosine."""
    return torch.cos(floating(x))


@op
def tan(x: Any) -> Tensor:
    """The tangent, sine over cosine."""
    return torch.tan(floating(x))


@op
def arcsin(x: Any) -> Tensor:
    """The angle from -pi/2 to pi/2 whose sine is ``x``; NaN beyond -1 and 1.

    >>> arcsin([0.5, 2.0])
    tensor([0.5236,    nan])
    """
    return torch.arcsin(floating(x))


@op
def arccos(x: Any) -> Tensor:
    """The angle from 0 to pi whose cosine is ``x``; NaN beyond -1 and 1."""
    return torch.arccos(floating(x))


@op
def arctan(x: Any) -> Tensor:
    """The angle between -pi/2 and pi/2 whose tangent is ``x``."""
    return torch.arctan(floating(x))


@op
def arctan2(x1: Any, x2: Any) -> Tensor:
    """The angle from -pi to pi of the point with height ``x1`` and abscissa ``x2``.

    >>> arctan2([1.0, -1.0], [0.0, -1.0])
    tensor([ 1.5708, -2.3562])
    """
    x1, x2 = joined((tensor(x1), tensor(x2)))
    return torch.arctan2(floating(x1), floating(x2))


@op
def sinh(x: Any) -> Tensor:
    r""":math:`(e^x - e^{-x}) / 2`."""
    return torch.sinh(floating(x))


@op
def cosh(x: Any) -> Tensor:
    r""":math:`(e^x + e^{-x}) / 2`.

    >>> cosh(1)
    tensor(1.5431)
    """
    return torch.cosh(floating(x))


@op
def tanh(x: Any) -> Tensor:
    """``sinh(x) / cosh(x)``, between -1 and 1."""
    return torch.tanh(floating(x))


@op
def arcsinh(x: Any) -> Tensor:
    r""":math:`\ln(x + \sqrt{x^2 + 1})`, the inverse of `sinh`."""
    return torch.arcsinh(floating(x))


@op
def arccosh(x: Any) -> Tensor:
    r""":math:`\ln(x + \sqrt{x^2 - 1})`, the positive inverse of `cosh`; NaN below 1.

    >>> arccosh([1.0, 0.5])
    tensor([0., nan])
    """
    return torch.arccosh(floating(x))


@op
def arctanh(x: Any) -> Tensor:
    r""":math:`\tfrac12 \ln\frac{1 + x}{1 - x}`, the inverse of `tanh`; infinite at -1 and 1."""
    return torch.arctanh(floating(x))


@op
def sinc(x: Any) -> Tensor:
    r""":math:`\sin(\pi x) / (\pi x)`, and 1 at 0.

    >>> sinc([0.0, 0.5])
    tensor([1.0000, 0.6366])
    """
    return torch.sinc(floating(x))


@op
def hypot(x1: Any, x2: Any) -> Tensor:
    r""":math:`\sqrt{x_1^2 + x_2^2}`, without the overflow of the squares; int64 becomes float64.

    >>> hypot([3.0, 3e30], [4.0, 4e30])
    tensor([5.0000e+00, 5.0000e+30])
    """
    x1, x2 = joined((tensor(x1), tensor(x2)))
    return torch.hypot(widened(x1), widened(x2))


@op
def deg2rad(x: Any) -> Tensor:
    """Degrees to radians; int64 becomes float64."""
    return torch.deg2rad(widened(x))


@op
def rad2deg(x: Any) -> Tensor:
    """Radians to degrees; int64 becomes float64.

    >>> rad2deg([0.0, torch.pi])
    tensor([  0., 180.])
    """
    return torch.rad2deg(widened(x))
