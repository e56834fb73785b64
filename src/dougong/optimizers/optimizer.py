"""What all optimizers share: flat parameters, gradients, clipping, weight decay, averaging, accumulation, state.

A step, in this order: accumulate, clip, decay weights, update, average, apply constraints.   Ref: Keras 3 semantics.
"""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, Self, TypeAlias

import numpy as np
import torch
from torch import Tensor

from dougong.core.config import Configurable
from dougong.core.errors import BuildError, ConfigError
from dougong.core.names import snake_case, unique_name
from dougong.optimizers import clipping
from dougong.optimizers.average import start_average, swap_average, update_average
from dougong.optimizers.decay import WeightDecay
from dougong.optimizers.flat import FlatGroup
from dougong.optimizers.options import (
    LearningRate,
    check_accumulation,
    check_averaging,
    check_clipping,
    checked_rate,
    refuse_historic,
)
from dougong.optimizers.parameters import FlatParameters
from dougong.optimizers.schedules import LearningRateSchedule
from dougong.optimizers.schedules import deserialize as deserialize_schedule
from dougong.optimizers.state import OptimizerVariable, arrays_of, check_arrays, decimal_rate, unique_names

__all__ = ["Constraint", "Optimizer"]

Constraint: TypeAlias = Callable[[Tensor], Tensor]


