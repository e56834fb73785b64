"""Decoupled weight decay, and which parameters are spared.   Ref: Loshchilov & Hutter 2017, arXiv:1711.05101."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor

from dougong.optimizers.parameters import FlatParameters

__all__ = ["WeightDecay"]


class WeightDecay:
    """Multiplies the weights by a factor: whole flat tensors, or one window a parameter if some are excluded."""

    def __init__(self) -> None:
        self._listed: list[Tensor] = []
        self._pattern: re.Pattern[str] | None = None
        self._targets: dict[str, list[Tensor]] = {}

    def exclude(self, listed: Iterable[Tensor] | None, patterns: Iterable[str] | None) -> None:
        """Spare these parameters, and those in whose name (the last part of the path) a pattern is found."""
        self._listed = list(listed or ())
        self._pattern = re.compile("|".join(patterns)) if patterns else None

    def choose(self, flat: FlatParameters, names: Sequence[str]) -> None:
        """Fix what is multiplied from now on."""
        self._targets = {}
        if not self._listed and self._pattern is None:
            for group in flat.groups:
                self._targets.setdefault(group.kind, []).append(group.values)
            return
        spared = {id(parameter) for parameter in self._listed}
        for value, parameter, kind, name in zip(flat.values, flat.parameters, flat.kinds, names):
            if id(parameter) not in spared and not (self._pattern and self._pattern.search(name.rpartition("/")[2])):
                self._targets.setdefault(kind, []).append(value)

    def apply(self, rate: float, decay_of: Callable[[str], float | None]) -> None:
        """Multiply in place by ``1 - rate * decay``, where ``decay_of`` gives the decay of a kind of parameters."""
        for kind, targets in self._targets.items():
            decay = decay_of(kind)
            if decay:
                torch._foreach_mul_(targets, 1.0 - decay * rate)
