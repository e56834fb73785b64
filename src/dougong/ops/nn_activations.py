"""``keras.ops``'s activation functions: those of `dougong.ops.activations`, on arrays, lists, tensors and symbols.

The mathematics stands there once; here it is given Keras's arguments and conversions.  Whole numbers become the default
float, except where the function of a whole number is one.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from dougong.ops import activations
from dougong.ops.op import axes_of, floating, op, tensor

__all__ = [
    "celu",
    "elu",
    "gelu",
    "glu",
    "hard_shrink",
    "hard_sigmoid",
    "hard_silu",
    "hard_swish",
    "hard_tanh",
    "leaky_relu",
    "log_sigmoid",
    "log_softmax",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "soft_shrink",
    "softmax",
    "softplus",
    "softsign",
    "sparse_plus",
    "sparse_sigmoid",
    "sparsemax",
    "squareplus",
    "swish",
    "tanh_shrink",
    "threshold",
]


def _of_anything(
    function: Callable[[Tensor], Tensor], name: str, formula: str, convert: Callable[[Any], Tensor] = floating
) -> Callable[[Any], Tensor]:
    """An activation function of one tensor as an operation of Keras's name."""

    def apply(x: Any) -> Tensor:
        return function(convert(x))

    apply.__name__ = apply.__qualname__ = name
    apply.__doc__ = f"{formula}, elementwise.   Keras: equals ``keras.ops.{name}``."
    return op(apply)


relu = _of_anything(torch.relu, "relu", "``max(x, 0)``", tensor)
relu6 = _of_anything(activations.relu6, "relu6", "``min(max(x, 0), 6)``", tensor)
hard_tanh = _of_anything(activations.hard_tanh, "hard_tanh", "``min(max(x, -1), 1)``", tensor)
sigmoid = _of_anything(activations.sigmoid, "sigmoid", "``1 / (1 + exp(-x))``")
log_sigmoid = _of_anything(activations.log_sigmoid, "log_sigmoid", "``-log(1 + exp(-x))``, without its overflow")
hard_sigmoid = _of_anything(activations.hard_sigmoid, "hard_sigmoid", "``min(max(x / 6 + 1/2, 0), 1)``")
sparse_sigmoid = _of_anything(activations.sparse_sigmoid, "sparse_sigmoid", "``min(max((x + 1) / 2, 0), 1)``")
silu = swish = _of_anything(activations.silu, "silu", "``x sigmoid(x)``")
hard_silu = hard_swish = _of_anything(activations.hard_silu, "hard_silu", "``x hard_sigmoid(x)``")
softplus = _of_anything(activations.softplus, "softplus", "``log(1 + exp(x))``")
sparse_plus = _of_anything(activations.sparse_plus, "sparse_plus", "0 up to -1, ``(x + 1)² / 4`` up to 1, then ``x``")
softsign = _of_anything(activations.softsign, "softsign", "``x / (1 + |x|)``")
selu = _of_anything(activations.selu, "selu", "`elu` with the scales that keep mean 0 and variance 1")
tanh_shrink = _of_anything(activations.tanh_shrink, "tanh_shrink", "``x - tanh(x)``")


@op
def leaky_relu(x: Any, negative_slope: float = 0.2) -> Tensor:
    """``x`` above 0, ``negative_slope * x`` below.   Keras: equals its namesake.

    >>> leaky_relu([-1.0, 1.0])
    tensor([-0.2000,  1.0000])
    """
    return F.leaky_relu(floating(x), negative_slope)


@op
def elu(x: Any, alpha: float = 1.0) -> Tensor:
    """``x`` above 0, ``alpha (exp(x) - 1)`` below.   Keras: equals its namesake.   Ref: Clevert 2015, arXiv:1511.07289.

    >>> elu([-1.0, 1.0])
    tensor([-0.6321,  1.0000])
    """
    return F.elu(floating(x), alpha)


@op
def celu(x: Any, alpha: float = 1.0) -> Tensor:
    """``x`` above 0, ``alpha (exp(x / alpha) - 1)`` below.   Keras: equals its namesake.

    >>> celu([-1.0, 1.0], alpha=2.0)
    tensor([-0.7869,  1.0000])
    """
    return F.celu(floating(x), alpha)


