"""The part of an optimizer that holds parameters: building on them, slots, gradients, whether all is still in place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from torch import Tensor

from dougong.core.errors import BuildError
from dougong.core.layout import Layout
from dougong.core.variable import stored
from dougong.optimizers.average import start_average
from dougong.optimizers.decay import WeightDecay
from dougong.optimizers.flat import FlatGroup
from dougong.optimizers.parameters import FlatParameters
from dougong.optimizers.settings import Settings
from dougong.optimizers.state import unique_names
from dougong.optimizers.weight import Constraint, Weight, resolve

__all__ = ["Building"]


class Building(Settings):
    """An optimizer's parameters in flat memory, with gradients and slots laid out alike."""

    def _begin(self) -> None:
        super()._begin()
        self._flat: FlatParameters | None = None
        self._previous: FlatParameters | None = None
        self._weights: list[Weight] = []
        self._names: list[str] = []
        self._positions: dict[int, int] = {}
        self._offered: dict[int, Weight] = {}
        self._constrained: list[tuple[Tensor, Constraint]] = []
        self._decay = WeightDecay()

    # What a subclass may write.

    def slots(self) -> tuple[tuple[str, ...], ...]:
        """Names of the memory kept for each parameter, in blocks: in a file, a block's slots alternate by parameter."""
        return ()

    def initial_value(self, slot: str) -> float:
        """What a slot is filled with before the first step."""
        return 0.0

    def kind(self, shape: tuple[int, ...], path: str) -> str:
        """Which rule updates a parameter of this shape (Keras's) and path; those of one kind share flat groups."""
        return ""

    def keeps(self, slot: str, kind: str) -> bool:
        """Whether parameters of a kind have a slot."""
        return True

    def slots_apart(self, shape: tuple[int, ...]) -> Mapping[str, tuple[int, ...]]:
        """Slots shaped otherwise than their parameter, in Keras's layout: shapes by name."""
        return {}

    def start(self, groups: Sequence[FlatGroup]) -> None:
        """Fill the slots that do not begin with a constant; called at each building, before old slots are taken."""

    def decay_of(self, kind: str) -> float | None:
        """The weight decay of parameters of a kind."""
        return self.weight_decay

    # Building.

    @property
    def built(self) -> bool:
        """Whether `build` was called."""
        return self._flat is not None

    @built.setter
    def built(self, value: bool) -> None:
        """Assigning changes nothing: optimizers written for Keras end their ``build`` so."""

    @property
    def parameters(self) -> list[Tensor]:
        """The parameters it was built on, in torch's layout."""
        return self._placed.parameters

    @property
    def gradients(self) -> list[Tensor]:
        """One tensor a parameter, shaped and strided as it, to be written before `step`; the same until built again."""
        return self._placed.gradients

    @property
    def groups(self) -> Sequence[FlatGroup]:
        """The flat tensors: values, gradients and slots, for each kind, dtype and device of parameters."""
        return self._placed.groups

    @property
    def _placed(self) -> FlatParameters:
        if self._flat is None:
            raise BuildError(f"{self.name!r} has no parameters yet; call build(module.parameters()) first")
        return self._flat

    def build(
        self,
        variables: Iterable[Tensor],
        constraints: Sequence[Constraint | None] | None = None,
        names: Sequence[str] | None = None,
        layouts: Sequence[Layout] | None = None,
    ) -> None:
        """Move the parameters into flat tensors; make gradients and slots.

        ``variables``: parameters in torch's layout, or a layer's variables in Keras's.
        ``constraints``: a function or None for each parameter; gives its value (torch's layout) after each step.
        ``names``: Keras paths (``dense/kernel``), for the state's names and `exclude_from_weight_decay`.
        ``layouts``: how Keras sees each parameter; variables know it themselves.
        Built again, it goes on: parameters that stay keep their slots; one replaced by another of the same shape, at
        the same position, hands them over.
        Afterwards the parameters share one storage: to pickle a few of them without the others, clone them first.
        Raises: ConfigError if a parameter comes twice, shares memory or is not real.
        """
        self._place(resolve(variables, constraints, names, layouts, self._offered, repr(self.name)))

    def ensure_built(
        self,
        variables: Iterable[Tensor],
        constraints: Sequence[Constraint | None] | None = None,
        names: Sequence[str] | None = None,
        layouts: Sequence[Layout] | None = None,
    ) -> bool:
        """Build unless these parameters still lie where `build` put them.  True if it did: captured steps are void."""
        weights = resolve(variables, constraints, names, layouts, {}, repr(self.name))
        if self.built and self.holds([weight.tensor for weight in weights]):
            return False
        self.build_on(weights)
        return True

    def build_on(self, weights: Sequence[Weight]) -> None:
        """Build on weights of which all is known; a ``build`` of a subclass gets them in Keras's words."""
        if type(self).build is Building.build:
            self._place(weights)
            return
        self._offered = {id(weight.tensor): weight for weight in weights}
        self._previous, self._flat = self._flat, None  # so that `built` is False meanwhile
        try:
            self.build([weight.variable() for weight in weights])
        finally:
            self._flat = self._flat or self._previous
            self._offered, self._previous = {}, None

    def _place(self, weights: Sequence[Weight]) -> None:
        names = unique_names([weight.path for weight in weights])
        flat = FlatParameters(
            [weight.tensor for weight in weights],
            {slot: self.initial_value(slot) for block in self._blocks() for slot in block},
            [self.kind(weight.shape, weight.path) for weight in weights],
            [self.slots_apart(weight.shape) for weight in weights],
            self.keeps,
        )
        if self.use_ema:
            start_average(flat.groups)  # not zeros: a parameter that joins later is averaged from its present value
        self.start(flat.groups)
        previous = self._flat or self._previous
        if previous is not None:
            flat.take_slots(previous)
        self._flat, self._weights, self._names = flat, list(weights), names
        self._positions = {id(weight.tensor): i for i, weight in enumerate(weights)}
        pairs = zip(flat.values, weights)
        self._constrained = [(value, one.constraint) for value, one in pairs if one.constraint is not None]
        self._decay.choose(flat, names)

    def holds(self, parameters: Sequence[Tensor]) -> bool:
        """Whether these are its parameters, in this order, and in place."""
        return self._placed.holds(parameters)

    def _rebuild_if_moved(self) -> None:
        if not self._placed.in_place():
            self.build_on(self._weights)

    def exclude_from_weight_decay(
        self, var_list: Iterable[Tensor] | None = None, var_names: Iterable[str] | None = None
    ) -> None:
        """Do not decay these parameters, nor those in whose name (the last part of the path) a pattern is found."""
        self._decay.exclude([stored(variable)[0] for variable in var_list or ()], var_names)
        if self._flat is not None:
            self._decay.choose(self._flat, self._names)

    def _blocks(self) -> tuple[tuple[str, ...], ...]:
        average = (("average",),) if self.use_ema else ()
        accumulator = (("gradient_accumulator",),) if self.gradient_accumulation_steps else ()
        return (*average, *accumulator, *self.slots())

    def __setstate__(self, state: dict[str, Any]) -> None:
        # A copied or unpickled parameter has memory of its own, and must be moved into flat tensors again.
        vars(self).update(state)
        if self._flat is not None:
            self.build_on(self._weights)

    # Gradients.

    def zero_gradients(self) -> None:
        """Set all gradients to zero and let autograd add to them: each parameter's ``grad`` becomes its view.

        Call it before ``loss.backward()``.  If the module was moved meanwhile, the optimizer is built again.
        """
        self._rebuild_if_moved()
        self._placed.zero_gradients()

    def read_gradients(self) -> None:
        """Copy each parameter's ``grad`` (None: zero), for who computed them without `zero_gradients`."""
        self._rebuild_if_moved()
        self._placed.read_gradients()

    def gradients_finite(self) -> bool:
        """Whether no gradient is NaN or infinite; cheap, to be asked before every step."""
        return self._placed.gradients_finite()

    def takes_gradients(self) -> bool:
        """Whether `step` can do with the gradients: they are finite, or it is to skip those that are not."""
        return self.gradients_finite()

    def nonfinite_gradient(self) -> str | None:
        """The name of the first parameter whose gradient is not finite."""
        index = self._placed.first_nonfinite()
        return None if index is None else self._names[index]
