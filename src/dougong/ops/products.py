"""Products of vectors, matrices and tensors.

Operands of different dtypes are raised to one.  Whole numbers are multiplied exactly: where a device has no kernel for
them (CUDA), in float64.   Keras: each equals ``keras.ops`` of its name, except that float64 stays, and that Keras on
torch takes whole numbers through float32 in `dot`, `inner`, `tensordot` and `vdot`, which spoils large ones.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from dougong.core.errors import ConfigError, ShapeError
from dougong.ops.op import floating, joined, op, tensor

__all__ = [
    "cross",
    "dot",
    "einsum",
    "inner",
    "kron",
    "matmul",
    "outer",
    "slogdet",
    "tensordot",
    "vander",
    "vdot",
]


def _multiplied(kernel: Callable[..., Tensor], *values: Any, widen: bool = False) -> Tensor:
    """``kernel`` of operands of one dtype; with ``widen`` int8 gives int32."""
    made = joined(values)
    kind = made[0].dtype
    if kind.is_floating_point or kind.is_complex:
        return kernel(*made)
    result = torch.int32 if widen and kind is torch.int8 else kind
    work = torch.float64 if made[0].is_cuda else torch.int32 if kind is torch.bool else result
    return kernel(*(one.to(work) for one in made)).to(result)


@op
def matmul(x1: Any, x2: Any) -> Tensor:
    """Matrix products: ``[..., M, K], [..., K, N] -> [..., M, N]``.

    A vector is a row at the left, a column at the right.  Leading axes broadcast.  int8 gives int32.

    >>> matmul([[1, 2], [3, 4]], [1, 1])
    tensor([3, 7], dtype=torch.int32)
    """
    return _multiplied(torch.matmul, x1, x2, widen=True)


@op
def dot(x1: Any, x2: Any) -> Tensor:
    """The sums over the last axis of ``x1`` and the last but one (or only one) of ``x2``; numbers multiply.

    ``[..., K], [..., K, N] -> [..., ..., N]``: the other axes of both stand side by side.
    Keras: on torch it is `matmul`, which pairs them up; this is NumPy's, and Keras's documentation's.

    >>> dot([1, 2], [3, 4]), dot(torch.ones(2, 3), torch.ones(4, 3, 5)).shape
    (tensor(11, dtype=torch.int32), torch.Size([2, 4, 5]))
    """
    return _multiplied(_dot, x1, x2)


def _dot(x1: Tensor, x2: Tensor) -> Tensor:
    if x1.ndim == 0 or x2.ndim == 0:
        return torch.mul(x1, x2)
    if x2.ndim < 3:
        return torch.matmul(x1, x2)
    axes: Any = ([-1], [-2])
    return torch.tensordot(x1, x2, dims=axes)


@op
def vdot(x1: Any, x2: Any) -> Tensor:
    r""":math:`\sum_i \bar x_i y_i` over all elements, flattened.

    >>> vdot([[1, 2], [3, 4]], [[1, 1], [1, 1]])
    tensor(10, dtype=torch.int32)
    """
    return _multiplied(lambda a, b: torch.vdot(a.reshape(-1), b.reshape(-1)), x1, x2)


@op
def inner(x1: Any, x2: Any) -> Tensor:
    """The sums over the last axis of both: ``[..., K], [..., K] -> [..., ...]``; numbers multiply."""
    return _multiplied(torch.inner, x1, x2)


@op
def outer(x1: Any, x2: Any) -> Tensor:
    """Every product of an element of one with an element of the other, both flattened: ``[M], [N] -> [M, N]``.

    >>> outer([1, 2], [3, 4])
    tensor([[3, 4],
            [6, 8]], dtype=torch.int32)
    """
    return torch.outer(tensor(x1).flatten(), tensor(x2).flatten())


@op
def tensordot(x1: Any, x2: Any, axes: Any = 2) -> Tensor:
    """The sums over so many last axes of ``x1`` and first ones of ``x2``, or over a pair of axes or of lists of them.

    >>> tensordot(torch.ones(2, 3, 4), torch.ones(4, 3, 5), axes=([1, 2], [1, 0])).shape
    torch.Size([2, 5])
    """
    if not isinstance(axes, int):
        axes = tuple([one] if isinstance(one, int) else list(one) for one in axes)
    return _multiplied(lambda a, b: torch.tensordot(a, b, dims=axes), x1, x2)


@op
def einsum(subscripts: str, *operands: Any, optimize: Any = None) -> Tensor:
    """Einstein's sums of products, as ``"ij,jk->ik"``; int8 gives int32.

    ``optimize`` is NumPy's; torch finds the order of the products itself.

    >>> einsum("ij,ij->i", [[1, 2], [3, 4]], [[1, 1], [1, 1]])
    tensor([3, 7], dtype=torch.int32)
    """
    del optimize
    return _multiplied(lambda *made: torch.einsum(subscripts, *made), *operands, widen=True)


@op
def kron(x1: Any, x2: Any) -> Tensor:
    """Kronecker's product: each element of ``x1`` times all of ``x2``.

    >>> kron([1, 10], [1, 2])
    tensor([ 1,  2, 10, 20], dtype=torch.int32)
    """
    return torch.kron(*joined((tensor(x1), tensor(x2))))


@op
def cross(x1: Any, x2: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None) -> Tensor:
    """The vector at right angles to two, along axes of length 3; of length 2 where the third component is 0.

    ``axisa``, ``axisb``, ``axisc`` are the vectors' axes in ``x1``, ``x2`` and the result; ``axis`` is all three.  Of
    two vectors of length 2 only the third component is given, without an axis.   Raises: ShapeError for other lengths.
    Keras: on torch the first axis of length 3 is taken for the vectors', and another one refused; this is NumPy's.

    >>> cross([1, 0, 0], [0, 1, 0]), cross([1, 0], [0, 1])
    (tensor([0, 0, 1], dtype=torch.int32), tensor(1, dtype=torch.int32))
    """
    axisa, axisb, axisc = (axisa, axisb, axisc) if axis is None else (axis,) * 3
    a, b = joined((tensor(x1).movedim(axisa, -1), tensor(x2).movedim(axisb, -1)))
    lengths = {a.shape[-1], b.shape[-1]}
    if not lengths <= {2, 3}:
        raise ShapeError(f"cross takes vectors of length 2 or 3, got {a.shape[-1]} and {b.shape[-1]}")
    a, b = (torch.nn.functional.pad(one, (0, 3 - one.shape[-1])) for one in (a, b))
    found = torch.linalg.cross(*torch.broadcast_tensors(a, b))
    return found[..., 2] if lengths == {2} else found.movedim(-1, axisc)


@op
def vander(x: Any, N: int | None = None, increasing: bool = False) -> Tensor:
    """The powers of each element, from ``N - 1`` down to 0, or up: ``[T] -> [T, N]``, N being T unless given.

    Raises: ShapeError for other shapes; ConfigError for a negative N.   Torch: its own has no gradient.

    >>> vander([1, 2, 3], increasing=True)
    tensor([[1, 1, 1],
            [1, 2, 4],
            [1, 3, 9]], dtype=torch.int32)
    """
    x = tensor(x)
    if x.ndim != 1:
        raise ShapeError(f"vander takes one axis, got shape {tuple(x.shape)}")
    if N is not None and N < 0:
        raise ConfigError(f"N must be 0 or more, got {N}")
    exponents = torch.arange(len(x) if N is None else N, device=x.device)
    return (x[:, None] ** (exponents if increasing else exponents.flip(0))).to(x.dtype)


@op
def slogdet(x: Any) -> tuple[Tensor, Tensor]:
    """The sign of the determinant and the logarithm of its size: ``[..., N, N] -> [...], [...]``.

    >>> slogdet([[0.0, 1.0], [1.0, 0.0]])
    (tensor(-1.), tensor(0.))
    """
    sign, size = torch.linalg.slogdet(floating(x))
    return sign, size
