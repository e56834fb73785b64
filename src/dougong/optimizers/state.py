"""An optimizer's state as named arrays: iteration, learning rate, slots, in Keras's names and order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from dougong.core.errors import ConfigError, ShapeError, near_names

__all__ = ["OptimizerVariable", "arrays_of", "check_arrays", "decimal_rate", "unique_names"]


class OptimizerVariable(NamedTuple):
    """One entry of the state.

    ``parameter`` is the position in ``optimizer.parameters`` of the parameter that a slot belongs to; None for scalars.
    ``value`` is the live slot, shaped as the parameter (torch's layout), or a copy of the scalar.
    """

    name: str
    parameter: int | None
    value: Tensor


def arrays_of(variables: Sequence[OptimizerVariable]) -> dict[str, np.ndarray]:
    """Copies as NumPy arrays; bfloat16, which NumPy lacks, as float32 (exact)."""
    arrays = {}
    for variable in variables:
        value = variable.value.detach().cpu()
        value = value.float() if value.dtype is torch.bfloat16 else value
        arrays[variable.name] = value.contiguous().numpy().copy()
    return arrays


def check_arrays(variables: Sequence[OptimizerVariable], arrays: Mapping[str, np.ndarray], owner: str) -> None:
    """Raises: ConfigError if the names are not the variables' names, ShapeError if a shape differs."""
    names = [variable.name for variable in variables]
    missing = [name for name in names if name not in arrays]
    extra = sorted(set(arrays) - set(names))
    if missing or extra:
        nearest = near_names(missing[0], extra) if missing and extra else []
        raise ConfigError(
            f"the state does not fit {owner}: {len(missing)} missing {missing[:3]}, {len(extra)} unknown {extra[:3]}"
            + (f" (is {missing[0]!r} stored as {nearest[0]!r}?)" if nearest else "")
            + "; load it into the same kind of optimizer, with the same options, built on the same parameters"
        )
    for variable in variables:
        got, want = np.shape(arrays[variable.name]), tuple(variable.value.shape)
        if got != want:
            raise ShapeError(f"state {variable.name!r} of {owner} has shape {want} but received {got}")


def decimal_rate(value: np.ndarray | float) -> float:
    """The learning rate a stored number means.

    Keras stores it in float32; the shortest decimal that rounds to it is what was written in the program.

    >>> decimal_rate(np.float32(0.001)), decimal_rate(0.0003)
    (0.001, 0.0003)
    """
    return float(str(value)) if np.asarray(value).dtype == np.float32 else float(value)


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
