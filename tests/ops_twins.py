"""One call of a function of `dougong.ops` compared with Keras's: values, dtypes, gradients, and what symbols give."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from closeness import close
from dougong.core.nested import leaves, map_leaves
from dougong.core.symbol import Input, Symbol
from dougong.models import Model

__all__ = ["Case", "numbers", "same_gradients", "same_on_symbols", "same_values"]


def numbers(*shape: int, seed: int = 0, low: float = -1.0, high: float = 1.0, dtype: str = "float32") -> np.ndarray:
    """Random numbers between two bounds, the same for the same seed and shape."""
    return np.random.default_rng((seed, *shape)).uniform(low, high, shape).astype(dtype)


@dataclass
class Case:
    """A call: ``batched`` are the places, among the arrays it takes, of those whose first axis a symbol leaves open."""

    name: str
    arguments: tuple[Any, ...]
    options: dict[str, Any] = field(default_factory=dict)
    batched: tuple[int, ...] = ()
    differentiable: bool = True
    symbolic: bool = True

    def __str__(self) -> str:
        return self.name

    def call(self, function: Callable[..., Any], convert: Callable[[Any], Any]) -> Any:
        """``function`` of the arguments, with ``convert`` applied to every array."""
        arguments, options = map_leaves(
            lambda leaf: convert(leaf) if isinstance(leaf, np.ndarray) else leaf, (self.arguments, self.options)
        )
        return function(*arguments, **options)


def _tensors(result: Any) -> Iterator[Tensor]:
    return (leaf for leaf in leaves(result) if isinstance(leaf, Tensor))


def _same(got: Tensor, want: Tensor, because: str, tolerance: float = 1e-5) -> None:
    got, want = (torch.view_as_real(one.resolve_conj()) if one.is_complex() else one for one in (got, want))
    close(got, want, because=because, tolerance=tolerance)


def same_values(case: Case, ours: Callable[..., Any], theirs: Callable[..., Any]) -> None:
    """Raise unless the results have the same values and dtypes."""
    got, want = (list(_tensors(case.call(function, torch.from_numpy))) for function in (ours, theirs))
    assert len(got) == len(want), f"{case}: {len(got)} results, want {len(want)}"
    for one, other in zip(got, want):
        assert one.dtype is other.dtype, f"{case}: dtype {one.dtype}, want {other.dtype}"
        _same(one, other, str(case))


def same_gradients(case: Case, ours: Callable[..., Any], theirs: Callable[..., Any]) -> None:
    """Raise unless the gradients of the sum of squared results are the same, where Keras has one."""
    found = []
    for function in (ours, theirs):
        inputs: list[Tensor] = []

        def leaf(array: np.ndarray, inputs: list[Tensor] = inputs) -> Tensor:
            made = torch.from_numpy(array)
            if made.is_floating_point() or made.is_complex():
                inputs.append(made.clone().requires_grad_())
                return inputs[-1]
            return made

        results = (
            [one for one in _tensors(case.call(function, leaf)) if one.requires_grad] if case.differentiable else []
        )
        total = sum((one.abs().square().sum() for one in results), torch.zeros(()))
        found.append(torch.autograd.grad(total, inputs, allow_unused=True) if results else None)
    mine, theirs_ = found
    if theirs_ is not None:
        assert mine is not None, f"{case}: no gradient"
        for one, other in zip(mine, theirs_):
            if other is not None:
                assert one is not None, f"{case}: no gradient"
                _same(one, other, f"gradient of {case}", tolerance=1e-4)


def same_on_symbols(case: Case, ours: Callable[..., Any]) -> None:
    """Raise unless a graph made of symbols promises the results' shapes and dtypes, and gives their values."""
    if not case.symbolic:
        return
    places: list[np.ndarray] = []
    inputs: list[Symbol] = []
    fed: list[Tensor] = []

    def symbol(array: np.ndarray) -> Any:
        places.append(array)
        place = len(places) - 1
        if place not in case.batched and not (not case.batched and array.dtype.kind == "f" and not inputs):
            return array
        shape = [None, *array.shape[1:]] if place in case.batched else list(array.shape)
        inputs.append(Input(batch_shape=shape, dtype=str(array.dtype)))
        fed.append(torch.from_numpy(array))
        return inputs[-1]

    made = case.call(ours, symbol)
    if not inputs:
        return
    real = list(_tensors(case.call(ours, torch.from_numpy)))
    promised = [leaf for leaf in leaves(made) if isinstance(leaf, Symbol)]
    assert len(promised) == len(real), f"{case} of symbols: {len(promised)} results, want {len(real)}"
    for one, other in zip(real, promised):
        assert other.dtype is one.dtype, f"{case} of symbols: {other.dtype}, want {one.dtype}"
        assert len(other.shape) == one.ndim, f"{case} of symbols: {other.shape}, want {tuple(one.shape)}"
        assert all(b in (None, a) for a, b in zip(one.shape, other.shape)), f"{case} of symbols: {other.shape}"
    with torch.no_grad():
        given = Model(inputs, promised)(fed if len(fed) > 1 else fed[0])
    for one, other in zip(real, _tensors(given), strict=True):
        _same(other, one, f"the graph of {case}")
