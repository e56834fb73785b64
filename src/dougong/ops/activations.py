"""Activation functions: elementwise but for `softmax`, `log_softmax`, `sparsemax` and `glu`, which work along an axis.

Where torch has the function with Keras's meaning, the table holds torch's own.   Source: Keras 3.15; MATLAB's transfer
functions for ``tansig``, ``hardlim`` and their like, whose derivatives ``d...(n, a)`` take input and output.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, celu, selu, sigmoid, tanh
from torch import exp as exponential
from torch.nn import functional as F
from torch.nn.functional import elu, mish, relu6, silu, softplus, softsign
from torch.nn.functional import hardsigmoid as hard_sigmoid
from torch.nn.functional import hardswish as hard_silu
from torch.nn.functional import hardtanh as hard_tanh
from torch.nn.functional import logsigmoid as log_sigmoid
from torch.nn.functional import tanhshrink as tanh_shrink

from dougong.core.config import custom_object_scope, resolve
from dougong.core.config import serialize as serialize
from dougong.core.torch_functions import TORCH_FUNCTIONS

__all__ = [
    "celu",
    "deserialize",
    "dlogsig",
    "dpurelin",
    "dtansig",
    "elu",
    "exponential",
    "gelu",
    "get",
    "glu",
    "hard_shrink",
    "hard_sigmoid",
    "hard_silu",
    "hard_swish",
    "hard_tanh",
    "hardlim",
    "hardlims",
    "leaky_relu",
    "linear",
    "log_sigmoid",
    "log_softmax",
    "logsig",
    "mish",
    "poslin",
    "purelin",
    "radbas",
    "relu",
    "relu5",
    "relu6",
    "relu20",
    "satlin",
    "satlins",
    "selu",
    "serialize",
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
    "tanh",
    "tanh_shrink",
    "tansig",
    "threshold",
    "tribas",
]


def linear(x: Tensor) -> Tensor:
    """The input itself.   MATLAB: ``purelin``."""
    return x


# Other names of the same functions: MATLAB's, and two of Keras's.
logsig, tansig, satlins, poslin, purelin = sigmoid, tanh, hard_tanh, torch.relu, linear
swish, hard_swish = silu, hard_silu


def relu(x: Tensor, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0) -> Tensor:
    r"""The positive part, with Keras's three options.

    .. math:: \min(x, m)\ (x > \theta),\qquad \alpha (x - \theta)\ \text{otherwise}

    >>> relu(torch.tensor([-2.0, 3.0, 30.0]), negative_slope=0.5, max_value=20.0)
    tensor([-1.,  3., 20.])
    """
    if negative_slope == 0.0 and threshold == 0.0:
        return torch.relu(x) if max_value is None else F.hardtanh(x, 0.0, max_value)
    if threshold == 0.0 and max_value is None:
        return F.leaky_relu(x, negative_slope)
    above = torch.where(x > threshold, x, 0.0)
    if max_value is not None:
        above = above.clamp(0.0, max_value)
    return above - negative_slope * torch.relu(threshold - x) if negative_slope else above


def relu5(x: Tensor) -> Tensor:
    """`relu`, at most 5.

    >>> relu5(torch.tensor([-1.0, 7.0]))
    tensor([0., 5.])
    """
    return F.hardtanh(x, 0.0, 5.0)


def relu20(x: Tensor) -> Tensor:
    """`relu`, at most 20.

    >>> relu20(torch.tensor([-1.0, 70.0]))
    tensor([ 0., 20.])
    """
    return F.hardtanh(x, 0.0, 20.0)


def leaky_relu(x: Tensor, negative_slope: float = 0.2) -> Tensor:
    """``x`` above 0, ``negative_slope * x`` below.   Keras: the slope is 0.2; torch's would be 0.01.

    >>> leaky_relu(torch.tensor([-1.0, 1.0]))
    tensor([-0.2000,  1.0000])
    """
    return F.leaky_relu(x, negative_slope)


def gelu(x: Tensor, approximate: bool = False) -> Tensor:
    r""":math:`x \Phi(x)`, Φ being the normal distribution's; ``approximate`` takes the tanh formula for it.

    Ref: Hendrycks & Gimpel 2016, arXiv:1606.08415.

    >>> gelu(torch.tensor(1.0)), gelu(torch.tensor(1.0), approximate=True)
    (tensor(0.8413), tensor(0.8412))
    """
    return F.gelu(x, approximate="tanh" if approximate else "none")


def glu(x: Tensor, axis: int = -1) -> Tensor:
    r""":math:`a\,\sigma(b)`, a and b being the halves of ``x`` along ``axis``.   Ref: Dauphin 2016, arXiv:1612.08083.

    >>> glu(torch.tensor([3.0, 0.0]))
    tensor([1.5000])
    """
    return F.glu(x, axis)


def softmax(x: Tensor, axis: int = -1) -> Tensor:
    r""":math:`e^{x_i} / \sum_j e^{x_j}` along ``axis``: positive, with sum 1.

    >>> softmax(torch.zeros(4))
    tensor([0.2500, 0.2500, 0.2500, 0.2500])
    """
    return torch.softmax(x, axis)


def log_softmax(x: Tensor, axis: int = -1) -> Tensor:
    """The logarithm of `softmax`, without its overflow.

    >>> log_softmax(torch.zeros(2))
    tensor([-0.6931, -0.6931])
    """
    return torch.log_softmax(x, axis)


def sparsemax(x: Tensor, axis: int = -1) -> Tensor:
    r"""The nearest point to ``x`` that is positive and has sum 1; unlike `softmax` it reaches 0.

    .. math:: \max(x_i - \tau, 0), \qquad \tau\ \text{such that the sum is}\ 1

    Keras: 3.15 sums to less than 1 where two or more outputs are positive.   Ref: Martins 2016, arXiv:1602.02068.

    >>> sparsemax(torch.tensor([1.0, 0.8, -1.0]))
    tensor([0.6000, 0.4000, 0.0000])
    """
    x = x.movedim(axis, -1)
    ordered = x.sort(dim=-1, descending=True).values
    excess = ordered.cumsum(-1) - 1
    ranks = torch.arange(1, x.shape[-1] + 1, device=x.device, dtype=x.dtype)
    support = (ranks * ordered > excess).sum(-1, keepdim=True)
    tau = excess.gather(-1, support - 1) / support
    return torch.relu(x - tau).movedim(-1, axis)


def hard_shrink(x: Tensor, threshold: float = 0.5) -> Tensor:
    """``x`` where ``|x| > threshold``, else 0.

    >>> hard_shrink(torch.tensor([0.4, 2.0]))
    tensor([0., 2.])
    """
    return torch.hardshrink(x, threshold)


def soft_shrink(x: Tensor, threshold: float = 0.5) -> Tensor:
    """``x`` moved by ``threshold`` towards 0, and not beyond it.

    >>> soft_shrink(torch.tensor([0.4, 2.0]))
    tensor([0.0000, 1.5000])
    """
    return F.softshrink(x, threshold)


def threshold(x: Tensor, threshold: float, default_value: float) -> Tensor:
    """``x`` above ``threshold``, else ``default_value``.

    >>> threshold(torch.tensor([1.0, 3.0]), 2.0, -1.0)
    tensor([-1.,  3.])
    """
    return F.threshold(x, threshold, default_value)


def sparse_plus(x: Tensor) -> Tensor:
    r"""0 up to -1, :math:`(x + 1)^2 / 4` up to 1, then ``x``: a softplus that reaches 0.

    >>> sparse_plus(torch.tensor([-2.0, 0.0, 2.0]))
    tensor([0.0000, 0.2500, 2.0000])
    """
    return torch.where(x < 1, 0.25 * torch.relu(x + 1).square(), x)


def sparse_sigmoid(x: Tensor) -> Tensor:
    """0 up to -1, 1 from 1 on, straight between: the derivative of `sparse_plus`.

    >>> sparse_sigmoid(torch.tensor([-2.0, 0.0, 2.0]))
    tensor([0.0000, 0.5000, 1.0000])
    """
    return 0.5 * (F.hardtanh(x) + 1)


def squareplus(x: Tensor, b: float = 4) -> Tensor:
    r""":math:`(x + \sqrt{x^2 + b}) / 2`: a softplus without exponentials.   Ref: Barron 2021, arXiv:2112.11687.

    >>> squareplus(torch.tensor(0.0))
    tensor(1.)
    """
    return (x + torch.sqrt(x.square() + b)) / 2


def hardlim(n: Tensor) -> Tensor:
    """1 from 0 on, else 0.   MATLAB: ``hardlim``.  Its gradient is 0, so only perceptron rules train it.

    >>> hardlim(torch.tensor([-0.1, 0.0]))
    tensor([0., 1.])
    """
    return (n >= 0).to(n.dtype)


def hardlims(n: Tensor) -> Tensor:
    """1 from 0 on, else -1.   MATLAB: ``hardlims``.

    >>> hardlims(torch.tensor([-0.1, 0.0]))
    tensor([-1.,  1.])
    """
    return 2 * hardlim(n) - 1


def satlin(n: Tensor) -> Tensor:
    """``n`` kept within 0 and 1.   MATLAB: ``satlin``; ``satlins`` is `hard_tanh`.

    >>> satlin(torch.tensor([-1.0, 0.3, 2.0]))
    tensor([0.0000, 0.3000, 1.0000])
    """
    return F.hardtanh(n, 0.0, 1.0)


def radbas(n: Tensor) -> Tensor:
    r"""The radial basis :math:`e^{-n^2}`.   MATLAB: ``radbas``.

    >>> radbas(torch.tensor([0.0, 1.0]))
    tensor([1.0000, 0.3679])
    """
    return torch.exp(-n.square())


def tribas(n: Tensor) -> Tensor:
    r"""The triangular basis :math:`\max(0, 1 - |n|)`.   MATLAB: ``tribas``.

    >>> tribas(torch.tensor([0.0, -0.5, 2.0]))
    tensor([1.0000, 0.5000, 0.0000])
    """
    return torch.relu(1 - n.abs())


def dlogsig(n: Tensor, a: Tensor) -> Tensor:  # noqa: ARG001  MATLAB's arguments
    r"""The derivative of ``logsig`` from its output: :math:`a (1 - a)`.   MATLAB: ``dlogsig(n, a)``.

    >>> dlogsig(torch.tensor(0.0), torch.tensor(0.5))
    tensor(0.2500)
    """
    return a * (1 - a)


def dtansig(n: Tensor, a: Tensor) -> Tensor:  # noqa: ARG001  MATLAB's arguments
    r"""The derivative of ``tansig`` from its output: :math:`1 - a^2`.   MATLAB: ``dtansig(n, a)``.

    >>> dtansig(torch.tensor(0.0), torch.tensor(0.5))
    tensor(0.7500)
    """
    return 1 - a.square()


def dpurelin(n: Tensor, a: Tensor) -> Tensor:  # noqa: ARG001  MATLAB's arguments
    """The derivative of ``purelin``: ones.   MATLAB: ``dpurelin(n, a)``.

    >>> dpurelin(torch.tensor([3.0]), torch.tensor([3.0]))
    tensor([1.])
    """
    return torch.ones_like(a)


_TABLE: Mapping[str, Callable[..., Any]] = {
    **TORCH_FUNCTIONS,
    "hard_swish": hard_swish,
    "hardlim": hardlim,
    "hardlims": hardlims,
    "leaky_relu": leaky_relu,
    "linear": linear,
    "log_softmax": log_softmax,
    "logsig": logsig,
    "poslin": poslin,
    "purelin": purelin,
    "radbas": radbas,
    "relu20": relu20,
    "relu5": relu5,
    "satlin": satlin,
    "satlins": satlins,
    "sign": hardlims,
    "softmax": softmax,
    "sparse_plus": sparse_plus,
    "sparse_sigmoid": sparse_sigmoid,
    "sparsemax": sparsemax,
    "squareplus": squareplus,
    "step": hardlim,
    "swish": swish,
    "tansig": tansig,
    "threshold": threshold,
    "tribas": tribas,
}


def get(identifier: Any) -> Callable[..., Tensor]:
    """The function that an argument means: a name, a function, a layer, a config; None means `linear`.

    Raises: UnknownNameError listing near names.

    >>> get("tanh") is torch.tanh, get(None) is linear
    (True, True)
    >>> get("relo")
    Traceback (most recent call last):
    dougong.core.errors.UnknownNameError: unknown activation 'relo'; did you mean 'relu' or 'relu6' or 'relu5'?
    """
    if isinstance(identifier, Mapping) and identifier.get("class_name") == "function":
        identifier = identifier.get("config")  # how Keras writes a function of the user's
    return linear if identifier is None else resolve(identifier, _TABLE, "activation")


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """`get`, with names of the user's own.   Keras: equals ``keras.activations.deserialize``."""
    with custom_object_scope(custom_objects):
        return get(config)
