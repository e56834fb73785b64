"""A case: one configuration of one layer and what it is called on, as plain data that prints as the code to make it.

A failing case is printed by hypothesis and can be pasted into `regressions` as it is.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import MISSING, dataclass, field, fields
from typing import Any

import numpy as np
import torch
from hypothesis import HealthCheck, settings

__all__ = ["Block", "Case", "Draw", "array_of", "examples"]


class _Short:
    """Prints without the fields that have their default, as one would write it."""

    def __repr__(self) -> str:
        said = []
        for one in fields(self):  # type: ignore[arg-type]
            value = getattr(self, one.name)
            default = one.default if one.default_factory is MISSING else one.default_factory()
            if one.default is MISSING and one.default_factory is MISSING:
                said.append(repr(value))
            elif value != default:
                said.append(f"{one.name}={value!r}")
        return f"{type(self).__name__}({', '.join(said)})"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self))  # hypothesis's printer


@dataclass(frozen=True, repr=False)
class Draw(_Short):
    """An array to be drawn: ``kind`` is what its numbers are, ``masked`` the number of leading axes of its mask.

    Kinds: "normal", "ties" (few different values), "share" (in (0, 1)), "signs" (-1 or 1), "zeros", "distribution"
    and "one-hot" (over the last axis), "whole" (0 … ``below`` - 1) and "bool".
    All but the last two have the case's dtype unless ``dtype`` says otherwise.
    """

    shape: tuple[int, ...]
    kind: str = "normal"
    below: int = 5
    masked: int = 0
    dtype: str = ""


@dataclass(frozen=True, repr=False)
class Block(_Short):
    """A layer among the arguments of another one, such as the cell of an RNN."""

    kind: str
    config: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, repr=False)
class Case(_Short):
    """What is made, what it is called on, and the seed of all its numbers."""

    kind: str
    config: dict[str, Any]
    on: tuple[Any, ...]  # the positional arguments: nested `Draw`s
    seed: int = 0
    dtype: str = "float32"
    training: bool | None = None
    call: dict[str, Any] = field(default_factory=dict)  # keyword arguments, in which a `Draw` stands for a tensor
    free: tuple[int, ...] = ()  # axes that may be unknown, besides the batch
    twice: bool = False  # called a second time, for layers that keep something


def array_of(draw: Draw, rng: np.random.Generator, dtype: str) -> torch.Tensor:
    """The tensor that ``draw`` asks for, with its mask."""
    kinds: dict[str, Callable[[], Any]] = {
        "normal": lambda: rng.normal(size=draw.shape),
        "ties": lambda: rng.integers(-2, 3, size=draw.shape) / 2,
        "share": lambda: rng.uniform(0.05, 0.95, size=draw.shape),
        "signs": lambda: rng.integers(0, 2, size=draw.shape) * 2.0 - 1,
        "distribution": lambda: rng.dirichlet(np.ones(draw.shape[-1]), size=draw.shape[:-1]),
        "one-hot": lambda: np.eye(draw.shape[-1])[rng.integers(0, draw.shape[-1], size=draw.shape[:-1])],
        "zeros": lambda: np.zeros(draw.shape),
        "whole": lambda: rng.integers(0, draw.below, size=draw.shape),
        "bool": lambda: rng.integers(0, 2, size=draw.shape).astype(bool),
    }
    exact = {"whole": "int64", "bool": "bool"}.get(draw.kind, dtype)
    value = torch.tensor(kinds[draw.kind]()).to(getattr(torch, draw.dtype or exact))
    if draw.masked:
        value._keras_mask = torch.tensor(rng.integers(0, 4, size=draw.shape[: draw.masked]) > 0)  # type: ignore[attr-defined]
    return value


_MORE = float(os.environ.get("DOUGONG_PROPERTY_EXAMPLES", "1"))


def examples(number: int) -> settings:
    """Fresh random cases in each run, ``number`` times the environment's ``DOUGONG_PROPERTY_EXAMPLES``.

    A failure prints the shrunk case and the blob, or the seed, that repeats it.
    """
    return settings(
        max_examples=max(1, round(number * _MORE)),
        deadline=None,
        print_blob=True,
        derandomize=False,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
    )
