"""``keras.ops.linalg``: factorizations, solutions and norms of matrices.   Shapes: ``…`` batch axes, M rows, N columns.

Whole numbers become the default float.   Source: LAPACK and cuSOLVER, through ``torch.linalg``; Keras 3 semantics.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from dougong.core.errors import ConfigError, DataError, ShapeError
from dougong.ops.op import floating, joined, op

__all__ = [
    "cholesky",
    "cholesky_inverse",
    "det",
    "eig",
    "eigh",
    "inv",
    "logdet",
    "lstsq",
    "lu_factor",
    "matrix_rank",
    "norm",
    "pinv",
    "qr",
    "solve",
    "solve_triangular",
    "svd",
]


@op
def cholesky(x: Any, upper: bool = False) -> Tensor:
    """The triangular L with ``L Lᵀ = x``, or U with ``Uᵀ U = x``.   Raises: DataError unless x is positive-definite.

    >>> cholesky([[4.0, 0.0], [0.0, 9.0]])
    tensor([[2., 0.],
            [0., 3.]])
    """
    x = _square(x)
    try:
        return torch.linalg.cholesky(x, upper=upper)
    except torch.linalg.LinAlgError as error:
        raise DataError(f"cholesky needs symmetric positive-definite matrices: {error}") from error


@op
def cholesky_inverse(x: Any, upper: bool = False) -> Tensor:
    """The inverse of ``L Lᵀ`` (of ``Uᵀ U``), from the factor that `cholesky` gives.

    >>> cholesky_inverse([[2.0]])
    tensor([[0.2500]])
    """
    return torch.cholesky_inverse(_square(x), upper=upper)


@op
def det(x: Any) -> Tensor:
    """The determinant.   Shapes: ``[…, M, M] -> […]``.

    >>> det([[1.0, 2.0], [3.0, 4.0]])
    tensor(-2.)
    """
    return torch.linalg.det(_square(x))


@op
def logdet(x: Any) -> Tensor:
    """The logarithm of the determinant; NaN where that is negative.   Shapes: ``[…, M, M] -> […]``.

    >>> logdet([[1.0, 0.0], [0.0, 1.0]])
    tensor(0.)
    """
    return torch.logdet(_square(x))


@op
def eig(x: Any) -> tuple[Tensor, Tensor]:
    """Eigenvalues and eigenvectors (columns), complex.   Shapes: ``[…, M, M] -> […, M], […, M, M]``.

    >>> eig([[2.0, 0.0], [0.0, 3.0]])[0]
    tensor([2.+0.j, 3.+0.j])
    """
    return torch.linalg.eig(_square(x))


@op
def eigh(x: Any) -> tuple[Tensor, Tensor]:
    """Eigenvalues, ascending, and eigenvectors (columns) of symmetric matrices; only the lower triangle is read.

    >>> eigh([[3.0, 0.0], [0.0, 2.0]])[0]
    tensor([2., 3.])
    """
    return torch.linalg.eigh(_square(x))


@op
def inv(x: Any) -> Tensor:
    """The inverse.   Raises: torch.linalg.LinAlgError for a singular matrix; `pinv` has an answer for these.

    >>> inv([[2.0]])
    tensor([[0.5000]])
    """
    return torch.linalg.inv(_square(x))


@op
def pinv(x: Any, rcond: float | None = None) -> Tensor:
    """The Moore–Penrose inverse; singular values up to ``rcond`` times the largest count as 0.

    Shapes: ``[…, M, N] -> […, N, M]``.

    >>> pinv([[2.0], [0.0]])
    tensor([[0.5000, 0.0000]])
    """
    return torch.linalg.pinv(_matrix(x), rtol=rcond)


@op
def matrix_rank(x: Any, tol: float | None = None) -> Tensor:
    """How many singular values are above ``tol``, by default a few roundings of the largest.

    >>> matrix_rank([[1.0, 2.0], [2.0, 4.0]])
    tensor(1, dtype=torch.int32)
    """
    return torch.linalg.matrix_rank(_matrix(x), atol=tol).to(torch.int32)


@op
def lu_factor(x: Any) -> tuple[Tensor, Tensor]:
    """L and U packed in one matrix, and the row (from 0) that each row was swapped with.

    Shapes: ``[…, M, N] -> […, M, N], […, min(M, N)]``.

    >>> lu_factor([[0.0, 1.0], [2.0, 3.0]])[1]
    tensor([1, 1], dtype=torch.int32)
    """
    packed, swaps = torch.linalg.lu_factor(_matrix(x))
    return packed, swaps - 1


@op
def qr(x: Any, mode: str = "reduced") -> tuple[Tensor, Tensor]:
    """Q with orthonormal columns and upper triangular R, ``Q R = x``; mode "complete" makes Q square.

    >>> [part.shape for part in qr(torch.ones(3, 2))]
    [torch.Size([3, 2]), torch.Size([2, 2])]
    """
    if mode not in ("reduced", "complete"):
        raise ConfigError(f"mode must be 'reduced' or 'complete', got {mode!r}")
    return torch.linalg.qr(_matrix(x), mode=mode)


@op
def svd(x: Any, full_matrices: bool = True, compute_uv: bool = True) -> Any:
    """``U, s, Vᵀ`` with ``U diag(s) Vᵀ = x`` and s descending, or s alone.

    Shapes: ``[…, M, N] -> […, M, M], […, min(M, N)], […, N, N]``; without ``full_matrices`` min(M, N) for the square's
    other axis.

    >>> svd([[3.0, 0.0], [0.0, 4.0]], compute_uv=False)
    tensor([4., 3.])
    """
    if not compute_uv:
        return torch.linalg.svdvals(_matrix(x))
    return torch.linalg.svd(_matrix(x), full_matrices=full_matrices)


@op
def norm(x: Any, ord: Any = None, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
    """The norm of vectors (one axis) or matrices (two): ``ord`` as in NumPy, "fro", "nuc", inf or a number.

    With neither ``ord`` nor ``axis`` it is the root of the sum of all squares.

    >>> norm([3.0, 4.0]), norm([[3.0], [4.0]], ord=1, axis=0)
    (tensor(5.), tensor([7.]))
    """
    return torch.linalg.norm(floating(x), ord=ord, dim=axis, keepdim=keepdims)


@op
def solve(a: Any, b: Any) -> Tensor:
    """x with ``a x = b``.   Shapes: ``[…, M, M], […, M, N] or […, M]``, as ``b``.   Raises: ShapeError.

    >>> solve([[2.0]], [4.0])
    tensor([2.])
    """
    return torch.linalg.solve(*_system(a, b))


@op
def solve_triangular(a: Any, b: Any, lower: bool = False) -> Tensor:
    """x with ``a x = b``; only the upper triangle of ``a`` is read, or only the lower.

    >>> solve_triangular([[2.0, 0.0], [1.0, 1.0]], [4.0, 3.0], lower=True)
    tensor([2., 1.])
    """
    a, b = _system(a, b)
    if b.ndim == a.ndim - 1:
        return torch.linalg.solve_triangular(a, b[..., None], upper=not lower)[..., 0]
    return torch.linalg.solve_triangular(a, b, upper=not lower)


@op
def lstsq(a: Any, b: Any, rcond: float | None = None) -> Tensor:
    """The x of least ``|a x - b|²``.   Shapes: ``[M, N], [M] or [M, K] -> [N] or [N, K]``.

    With ``rcond`` singular values up to ``rcond`` times the largest count as 0, and the shortest x is given.

    >>> lstsq([[1.0], [1.0]], [[1.0], [3.0]]).round(decimals=4)
    tensor([[2.]])
    """
    a, b = joined((floating(a), floating(b)))
    vector = b.ndim == a.ndim - 1
    b = b[..., None] if vector else b
    if rcond is None or a.device.type == "cpu":
        x = torch.linalg.lstsq(a, b, rcond=rcond, driver=None if rcond is None else "gelsd").solution
    else:  # CUDA has no driver with a cutoff
        x = torch.linalg.pinv(a, rtol=rcond) @ b
    return x[..., 0] if vector else x


def _matrix(x: Any) -> Tensor:
    made = floating(x)
    if made.ndim < 2:
        raise ShapeError(f"a matrix, with 2 or more axes, is expected; got shape {tuple(made.shape)}")
    return made


def _square(x: Any) -> Tensor:
    made = _matrix(x)
    if made.shape[-1] != made.shape[-2]:
        raise ShapeError(f"a square matrix is expected, got shape {tuple(made.shape)}")
    return made


def _system(a: Any, b: Any) -> list[Tensor]:
    """A square matrix and right-hand sides with as many rows."""
    a, b = joined((_square(a), floating(b)))
    rows = b.shape[-1 if b.ndim == a.ndim - 1 else -2] if b.ndim else None
    if b.ndim < 1 or b.ndim < a.ndim - 1 or (b.ndim == 1 and a.ndim > 2) or rows != a.shape[-1]:
        raise ShapeError(
            f"a x = b: b of shape {tuple(b.shape)} does not fit a of shape {tuple(a.shape)}; give b {a.shape[-1]} rows"
        )
    return [a, b]
