"""Diagonals of matrices and the triangles beside them; ``k > 0`` lies above the main diagonal.

Keras: each equals ``keras.ops`` of its name.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from dougong.ops.op import op, tensor
from dougong.ops.reductions import summed_dtype

__all__ = ["diag", "diagflat", "diagonal", "trace", "tril", "triu"]


@op
def diag(x: Any, k: int = 0) -> Tensor:
    """The ``k``-th diagonal of a matrix, or a matrix with that diagonal.

    >>> diag([1, 2]), diag([[1, 2], [3, 4]], k=1)
    (tensor([[1, 0],
            [0, 2]], dtype=torch.int32), tensor([2], dtype=torch.int32))
    """
    return torch.diag(tensor(x), diagonal=k)


@op
def diagflat(x: Any, k: int = 0) -> Tensor:
    """A matrix with all elements of ``x`` on its ``k``-th diagonal."""
    return torch.diagflat(tensor(x), offset=k)


@op
def diagonal(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """The diagonals of the matrices that two axes make, as a new last axis.

    >>> diagonal([[[1, 2], [3, 4]]], axis1=1, axis2=2)
    tensor([[1, 4]], dtype=torch.int32)
    """
    return torch.diagonal(tensor(x), offset=offset, dim1=axis1, dim2=axis2)


@op
def trace(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """The sum of the `diagonal`.   Torch: its own takes one matrix, and gives int64.

    >>> trace([[1, 2], [3, 4]])
    tensor(5, dtype=torch.int32)
    """
    x = tensor(x)
    return torch.diagonal(x, offset=offset, dim1=axis1, dim2=axis2).sum(-1, dtype=summed_dtype(x))


@op
def tril(x: Any, k: int = 0) -> Tensor:
    """Matrices with 0 above the ``k``-th diagonal."""
    return torch.tril(tensor(x), diagonal=k)


@op
def triu(x: Any, k: int = 0) -> Tensor:
    """Matrices with 0 below the ``k``-th diagonal.

    >>> triu([[1, 2], [3, 4]])
    tensor([[1, 2],
            [0, 4]], dtype=torch.int32)
    """
    return torch.triu(tensor(x), diagonal=k)
