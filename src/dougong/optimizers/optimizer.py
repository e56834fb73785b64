"""What all optimizers share: a step.  Unscale, accumulate, clip, decay weights, update, average, apply constraints.

Ref: Keras 3 semantics.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from dougong.core.errors import BuildError, ConfigError
from dougong.core.variable import Variable, stored
from dougong.optimizers import clipping
from dougong.optimizers.average import swap_average, update_average
from dougong.optimizers.flat import FlatGroup
from dougong.optimizers.keras_style import KerasStyle
from dougong.optimizers.weight import resolve

__all__ = ["Optimizer"]


class Optimizer(KerasStyle):
    r"""Changes parameters by their gradients.

    A caller builds it, writes gradients, and steps:

    - ``build(parameters)`` moves the parameters into flat tensors (see `flat`); ``optimizer.gradients`` then holds one
      tensor a parameter, into which the caller, or autograd after `zero_gradients`, writes;
    - ``step()`` uses up what stands in them: it may clip and average them in place.

    A subclass writes `update` and, if it needs memory, `slots`; or, as in Keras, `build` and `update_step`.

    Arguments that all optimizers take (Keras: equals ``keras.optimizers.Optimizer``):

    - ``learning_rate``: a number, a schedule (of the steps done), or a function without arguments;
    - ``weight_decay``: before each update the weights are multiplied by :math:`1 - \eta \cdot` ``weight_decay``;
    - ``clipnorm``, ``clipvalue``, ``global_clipnorm``: see `clipping`; at most one of them;
    - ``use_ema``, ``ema_momentum``: keep an average of the weights, see `averaged`;
    - ``ema_overwrite_frequency``: every so many updates the weights become their average;
    - ``loss_scale_factor``: losses are multiplied by it (`scale_loss`), gradients divided;
    - ``gradient_accumulation_steps``: update at every k-th step only, by the mean of k gradients.

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

    _absent: Sequence[int] = ()

    def update(self, groups: Sequence[FlatGroup], rate: float, step: int) -> None:
        """Change ``group.values`` by ``group.gradients`` and ``group.slots``; ``step`` counts updates from 1.

        Here: `update_step` for each parameter.
        """
        self._update_each(rate, self._absent)

    # Stepping.

    def step(self) -> None:
        """Apply `gradients`.   Raises: BuildError if the parameters were moved or replaced since `build`."""
        self._advance(())

    def apply(self, grads: Iterable[Tensor | None], trainable_variables: Iterable[Tensor] | None = None) -> None:
        """Write these gradients and step.  Variables without one (None, or not listed) stay as they are.

        The gradient of a layer's variable is in Keras's layout, that of a parameter in torch's.  The first call with
        ``trainable_variables`` builds.   Raises: ConfigError for unknown variables, or if all gradients are None.
        Keras: equals ``Optimizer.apply``.
        """
        grads = list(grads)
        if not grads:
            return
        listed = None if trainable_variables is None else list(trainable_variables)
        if not self.built:
            self.build_on(resolve(listed or self.parameters, None, None, None, {}, repr(self.name)))
        self._rebuild_if_moved()
        given = self._matched(grads, listed)
        absent = [i for i in range(len(self.parameters)) if i not in given]
        with torch.no_grad():
            for i in absent:
                self.gradients[i].zero_()
            torch._foreach_copy_([self.gradients[i] for i in given], list(given.values()))
            self._advance(absent)

    def apply_gradients(self, grads_and_vars: Iterable[tuple[Tensor | None, Tensor]]) -> int:
        """`apply` for pairs of gradient and variable; gives the number of steps done.   Keras: equals it."""
        pairs = list(grads_and_vars)
        self.apply([gradient for gradient, _ in pairs], [variable for _, variable in pairs])
        return self._steps_done

    def _matched(self, grads: Sequence[Tensor | None], listed: Sequence[Tensor] | None) -> dict[int, Tensor]:
        """The gradients that are there, in torch's layout, by position of their parameter."""
        count = len(self._weights) if listed is None else len(listed)
        if len(grads) != count:
            raise ConfigError(f"{self.name!r} received {len(grads)} gradients for {count} parameters")
        if listed is None:
            indices, in_keras = list(range(count)), [weight.seen_by_keras for weight in self._weights]
        else:
            found = [self._positions.get(id(stored(variable)[0])) for variable in listed]
            if None in found:
                raise ConfigError(
                    f"{self.name!r} was not built on the parameter at position {found.index(None)} of those given; "
                    "call build with all of them first"
                )
            indices = [i for i in found if i is not None]
            in_keras = [isinstance(variable, Variable) for variable in listed]
        missing = [self._names[i] for i, gradient in zip(indices, grads) if gradient is None]
        if len(missing) == len(grads):
            raise ConfigError(f"no gradient for any of the parameters of {self.name!r}; does the loss depend on them?")
        if missing:
            warnings.warn(f"no gradient for {', '.join(missing)}: left as they are", stacklevel=3)
        return {
            i: self._weights[i].layout.from_keras(gradient) if turned else gradient
            for i, gradient, turned in zip(indices, grads, in_keras)
            if gradient is not None
        }

    def _advance(self, absent: Sequence[int]) -> None:
        """One step; parameters in ``absent`` take no part in the update."""
        flat = self._placed
        if not flat.probably_in_place():
            raise BuildError(
                f"the parameters of {self.name!r} were moved or replaced; call ensure_built(parameters) first"
            )
        if self.loss_scale_factor is not None:
            for group in flat.groups:
                group.gradients.div_(self.loss_scale_factor)
        if self._accumulated():
            held = [(view, view.clone()) for i in absent for view in self._updated_views(i)]
            rate, self._absent = self._rate(), absent
            self._clip()
            self._decay.apply(rate, self.decay_of)
            self.update(flat.groups, rate, self._updates_done() + 1)
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
        for group in self._placed.groups:
            sums = group.slots["gradient_accumulator"]
            sums.add_(group.gradients)
            if due:
                torch.div(sums, every, out=group.gradients)
                sums.zero_()
        return due

    def _clip(self) -> None:
        groups = self._placed.groups
        if self.clipnorm:
            clipping.clip_by_norm(groups, self.clipnorm)
        elif self.global_clipnorm:
            clipping.clip_by_global_norm(groups, self.global_clipnorm)
        elif self.clipvalue:
            clipping.clip_by_value(groups, self.clipvalue)

    def _updated_views(self, index: int) -> list[Tensor]:
        slots = self._placed.slot_names(index) - {"average", "gradient_accumulator"}
        return [self._placed.values[index], *(self._placed.slot(slot, index) for slot in slots)]

    # Averaging.

    def _average(self) -> None:
        groups, every = self._placed.groups, self.ema_overwrite_frequency
        updates = self._updates_done()
        update_average(groups, self.ema_momentum, first=updates == 0)
        if every and (updates + 1) % every == 0:
            for group in groups:
                group.values.copy_(group.slots["average"])

    def swap_average(self) -> None:
        """Exchange weights and averages.  Does nothing without ``use_ema`` or before the first step."""
        if self.use_ema and self._steps_done:
            swap_average(self._placed.groups)

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
        chosen = None if var_list is None else {id(stored(variable)[0]) for variable in var_list}
        for i, (parameter, value) in enumerate(zip(self.parameters, self._placed.values)):
            if chosen is None or id(parameter) in chosen:
                value.copy_(self._placed.slot("average", i))
