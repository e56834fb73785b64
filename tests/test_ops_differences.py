"""Where Keras on torch is wrong or refuses: NumPy's result; and what is refused here, in which words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from closeness import close
from dougong.core.errors import BuildError, ConfigError, ShapeError
from dougong.core.nested import leaves, map_leaves
from dougong.core.symbol import Input, Symbol
from numpy_twins import ours, values

NAN, INF = float("nan"), float("inf")
X, Y, Z = values(0, 4, 3), values(1, 4, 3), values(2, 2, 3, 4)
V, W = values(3, 6), values(4, 6)
FLAGS = values(5, 4, 3) > 0
BIG = torch.tensor([2**30 + 1, 5], dtype=torch.int32)


def _array(leaf: Any) -> Any:
    return leaf.numpy() if isinstance(leaf, torch.Tensor) else leaf


AS_IN_NUMPY: dict[str, tuple[str, tuple[Any, ...], dict[str, Any]]] = {
    "cross of another axis": ("cross", (values(0, 3, 3), values(1, 3, 3)), {"axisa": 0, "axisb": 1, "axisc": 0}),
    "cross without an axis": ("cross", (values(0, 3, 2, 3), values(1, 3, 2, 3)), {}),
    "average over all, weighted": ("average", (X,), {"weights": Y.abs()}),
    "average over rows, weighted": ("average", (X,), {"axis": 0, "weights": V[:4].abs()}),
    "average over two axes, weighted": ("average", (Z,), {"axis": (2, 0), "weights": values(8, 4, 2, low=1.0)}),
    "histogram of whole numbers": ("histogram", (torch.tensor([1, 1, 5, 7]),), {"bins": 3}),
    "histogram of one value": ("histogram", (torch.ones(3),), {"bins": 4}),
    "histogram of nothing": ("histogram", (torch.zeros(0),), {"bins": 2}),
    "histogram with values outside": ("histogram", (V,), {"bins": 3, "range": (-1.0, 1.0)}),
    "correlate, the same length of the longer": ("correlate", (W[:3], V), {"mode": "same"}),
    "correlate, an even shorter one": ("correlate", (W[:2], V), {"mode": "same"}),
    "correlate, an even longer one": ("correlate", (V, W[:4]), {"mode": "same"}),
    "count_nonzero along an axis": ("count_nonzero", (Z,), {"axis": 1}),
    "dot of matrices": ("dot", (Z, values(9, 5, 4, 2)), {}),
    "dot of large whole numbers": ("dot", (BIG, torch.tensor([1, 1], dtype=torch.int32)), {}),
    "inner of large whole numbers": ("inner", (BIG, torch.tensor([1, 1], dtype=torch.int32)), {}),
    "tensordot of large whole numbers": ("tensordot", (BIG, torch.tensor([1, 1], dtype=torch.int32), 1), {}),
    "vdot of matrices": ("vdot", (X, Y), {}),
    "isclose of whole numbers": ("isclose", (torch.tensor([1_000_000]), torch.tensor([1_000_001])), {}),
    "linspace along the last axis": ("linspace", (X, Y, 5), {"axis": -1}),
    "linspace without its end, of tensors": ("linspace", (X, Y, 5), {"endpoint": False}),
    "linspace of one number and several": ("linspace", (0.0, V, 4), {}),
    "logspace along the last axis": ("logspace", (X[0], X[1], 3), {"axis": -1}),
    "geomspace of tensors": ("geomspace", (X.abs() + 1, Y.abs() + 1, 4), {"axis": 1}),
    "meshgrid of two dtypes": ("meshgrid", (V, [1, 2]), {}),
    "median of infinities": ("median", (torch.tensor([INF, INF, 1.0]),), {}),
    "moveaxis of several": ("moveaxis", (Z, [0, 2], [2, 0]), {}),
    "pad at all axes": ("pad", (X, 1), {}),
    "pad with one pair": ("pad", (Z, (1, 2)), {"mode": "edge"}),
    "pad with a long mirror": ("pad", (V, (8, 15)), {"mode": "reflect"}),
    "pad with a mirror of one": ("pad", (V[:1], 3), {"mode": "reflect"}),
    "pad symmetrically": ("pad", (X, ((3, 5), (2, 1))), {"mode": "symmetric"}),
    "pad with a mirror at four axes": ("pad", (Z[None], 1), {"mode": "reflect"}),
    "pad with the other end": ("pad", (X, ((5, 1), (0, 4))), {"mode": "wrap"}),
    "ptp of all, keepdims": ("ptp", (X,), {"keepdims": True}),
    "repeat so often each": ("repeat", (X, [1, 2, 0]), {"axis": 1}),
    "rounding to hundreds": ("round", (torch.tensor([16777251, 149], dtype=torch.int32), -1), {}),
    "concatenate, flattened": ("concatenate", ([X, V],), {"axis": None}),
    "take of the flattened from its end": ("take", (X, torch.tensor([-1, -12])), {}),
    "take_along_axis of the flattened from its end": ("take_along_axis", (X, torch.tensor([-1, -12])), {"axis": None}),
    "bincount of an empty list": ("bincount", (torch.zeros(0, dtype=torch.int64),), {"minlength": 2}),
    "full of a shorter value": ("full", ((2, 3), np.array([7.0])), {}),
    "eye far off": ("eye", (3, 5, -4), {}),
    "unique with places, of a matrix": ("unique", (torch.tensor([[3, 1], [3, 2]]),), {"return_index": True}),
    "nanmedian of infinities": ("nanmedian", (torch.tensor([INF, NAN, INF]),), {}),
    "split beyond the end": ("split", (V, [2, 9]), {}),
}


@pytest.mark.parametrize("case", AS_IN_NUMPY)
def test_as_in_numpy(case: str) -> None:
    name, args, kwargs = AS_IN_NUMPY[case]
    got = ours(name)(*args, **kwargs)
    want = getattr(np, name)(*map_leaves(_array, list(args)), **map_leaves(_array, kwargs))
    for one, other in zip(leaves(got), leaves(want), strict=True):
        close(one, other, because=case, tolerance=1e-6)


KEYS = {
    "backwards": slice(None, None, -1),
    "backwards by two": (slice(3, 0, -2), 1),
    "backwards from the end": (..., slice(-1, None, -3)),
    "backwards, nothing": slice(0, 2, -1),
    "backwards after a new axis": (None, slice(None), slice(None, None, -1)),
    "backwards after a mask": (np.array([True, False, True, False]), slice(None, None, -2)),
    "backwards beside places": ([0, 2], slice(None, None, -1)),
}


@pytest.mark.parametrize("case", KEYS)
def test_keys_that_run_backwards(case: str) -> None:
    key = KEYS[case]
    close(ours("get_item")(X, key), X.numpy()[key], because=case)


def test_argpartition_parts_floats() -> None:
    for axis in (0, 1, -1, None):
        for kth in (0, 1, 2, -1):
            places = ours("argpartition")(X, kth, axis)
            assert places.dtype is torch.int32
            found = ours("take_along_axis")(X, places, axis)
            along = -1 if axis is None else axis
            pivot = ours("take")(ours("sort")(X, axis), [kth], along)
            count = kth % found.shape[along]
            assert (found.narrow(along, 0, count) <= pivot).all()
            assert (found.narrow(along, count, found.shape[along] - count) >= pivot).all()


def test_nextafter_moves_by_the_dtypes_own_step() -> None:
    for dtype in (torch.float32, torch.float64):
        one, other = values(0, 5).to(dtype), values(1, 5).to(dtype)
        want = np.nextafter(one.numpy(), other.numpy())
        assert torch.equal(ours("nextafter")(one, other), torch.from_numpy(want))


def test_empty_has_shape_and_dtype() -> None:
    assert ours("empty")((2, 3)).shape == (2, 3)
    assert ours("empty")(4, dtype="int8").dtype is torch.int8


def test_vander_has_a_gradient() -> None:
    assert torch.autograd.gradcheck(ours("vander"), (values(0, 4).double().requires_grad_(),))


def test_ldexp_of_large_exponents() -> None:
    want = np.ldexp([1e-30, 1e30], [130, -130])
    close(ours("ldexp")([1e-30, 1e30], [130, -130]), want, because="2**130 is no float32")


def test_quantiles_of_many_elements() -> None:
    """Torch's own refuses more than 16 million."""
    assert ours("median")(torch.arange(2**24 + 3).to(torch.int16) % 5).item() == 2.0