class Optimizer(Configurable, ABC):
    r"""Changes parameters by their gradients.

    A caller builds it, writes gradients, and steps:

    - ``build(parameters)`` moves the parameters into flat tensors (see `flat`); ``optimizer.gradients`` then holds one
      tensor a parameter, into which the caller, or autograd after `zero_gradients`, writes;
    - ``step()`` uses up what stands in them: it may clip and average them in place.

    A subclass writes `update` and, if it needs memory, `slots`.

    Arguments that all optimizers take (Keras: equals ``keras.optimizers.Optimizer``):

    - ``learning_rate``: a number, a schedule (of the steps done), or a function without arguments;
    - ``weight_decay``: before each update the weights are multiplied by :math:`1 - \eta \cdot` ``weight_decay``;
    - ``clipnorm``, ``clipvalue``, ``global_clipnorm``: see `clipping`; at most one of them;
    - ``use_ema``, ``ema_momentum``: keep an average of the weights, see `averaged`;
    - ``ema_overwrite_frequency``: every so many updates the weights become their average;
    - ``gradient_accumulation_steps``: update at every k-th step only, by the mean of k gradients;
    - ``loss_scale_factor``: only None, losses are not scaled.

    >>> class SignDescent(Optimizer):
    ...     def __init__(self, learning_rate: float = 0.25) -> None:
    ...         super().__init__(learning_rate)
    ...     def update(self, groups, rate, step):
    ...         for group in groups:
    ...             group.values.add_(group.gradients.sign_(), alpha=-rate)
    >>> weight, optimizer = torch.nn.Parameter(torch.tensor([3.0])), SignDescent()
    >>> optimizer.build([weight])
    >>> for _ in range(2):
    ...     optimizer.zero_gradients()
    ...     (weight**2).sum().backward()
    ...     optimizer.step()
    >>> weight.data
    tensor([2.5000])
    """

    keras_module: ClassVar[str] = "keras.optimizers"
    saved_scalars: ClassVar[tuple[str, ...]] = ()
    """Attributes, floats, that are part of the state."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        refuse_historic(cls.__name__, kwargs)
        return super().__new__(cls, *args, **kwargs)

    def __init__(
        self,
        learning_rate: LearningRate,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
    ) -> None:
        self._learning_rate = checked_rate(learning_rate)
        self.weight_decay = weight_decay
        self.clipnorm = clipnorm
        self.clipvalue = clipvalue
        self.global_clipnorm = global_clipnorm
        self.use_ema = use_ema
        self.ema_momentum = ema_momentum
        self.ema_overwrite_frequency = ema_overwrite_frequency
        self.loss_scale_factor = loss_scale_factor
        self.gradient_accumulation_steps = gradient_accumulation_steps
        self.name = name or unique_name(snake_case(type(self).__name__))
        check_clipping(clipnorm=clipnorm, clipvalue=clipvalue, global_clipnorm=global_clipnorm)
        check_averaging(use_ema, ema_momentum, ema_overwrite_frequency)
        check_accumulation(gradient_accumulation_steps, loss_scale_factor)
        self._flat: FlatParameters | None = None
        self._names: list[str] = []
        self._constraints: list[Constraint | None] = []
        self._constrained: list[tuple[Tensor, Constraint]] = []
        self._decay = WeightDecay()
        self._steps_done = 0

    def __repr__(self) -> str:
        return f"{type(self).__name__}(learning_rate={self.learning_rate:g}, iterations={self.iterations})"

    # What a subclass writes.

    @abstractmethod
    def update(self, groups: Sequence[FlatGroup], rate: float, step: int) -> None:
        """Change ``group.values`` by ``group.gradients`` and ``group.slots``; ``step`` counts updates from 1."""

    def slots(self) -> tuple[tuple[str, ...], ...]:
        """Names of the memory kept for each parameter, in blocks: in a file, a block's slots alternate by parameter."""
        return ()

    def initial_value(self, slot: str) -> float:
        """What a slot is filled with before the first step."""
        return 0.0

    # Learning rate, counters, config.

    @property
    def learning_rate(self) -> float:
        """The rate of the next step.  Assign a number or a schedule.

        Raises: ConfigError when a number is assigned while a schedule decides, as in Keras.
        """
        rate = self._learning_rate
        if isinstance(rate, LearningRateSchedule):
            return float(rate(self._steps_done))
        return float(rate()) if callable(rate) else rate

    @learning_rate.setter
    def learning_rate(self, value: LearningRate) -> None:
        if isinstance(self._learning_rate, LearningRateSchedule) and not callable(value):
            raise ConfigError(
                f"the learning rate of {self.name!r} is set by its {type(self._learning_rate).__name__}; "
                "assign another schedule, or create the optimizer with a number"
            )
        self._learning_rate = checked_rate(value)

    @property
    def iterations(self) -> int:
        """Updates done: steps, divided by ``gradient_accumulation_steps`` if that is set."""
        return self._steps_done // (self.gradient_accumulation_steps or 1)

    def constructor_arguments(self) -> dict[str, Any]:
        """As `Configurable` has it, with the schedule itself rather than its present value."""
        arguments = super().constructor_arguments()
        return {name: self._learning_rate if name == "learning_rate" else arguments[name] for name in arguments}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Rebuild from `get_config`'s result; the state is not part of it."""
        rate = config.get("learning_rate")
        if isinstance(rate, Mapping):
            config = {**config, "learning_rate": deserialize_schedule(rate)}
        return super().from_config(config)

    # Building.

    @property
    def built(self) -> bool:
        """Whether `build` was called."""
        return self._flat is not None

    @property
    def parameters(self) -> list[Tensor]:
        """The parameters it was built on."""
        return self._built.parameters

    @property
    def gradients(self) -> list[Tensor]:
        """One tensor a parameter, shaped and strided as it, to be written before `step`; the same until built again."""
        return self._built.gradients

    @property
    def _built(self) -> FlatParameters:
        if self._flat is None:
            raise BuildError(f"{self.name!r} has no parameters yet; call build(module.parameters()) first")
        return self._flat

    def build(
        self,
        parameters: Iterable[Tensor],
        constraints: Sequence[Constraint | None] | None = None,
        names: Sequence[str] | None = None,
    ) -> None:
        """Move the parameters into flat tensors; make gradients and slots.

        ``constraints``: a function or None for each parameter; gives its value (torch's layout) after each step.
        ``names``: Keras paths (``dense/kernel``), for the state's names and `exclude_from_weight_decay`.
        Built again, it goes on: parameters that stay keep their slots; one replaced by another of the same shape, at
        the same position, hands them over.
        Afterwards the parameters share one storage: to pickle a few of them without the others, clone them first.
        Raises: ConfigError if a parameter comes twice, shares memory or is not real.
        """
        parameters = list(parameters)
        names = [f"parameter_{i}" for i in range(len(parameters))] if names is None else list(names)
        constraints = list(constraints or [None] * len(parameters))
        if not len(names) == len(constraints) == len(parameters):
            raise ConfigError(
                f"{self.name!r} needs a name and a constraint or None for each of {len(parameters)} parameters, "
                f"got {len(names)} and {len(constraints)}"
            )
        flat = FlatParameters(parameters, {s: self.initial_value(s) for block in self._blocks() for s in block})
        if self.use_ema:
            start_average(flat.groups)  # not zeros: a parameter that joins later is averaged from its present value
        if self._flat is not None:
            flat.take_slots(self._flat)
        self._flat, self._names, self._constraints = flat, unique_names(names), constraints
        self._constrained = [(value, one) for value, one in zip(flat.values, constraints) if one is not None]
        self._decay.choose(flat, self._names)

    def ensure_built(
        self,
        parameters: Iterable[Tensor],
        constraints: Sequence[Constraint | None] | None = None,
        names: Sequence[str] | None = None,
    ) -> bool:
        """Build unless these parameters still lie where `build` put them.  True if it did: captured steps are void."""
        parameters = list(parameters)
        if self._flat is not None and self._flat.holds(parameters):
            return False
        self.build(parameters, constraints, names)
        return True

    def _rebuild_if_moved(self) -> None:
        if not self._built.in_place():
            self.build(self.parameters, self._constraints, self._names)

    def exclude_from_weight_decay(
        self, var_list: Iterable[Tensor] | None = None, var_names: Iterable[str] | None = None
    ) -> None:
        """Do not decay these parameters, nor those in whose name (the last part of the path) a pattern is found."""
        self._decay.exclude(var_list, var_names)
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
            self.build(self._flat.parameters, self._constraints, self._names)

    # Gradients.

    def zero_gradients(self) -> None:
        """Set all gradients to zero and let autograd add to them: each parameter's ``grad`` becomes its view.

        Call it before ``loss.backward()``.  If the module was moved meanwhile, the optimizer is built again.
        """
        self._rebuild_if_moved()
        self._built.zero_gradients()

    def read_gradients(self) -> None:
        """Copy each parameter's ``grad`` (None: zero), for who computed them without `zero_gradients`."""
        self._rebuild_if_moved()
        self._built.read_gradients()

    def gradients_finite(self) -> bool:
        """Whether no gradient is NaN or infinite; cheap, to be asked before every step."""
        return self._built.gradients_finite()

    def nonfinite_gradient(self) -> str | None:
        """The name of the first parameter whose gradient is not finite."""
        index = self._built.first_nonfinite()
        return None if index is None else self._names[index]

    # Stepping.

    def step(self) -> None:
        """Apply `gradients`.   Raises: BuildError if the parameters were moved or replaced since `build`."""
        self._advance(())

    def apply(self, grads: Iterable[Tensor | None], parameters: Iterable[Tensor] | None = None) -> None:
        """Write these gradients and step.  Parameters without one (None, or not listed) stay as they are.

        The first call with ``parameters`` builds.   Raises: ConfigError for unknown parameters, or if all gradients are
        None.   Keras: equals ``Optimizer.apply``.
        """
        grads = list(grads)
        if not grads:
            return
        listed = self.parameters if parameters is None else list(parameters)
        if self._flat is None:
            self.build(listed)
        self._rebuild_if_moved()
        given = self._matched(grads, listed)
        absent = [i for i in range(len(self.parameters)) if i not in given]
        for i in absent:
            self.gradients[i].zero_()
        torch._foreach_copy_([self.gradients[i] for i in given], list(given.values()))
        self._advance(absent)

    def apply_gradients(self, grads_and_vars: Iterable[tuple[Tensor | None, Tensor]]) -> int:
        """`apply` for pairs of gradient and parameter; gives the number of steps done.   Keras: equals it."""
        pairs = list(grads_and_vars)
        self.apply([gradient for gradient, _ in pairs], [parameter for _, parameter in pairs])
        return self._steps_done

    def _matched(self, grads: Sequence[Tensor | None], listed: Sequence[Tensor]) -> dict[int, Tensor]:
        """The gradients that are there, by position of their parameter."""
        if len(grads) != len(listed):
            raise ConfigError(f"{self.name!r} received {len(grads)} gradients for {len(listed)} parameters")
        positions = {id(parameter): i for i, parameter in enumerate(self.parameters)}
        unknown = [i for i, parameter in enumerate(listed) if id(parameter) not in positions]
        if unknown:
            raise ConfigError(
                f"{self.name!r} was not built on the parameter at position {unknown[0]} of those given; "
                "call build with all of them first"
            )
        indices = [positions[id(parameter)] for parameter in listed]
        missing = [self._names[i] for i, gradient in zip(indices, grads) if gradient is None]
        if len(missing) == len(grads):
            raise ConfigError(f"no gradient for any of the parameters of {self.name!r}; does the loss depend on them?")
        if missing:
            warnings.warn(f"no gradient for {', '.join(missing)}: left as they are", stacklevel=3)
        return {i: gradient for i, gradient in zip(indices, grads) if gradient is not None}

    def _advance(self, absent: Sequence[int]) -> None:
        """One step; parameters in ``absent`` take no part in the update."""
        flat = self._built
        if not flat.probably_in_place():
            raise BuildError(
                f"the parameters of {self.name!r} were moved or replaced; call ensure_built(parameters) first"
            )
        if self._accumulated():
            held = [(view, view.clone()) for i in absent for view in self._updated_views(i)]
            rate = self.learning_rate
            self._clip()
            if self.weight_decay:
                self._decay.apply(1.0 - self.weight_decay * rate)
            self.update(flat.groups, rate, self.iterations + 1)
            for view, value in held:
                view.copy_(value)
            # The parameters changed behind autograd's back: a graph kept from before must refuse to run backward.
            torch.autograd.graph.increment_version(flat.parameters)
        if self.use_ema:
            self._average()
        for value, constraint in self._constrained:
            value.copy_(constraint(value))
        self._steps_done += 1

    def _accumulated(self) -> bool:
        """Whether to update now; the gradients are then the mean of those since the last update."""
        every = self.gradient_accumulation_steps
        if not every:
            return True
        due = (self._steps_done + 1) % every == 0
        for group in self._built.groups:
            sums = group.slots["gradient_accumulator"]
            sums.add_(group.gradients)
            if due:
                torch.div(sums, every, out=group.gradients)
                sums.zero_()
        return due

    def _clip(self) -> None:
        groups = self._built.groups
        if self.clipnorm:
            clipping.clip_by_norm(groups, self.clipnorm)
        elif self.global_clipnorm:
            clipping.clip_by_global_norm(groups, self.global_clipnorm)
        elif self.clipvalue:
            clipping.clip_by_value(groups, self.clipvalue)

    def _updated_views(self, index: int) -> list[Tensor]:
        slots = [slot for block in self.slots() for slot in block]
        return [self._built.values[index], *(self._built.slot(slot, index) for slot in slots)]

    # Averaging.

    def _average(self) -> None:
        groups, every = self._built.groups, self.ema_overwrite_frequency
        update_average(groups, self.ema_momentum, first=self.iterations == 0)
        if every and (self.iterations + 1) % every == 0:
            for group in groups:
                group.values.copy_(group.slots["average"])

    def swap_average(self) -> None:
        """Exchange weights and averages.  Does nothing without ``use_ema`` or before the first step."""
        if self.use_ema and self._steps_done:
            swap_average(self._built.groups)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Within the block the weights are their averages, for evaluation.  Not to be stepped inside."""
        self.swap_average()
        try:
            yield
        finally:
            self.swap_average()

    def finalize_variable_values(self, var_list: Iterable[Tensor] | None = None) -> None:
        """At the end of training: with ``use_ema`` the weights (all, or those listed) become their averages."""
        if not (self.use_ema and self._steps_done):
            return
        chosen = None if var_list is None else {id(parameter) for parameter in var_list}
        for i, (parameter, value) in enumerate(zip(self.parameters, self._built.values)):
            if chosen is None or id(parameter) in chosen:
                value.copy_(self._built.slot("average", i))

    # State.

    @property
    def variables(self) -> list[OptimizerVariable]:
        """All state in Keras's order: iteration, learning rate (unless a schedule decides), slots, further scalars."""
        flat = self._built
        entries = [OptimizerVariable("iteration", None, torch.tensor(self._steps_done))]
        if isinstance(self._learning_rate, float):
            entries.append(_scalar("learning_rate", self._learning_rate))
        paths = [name.replace("/", "_") for name in self._names]
        for block in self._blocks():
            for i, path in enumerate(paths):
                entries += [OptimizerVariable(f"{path}_{slot}", i, flat.slot(slot, i)) for slot in block]
        return entries + [_scalar(name, getattr(self, name)) for name in self.saved_scalars]

    def state(self) -> dict[str, np.ndarray]:
        """All that a resumed run needs, as copies by name.  Slots have their parameter's shape, in torch's layout.

        Keras: its names and order; its files hold float32 scalars and int32 ``iteration``, here float64 and int64.
        """
        return arrays_of(self.variables)

    def load_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Take over what `state` gave, or a file's arrays under the same names.

        Raises: ConfigError if names differ, ShapeError if a shape differs, both before anything is changed.
        """
        variables = self.variables
        check_arrays(variables, state, repr(self.name))
        for variable in variables:
            if variable.parameter is not None:
                variable.value.copy_(torch.tensor(np.asarray(state[variable.name])))
        self._steps_done = int(state["iteration"])
        if "learning_rate" in state:
            self._learning_rate = decimal_rate(state["learning_rate"])
        for name in self.saved_scalars:
            setattr(self, name, float(state[name]))


def _scalar(name: str, value: float) -> OptimizerVariable:
    return OptimizerVariable(name, None, torch.tensor(value, dtype=torch.float64))
