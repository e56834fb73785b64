"""The part of an optimizer that shows and takes its state, in Keras's names, order and layout."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, MutableMapping, Sequence
from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from dougong.core.errors import ConfigError
from dougong.core.variable import view_of
from dougong.optimizers.building import Building
from dougong.optimizers.live import HostVariable
from dougong.optimizers.state import arrays_of, check_arrays

__all__ = ["Saving"]


class Saving(Building):
    """An optimizer's state: as variables, as arrays by name, as Keras's files number it."""

    saved_scalars: ClassVar[Mapping[str, str]] = {}
    """Attributes, floats, that are part of the state, and what Keras calls them."""

    @property
    def variables(self) -> list[Any]:
        """All state in Keras's order: iteration, learning rate (unless a schedule decides), slots, further scalars.

        Slots are live, in Keras's layout; assigning to any of them changes the optimizer.   Keras: equals it, but for
        the precision of scalars, which are float64 and int64 here, float32 and int32 there.
        """
        found: list[Any] = [self._scalar("_steps_done", "iteration")]
        if isinstance(self._learning_rate, float):
            found.append(self._scalar("_learning_rate", "learning_rate"))
        if self._flat is None:
            return found
        for block in self._blocks():
            for index in range(len(self._weights)):
                found += self.slot_variables(block, index)
        scalars = self.saved_scalars.items()
        return found + [HostVariable.scalar(getattr(self, a), n, n, partial(setattr, self, a)) for a, n in scalars]

    def slot_variables(self, block: Sequence[str], index: int) -> list[Any]:
        """What is saved of one parameter's slots in a block."""
        flat, layout = self._placed, self._weights[index].layout
        prefix = self._names[index].replace("/", "_")
        return [
            view_of(flat.slot(slot, index), layout, f"{prefix}_{slot}", f"{self.name}/{prefix}_{slot}")
            for slot in block
            if slot in flat.slot_names(index)
        ]

    def _scalar(self, attribute: str, name: str) -> HostVariable:
        return HostVariable.scalar(
            getattr(self, attribute), name, f"{self.name}/{name}", partial(setattr, self, attribute)
        )

    def state(self) -> dict[str, np.ndarray]:
        """All that a resumed run needs, as copies by name.   Raises: BuildError before it is built."""
        self.parameters  # noqa: B018  raises if there are none yet
        return arrays_of(self.variables)

    def load_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Take over what `state` gave, or a file's arrays under the same names.

        Raises: ConfigError if names differ, ShapeError if a shape differs, both before anything is changed.
        """
        variables = self.variables
        for name, variable in zip(check_arrays(variables, state, repr(self.name)), variables):
            variable.assign(np.array(state[name]))

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Assign to `variables`, in order.   Raises: ConfigError for another number of them.   Keras: equals it."""
        variables = self.variables
        if len(weights) != len(variables):
            raise ConfigError(f"{self.name!r} has {len(variables)} variables but received {len(weights)}")
        for variable, value in zip(variables, weights):
            variable.assign(value)

    def save_own_variables(self, store: MutableMapping[str, Any]) -> None:
        """Write the state as ``store["0"]``, ``store["1"]`` …, as Keras's files have it."""
        for i, value in enumerate(arrays_of(self.variables).values()):
            store[str(i)] = value

    def load_own_variables(self, store: Mapping[str, Any]) -> None:
        """Read what `save_own_variables`, here or of Keras, wrote; warns and skips if the numbers of arrays differ."""
        variables = self.variables
        if len(store) != len(variables):
            unbuilt = "" if self.built else "; it is not built yet"
            warnings.warn(
                f"the state of {self.name!r} is left as it is: it has {len(variables)} variables{unbuilt}, "
                f"and {len(store)} are stored",
                stacklevel=2,
            )
            return
        self.set_weights([np.array(store[str(i)]) for i in range(len(variables))])

    def _values(self) -> list[Tensor]:
        with torch.no_grad():
            return [variable.detach().clone().as_subclass(Tensor) for variable in self.variables]
