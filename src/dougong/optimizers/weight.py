"""What an optimizer is given to train: a parameter in torch's layout, and how Keras sees and calls it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import torch
from torch import Tensor

from dougong.core.errors import ConfigError
from dougong.core.layout import IDENTITY, Layout
from dougong.core.variable import Variable, stored, view_of

__all__ = ["Constraint", "Weight", "resolve"]

Constraint: TypeAlias = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Weight:
    """A parameter and how Keras sees it.

    ``shape`` is Keras's; ``constraint`` takes and gives torch's layout; gradients given for it without saying for what
    are in Keras's layout if ``seen_by_keras``.
    """

    tensor: Tensor
    layout: Layout
    path: str
    shape: tuple[int, ...]
    constraint: Constraint | None
    seen_by_keras: bool

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]

    def variable(self) -> Any:
        """The parameter in Keras's words."""
        return view_of(self.tensor, self.layout, self.name, self.path)


def resolve(
    given: Iterable[Tensor],
    constraints: Sequence[Constraint | None] | None,
    names: Sequence[str] | None,
    layouts: Sequence[Layout] | None,
    known: Mapping[int, Weight],
    owner: str,
) -> list[Weight]:
    """The weights that a list of parameters or Keras variables means; ``known`` ones, by id, are taken as they are.

    Raises: ConfigError if one of the lists has another length.
    """
    listed = list(given)
    count = len(listed)
    for what in (constraints, names, layouts):
        if what is not None and len(what) != count:
            raise ConfigError(
                f"{owner} needs a name, a layout and a constraint or None for each of {count} parameters, "
                f"got lists of {', '.join(str(len(one)) for one in (names, layouts, constraints) if one is not None)}"
            )
    weights = []
    for i, one in enumerate(listed):
        tensor, layout = stored(one)
        found = known.get(id(tensor))
        if found is None or constraints is not None or names is not None:
            layout = layout if layouts is None else layouts[i]
            constraint = _own_constraint(one, layout) if constraints is None else constraints[i]
            path = str(getattr(one, "path", f"parameter_{i}")) if names is None else names[i]
            with torch.no_grad():
                shape = tuple(layout.to_keras(tensor).shape)
            found = Weight(tensor, layout, path, shape, constraint, isinstance(one, Variable))
        weights.append(found)
    return weights


def _own_constraint(variable: Any, layout: Layout) -> Constraint | None:
    """A variable's own constraint, which sees Keras's layout, as a function in torch's."""
    constraint = getattr(variable, "constraint", None)
    if constraint is None or layout == IDENTITY:
        return constraint
    return partial(_constrained, constraint, layout)


def _constrained(constraint: Constraint, layout: Layout, value: Tensor) -> Tensor:
    return layout.from_keras(constraint(layout.to_keras(value)))
