"""Every function in several calls: Keras's results, Keras's gradients, and shapes and dtypes known from symbols."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from dougong.core.errors import BuildError, ShapeError
from dougong.core.nested import leaves
from numpy_twins import FUNCTIONS, check, check_gradient, check_symbol, shown
from ops_calls import ELSEWHERE, EVERY

# No gradient on torch, in Keras or here: results that count, compare or choose places.
WITHOUT_GRADIENT = {
    *"all any angle argmax argmin argsort nanargmax nanargmin isfinite isinf isnan isneginf isposinf isreal".split(),
    *"signbit logical_not logical_and logical_or logical_xor equal not_equal less less_equal greater".split(),
    *"greater_equal isclose allclose isin count_nonzero ndim size digitize searchsorted nonzero unique".split(),
    *"histogram bincount floor_divide heaviside ones_like zeros_like empty_like full_like view".split(),
    "vander",  # here it has one, on torch Keras's fails
}
VALUES_NEEDED = {
    "nonzero",
    "unique",
    "bincount",
    "where",
    "arange",
    "bartlett",
    "blackman",
    "hamming",
    "hanning",
    "repeat",
}
# Calls that combine the first axis with a fixed length: for these an unknown one is refused.
SAME_LENGTH = "correlate"


def test_every_function_is_called() -> None:
    assert len(FUNCTIONS) == 220
    assert set(FUNCTIONS) == set(EVERY) | ELSEWHERE


@pytest.mark.parametrize("name", EVERY)
def test_results(name: str) -> None:
    for args, kwargs in EVERY[name]:
        check(name, args, kwargs)


def _has_floats(structure: object) -> bool:
    return any(isinstance(leaf, torch.Tensor) and leaf.is_floating_point() for leaf in leaves(structure))


def _has_gradient(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether both have a gradient of this call: not if it gives whole numbers, or the extreme of nothing, or NaN."""
    if not _has_floats(args) or (name == "where" and len(args) == 1):
        return False
    to_whole = "int32" in (kwargs.get("dtype"), args[-1] if isinstance(args[-1], str) else None)
    if to_whole or (name in ("max", "min") and not args[0].numel()):
        return False
    return not (name == "quantile" and args[0].isnan().any())


@pytest.mark.parametrize("name", [name for name in EVERY if name not in WITHOUT_GRADIENT])
def test_gradients(name: str) -> None:
    for args, kwargs in EVERY[name]:
        if _has_gradient(name, args, kwargs):
            check_gradient(name, args, kwargs)


@pytest.mark.parametrize("name", EVERY)
def test_symbols(name: str) -> None:
    for args, kwargs in EVERY[name]:
        if not any(isinstance(leaf, torch.Tensor) for leaf in leaves((args, kwargs))):
            continue
        try:
            check_symbol(name, args, kwargs, batch=False)
        except BuildError as error:
            assert name in VALUES_NEEDED, f"{name}({shown(args, kwargs)}): {error}"
            assert "depends on values, which a symbol does not have yet" in str(error)


@pytest.mark.parametrize("name", [name for name in EVERY if name not in VALUES_NEEDED and name != SAME_LENGTH])
def test_symbols_of_unknown_length(name: str) -> None:
    """A symbol whose first axis is unknown gives what is known of the result, or is refused in a sentence."""
    for args, kwargs in EVERY[name]:
        if not any(isinstance(leaf, torch.Tensor) for leaf in leaves((args, kwargs))):
            continue
        if name == "squeeze" and args[0].shape[0] == 1:
            continue  # whether the unknown axis goes is unknown
        try:
            check_symbol(name, args, kwargs, batch=True)
        except ShapeError as error:
            assert f"{FUNCTIONS[name].__name__} cannot be applied to inputs of shape (None" in str(error)
