"""What a value is as a tensor: conversions, casts, shape and dtype, complex and real views.

Source: Keras 3 semantics.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from dougong.core import device
from dougong.core.dtypes import torch_dtype
from dougong.core.errors import BuildError, ConfigError, ShapeError
from dougong.core.symbol import Shape, Symbol, contains_symbol
from dougong.ops.op import floating, joined, op, tensor

__all__ = [
    "cast",
    "convert_to_numpy",
    "convert_to_tensor",
    "dtype",
    "is_tensor",
    "polar",
    "saturate_cast",
    "shape",
    "view_as_complex",
    "view_as_real",
]


@op
def convert_to_tensor(x: Any, dtype: Any = None, sparse: bool | None = None, ragged: bool | None = None) -> Tensor:
    """A tensor on the default device.  Python's numbers become int32, the default float, and bool.

    Sparse and ragged tensors are refused, as on Keras's torch.   Keras: equals its namesake.

    >>> convert_to_tensor([1, 2]), convert_to_tensor([1, 2], "float32")
    (tensor([1, 2], dtype=torch.int32), tensor([1., 2.]))
    """
    if sparse or ragged:
        raise ConfigError("sparse and ragged tensors are not offered on PyTorch; leave the argument out")
    made = tensor(x, dtype)
    return made if made.is_meta or isinstance(x, np.ndarray) else made.to(device.default())


def convert_to_numpy(x: Any) -> np.ndarray:
    """A NumPy array of the values, without their gradient.   Keras: equals its namesake; bfloat16 becomes float32 here.

    Raises: BuildError for a symbol, which has no values.

    >>> convert_to_numpy(torch.tensor([1.0], requires_grad=True))
    array([1.], dtype=float32)
    """
    if contains_symbol(x):
        raise BuildError("a symbol has no values to put into an array; use the operations of dougong.ops on it")
    if isinstance(x, list | tuple):
        return np.array([convert_to_numpy(item) for item in x])
    if isinstance(x, Tensor):
        x = x.detach().cpu().resolve_conj()
        x = (x.float() if x.dtype is torch.bfloat16 else x).as_subclass(Tensor).numpy()
    return np.array(x)


@op
def cast(x: Any, dtype: Any) -> Tensor:
    """``x`` in another dtype; what does not fit wraps or loses digits, see `saturate_cast`.

    >>> cast([1.7, -1.7], "int32")
    tensor([ 1, -1], dtype=torch.int32)
    """
    return tensor(x, dtype)


@op
def saturate_cast(x: Any, dtype: Any) -> Tensor:
    """``x`` in another dtype, numbers beyond its range becoming its ends.   Keras: equals its namesake.

    >>> saturate_cast([-1, 300], "uint8")
    tensor([  0, 255], dtype=torch.uint8)
    """
    x, wanted = tensor(x), torch_dtype(dtype)
    if x.dtype is torch.bool:
        return x.to(wanted)
    low, high = _range(wanted)
    least, most = _range(x.dtype)
    if x.is_floating_point() and not wanted.is_floating_point:  # the ends as floats of x, none outside the range
        low, high = _inside(low, x.dtype, low), _inside(high, x.dtype, high)
    return x.clamp(max(low, least), min(high, most)).to(wanted)


def shape(x: Any) -> Shape:
    """The shape as a tuple; None for a symbol's unknown axes.   Keras: equals its namesake.

    >>> from dougong.core.symbol import Input
    >>> shape(torch.zeros(2, 3)), shape(Input((3,)))
    ((2, 3), (None, 3))
    """
    return tuple(x.shape) if hasattr(x, "shape") else tuple(tensor(x).shape)


def dtype(x: Any) -> str:
    """The dtype's name.   Keras: equals its namesake.

    >>> dtype(torch.zeros(1)), dtype([1])
    ('float32', 'int32')
    """
    found = x.dtype if hasattr(x, "dtype") else tensor(x).dtype
    return str(found).removeprefix("torch.")


def is_tensor(x: Any) -> bool:
    """Whether ``x`` is a tensor with values: no symbol, no array.   Keras: equals its namesake.

    >>> is_tensor(torch.zeros(1)), is_tensor([0.0])
    (True, False)
    """
    return isinstance(x, Tensor) and not isinstance(x, Symbol)


@op
def view_as_complex(x: Any) -> Tensor:
    """Pairs (real, imaginary) on the last axis as complex64 numbers.   Shapes: ``[…, 2] -> […]``.   Raises: ShapeError.

    >>> view_as_complex([[1.0, 2.0]])
    tensor([1.+2.j])
    """
    x = tensor(x)
    if x.ndim < 1 or x.shape[-1] != 2:
        raise ShapeError(
            f"view_as_complex: the last axis must hold real and imaginary part, got shape {tuple(x.shape)}"
        )
    return torch.complex(x[..., 0].float(), x[..., 1].float())


@op
def view_as_real(x: Any) -> Tensor:
    """Real and imaginary part on a new last axis.   Shapes: ``[…] -> […, 2]``.

    >>> view_as_real(torch.tensor([1 + 2j]))
    tensor([[1., 2.]])
    """
    x = tensor(x)
    return torch.view_as_real(x.resolve_conj()) if x.is_complex() else torch.stack((x, torch.zeros_like(x)), -1)


@op
def polar(abs_: Any, angle: Any) -> Tensor:
    r"""The complex numbers :math:`r e^{i\varphi}`, φ in radians.   Keras: equals its namesake.

    >>> polar(2.0, 0.0)
    tensor(2.+0.j)
    """
    return torch.polar(*torch.broadcast_tensors(*joined((floating(abs_), floating(angle)))))


def _range(kind: torch.dtype) -> tuple[Any, Any]:
    if kind is torch.bool:
        return 0, 1
    limits = torch.finfo(kind) if kind.is_floating_point else torch.iinfo(kind)
    return limits.min, limits.max


def _inside(end: int, kind: torch.dtype, limit: int) -> float:
    """The number of dtype ``kind`` nearest to ``end`` that is not beyond it: 2147483520 for 2³¹ - 1 in float32."""
    made = torch.tensor(float(end), dtype=torch.float64).clamp(*_range(kind)).to(kind)
    if abs(int(made.item())) > abs(limit):
        made = torch.nextafter(made, torch.zeros_like(made))
    return made.item()
