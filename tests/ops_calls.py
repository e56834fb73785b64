"""Calls of `dougong.ops` functions for the tests: for each name several, as (positional, keyword) arguments."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from numpy_twins import values

__all__ = ["BINARY", "CALLS", "CUMULATIVE", "ELSEWHERE", "EVERY", "REDUCTIONS", "UNARY"]

Call = tuple[tuple[Any, ...], dict[str, Any]]

UNARY = """
abs absolute angle arccos arccosh arcsin arcsinh arctan arctanh cbrt ceil conj conjugate cos cosh deg2rad exp exp2
expm1 fabs floor i0 imag isfinite isinf isnan isneginf isposinf isreal log log10 log1p log2 logical_not nan_to_num
negative rad2deg real reciprocal round sign signbit sin sinc sinh sqrt square tan tanh trunc
array copy ravel ndim size transpose ones_like zeros_like squeeze flip sort argsort diagflat bitwise_not bitwise_invert
""".split()
BINARY = """
add arctan2 divide divide_no_nan equal floor_divide fmax fmin fmod gcd greater greater_equal heaviside hypot isclose
allclose isin lcm ldexp less less_equal logaddexp logaddexp2 logical_and logical_or logical_xor maximum minimum mod
multiply not_equal power subtract true_divide bitwise_and bitwise_or bitwise_xor left_shift right_shift
bitwise_left_shift bitwise_right_shift
""".split()
REDUCTIONS = """
all amax amin any average count_nonzero max mean median min nanmax nanmean nanmedian nanmin nanprod nanstd nansum
nanvar prod ptp std sum var
""".split()
CUMULATIVE = "argmax argmin nanargmax nanargmin cumprod cumsum nancumprod nancumsum".split()


def of(*args: Any, **kwargs: Any) -> Call:
    return args, kwargs


def ints(*rows: Any) -> torch.Tensor:
    return torch.tensor(rows, dtype=torch.int32)


NAN = float("nan")
X, Y, Z = values(0, 4, 3), values(1, 4, 3), values(2, 2, 3, 4)
SQUARE, OTHER = values(3, 3, 3), values(4, 3, 3)
V, W = values(5, 6), values(6, 6)
WHOLE = values(7, 4, 3, dtype=torch.int32, low=-9, high=9)
SMALL = values(8, 3, 3, dtype=torch.int8, low=-9, high=9)
FLAGS = values(9, 4, 3) > 0
HALF = values(10, 4, 3, dtype=torch.float16)
BRAIN = values(11, 4, 3, dtype=torch.bfloat16)
HOLES = torch.where(values(12, 4, 5) > 1, NAN, values(13, 4, 5))
SORTED = torch.tensor([-2.0, -0.5, 0.5, 2.0])

CALLS: dict[str, list[Call]] = {
    # elementwise
    "clip": [
        of(X, -1.0, 1.0),
        of(X, Y, 2.0),
        of(WHOLE, 0, 2),
        of(WHOLE, 0.5, 2.5),
        of(FLAGS, 0, 1),
        of(HALF, -1.0, 1.0),
    ],
    "round": [of(X, 2), of(X * 100, -1), of(WHOLE, 1), of(values(1, 3, dtype=torch.int32, high=900), -1)],
    "nan_to_num": [of(HOLES), of(HOLES, nan=2.0, posinf=3.0, neginf=-3.0), of(torch.tensor([NAN, np.inf, -np.inf]))],
    "view": [of(X, "int32"), of(WHOLE), of(HALF, dtype="int16"), of(X, "uint8")],
    # diagonals
    "diag": [of(V), of(V, k=1), of(V, -2), of(SQUARE), of(X, 1), of(WHOLE, k=-1)],
    "diagflat": [of(X), of(V, k=-1), of(3.0), of(FLAGS, 2)],
    "diagonal": [of(X), of(Z, 1), of(Z, offset=-1, axis1=-1, axis2=1), of(WHOLE, 1)],
    "trace": [of(SQUARE), of(Z, 1), of(Z, axis1=1, axis2=2), of(SMALL), of(FLAGS), of(HALF), of(WHOLE, -1)],
    "tril": [of(X), of(Z, 1), of(WHOLE, -1), of(FLAGS)],
    "triu": [of(X), of(Z, k=-1), of(SMALL, 1), of(HALF)],
    # shaping
    "broadcast_to": [of(X, (2, 4, 3)), of(3.0, (2, 2)), of(WHOLE[:1], (5, 3)), of(V, [2, 6])],
    "expand_dims": [of(X, 0), of(X, -1), of(X, (0, 2)), of(X, (-1, 0, 3)), of(2, 0), of(WHOLE, [1])],
    "flip": [of(X, 0), of(Z, (0, -1)), of(WHOLE, axis=1), of(FLAGS)],
    "fliplr": [of(X), of(Z), of(WHOLE)],
    "flipud": [of(X), of(V), of(FLAGS)],
    "moveaxis": [of(Z, 0, -1), of(Z, (0, 1), (-1, 0)), of(Z, [2], [0])],
    "repeat": [
        of(X, 2),
        of(X, 2, axis=0),
        of(X, 3, -1),
        of(V, ints(1, 2, 0, 3, 1, 1)),
        of(X, np.array([1, 2, 0]), axis=1),
        of(3, 2),
    ],
    "reshape": [
        of(X, (3, 4)),
        of(X, -1),
        of(X, (2, -1)),
        of(WHOLE, [3, 2, 2]),
        of([1, 2, 3, 4], (2, 2)),
        of(V, np.array([2, 3])),
    ],
    "roll": [of(X, 2), of(X, 1, axis=0), of(X, -1, 1), of(Z, (1, 2), axis=(0, 2)), of(FLAGS, 5)],
    "rot90": [of(X), of(X, 2), of(Z, -1, axes=(1, 2)), of(WHOLE, k=3), of(Z, 1, (2, 0))],
    "squeeze": [
        of(X[None]),
        of(X[None], axis=0),
        of(X[:, None, :, None], (1, 3)),
        of(X[..., None], -1),
        of(WHOLE[:1], 0),
    ],
    "swapaxes": [of(Z, 0, 2), of(X, -1, 0), of(WHOLE, 0, 1)],
    "tile": [of(X, 2), of(X, (2, 1)), of(X, (2, 1, 2)), of(2.0, 3), of(WHOLE, [1, 2]), of(Z, (2,))],
    "transpose": [of(X), of(Z, (1, 0, 2)), of(WHOLE, axes=(1, 0)), of(X, [-1, 0])],
    "pad": [
        of(V, 1),
        of(V, (1, 2)),
        of(X, ((1, 2), (0, 3))),
        of(X, [[1, 2], [0, 3]], mode="constant", constant_values=2.5),
        of(WHOLE, ((1, 1), (1, 1)), constant_values=7),
        of(X, ((0, 0), (1, 2)), "reflect"),
        of(V, 2, mode="reflect"),
        of(V, 1, mode="symmetric"),
        of(V, 2, mode="circular"),
        of(Z[None], ((0, 0), (0, 0), (1, 1), (2, 1)), mode="reflect"),
        of(WHOLE, ((0, 0), (1, 2)), "reflect"),
        of(FLAGS, ((1, 1), (1, 1))),
    ],
    # joining
    "append": [of(X, Y), of(X, Y, 0), of(X, WHOLE, axis=-1), of([1, 2], [[3]])],
    "array_split": [of(X, 3), of(X, 2, axis=1), of(V, 4), of(WHOLE, 6)],
    "concatenate": [
        of([X, Y]),
        of((X, Y), 1),
        of([X, WHOLE], axis=-1),
        of([FLAGS, WHOLE]),
        of([[1, 2], [3]], 0),
        of([X]),
    ],
    "split": [of(X, 2), of(X, 3, axis=1), of(X, [1, 3]), of(Z, (1, 2), -1), of(WHOLE, 4), of(torch.zeros(0, 3), 2)],
    "stack": [of([X, Y]), of([X, Y], -1), of((V, W), axis=1), of([1.0, 2.0]), of([X, WHOLE])],
    "hsplit": [of(X, 3), of(V, 2), of(Z, [1])],
    "vsplit": [of(X, 2), of(Z, 2), of(X, [1, 2])],
    "dsplit": [of(Z, 2), of(Z, [1, 3])],
    "hstack": [of([X, Y]), of([V, W]), of([[1, 2], [3]]), of([1, 2])],
    "vstack": [of([X, Y]), of([V, W]), of([[1, 2], [3, 4]])],
    "dstack": [of([X, Y]), of([V, W]), of([Z, Z])],
    # indexing
    "get_item": [
        of(X, 0),
        of(X, -1),
        of(X, (slice(None), 1)),
        of(X, (slice(1, None), slice(None, None, 2))),
        of(Z, (..., 0)),
        of(X, (None, 1)),
        of(X, ints(2, 0)),
        of(X, [2, 0]),
        of(Z, (0, slice(1, 3), ints(3, 0))),
    ],
    "select": [
        of([FLAGS, X > 1], [X, Y]),
        of([FLAGS, X > 1], [WHOLE, WHOLE * 2], 5),
        of([FLAGS], [X], default=1.5),
        of([[True, False]], [[1, 2]]),
        of([FLAGS], [WHOLE], Y),
    ],
    "take": [
        of(X, [0, 2], 0),
        of(X, 1, axis=1),
        of(X, ints([0, -1], [1, 2]), -1),
        of(V, ints(1, 5, -1)),
        of(WHOLE, [[1], [-2]], axis=0),
        of(Z, ints(1, 0), 1),
        of(X, ints(3, 5, 11)),
        of(X, ints()),
    ],
    "take_along_axis": [
        of(X, ints([0, 1, 2]), 0),
        of(X, ints([0], [2], [-1], [1]), axis=1),
        of(X, ints(3, 5, 11)),
        of(WHOLE, ints([1, 0, 1]), 0),
    ],
    "unravel_index": [of(ints(1, 7, 11), (4, 3)), of([0, 5], (2, 3)), of(5, (2, 3)), of(ints([1], [2]), [2, 2])],
    "where": [
        of(FLAGS, X, Y),
        of(FLAGS, X, 0.0),
        of(FLAGS, 1, 0),
        of(FLAGS, WHOLE, 0.5),
        of(FLAGS, WHOLE, 1),
        of(X, X, WHOLE),
        of(FLAGS, HALF, 1.5),
        of(FLAGS[:, :1], X, Y[0]),
        of(FLAGS, FLAGS, 2),
        of([True, False], [1, 2], [3.0, 4.0]),
        of(FLAGS),
        of(X > 100),
    ],
    "nonzero": [of(FLAGS), of(X > 100), of(ints(0, 1, 2)), of([[1, 0], [0, 1]])],
    # sorting
    "sort": [of(X), of(X, 0), of(Z, axis=None), of(FLAGS), of(WHOLE, axis=1), of(HOLES, -1), of(HALF)],
    "argsort": [of(X), of(X, 0), of(X, axis=None), of(FLAGS), of(WHOLE), of(HOLES), of([2, 1, 2, 1])],
    "searchsorted": [
        of(SORTED, X),
        of(SORTED, V, side="right"),
        of([1, 3, 5], [3, 4]),
        of(SORTED, 0.5),
        of(ints(1, 3, 5), WHOLE, "right"),
    ],
    "digitize": [
        of(X, SORTED),
        of(WHOLE, [-2, 3]),
        of(V, [0.0]),
        of(WHOLE, [-1.5, 2.5]),
        of(FLAGS, [1]),
        of(HALF, [0.0, 1.0]),
    ],
    # counting
    "bincount": [
        of(ints(1, 1, 3)),
        of([0, 2, 2], minlength=5),
        of(ints(1, 1, 3), torch.tensor([0.5, 1.0, 2.0])),
        of(ints(1, 1, 3), weights=[1, 2, 3]),
        of(ints([0, 3], [3, 1])),
        of(ints([0, 3], [3, 1]), weights=torch.tensor([[0.5, 1.0], [2.0, 3.0]]), minlength=6),
    ],
    "histogram": [
        of(V),
        of(V, 4),
        of(V, bins=5, range=(-1, 2)),
        of(torch.tensor([0.0, 1.0, 2.0, 3.0]), 3),
        of(V, 3, (0.0, 9.0)),
    ],
    "unique": [
        of(ints(3, 1, 3, 2)),
        of([[3, 1], [3, 2]]),
        of(X),
        of(ints(3, 1, 3, 2), return_inverse=True, return_counts=True),
        of(ints(3, 1, 3, 2), return_index=True),
        of(ints([1, 0], [1, 0], [0, 1]), axis=0, return_counts=True),
        of(ints([1, 0, 1], [1, 0, 1]), axis=1, return_inverse=True),
        of(ints(3, 1, 3, 2), size=5, fill_value=-1, return_counts=True),
        of(ints(3, 1, 3, 2), size=2, return_counts=True, return_index=True),
        of(ints([1, 0], [1, 0], [0, 1]), axis=0, size=3),
    ],
    # products
    "cross": [
        of(SQUARE, OTHER, axis=-1),
        of(SQUARE, OTHER, axis=0),
        of(WHOLE, WHOLE + 1, axis=1),
        of(HALF, X.half(), axis=-1),
    ],
    "dot": [
        of(V, W),
        of(X, SQUARE),
        of(X, SQUARE[0]),
        of(2.0, X),
        of(X, 3),
        of(WHOLE, ints([1], [2], [3])),
        of(Z, values(1, 4)),
    ],
    "einsum": [
        of("ij,kj->ik", X, Y),
        of("ij->j", X),
        of("bij,bjk->bik", Z, values(3, 2, 4, 5)),
        of("ii", SQUARE),
        of("ij,jk", SMALL, SMALL),
        of("...i,i->...", Z, values(3, 4)),
        of("i,j->ij", ints(1, 2), ints(3, 4)),
    ],
    "inner": [of(V, W), of(X, Y), of(Z, values(3, 4)), of(2.0, X), of(WHOLE, WHOLE + 1)],
    "kron": [of(SQUARE, X), of(V, W), of(WHOLE, ints([1, 2])), of(X, WHOLE)],
    "matmul": [
        of(X, SQUARE),
        of(V, W),
        of(Z, values(3, 2, 4, 5)),
        of(Z, values(3, 4)),
        of(WHOLE, ints([1, 2], [3, 4], [5, 6])),
        of(SMALL, SMALL),
        of(SMALL, ints([1], [2], [3])),
        of(FLAGS, FLAGS.T),
        of(HALF, HALF.T),
        of(BRAIN, BRAIN.T),
        of(X, ints([1], [2], [3])),
        of(values(3, 3), values(3, 2, 3, 4)),
    ],
    "outer": [of(V, W), of(X, V), of(WHOLE, [1, 2]), of(FLAGS, X), of(2, [1, 2])],
    "slogdet": [of(SQUARE), of(values(3, 2, 3, 3)), of(torch.zeros(2, 2)), of([[2.0, 0.0], [0.0, 3.0]])],
    "tensordot": [
        of(X, SQUARE, 1),
        of(Z, values(3, 3, 4, 5)),
        of(Z, values(3, 4, 2), axes=([2, 0], [0, 1])),
        of(X, Y, axes=(0, 0)),
        of(WHOLE, ints([1], [2], [3]), 1),
        of(X, Y, 0),
        of(X, Y, axes=[[0, 1], [0, 1]]),
    ],
    "vander": [of(V), of(V, 3), of(WHOLE[0], N=4, increasing=True), of(V, 0)],
    "vdot": [of(V, W), of(ints(1, 2), ints(3, 4)), of(V, ints(1, 2, 3, 4, 5, 6))],
    # statistics
    "average": [of(X, 0), of(X, axis=1, weights=Y[0].abs()), of(V, -1, W.abs()), of(WHOLE, 0), of(HALF)],
    "quantile": [
        of(X, 0.3),
        of(X, [0.1, 0.5, 1.0], axis=0),
        of(Z, 0.25, (0, 2), keepdims=True),
        of(Z, [0.25, 0.5], axis=1, keepdims=True),
        *(of(X, [0.0, 0.3, 0.5, 0.77], axis=0, method=m) for m in ("lower", "higher", "midpoint", "nearest")),
        of(WHOLE, 0.5, axis=-1),
        of(HALF, 0.4),
        of(HOLES, 0.5, axis=1),
    ],
    "percentile": [of(X, 30), of(X, [10, 50], 0), of(X, 25.0, axis=1, method="nearest", keepdims=True)],
    "nanquantile": [
        of(HOLES, 0.3),
        of(HOLES, [0.1, 0.9], axis=1),
        of(HOLES, 0.5, (0, 1), keepdims=True),
        of(WHOLE, 0.5, 0),
    ],
    "nanpercentile": [of(HOLES, 30), of(HOLES, [10, 50], axis=0, method="lower", keepdims=True)],
    "corrcoef": [of(X), of(V), of(WHOLE), of(FLAGS[:, :2])],
    "correlate": [
        of(V, W[:3]),
        of(V, W[:4], mode="same"),
        of(V, W[:3], "full"),
        of(ints(1, 2, 3), ints(0, 1)),
        of(ints(1, 2, 3), [0.5, 1.0], mode="full"),
        of(W[:3], V, "full"),
        of(W[:2], V, "valid"),
    ],
    # cumulative
    "cumsum": [
        of(X),
        of(X, 0),
        of(SMALL, axis=1),
        of(FLAGS, 0),
        of(X, -1, dtype="float16"),
        of(WHOLE, 0, "float32"),
        of(HALF, 0),
    ],
    "cumprod": [of(X), of(X, 0), of(SMALL, 0), of(FLAGS, axis=-1), of(WHOLE, 0, dtype="float32"), of(BRAIN, 1)],
    "diff": [of(X), of(X, 2, 0), of(WHOLE, n=1, axis=0), of(FLAGS), of(V, 3), of(X, 0)],
    "trapezoid": [
        of(X),
        of(X, dx=0.5),
        of(X, None, 2.0, 0),
        of(X, x=values(1, 3)),
        of(X, x=Y),
        of(WHOLE),
        of(FLAGS),
        of(X, torch.tensor([1.0, 2.0, 4.0, 8.0]), axis=0),
        of(HALF, dx=0.5),
    ],
    "prod": [of(WHOLE, 0, dtype="float32"), of(X, dtype="float64"), of(SMALL, -1, False, "int8")],
    "max": [of(X, 0, initial=1.0), of(WHOLE, initial=20), of(torch.zeros(0), initial=3.0), of(X, (0, 1), True, 0.5)],
    "min": [
        of(X, 0, initial=1.0),
        of(WHOLE, initial=-20),
        of(torch.zeros(0), initial=3.0),
        of(Z, (0, -1), initial=-1.0),
    ],
    "count_nonzero": [of(Z), of(Z, (0, 2)), of(FLAGS, -1)],
    "isclose": [of(X, X + 1e-5, 1e-3), of(X, Y, atol=1.0), of(HOLES, HOLES, equal_nan=True), of(HOLES, HOLES)],
    "allclose": [of(X, X + 1e-5, 1e-3), of(X, Y, atol=1.0), of(HOLES, HOLES, equal_nan=True), of(HOLES, HOLES)],
    "isin": [
        of(WHOLE, [1, 2]),
        of(X, X[0], invert=True),
        of(FLAGS, [True]),
        of(WHOLE, 3, assume_unique=True),
        of(2, WHOLE),
    ],
    # creation
    "arange": [
        of(4),
        of(1, 7, 2),
        of(1.0, 2.0, 0.25),
        of(0, 3, dtype="float32"),
        of(5, 0, -2),
        of(2.5),
        of(0),
        of(torch.tensor(3, dtype=torch.int32)),
    ],
    "array": [of([1, 2.5]), of(X, "int32"), of(np.zeros(2)), of(3, dtype="float16"), of([True, False], "float32")],
    "empty_like": [of(torch.zeros(0, 3)), of(torch.zeros(0), "int32")],
    "full": [of((2, 3), 4), of((2,), 1.5, "int32"), of([2], True, dtype="bool"), of((2, 3), X[0]), of((), 2.0)],
    "full_like": [of(X, 2), of(WHOLE, 2.7), of(X, 1, dtype="int32"), of(X, Y[0]), of(FLAGS, 1)],
    "identity": [of(3), of(2, "int32"), of(0), of(2, dtype="bfloat16")],
    "eye": [of(3), of(2, 4), of(3, k=1), of(4, 2, -1, "int32"), of(3, M=5, k=2), of(2, 3, k=7, dtype="bool")],
    "ones": [of((2, 3)), of(3), of([2], "int32"), of((), dtype="bool")],
    "ones_like": [of(X), of(WHOLE, "float32"), of(X, dtype="bool")],
    "tri": [of(3), of(2, 4), of(3, k=1), of(3, 3, -1, "int32"), of(2, 3, dtype="bool")],
    "zeros": [of((2, 3)), of(3), of([2], "int32"), of((0, 2), dtype="float16")],
    "zeros_like": [of(X), of(WHOLE, "float32"), of(X, dtype="int8")],
    # spacing
    "linspace": [
        of(0, 1),
        of(0.0, 10.0, 5),
        of(0, 5, 6, dtype="int32"),
        of(3, -2, 7, endpoint=False),
        of(2, 3, 1),
        of(2, 3, 0),
        of(X, Y, 4),
        of(0, 1, 5, dtype="float16"),
    ],
    "logspace": [
        of(0, 2, 5),
        of(0.0, 3.0, 4, base=2),
        of(0, 1, 5, endpoint=False),
        of(X[0] / 3, X[1] / 3, 3),
        of(0, 2, 3, dtype="float64"),
    ],
    "geomspace": [
        of(1, 1000, 4),
        of(1.0, 2.0, 5),
        of(1, 16, 4, endpoint=False),
        of(-1, -1000, 4),
        of(2, 8, 3, dtype="float16"),
    ],
    "meshgrid": [
        of(V, SORTED),
        of(V, SORTED, indexing="ij"),
        of([1, 2], [3, 4, 5], [6]),
        of(V),
        of(ints(1, 2), ints(3)),
    ],
    # windows
    **{
        name: [of(0), of(1), of(2), of(7), of(8), of(torch.tensor(5))]
        for name in ("bartlett", "blackman", "hamming", "hanning")
    },
    "kaiser": [of(7, 2.0), of(8, 14.0), of(1, beta=3.0), of(0, 1.0)],
}

# Tested by their own tests: their results are not unique, or Keras is wrong in all of them.
ELSEWHERE = {"argpartition", "empty", "nextafter", "vectorize"}

POSITIVE = values(20, 4, 3, low=0.1, high=0.9)
COUNTS = values(21, 4, 3, dtype=torch.int32, low=1, high=5)
_WHOLE_ONLY = {name for name in BINARY if "bitwise" in name or "shift" in name} | {"gcd", "lcm"}


def _family_calls(name: str) -> list[Call]:
    if name in ("bitwise_not", "bitwise_invert"):
        return [of(COUNTS)]
    if name == "imag":
        return [of(torch.complex(X, Y))]
    if name in UNARY:
        return [of(POSITIVE), of(COUNTS)]
    if name == "ldexp":
        return [of(X, COUNTS), of(X, 2), of(COUNTS, COUNTS)]
    if name in _WHOLE_ONLY:
        return [of(COUNTS, WHOLE), of(COUNTS, 2), of(3, COUNTS)]
    if name in BINARY:
        return [of(X, Y), of(X, 2.0), of(1.5, X), of(COUNTS, COUNTS), of(COUNTS, 2)]
    if name == "count_nonzero":  # of which Keras turns the axes of a matrix of results around
        return [of(X), of(X, axis=1), of(Z, axis=(0, -1))]
    if name in REDUCTIONS:
        return [of(X), of(Z, axis=1), of(Z, axis=(0, -1)), of(WHOLE, 0)]
    if name in CUMULATIVE:
        return [of(X), of(Z, axis=1), of(WHOLE, 0)]
    return []


EVERY = {
    name: CALLS.get(name, []) + _family_calls(name)
    for name in sorted({*CALLS, *UNARY, *BINARY, *REDUCTIONS, *CUMULATIVE})
}
