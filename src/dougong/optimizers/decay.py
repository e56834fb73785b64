"""Decoupled weight decay, and which parameters are spared.   Ref: Loshchilov & Hutter 2017, arXiv:1711.05101."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from dougong.optimizers.parameters import FlatParameters

__all__ = ["WeightDecay"]


class WeightDecay:
    """Multiplies the weights by a factor: whole flat tensors, or one window a parameter if some are excluded."""

    def __init__(self) -> None:
        self._listed: list[Tensor] = []
        self._pattern: re.Pattern[str] | None = None
        self._targets: list[Tensor] = []

    def exclude(self, listed: Iterable[Tensor] | None, patterns: Iterable[str] | None) -> None:
        """Spare these parameters, and those in whose name (the last part of the path) a pattern is found."""
        self._listed = list(listed or ())
        self._pattern = re.compile("|".join(patterns)) if patterns else None

    def choose(self, flat: FlatParameters, names: Sequence[str]) -> None:
        """Fix what is multiplied from now on."""
        if not self._listed and self._pattern is None:
            self._targets = [group.values for group in flat.groups]
            return
        spared = {id(parameter) for parameter in self._listed}
        self._targets = [
            value
            for value, parameter, name in zip(flat.values, flat.parameters, names)
            if id(parameter) not in spared and not (self._pattern and self._pattern.search(name.rpartition("/")[2]))
        ]

    def apply(self, factor: float) -> None:
        """Multiply, in place."""
        if self._targets:
            torch._foreach_mul_(self._targets, factor)
