"""What optimizers written for Keras use: `update_step`, variables of their own, assignments, stateless steps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, cast

import torch
from torch import Tensor

from dougong.core.dtypes import torch_dtype
from dougong.core.errors import BuildError, ConfigError
from dougong.core.variable import Variable, stored
from dougong.ops import initializers
from dougong.optimizers.saving import Saving
from dougong.optimizers.weight import Weight

__all__ = ["KerasStyle"]


class KerasStyle(Saving, ABC):
    """An optimizer that may be written as one for Keras: ``build(variables)`` makes variables, `update_step` uses them.

    >>> from dougong.optimizers import Optimizer
    >>> class Momentum(Optimizer):
    ...     def build(self, variables):
    ...         super().build(variables)
    ...         self.momenta = self.add_optimizer_variables(variables, "momentum")
    ...     def update_step(self, gradient, variable, learning_rate):
    ...         momentum = self.momenta[self._get_variable_index(variable)]
    ...         self.assign(momentum, momentum * 0.5 - gradient * learning_rate)
    ...         self.assign_add(variable, momentum)
    >>> weight, optimizer = Variable([1.0], name="weight"), Momentum(0.25)
    >>> for _ in range(2):
    ...     optimizer.apply([torch.tensor([1.0])], [weight])
    >>> weight.numpy(), [variable.name for variable in optimizer.variables]
    (array([0.375], dtype=float32), ['iteration', 'learning_rate', 'weight_momentum'])
    """

    def _begin(self) -> None:
        super()._begin()
        self._own: list[Variable] = []

    def update_step(self, gradient: Tensor, variable: Any, learning_rate: float) -> None:
        """Change one variable, in Keras's layout, by its gradient.  An optimizer writes this or `update`."""
        raise NotImplementedError(
            f"{type(self).__name__} has no rule: write update_step(gradient, variable, learning_rate), "
            "or update(groups, rate, step) for all parameters at once"
        )

    def _update_each(self, rate: float, absent: Iterable[int]) -> None:
        """`update_step` for every parameter that has a gradient."""
        skipped = set(absent)
        with torch.no_grad():
            for i, (weight, gradient) in enumerate(zip(self._weights, self.gradients)):
                if i not in skipped:
                    self.update_step(weight.layout.to_keras(gradient), weight.variable(), rate)

    # Variables of a subclass's own.

    @property
    def variables(self) -> list[Any]:
        return [*super().variables, *self._own]

    def add_variable(
        self,
        shape: Sequence[int],
        initializer: Any = "zeros",
        dtype: Any = None,
        aggregation: str = "none",
        layout: Any = None,
        name: str | None = None,
    ) -> Variable:
        """A variable that is part of the state; ``aggregation`` and ``layout`` change nothing.   Keras: equals it."""
        name = name or "variable"
        kind = torch_dtype(dtype)
        first = initializers.get(initializer or "zeros")(tuple(shape), dtype=kind)  # type: ignore[misc]
        own = Variable.around(torch.as_tensor(first, dtype=kind), name, path=f"{self.name}/{name}", trainable=False)
        self._own.append(own)
        return own

    def add_variable_from_reference(
        self, reference_variable: Tensor, name: str | None = None, initializer: Any = "zeros"
    ) -> Variable:
        """A variable shaped as another, on its device.   Keras: equals it."""
        path = self._path_of(reference_variable).replace("/", "_")
        own = self.add_variable(
            tuple(reference_variable.shape), initializer, reference_variable.dtype, name=f"{path}_{name or 'var'}"
        )
        own.data = own.data.to(reference_variable.device)
        return own

    def add_optimizer_variables(
        self, trainable_variables: Iterable[Tensor], name: str | Sequence[str], initializer: Any = "zeros"
    ) -> Any:
        """A variable for each one given; with several names a tuple of lists, one a name.   Keras: equals it."""
        names = [name] if isinstance(name, str) else list(name)
        several = isinstance(initializer, list | tuple)
        initializers = list(initializer) if several else [initializer] * len(names)
        if len(initializers) != len(names):
            raise ConfigError(f"{len(names)} names {names} need as many initializers, got {len(initializers)}")
        made: tuple[list[Variable], ...] = tuple([] for _ in names)
        for variable in trainable_variables:
            for found, one, first in zip(made, names, initializers):
                found.append(self.add_variable_from_reference(variable, one, first))
        return made[0] if isinstance(name, str) else made

    def _path_of(self, variable: Tensor) -> str:
        index = self._positions.get(id(stored(variable)[0]))
        return str(getattr(variable, "path", "parameter")) if index is None else self._names[index]

    def _get_variable_index(self, variable: Tensor) -> int:
        """The position of a variable among those it was built on.   Raises: ConfigError for another one."""
        found = self._positions.get(id(stored(variable)[0]))
        if found is None:
            raise ConfigError(f"{self.name!r} was not built on {getattr(variable, 'path', 'this variable')!r}")
        return found

    def build_on(self, weights: Sequence[Weight]) -> None:
        before, self._own = self._own, []
        super().build_on(weights)
        for new in self._own:  # a second building makes the variables anew: they take over the values
            old = next((one for one in before if (one.name, one.shape) == (new.name, new.shape)), None)
            if old is not None:
                new.assign(old)
                before = [one for one in before if one is not old]
        self._own = [*before, *self._own]

    # Assignments.

    def assign(self, variable: Any, value: Any) -> None:
        """Write a value into a variable or parameter."""
        _writable(variable).assign(value)

    def assign_add(self, variable: Any, value: Any) -> None:
        """Add to a variable or parameter."""
        _writable(variable).assign_add(value)

    def assign_sub(self, variable: Any, value: Any) -> None:
        """Subtract from a variable or parameter."""
        _writable(variable).assign_sub(value)

    # Steps without lasting effect.

    @abstractmethod
    def apply(self, grads: Iterable[Tensor | None], trainable_variables: Iterable[Tensor] | None = None) -> None:
        """Write these gradients and step; see `Optimizer`."""

    def stateless_apply(
        self, optimizer_variables: Sequence[Any], grads: Sequence[Any], trainable_variables: Sequence[Any]
    ) -> tuple[list[Tensor], list[Tensor]]:
        """What parameters and state would be after a step from these values, in Keras's layout; nothing is changed.

        Raises: BuildError if it is not built; ConfigError if a list has another length.
        Keras: equals ``Optimizer.stateless_apply``.
        """
        if not self.built:
            raise BuildError(f"{self.name!r} has no parameters yet; call build(trainable_variables) first")
        weights = [weight.variable() for weight in self._weights]
        if len(weights) != len(trainable_variables):
            raise ConfigError(f"{self.name!r} has {len(weights)} parameters but received {len(trainable_variables)}")
        before = [_copy(weight) for weight in weights], self._values()
        try:
            self._write_all(weights, trainable_variables, optimizer_variables)
            self.apply(grads, weights)
            return [_copy(weight.variable()) for weight in self._weights], self._values()
        finally:
            self._write_all(weights, *before)

    def _write_all(self, weights: Sequence[Any], values: Sequence[Any], state: Sequence[Any]) -> None:
        for weight, value in zip(weights, values):
            weight.assign(value)
        self.set_weights(state)


def _copy(variable: Any) -> Tensor:
    return variable.detach().clone().as_subclass(Tensor)


def _writable(variable: Any) -> Any:
    """The variable itself; a plain parameter as one."""
    if hasattr(variable, "assign"):
        return variable
    return cast(Any, Variable.around(variable.data, "parameter"))
