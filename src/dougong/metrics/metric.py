"""The metric base class."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Self

import torch
from torch import Tensor, nn

from dougong.core.config import Configurable
from dougong.core.dtypes import Policy, arithmetic_dtype, torch_dtype
from dougong.core.errors import ConfigError, ShapeError
from dougong.core.layout import IDENTITY
from dougong.core.names import snake_case, unique_name
from dougong.core.nested import map_leaves
from dougong.core.variable import Variable, view_of
from dougong.ops import initializers
from dougong.ops.targets import as_tensor

__all__ = ["Metric"]


class Metric(Configurable, nn.Module):
    """A number that grows more certain batch by batch: `update_state`, then `result`, and `reset_state` to begin anew.

    State is kept in tensors that `add_state` makes, in ``__init__`` or, where shapes have to be known, in `build`.
    `update_state` changes them only in place and reads no values, so it can be captured with a training step and
    replayed.  They are buffers (``.to(device)`` moves them), but not in ``state_dict()``, since they are no weights.
    Keras: as ``keras.metrics.Metric``; here ``dtype`` is a torch dtype, and states may be float64 (see `Mean`).

    >>> class Largest(Metric):
    ...     def __init__(self, name="largest", dtype=None):
    ...         super().__init__(name=name, dtype=dtype)
    ...         self.largest = self.add_weight(name="largest")
    ...     def update_state(self, y_true, y_pred, sample_weight=None):
    ...         self.largest.assign(torch.maximum(self.largest, y_pred.max()))
    ...     def result(self):
    ...         return self.largest + 0
    >>> Largest()(None, torch.tensor([1.0, 3.0, 2.0]))
    tensor(3.)
    """

    keras_module = "keras.metrics"
    counts_as_weights = False  # its states are no weights of the model that holds it

    def __init__(self, dtype: str | torch.dtype | Policy | None = None, name: str | None = None) -> None:
        super().__init__()
        self.name = name or unique_name(snake_case(type(self).__name__))
        self.dtype = arithmetic_dtype(dtype)
        self._initial: dict[str, Tensor] = {}

    def add_state(
        self,
        name: str,
        shape: Sequence[int] = (),
        initial: float | Tensor = 0.0,
        dtype: torch.dtype = torch.float32,
    ) -> Tensor:
        """A tensor of ``shape`` that `reset_state` sets to ``initial``; it stands in ``self.<name>`` at once."""
        # A state made within inference mode could never be written to outside of it.
        with torch.inference_mode(False):
            start = torch.as_tensor(initial, dtype=dtype, device=self._device)
            self.register_buffer(name, start.expand(tuple(shape)).clone(), persistent=False)
        self._initial[name] = start
        return self.get_buffer(name)

    def add_variable(
        self,
        shape: Sequence[int],
        initializer: Any = "zeros",
        dtype: Any = None,
        aggregation: str = "sum",
        name: str = "",
    ) -> Variable:
        """A state in Keras's words, with `assign` and `assign_add`; ``initializer`` is a name or an object.

        Assign the result to an attribute.
        """
        make = initializers.get(initializer or "zeros")
        assert make is not None
        name = name or f"state_{len(self._initial)}"
        start = self.add_state(name, shape, make(tuple(shape), dtype=torch_dtype(dtype)), torch_dtype(dtype))
        self._buffers[name] = state = Variable.around(start, name, path=f"{self.name}/{name}", trainable=False)
        return state

    def add_weight(
        self, shape: Sequence[int] = (), initializer: Any = None, dtype: Any = None, name: str = ""
    ) -> Variable:
        """Keras's other word for `add_variable`."""
        return self.add_variable(shape, initializer, dtype, name=name)

    def build(self, y_true_shape: Sequence[int | None], y_pred_shape: Sequence[int | None]) -> None:
        """Make the states whose shapes depend on the data; called once, before the first `update_state` is captured."""

    def update_state(self, *args: Any, **kwargs: Any) -> None:
        """Take in one batch: ``update_state(y_true, y_pred, sample_weight=None)``."""
        raise NotImplementedError(f"{type(self).__name__} must define update_state(y_true, y_pred, sample_weight=None)")

    def result(self) -> Tensor:
        """The value for everything seen since the last reset."""
        raise NotImplementedError(f"{type(self).__name__} must define result()")

    @torch.no_grad()
    def reset_state(self) -> None:
        """Forget everything seen."""
        for name, initial in self._initial.items():
            self.get_buffer(name).copy_(initial)
        for metric in self._nested():
            metric.reset_state()

    def reset_states(self) -> None:
        """The historic name of `reset_state`."""
        self.reset_state()

    @torch.no_grad()
    def merge_state(self, metrics: Iterable[Metric]) -> None:
        """Add what other metrics of this kind have seen, as if this one had seen it too.

        Raises: ConfigError for a metric of another kind or size.
        """
        for other in metrics:
            pairs = list(zip(self.states, other.states))
            if type(other) is not type(self) or any(mine.shape != theirs.shape for mine, theirs in pairs):
                raise ConfigError(f"{self!r} cannot take in {other!r}; merge metrics made with the same arguments")
            for mine, theirs in pairs:
                mine.add_(theirs.to(mine.device))

    # ── Without effects ─────────────────────────────────────────────────────────────────────────────────────────────

    @torch.no_grad()
    def stateless_update_state(self, metric_variables: Sequence[Any], *args: Any, **kwargs: Any) -> list[Tensor]:
        """The states that `update_state` makes of the given ones; the metric's own stay as they are.

        Raises: ShapeError for values that are no states of this metric.

        >>> from dougong.metrics import Mean
        >>> mean = Mean(); mean.stateless_update_state(mean.stateless_reset_state(), [1.0, 3.0])
        [tensor(4., dtype=torch.float64), tensor(2., dtype=torch.float64)]
        """
        with self._standing_in(metric_variables):
            self.update_state(*args, **kwargs)
            return [state.detach().as_subclass(Tensor).clone() for state in self.states]

    @torch.no_grad()
    def stateless_result(self, metric_variables: Sequence[Any]) -> Any:
        """What `result` is for the given states."""
        with self._standing_in(metric_variables):
            return map_leaves(lambda leaf: leaf.clone() if isinstance(leaf, Tensor) else leaf, self.result())

    @torch.no_grad()
    def stateless_reset_state(self) -> list[Tensor]:
        """The states of a metric that has seen nothing."""
        with self._standing_in(self.states):
            self.reset_state()
            return [state.detach().as_subclass(Tensor).clone() for state in self.states]

    @contextmanager
    def _standing_in(self, values: Sequence[Any]) -> Iterator[None]:
        """Within the block the states hold ``values``."""
        own = self.states
        given = [torch.as_tensor(value, dtype=s.dtype, device=s.device) for value, s in zip(values, own)]
        if len(values) != len(own) or any(value.shape != state.shape for value, state in zip(given, own)):
            want, got = ([tuple(torch.as_tensor(one).shape) for one in some] for some in (own, values))
            raise ShapeError(f"{self.name!r} has states of shapes {want} but received {got}")
        kept = [state.clone() for state in own]
        try:
            for state, value in zip(own, given):
                state.copy_(value)
            yield
        finally:
            made = {id(state) for state in self.states} - {id(state) for state in own}
            if made:  # states whose shapes the first batch told
                self.reset_state()
            for state, value in zip(own, kept):
                state.copy_(value)

    @property
    def states(self) -> list[Tensor]:
        """The states, those of metrics within this one last."""
        own = [self.get_buffer(name) for name in self._initial]
        return own + [state for metric in self._nested() for state in metric.states]

    @property
    def variables(self) -> list[Any]:
        """The states in Keras's words."""
        own = [view_of(self.get_buffer(name), IDENTITY, name, f"{self.name}/{name}") for name in self._initial]
        return own + [variable for metric in self._nested() for variable in metric.variables]

    def __call__(self, *args: Any, **kwargs: Any) -> Tensor:
        self.update_state(*args, **kwargs)
        return self.result()

    def take(self, *values: Any) -> tuple[Tensor, ...]:
        """Values as tensors without gradient, all on one device; the metric follows them there."""
        device = next((value.device for value in values if isinstance(value, Tensor)), self._device)
        if device != self._device:
            self.to(device)
        tensors = (as_tensor(value, device=device) for value in values)
        return tuple(tensor.detach() if tensor.requires_grad else tensor for tensor in tensors)

    @property
    def _device(self) -> torch.device:
        return next((buffer.device for buffer in self.buffers()), torch.device("cpu"))

    def _nested(self) -> list[Metric]:
        return [module for module in self.children() if isinstance(module, Metric)]

    def __setattr__(self, name: str, value: Any) -> None:
        if type(value) is Variable:
            # `self.hits = self.add_weight(name="h")`: one name for one state, or moving it would leave a copy behind.
            for given, state in list(self._buffers.items()):
                if state is value:
                    del self._buffers[given]
                    self._initial = {name if key == given else key: start for key, start in self._initial.items()}
                    self.register_buffer(name, value, persistent=False)
                    return
        super().__setattr__(name, value)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        before = {name: buffer for name, buffer in self._buffers.items() if buffer is not None}
        super()._apply(fn, recurse)
        for name, buffer in before.items():
            moved = self.get_buffer(name).to(buffer.dtype)  # `model.half()` is meant for weights, not for counts
            self._buffers[name] = buffer.like(moved.detach()) if type(buffer) is Variable else moved
        self._initial = {name: start.to(self._device) for name, start in self._initial.items()}
        return self

    def __repr__(self) -> str:
        return f"{type(self).__name__}(name={self.name!r})"
