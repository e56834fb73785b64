"""The bits of whole numbers and booleans, and a tensor's bytes read as another dtype.

Keras: each equals ``keras.ops`` of its name.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from dougong.core.dtypes import torch_dtype
from dougong.ops.op import op, operands, tensor

__all__ = [
    "bitwise_and",
    "bitwise_invert",
    "bitwise_left_shift",
    "bitwise_not",
    "bitwise_or",
    "bitwise_right_shift",
    "bitwise_xor",
    "left_shift",
    "right_shift",
    "view",
]


@op
def bitwise_and(x: Any, y: Any) -> Tensor:
    """The bits that both have.

    >>> bitwise_and([12, 10], 9)
    tensor([8, 8], dtype=torch.int32)
    """
    x, y = operands(x, y)
    return torch.bitwise_and(x, y)


@op
def bitwise_or(x: Any, y: Any) -> Tensor:
    """The bits that one of them has, or both."""
    x, y = operands(x, y)
    return torch.bitwise_or(x, y)


@op
def bitwise_xor(x: Any, y: Any) -> Tensor:
    """The bits that just one of them has."""
    x, y = operands(x, y)
    return torch.bitwise_xor(x, y)


@op
def bitwise_not(x: Any) -> Tensor:
    """Every bit turned over; `bitwise_invert` is the same function.

    >>> bitwise_not([0, 5]), bitwise_not(True)
    (tensor([-1, -6], dtype=torch.int32), tensor(False))
    """
    return torch.bitwise_not(tensor(x))


bitwise_invert = bitwise_not


@op
def left_shift(x: Any, y: Any) -> Tensor:
    """``x * 2**y``, the bits moved up by ``y``; `bitwise_left_shift` is the same function."""
    x, y = operands(x, y)
    return torch.bitwise_left_shift(x, y)


bitwise_left_shift = left_shift


@op
def right_shift(x: Any, y: Any) -> Tensor:
    """``x // 2**y``, the bits moved down by ``y``; `bitwise_right_shift` is the same function.

    >>> right_shift([40, -40], 3), left_shift(1, [0, 4])
    (tensor([ 5, -5], dtype=torch.int32), tensor([ 1, 16], dtype=torch.int32))
    """
    x, y = operands(x, y)
    return torch.bitwise_right_shift(x, y)


bitwise_right_shift = right_shift


@op
def view(x: Any, dtype: Any = None) -> Tensor:
    """The same bytes read as another dtype, the default float for None; the last axis grows or shrinks with the size.

    >>> view(torch.tensor([1.0]), "int32"), view(torch.tensor([1.0]), "uint8")
    (tensor([1065353216], dtype=torch.int32), tensor([  0,   0, 128,  63], dtype=torch.uint8))
    """
    return tensor(x).view(torch_dtype(dtype))