@pytest.mark.parametrize("name", "add maximum matmul dot floor ceil mean cumsum sin exp hypot sum power".split())
def test_float64_stays(name: str) -> None:
    given = (torch.tensor([0.3, 0.7], dtype=torch.float64),) * (
        2 if name in ("add", "maximum", "matmul", "dot", "hypot", "power") else 1
    )
    assert ours(name)(*given).dtype is torch.float64


DOT = ours("vectorize")(torch.dot, signature="(n),(n)->()")
REFUSALS: dict[str, tuple[type[Exception], str, Callable[[], Any]]] = {
    "clip of nothing": (TypeError, "clip", lambda: ours("clip")(X)),
    "where with one choice": (ConfigError, "takes both x1 and x2", lambda: ours("where")(FLAGS, X)),
    "squeeze": (ShapeError, r"needs length 1 there, but the shape is \(4, 3\)", lambda: ours("squeeze")(X, 0)),
    "split": (ShapeError, "into 3 equal parts; use array_split", lambda: ours("split")(X, 3)),
    "vsplit": (ShapeError, "vsplit needs 2 axes or more", lambda: ours("vsplit")(V, 2)),
    "array_split": (ConfigError, "a number of parts", lambda: ours("array_split")(X, [1])),
    "pad mode": (ConfigError, "'circular', 'edge'", lambda: ours("pad")(X, 1, "mirror")),
    "pad width": (ShapeError, "a number, a pair, or 2 pairs", lambda: ours("pad")(X, ((1, 1),) * 3)),
    "pad cut": (ShapeError, "must not be negative", lambda: ours("pad")(X, -1)),
    "pad value": (ConfigError, "mode='constant'", lambda: ours("pad")(X, 1, "edge", constant_values=1)),
    "average": (ShapeError, "got weights of shape", lambda: ours("average")(X, weights=V)),
    "quantile": (ConfigError, "'midpoint' or 'nearest'", lambda: ours("quantile")(X, 0.3, method="cubic")),
    "quantile of nothing": (ShapeError, "no elements", lambda: ours("median")(torch.zeros(0))),
    "correlate": (ShapeError, "two sequences", lambda: ours("correlate")(X, V)),
    "correlate mode": (ConfigError, "'valid', 'same' or 'full'", lambda: ours("correlate")(V, V, "half")),
    "cross": (ShapeError, "length 2 or 3, got 4 and 3", lambda: ours("cross")(Z, X)),
    "vander": (ShapeError, "one axis", lambda: ours("vander")(X)),
    "bincount": (ShapeError, r"\[T\] or \[N, T\]", lambda: ours("bincount")(Z)),
    "bincount sparse": (ConfigError, "dense", lambda: ours("bincount")([1], sparse=True)),
    "histogram": (ShapeError, r"use ravel\(\)", lambda: ours("histogram")(X)),
    "histogram bins": (ConfigError, "1 or more", lambda: ours("histogram")(V, bins=0)),
    "histogram range": (ConfigError, "lower, upper", lambda: ours("histogram")(V, range=(2, 1))),
    "searchsorted": (ShapeError, "one axis", lambda: ours("searchsorted")(X, V)),
    "searchsorted side": (ConfigError, "'left' or 'right'", lambda: ours("searchsorted")(V, V, side="both")),
    "select": (ConfigError, "2 conditions and 1 choices", lambda: ours("select")([FLAGS, FLAGS], [X])),
    "fabs": (ConfigError, "use absolute", lambda: ours("fabs")(torch.tensor([1j]))),
    "ldexp": (ConfigError, "whole exponents", lambda: ours("ldexp")(X, X)),
    "meshgrid": (ConfigError, "'xy' or 'ij'", lambda: ours("meshgrid")(V, indexing="yx")),
    "linspace": (ConfigError, "0 or more", lambda: ours("linspace")(0, 1, -1)),
    "argpartition": (ShapeError, "not among the 3 places", lambda: ours("argpartition")(X, 3)),
    "dtype": (ValueError, "did you mean 'int32'", lambda: ours("zeros")(2, "int3")),
    "vectorize": (ShapeError, "do not fit the signature", lambda: DOT(V, X)),
    "vectorize arguments": (ShapeError, "of 2 arguments", lambda: DOT(V)),
    "vectorize signature": (ConfigError, "cannot be read", lambda: ours("vectorize")(torch.dot, signature="n,n->")),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_refusals(case: str) -> None:
    kind, words, call = REFUSALS[case]
    with pytest.raises(kind, match=words):
        call()


def test_symbols_whose_values_are_needed_are_refused() -> None:
    x = Input((3,), dtype="int32")
    length = Symbol((), torch.int32)
    calls: list[Callable[[], Any]] = [
        lambda: ours("nonzero")(x),
        lambda: ours("where")(x),
        lambda: ours("unique")(x),
        lambda: ours("bincount")(x),
        lambda: ours("arange")(length),
        lambda: ours("hanning")(length),
        lambda: ours("repeat")(x, Symbol((3,), torch.int32), axis=1),
    ]
    for call in calls:
        with pytest.raises(BuildError, match=r"depends on values, which a symbol does not have yet; put the call into"):
            call()


def test_symbols_of_a_fixed_number_of_unique_elements() -> None:
    found, counts = ours("unique")(Input((3,)), size=4, return_counts=True)
    assert found.shape == counts.shape == (4,)


def test_vectorize_maps_elements_and_whole_axes() -> None:
    by_hand = ours("vectorize")(lambda a, b: torch.where(a > b, a - b, a + b))
    close(by_hand(X[:, None], Y), np.where(X[:, None] > Y, X[:, None] - Y, X[:, None] + Y), because="elements")
    product = ours("vectorize")(torch.mv, signature="(m,n),(n)->(m)")
    close(product(Z, X[:, 0]), Z.numpy() @ X[:, 0].numpy(), because="matrices")
    both = ours("vectorize")(lambda a: (a.sum(), a * 2), signature="(n)->(),(n)")(X)
    close(both[0], X.sum(1), because="two results")
    close(both[1], X * 2, because="two results")
    assert ours("vectorize")(lambda a: a * 2)(3.0) == 6.0
    power = ours("vectorize")(lambda a, n: a**n, excluded={1})
    close(power(X, 2), X**2, because="an argument handed on as it is")
    close(ours("vectorize")(lambda a, b=None: a + (0 if b is None else b))(X, None), X, because="None is handed on")


def test_vectorize_of_symbols() -> None:
    assert DOT(Input((5, 3)), Input((3,), batch_size=1)).shape == (None, 5)
