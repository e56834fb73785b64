"""An optimizer's state as named arrays, in Keras's names, order and layout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from dougong.core.errors import ConfigError, ShapeError, near_names

__all__ = ["arrays_of", "check_arrays", "unique_names"]


def arrays_of(variables: Sequence[Any]) -> dict[str, np.ndarray]:
    """Copies as NumPy arrays by unique name; bfloat16, which NumPy lacks, as float32 (exact)."""
    arrays = {}
    for name, variable in zip(unique_names([variable.name for variable in variables]), variables):
        arrays[name] = (variable.detach().float() if variable.dtype is torch.bfloat16 else variable).numpy()
    return arrays


def check_arrays(variables: Sequence[Any], arrays: Mapping[str, np.ndarray], owner: str) -> list[str]:
    """The variables' unique names, under which the arrays stand.

    Raises: ConfigError if the names are not the variables' names, ShapeError if a shape differs.
    """
    names = unique_names([variable.name for variable in variables])
    missing = [name for name in names if name not in arrays]
    extra = sorted(set(arrays) - set(names))
    if missing or extra:
        nearest = near_names(missing[0], extra) if missing and extra else []
        raise ConfigError(
            f"the state does not fit {owner}: {len(missing)} missing {missing[:3]}, {len(extra)} unknown {extra[:3]}"
            + (f" (is {missing[0]!r} stored as {nearest[0]!r}?)" if nearest else "")
            + "; load it into the same kind of optimizer, with the same options, built on the same parameters"
        )
    for name, variable in zip(names, variables):
        got, want = np.shape(arrays[name]), tuple(variable.shape)
        if got != want:
            raise ShapeError(f"state {name!r} of {owner} has shape {want} but received {got}")
    return names


def unique_names(names: Sequence[str]) -> list[str]:
    """The names, with ``_1``, ``_2`` … after those that came before.

    >>> unique_names(["kernel", "bias", "kernel"])
    ['kernel', 'bias', 'kernel_1']
    """
    taken: set[str] = set()
    result = []
    for name in names:
        candidate, count = name, 0
        while candidate in taken:
            count += 1
            candidate = f"{name}_{count}"
        taken.add(candidate)
        result.append(candidate)
    return result
