"""Reductions and running sums: Keras's values, shapes and dtypes; NumPy's where Keras on torch forgets an argument."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import torch

from closeness import close
from dougong.core.errors import ShapeError
from numpy_twins import check, ours, values
from ops_calls import CUMULATIVE, REDUCTIONS

INPUTS: dict[str, Any] = {
    "float32": values(0, 2, 3, 4),
    "int32": values(1, 2, 3, dtype=torch.int32),
    "int8": values(2, 3, 2, dtype=torch.int8, low=-90, high=90),
    "int16": values(2, 3, 2, dtype=torch.int16),
    "uint8": values(3, 3, 2, dtype=torch.uint8, low=0, high=200),
    "bool": values(4, 3, 2) > 0,
    "float16": values(5, 2, 3, dtype=torch.float16),
    "bfloat16": values(6, 2, 3, dtype=torch.bfloat16),
    "holes": torch.where(values(7, 3, 4) > 1, float("nan"), values(8, 3, 4)),
    "nothing": torch.full((2, 3), float("nan")),
    "infinite": torch.tensor([[1.0, float("inf")], [float("-inf"), 2.0]]),
    "list": [[1, 2], [3, 4]],
    "number": 2.5,
    "rank 0": torch.tensor(-1.5),
}
WITHOUT_KEEPDIMS = {"average", "count_nonzero"}
NOT_OF_BOOL = {"ptp"}


def _names(kind: str, names: list[str]) -> list[str]:
    return [name for name in names if not (kind == "bool" and name in NOT_OF_BOOL)]


@pytest.mark.parametrize("kind", INPUTS)
def test_all_axes(kind: str) -> None:
    for name in _names(kind, REDUCTIONS + CUMULATIVE):
        if (name, kind) not in {("nancumsum", "infinite"), ("nancumprod", "infinite")}:
            check(name, (INPUTS[kind],))


@pytest.mark.parametrize("kind", [kind for kind, x in INPUTS.items() if getattr(x, "ndim", 0) > 1])
def test_some_axes(kind: str) -> None:
    x = INPUTS[kind]
    axes = [0, 1, -1, (0, 1), (-1, 0), [1]] + ([(0, 2), (2, 1, 0)] if x.ndim == 3 else [])
    for name in _names(kind, REDUCTIONS):
        for axis in axes:
            if name == "count_nonzero":
                if x.ndim == 2:  # Keras turns the axes of a result with more than one around
                    check(name, (x, axis if isinstance(axis, int) else tuple(axis)))
                continue
            check(name, (x, axis if isinstance(axis, int) else tuple(axis)))
            if name not in WITHOUT_KEEPDIMS:
                check(name, (x,), {"axis": axis if isinstance(axis, int) else tuple(axis), "keepdims": True})
    for name in CUMULATIVE:
        for axis in (0, -1):
            if (name, kind) not in {("nancumsum", "infinite"), ("nancumprod", "infinite")}:
                check(name, (x, axis))
            if "arg" in name:
                check(name, (x,), {"axis": axis, "keepdims": True})


X = values(10, 2, 3)


def _numpy(name: str, x: torch.Tensor, **arguments: Any) -> Any:
    function = {"all": np.all, "any": np.any}.get(name) or getattr(np, name)
    return function(x.numpy(), **arguments)


@pytest.mark.parametrize("name", [name for name in REDUCTIONS if name not in WITHOUT_KEEPDIMS])
def test_keepdims_of_all_axes_and_no_axes_as_in_numpy(name: str) -> None:
    for arguments in ({"keepdims": True}, {"axis": ()}, {"axis": (), "keepdims": True}):
        if "median" in name and arguments.get("axis") == ():
            continue  # which NumPy refuses
        got = ours(name)(X, **arguments)
        close(got, _numpy(name, X, **arguments), because=f"{name} {arguments}")
    for kind in ("int8", "uint8", "bool"):
        if name != "ptp":
            whole = INPUTS[kind]
            assert ours(name)(whole, axis=()).dtype is ours(name)(whole).dtype, f"{name} of {kind} over no axis"
            assert ours(name)(whole, axis=()).shape == whole.shape


@pytest.mark.parametrize("name", [name for name in REDUCTIONS if "median" not in name])
def test_nothing_to_reduce(name: str) -> None:
    empty = torch.zeros(0, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's and NumPy's, of the mean of nothing
        assert ours(name)(empty, axis=1).shape == (0,)
        for axis in (None, 0, (0, 1)):
            if name in ("max", "min", "amax", "amin", "nanmax", "nanmin", "ptp"):
                with pytest.raises(ShapeError, match="no elements over axis"):
                    ours(name)(empty, axis=axis)
            else:
                close(ours(name)(empty, axis=axis), _numpy(name, empty, axis=axis), because=f"{name} of nothing")


@pytest.mark.parametrize("name", ["argmax", "argmin", "nanargmax", "nanargmin"])
def test_the_place_of_nothing_is_refused(name: str) -> None:
    with pytest.raises(ShapeError, match="no elements over axis"):
        ours(name)(torch.zeros(0, 3))


def test_running_sums_keep_infinities() -> None:
    x = torch.tensor([1.0, float("inf"), float("nan"), 2.0])
    close(ours("nancumsum")(x), np.nancumsum(x.numpy()), because="Keras on torch makes infinities finite")
    close(ours("nancumprod")(x), np.nancumprod(x.numpy()), because="Keras on torch makes infinities finite")


def test_sixty_four_bits_stay() -> None:
    wide = torch.tensor([2.0**40, 1.0], dtype=torch.float64)
    whole = torch.tensor([2**40, 1])
    for name in ("sum", "mean", "prod", "var", "std", "max", "median", "cumsum", "cumprod"):
        assert ours(name)(wide).dtype is torch.float64
    for name in ("sum", "max", "prod", "cumsum"):
        assert ours(name)(whole).dtype is torch.int64


def test_an_axis_that_is_not_there_is_named() -> None:
    with pytest.raises(ShapeError, match="axis 2 does not exist in a tensor with 2 axes; give axes from -2 to 1"):
        ours("sum")(X, axis=2)
