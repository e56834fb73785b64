"""Optimizers that leave the steps to others: what a caller sees of them, gathered from those within."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any

from torch import Tensor

from dougong.core.errors import BuildError
from dougong.core.layout import Layout
from dougong.core.variable import stored
from dougong.optimizers.flat import FlatGroup
from dougong.optimizers.optimizer import Optimizer
from dougong.optimizers.weight import Constraint, Weight, resolve

__all__ = ["Wrapping"]


class Wrapping(Optimizer):
    """Holds ``optimizers``, each built on some of the parameters.  A subclass writes `distribute`, `step`, `apply`."""

    optimizers: Sequence[Optimizer]

    def __init__(self, optimizers: Iterable[Optimizer], name: str | None) -> None:
        self.optimizers = list(optimizers)
        super().__init__(0.0, name=name)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(repr, self.optimizers))})"

    @abstractmethod
    def distribute(self, weights: Sequence[Weight]) -> None:
        """Build the optimizers within."""

    @property
    def groups(self) -> Sequence[FlatGroup]:
        return [group for one in self._working for group in one.groups]

    @property
    def use_ema(self) -> bool:
        """Whether one of the optimizers within keeps averages."""
        return any(one.use_ema for one in self.optimizers)

    @use_ema.setter
    def use_ema(self, value: bool) -> None:
        """Nothing to set: an optimizer that holds others keeps no averages itself."""

    # Building.

    @property
    def built(self) -> bool:
        return bool(self._weights)

    @built.setter
    def built(self, value: bool) -> None:
        """As for any optimizer, assigning changes nothing."""

    @property
    def parameters(self) -> list[Tensor]:
        return [weight.tensor for weight in self._known]

    @property
    def gradients(self) -> list[Tensor]:
        found = {id(p): g for one in self._working for p, g in zip(one.parameters, one.gradients)}
        return [found[id(weight.tensor)] for weight in self._known]

    @property
    def _known(self) -> list[Weight]:
        if not self._weights:
            raise BuildError(f"{self.name!r} has no parameters yet; call build(module.parameters()) first")
        return self._weights

    @property
    def _working(self) -> list[Optimizer]:
        return [one for one in self.optimizers if one.built]

    def build(
        self,
        variables: Iterable[Tensor],
        constraints: Sequence[Constraint | None] | None = None,
        names: Sequence[str] | None = None,
        layouts: Sequence[Layout] | None = None,
    ) -> None:
        """Build the optimizers within; see `Optimizer.build`."""
        self.build_on(resolve(variables, constraints, names, layouts, {}, repr(self.name)))

    def build_on(self, weights: Sequence[Weight]) -> None:
        self.distribute(weights)
        self._weights = list(weights)
        self._positions = {id(weight.tensor): i for i, weight in enumerate(weights)}
        self._names = [weight.path for weight in weights]

    def holds(self, parameters: Sequence[Tensor]) -> bool:
        same = len(parameters) == len(self._known) and all(a is b.tensor for a, b in zip(parameters, self._known))
        return same and all(one.holds(one.parameters) for one in self._working)

    def _rebuild_if_moved(self) -> None:
        if not self.holds(self.parameters):
            self.build_on(self._weights)

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)  # the optimizers within have found their parameters again by themselves

    def exclude_from_weight_decay(
        self, var_list: Iterable[Tensor] | None = None, var_names: Iterable[str] | None = None
    ) -> None:
        listed, patterns = list(var_list or ()), list(var_names or ())
        for one in self.optimizers:
            one.exclude_from_weight_decay(listed, patterns)

    # Gradients.

    def zero_gradients(self) -> None:
        self._rebuild_if_moved()
        for one in self._working:
            one.zero_gradients()

    def read_gradients(self) -> None:
        self._rebuild_if_moved()
        for one in self._working:
            one.read_gradients()

    def gradients_finite(self) -> bool:
        return all(one.gradients_finite() for one in self._working)

    def nonfinite_gradient(self) -> str | None:
        found = (one.nonfinite_gradient() for one in self._working)
        return next((name for name in found if name is not None), None)

    # Averages.

    def swap_average(self) -> None:
        for one in self._working:
            one.swap_average()

    def finalize_variable_values(self, var_list: Iterable[Tensor] | None = None) -> None:
        listed = None if var_list is None else [stored(variable)[0] for variable in var_list]
        for one in self._working:
            one.finalize_variable_values(listed)

    # State.

    @property
    def variables(self) -> list[Any]:
        """Its own scalars, then the state of each optimizer within."""
        return [*self.own_variables(), *(variable for one in self.optimizers for variable in one.variables)]

    def own_variables(self) -> list[Any]:
        """The state beside that of the optimizers within."""
        return [self._scalar("_steps_done", "iteration"), self._scalar("_learning_rate", "learning_rate")]
