"""All parameters of an optimizer in flat memory: their gradients and slots, and whether they are still there."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from dougong.core.errors import ConfigError
from dougong.optimizers.flat import FlatGroup

__all__ = ["FlatParameters"]


class FlatParameters:
    """All parameters of an optimizer, in flat groups by kind, dtype and device, with their slots.

    ``slots`` maps the name of each slot to its initial value; ``kinds`` says which rule updates each parameter,
    and ``keeps`` whether a slot is for a kind.  Slots of another shape than their parameter's lie apart, zero at first:
    ``apart`` maps their names to shapes, for each parameter.
    Raises: ConfigError if a parameter comes twice, shares its memory with another, or is not of a real floating dtype.

    >>> linear = torch.nn.Linear(3, 2)
    >>> flat = FlatParameters(list(linear.parameters()), {"momentum": 0.0})
    >>> len(flat.groups), [tuple(g.shape) for g in flat.gradients], tuple(flat.slot("momentum", 1).shape)
    (1, [(2, 3), (2,)], (2,))
    """

    def __init__(
        self,
        parameters: Sequence[Tensor],
        slots: Mapping[str, float],
        kinds: Sequence[str] | None = None,
        apart: Sequence[Mapping[str, tuple[int, ...]]] | None = None,
        keeps: Callable[[str, str], bool] | None = None,
    ) -> None:
        _check(parameters)
        self.kinds = [""] * len(parameters) if kinds is None else list(kinds)
        members: dict[tuple[str, torch.dtype, torch.device], list[int]] = {}
        for index, (parameter, kind) in enumerate(zip(parameters, self.kinds)):
            members.setdefault((kind, parameter.dtype, parameter.device), []).append(index)
        self.parameters = list(parameters)
        self.groups = [FlatGroup(i, [parameters[k] for k in i], kind) for (kind, _, _), i in members.items()]
        self._where = {i: (group, k) for group in self.groups for k, i in enumerate(group.indices)}
        self._addresses = [parameter.data_ptr() for parameter in parameters]
        self.values = [self._view("value_views", i) for i in range(len(parameters))]
        self.gradients = [self._view("gradient_views", i) for i in range(len(parameters))]
        for group in self.groups:
            kept = [name for name in slots if keeps is None or keeps(name, group.kind)]
            group.slots = {name: group.allocate(slots[name]) for name in kept}
        with torch.inference_mode(False):
            self.apart = [
                {name: torch.zeros(shape, dtype=p.dtype, device=p.device) for name, shape in shapes.items()}
                for p, shapes in zip(parameters, apart or [{}] * len(parameters))
            ]

    def _view(self, kind: str, index: int) -> Tensor:
        group, k = self._where[index]
        return getattr(group, kind)[k]

    def slot(self, name: str, index: int) -> Tensor:
        """The window of parameter ``index`` on a slot, or its own slot that lies apart."""
        if name in self.apart[index]:
            return self.apart[index][name]
        group, k = self._where[index]
        with torch.inference_mode(False):
            return group.places[k].view(group.slots[name])

    def holds(self, parameters: Sequence[Tensor]) -> bool:
        """Whether these are the parameters, in this order, and in place."""
        same = len(parameters) == len(self.parameters) and all(a is b for a, b in zip(parameters, self.parameters))
        return same and self.in_place()

    def in_place(self) -> bool:
        """Whether every parameter still lies where it was put: not moved to a device, not replaced."""
        return all(p.data_ptr() == address for p, address in zip(self.parameters, self._addresses))

    def probably_in_place(self) -> bool:
        """`in_place` for the first parameter of each group: what a step can afford."""
        return all(self.parameters[g.indices[0]].data_ptr() == self._addresses[g.indices[0]] for g in self.groups)

    def zero_gradients(self) -> None:
        """Set all gradients to zero, and let autograd add to them: each parameter's ``grad`` becomes its view."""
        for group in self.groups:
            group.gradients.zero_()
        for parameter, gradient in zip(self.parameters, self.gradients):
            if parameter.grad is not gradient:
                parameter.grad = gradient

    def read_gradients(self) -> None:
        """Copy each parameter's ``grad``; None counts as zero."""
        for parameter, gradient in zip(self.parameters, self.gradients):
            if parameter.grad is None:
                gradient.zero_()
            elif parameter.grad is not gradient:
                gradient.copy_(parameter.grad)

    def gradients_finite(self) -> bool:
        """Whether no gradient is NaN or infinite: one sum a group, as long as all is well."""
        # A sum of finite numbers may overflow, so one that is not finite is only a suspicion.
        return all(math.isfinite(float(g.gradients.sum())) for g in self.groups) or self.first_nonfinite() is None

    def first_nonfinite(self) -> int | None:
        """The position of the first parameter whose gradient is not finite."""
        return next((i for i, g in enumerate(self.gradients) if not bool(g.isfinite().all())), None)

    def take_slots(self, previous: FlatParameters) -> None:
        """Copy the slots of parameters that were there before, and of those replaced by others of the same shape.

        A parameter that is new takes the slots of the one at the same position, if that one is gone.
        """
        known = {id(parameter): i for i, parameter in enumerate(previous.parameters)}
        staying = {known.get(id(parameter)) for parameter in self.parameters}
        for i, parameter in enumerate(self.parameters):
            source = known.get(id(parameter), i)
            replaced = source == i and id(parameter) not in known
            if source >= len(previous.parameters) or (replaced and source in staying):
                continue
            if previous.values[source].shape == parameter.shape:
                for name in previous.slot_names(source) & self.slot_names(i):
                    self.slot(name, i).copy_(previous.slot(name, source))

    def slot_names(self, index: int) -> set[str]:
        """The slots that parameter ``index`` has."""
        return {*self._where[index][0].slots, *self.apart[index]}


def _check(parameters: Sequence[Tensor]) -> None:
    addresses = [address for parameter in parameters if (address := parameter.data_ptr())]  # 0: empty, or meta
    if len({id(parameter) for parameter in parameters}) < len(parameters):
        raise ConfigError("a parameter is listed twice; give each one once, as module.parameters() does")
    if len(set(addresses)) < len(addresses):
        raise ConfigError(
            "two parameters share their memory; to tie weights, assign the same Parameter to both modules"
        )
    for index, parameter in enumerate(parameters):
        if not parameter.is_floating_point():
            raise ConfigError(f"parameter {index} is of dtype {parameter.dtype}; only real floating dtypes are trained")