@op
def gelu(x: Any, approximate: bool = True) -> Tensor:
    r""":math:`x \Phi(x)`, by the tanh formula unless ``approximate`` is False.   Keras: equals its namesake.

    >>> gelu(1.0), gelu(1.0, approximate=False)
    (tensor(0.8412), tensor(0.8413))
    """
    return activations.gelu(floating(x), approximate)


@op
def glu(x: Any, axis: int = -1) -> Tensor:
    r""":math:`a\,\sigma(b)`, a and b being the halves of ``x`` along ``axis``.   Keras: equals its namesake.

    >>> glu([3.0, 0.0])
    tensor([1.5000])
    """
    return activations.glu(floating(x), axis)


@op
def squareplus(x: Any, b: float = 4) -> Tensor:
    r""":math:`(x + \sqrt{x^2 + b}) / 2`.   Keras: equals its namesake.

    >>> squareplus(0.0)
    tensor(1.)
    """
    return activations.squareplus(floating(x), b)


@op
def hard_shrink(x: Any, threshold: float = 0.5) -> Tensor:
    """``x`` where ``|x| > threshold``, else 0.   Keras: equals its namesake.

    >>> hard_shrink([0.4, 2.0])
    tensor([0., 2.])
    """
    return activations.hard_shrink(floating(x), threshold)


@op
def soft_shrink(x: Any, threshold: float = 0.5) -> Tensor:
    """``x`` moved by ``threshold`` towards 0, and not beyond it.   Keras: equals its namesake.

    >>> soft_shrink([0.4, 2.0])
    tensor([0.0000, 1.5000])
    """
    return activations.soft_shrink(floating(x), threshold)


@op
def threshold(x: Any, threshold: float, default_value: float) -> Tensor:
    """``x`` above ``threshold``, else ``default_value``.   Keras: equals its namesake.

    >>> threshold([1.0, 3.0], 2.0, -1.0)
    tensor([-1.,  3.])
    """
    return activations.threshold(tensor(x), threshold, default_value)


@op
def sparsemax(x: Any, axis: int = -1) -> Tensor:
    """The nearest distribution to ``x`` along ``axis``; unlike `softmax` it reaches 0.

    Keras: 3.15 sums to less than 1 where two or more outputs are positive.

    >>> sparsemax([1.0, 0.8, -1.0])
    tensor([0.6000, 0.4000, 0.0000])
    """
    return activations.sparsemax(floating(x), axis)


@op
def softmax(x: Any, axis: int | Sequence[int] | None = -1) -> Tensor:
    r""":math:`e^{x_i} / \sum_j e^{x_j}` along one or more axes; None means all.   Keras: equals its namesake.

    >>> softmax([[0.0, 0.0], [0.0, 0.0]], axis=None)
    tensor([[0.2500, 0.2500],
            [0.2500, 0.2500]])
    """
    x = floating(x)
    if isinstance(axis, int) and -x.ndim <= axis < x.ndim and x.shape[axis] == 1:
        message = f"softmax over axis {axis} of shape {tuple(x.shape)} is always 1; did you mean sigmoid?"
        warnings.warn(message, stacklevel=3)
    return _along(activations.softmax, x, axis)


@op
def log_softmax(x: Any, axis: int | Sequence[int] | None = -1) -> Tensor:
    """The logarithm of `softmax`, without its overflow.   Keras: equals its namesake.

    >>> log_softmax([0.0, 0.0])
    tensor([-0.6931, -0.6931])
    """
    return _along(activations.log_softmax, floating(x), axis)


def _along(function: Callable[[Tensor, int], Tensor], x: Tensor, axis: int | Sequence[int] | None) -> Tensor:
    """A function along one axis, applied to several as if they were one."""
    if isinstance(axis, int):
        return function(x, axis)
    axes = axes_of(axis, x.ndim)
    ends = tuple(range(-len(axes), 0))
    last = x.movedim(axes, ends)
    return function(last.reshape(*last.shape[: x.ndim - len(axes)], -1), -1).reshape(last.shape).movedim(ends, axes)
