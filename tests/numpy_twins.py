"""What the tests of `dougong.ops` share: our function and Keras's called alike, and compared in every respect."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import keras
import numpy as np
import torch
from torch import Tensor

from closeness import close
from dougong.core.nested import leaves, map_leaves
from dougong.core.symbol import Symbol

__all__ = ["FUNCTIONS", "check", "check_gradient", "check_symbol", "ours", "shown", "values"]

MODULES = """
arithmetic bits comparison counting creation cumulative diagonals elementwise exponentials indexing joining
nan_reductions padding products reductions shaping sorting spacing statistics trigonometry vectorizing windows
""".split()
_KERAS_NAMES = {name for name in dir(keras.ops.numpy) if not name.startswith("_")}
FUNCTIONS: dict[str, Callable[..., Any]] = {
    name: getattr(module, name)
    for module in (importlib.import_module(f"dougong.ops.{name}") for name in MODULES)
    for name in module.__all__
    if name in _KERAS_NAMES
}
_TOLERANCE = {torch.float16: 2e-3, torch.bfloat16: 2e-2}


def ours(name: str) -> Callable[..., Any]:
    return FUNCTIONS[name]


def values(seed: int, *shape: int, dtype: torch.dtype = torch.float32, low: float = -3.0, high: float = 3.0) -> Tensor:
    """Random numbers of a dtype between two bounds, the same for the same seed."""
    drawn = low + (high - low) * torch.rand(shape, generator=torch.Generator().manual_seed(seed))
    return drawn.round().to(dtype) if not dtype.is_floating_point else drawn.to(dtype)


def shown(args: Iterable[Any], kwargs: Mapping[str, Any]) -> str:
    """A call's arguments in a few words, for messages."""

    def word(leaf: Any) -> str:
        return f"{leaf.dtype}{list(leaf.shape)}".removeprefix("torch.") if isinstance(leaf, Tensor) else repr(leaf)

    return ", ".join(
        [*map(str, map_leaves(word, list(args))), *(f"{k}={map_leaves(word, v)}" for k, v in kwargs.items())]
    )


def _tensors(result: Any) -> list[Any]:
    return list(leaves(result))


def check(name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any] | None = None, *, want: Any = None) -> Any:
    """Raise unless our result has Keras's values, shapes and dtypes; ``want`` replaces Keras's, where it is wrong."""
    kwargs = kwargs or {}
    got = ours(name)(*args, **kwargs)
    if want is None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Keras's own calls of what torch is to drop
            want = getattr(keras.ops, name)(*args, **kwargs)
    because = f"{name}({shown(args, kwargs)})"
    mine, theirs = _tensors(got), _tensors(want)
    if len(mine) != len(theirs):
        raise AssertionError(f"{because}: {len(mine)} results, want {len(theirs)}")
    for one, other in zip(mine, theirs):
        if isinstance(other, np.ndarray | np.generic):
            other = torch.as_tensor(np.array(other))
        if not isinstance(other, Tensor):
            assert one == other, f"{because}: {one}, want {other}"
            continue
        if one.dtype is not other.dtype:
            raise AssertionError(f"{because}: dtype {one.dtype}, want {other.dtype}")
        _same(one, other, because)
    return got


def _same(got: Tensor, want: Tensor, because: str) -> None:
    tolerance = _TOLERANCE.get(got.dtype, 1e-6)
    if got.is_complex():
        got, want = torch.view_as_real(got.resolve_conj()), torch.view_as_real(want.resolve_conj())
    if got.dtype is torch.bfloat16:
        got, want = got.float(), want.float()
    close(got, want, because=because, tolerance=tolerance)


def _leaf(one: Any) -> Any:
    is_float = isinstance(one, Tensor) and one.is_floating_point()
    return one.detach().clone().requires_grad_() if is_float else one


def check_gradient(name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any] | None = None) -> None:
    """Raise unless the gradients of a weighted sum of our results equal those of Keras's."""
    kwargs = kwargs or {}
    gradients = []
    for function in (ours(name), getattr(keras.ops, name)):
        given = map_leaves(_leaf, list(args))
        inputs = [one for one in leaves(given) if isinstance(one, Tensor) and one.requires_grad]
        total = torch.zeros(())
        for result in _tensors(function(*given, **kwargs)):
            if isinstance(result, Tensor) and result.requires_grad:
                weights = torch.linspace(0.5, 1.5, result.numel(), dtype=torch.float32).reshape(result.shape)
                total = total + (result * weights).sum()
        assert total.requires_grad, f"{name}: no gradient through {function}"
        gradients.append(torch.autograd.grad(total, inputs, allow_unused=True))
    for mine, theirs in zip(*gradients):
        if theirs is not None:
            assert mine is not None, f"{name}: no gradient"
            _same(mine, theirs, f"the gradient of {name}({shown(args, kwargs)})")


def check_symbol(name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any] | None = None, *, batch: bool) -> Any:
    """Raise unless symbols in place of the tensors give the shapes and dtypes of the real results.

    ``batch``: the first axis of each tensor is unknown; what is known of the result must then be right.
    """
    kwargs = kwargs or {}

    def symbol(one: Any) -> Any:
        if not isinstance(one, Tensor):
            return one
        return Symbol([None, *one.shape[1:]] if batch and one.ndim else one.shape, one.dtype)

    real = ours(name)(*args, **kwargs)
    made = ours(name)(*map_leaves(symbol, list(args)), **map_leaves(symbol, dict(kwargs)))
    for one, other in zip(_tensors(real), _tensors(made), strict=True):
        if not isinstance(one, Tensor):
            assert one == other, name
            continue
        because = f"{name}({shown(args, kwargs)}) of symbols"
        assert other.dtype is one.dtype, f"{because}: {other.dtype}, want {one.dtype}"
        assert len(other.shape) == one.ndim, f"{because}: {other.shape}, want {tuple(one.shape)}"
        fits = all(size == known or (batch and known is None) for size, known in zip(one.shape, other.shape))
        assert fits, f"{because}: {other.shape}, want {tuple(one.shape)}"
    return made
