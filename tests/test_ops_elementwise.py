"""Functions of one element, or of two: Keras's values, shapes and dtypes over every kind of input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from numpy_twins import check, ours, values
from ops_calls import BINARY, UNARY

NAN, INF = float("nan"), float("inf")

INPUTS: dict[str, Any] = {
    "float32": values(0, 2, 3),
    "special": torch.tensor([NAN, INF, -INF, 0.0, -0.0, 1.0]),
    "int32": torch.tensor([[1, -2, 3], [0, 5, 6]], dtype=torch.int32),
    "int16": torch.tensor([-3, 0, 5], dtype=torch.int16),
    "int8": torch.tensor([-3, 0, 5], dtype=torch.int8),
    "uint8": torch.tensor([3, 0, 255], dtype=torch.uint8),
    "bool": torch.tensor([[True, False]]),
    "float16": values(1, 2, 3, dtype=torch.float16),
    "bfloat16": values(2, 2, 3, dtype=torch.bfloat16),
    "number": 0.5,
    "whole number": 2,
    "list": [[1, 2], [3, 4]],
    "rank 0": torch.tensor(0.25),
    "empty": torch.zeros(0, 3),
    "array": np.arange(6.0, dtype="float32").reshape(2, 3),
}
_FLOATS = {"float32", "special", "float16", "bfloat16", "number", "rank 0", "empty", "array"}
# What Keras on torch cannot do: no real tensors for imag, no plain numbers for the parts of complex ones.
KERAS_CANNOT = {
    **{name: {"number", "whole number", "list"} for name in ("conj", "conjugate", "real", "size")},
    "imag": set(INPUTS),
    "round": {"bool"},
}
REFUSED = {"negative": {"bool"}, "bitwise_not": _FLOATS, "bitwise_invert": _FLOATS}


@pytest.mark.parametrize("name", UNARY)
def test_one_operand(name: str) -> None:
    for kind, x in INPUTS.items():
        if kind in REFUSED.get(name, ()):
            with pytest.raises(RuntimeError):
                ours(name)(x)
        elif kind not in KERAS_CANNOT.get(name, ()) and (name, kind) != ("size", "rank 0"):
            check(name, (x,))


PAIRED: dict[str, Any] = {
    "float32": values(3, 2, 3),
    "int32": values(5, 2, 3, dtype=torch.int32, low=1, high=6),
    "bool": torch.tensor([True, False, True]),
    "uint8": torch.tensor([3, 1, 5], dtype=torch.uint8),
    "int8": torch.tensor([-3, 1, 5], dtype=torch.int8),
    "float16": values(1, 2, 3, dtype=torch.float16),
    "bfloat16": values(2, 2, 3, dtype=torch.bfloat16),
    "number": 1.5,
    "whole number": 2,
    "truth": True,
    "list": [1, 2, 3],
    "rank 0": torch.tensor(1.25),
    "whole rank 0": torch.tensor(3, dtype=torch.int32),
    "special": torch.tensor([NAN, INF, 0.0]),
    "empty": torch.zeros(0, 1, 3),
    "array": np.array([1.0, 2, 3], dtype="float32"),
}


def _keras_can(name: str, one: Any, other: Any) -> bool:
    kinds = {getattr(x, "dtype", type(x)) for x in (one, other)}
    if name == "divide_no_nan":
        return list not in kinds
    if name in ("hypot", "power", "floor_divide"):
        return not kinds <= {torch.bool, bool}
    # Keras leaves int beside bool to torch here, whose int is int64.
    return "shift" not in name or not (kinds <= {torch.bool, bool, int} and type(other) is int)


@pytest.mark.parametrize("name", BINARY)
def test_two_operands(name: str) -> None:
    compared = 0
    for one in PAIRED.values():
        for other in PAIRED.values():
            try:
                ours(name)(one, other)
            except (RuntimeError, ValueError):
                continue  # whether Keras refuses too is below
            if _keras_can(name, one, other):
                check(name, (one, other))
                compared += 1
    assert compared >= 48


_WHOLE_ONLY = {name for name in BINARY if "bitwise" in name or "shift" in name}
_WHOLE_ONLY |= {"gcd", "lcm", "ldexp", "floor_divide", "mod", "fmod"}  # or refusing the whole number False


@pytest.mark.parametrize("name", [name for name in BINARY if name not in _WHOLE_ONLY])
def test_only_two_booleans_are_refused(name: str) -> None:
    for one in PAIRED.values():
        for other in PAIRED.values():
            kinds = {getattr(x, "dtype", type(x)) for x in (one, other)}
            if kinds <= {torch.bool, bool}:
                continue
            ours(name)(one, other)


def test_aliases_are_the_same_function() -> None:
    pairs = "abs absolute;conj conjugate;divide true_divide;bitwise_not bitwise_invert;max amax;min amin"
    pairs += ";left_shift bitwise_left_shift;right_shift bitwise_right_shift"
    for pair in pairs.split(";"):
        one, other = pair.split()
        assert ours(one) is ours(other)


def test_what_becomes_a_tensor() -> None:
    array = np.arange(6.0)
    frozen = np.arange(6.0)
    frozen.flags.writeable = False
    assert ours("array")(array[::-1]).tolist() == [5.0, 4.0, 3.0, 2.0, 1.0, 0.0]
    assert ours("array")(frozen).dtype is torch.float64
    assert ours("array")(2**40).item() == 2**40
    assert ours("array")([2**40, 1]).dtype is torch.int64
    assert ours("array")(np.array([1, 2], dtype="uint32")).dtype is torch.int64
    for made in ([np.ones(2, "float32")] * 2, np.float64(1.5), np.int16(3), [], (1, 2.5), [True, 2], range(3)):
        check("array", (made,))
    for dtype in (int, float, bool, np.float16, np.dtype("int8"), "torch.float32", torch.uint8):
        check("array", ([0, 1],), {"dtype": dtype})
