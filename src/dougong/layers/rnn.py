"""RNN over any cell, the user's own too.

Shapes: N batch, T steps, F features, U units.  A masked step is skipped: the output before it is given again (zeros at
the start) and the states wait.  So the steps that count are moved to the front, keeping their order, the recurrence
runs without masks at its full speed, and its outputs are given back to the steps they belong to.   Ref: Keras 3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self, Unpack

import torch
from torch import Tensor

from dougong.core.config import serialize
from dougong.core.errors import ConfigError, ShapeError
from dougong.core.nested import leaves, map_leaves, pack
from dougong.core.symbol import Shape
from dougong.layers.gated_cell import GatedCell
from dougong.layers.layer import Layer, LayerOptions
from dougong.layers.serialization import layer_of
from dougong.layers.stacked_cells import StackedRNNCells, initial_state, output_size, run_cell

__all__ = ["RNN", "OwnCell", "cell_options"]


class RNN(Layer):
    """Runs a cell over time.   Shapes: ``[N, T, F] -> [N, U]``, or ``[N, T, U]`` with ``return_sequences``.

    ``return_state`` adds the last states; ``go_backwards`` reads from the end and gives the outputs in that order;
    ``stateful`` starts from where the last batch ended, until `reset_state`, with a batch size fixed at build.
    ``zero_output_for_mask`` gives zeros at masked steps.  ``unroll`` changes nothing here.  ``cell`` may be a list.
    Keras: equals ``keras.layers.RNN``.

    >>> from dougong.layers.recurrent_cells import GRUCell
    >>> RNN([GRUCell(4), GRUCell(3)], return_sequences=True)(torch.zeros(2, 5, 6)).shape
    torch.Size([2, 5, 3])
    """

    supports_masking = True
    _direct = True

    def __init__(
        self,
        cell: Any,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        zero_output_for_mask: bool = False,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**options)
        if isinstance(cell, list | tuple):
            cell = StackedRNNCells(cell)
        if not callable(cell) or not hasattr(cell, "state_size"):
            raise ConfigError(f"an RNN cell is called with inputs and states and has a state_size; got {cell!r}")
        self.cell = cell
        self.return_sequences = return_sequences
        self.return_state = return_state
        self.go_backwards = go_backwards
        self.stateful = stateful
        self.unroll = unroll
        self.zero_output_for_mask = zero_output_for_mask
        self._gated = isinstance(cell, GatedCell)  # its first state is its output
        self._num_states = len(list(leaves(cell.state_size)))

    def build(self, input_shape: Shape) -> None:
        if isinstance(self.cell, Layer) and not self.cell.built:
            self.cell.build((input_shape[0], *input_shape[2:]))
        if self.stateful:
            if input_shape[0] is None:
                raise ShapeError(
                    f"{type(self).__name__} {self.name!r} is stateful, so it needs a fixed batch size:"
                    " Input(shape, batch_size=…)"
                )
            for index, state in enumerate(leaves(self.get_initial_state(input_shape[0]))):
                self.register_buffer(f"_state_{index}", state, persistent=False)

    def call(self, sequences: Tensor, initial_state: Any = None, mask: Tensor | None = None) -> Any:
        inputs = sequences.flip(1) if self.go_backwards else sequences
        states = self._first_states(inputs, initial_state)
        if mask is not None:
            outputs, last, states = self._run_masked(inputs, states, mask)
        elif self._gated:
            outputs, states = self.cell.sequence(inputs, states)
            last = states[0]
        else:
            outputs, states = run_cell(self.cell, inputs, states)
            last = outputs[:, -1]
        if self.stateful:
            with torch.no_grad():
                for kept, new in zip(self.states or (), leaves(states)):
                    kept.copy_(new)
        output = outputs if self.return_sequences else last
        return (output, *states) if self.return_state else output

    def _first_states(self, inputs: Tensor, given: Any) -> list[Any]:
        if given is not None:
            return list(given) if isinstance(given, list | tuple) else [given]
        if self.stateful:
            kept: Any = self.states
            if kept[0].shape[0] != inputs.shape[0]:
                raise ShapeError(
                    f"{type(self).__name__} {self.name!r} keeps the states of {kept[0].shape[0]} samples but received"
                    f" {inputs.shape[0]}; keep to one batch size, or set stateful=False."
                )
            # Copies: the kept states are written to before the gradient needs what was read.
            return pack(self.cell.state_size if self._num_states > 1 else [0], [state.clone() for state in kept])
        if self._gated:
            return self.cell.zero_states(inputs)
        zeros = self.get_initial_state(inputs.shape[0])
        return map_leaves(lambda state: state.to(inputs), zeros)

    def _run_masked(self, inputs: Tensor, states: list[Any], mask: Any) -> tuple[Tensor, Tensor, list[Any]]:
        mask = next(leaves(mask)).bool()
        mask = mask.flip(1) if self.go_backwards else mask
        number = mask.long().cumsum(1)  # how many steps counted, up to each and with it
        order = torch.argsort(mask.logical_not().to(torch.uint8), dim=1, stable=True)
        every = self.return_state or self.stateful
        outputs, new = run_cell(self.cell, _take(inputs, order), states, every)
        outputs = _where(number > 0, _take(outputs, (number - 1).clamp_min(0)), 0.0)
        if self.zero_output_for_mask:
            outputs = _where(mask, outputs, 0.0)
        if every:
            any_step, final = number[:, -1] > 0, (number[:, -1:] - 1).clamp_min(0)
            ends = [
                _where(any_step, _take(after, final)[:, 0], 0.0 if before is None else before)
                for after, before in zip(leaves(new), leaves(states))
            ]
            states = pack(states, ends)
        return outputs, outputs[:, -1], states

    @property
    def state_size(self) -> list[Any]:
        """The widths of the cell's states, in a list even if there is one."""
        sizes = self.cell.state_size
        return list(sizes) if isinstance(sizes, list | tuple) else [sizes]

    def get_initial_state(self, batch_size: int) -> list[Any]:
        """The cell's first states: zeros unless it says otherwise."""
        return initial_state(self.cell, batch_size)

    @property
    def states(self) -> list[Tensor] | None:
        """The kept states of a stateful layer, flat."""
        return [getattr(self, f"_state_{i}") for i in range(self._num_states)] if self.stateful and self.built else None

    def reset_state(self, states: Sequence[Any] | None = None) -> None:
        """Set the kept states of a stateful layer to zero, or to ``states``."""
        for index, kept in enumerate(self.states or ()):
            if states is None:
                kept.zero_()
            else:
                kept.copy_(torch.as_tensor(list(leaves(states))[index]))

    reset_states = reset_state

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        first = next(leaves(mask), None) if mask is not None else None
        outgoing = first if self.return_sequences else None
        return [outgoing] + [None] * self._num_states if self.return_state else outgoing

    def compute_output_shape(self, input_shape: Shape) -> Any:
        width = output_size(self.cell)
        output = (*input_shape[:2], width) if self.return_sequences else (input_shape[0], width)
        if not self.return_state:
            return output
        return output, *map_leaves(lambda size: (input_shape[0], size), self.state_size)

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        return super().compute_output_spec(args[0])  # neither states nor masks change shapes

    def input_problem(self, shape: Any) -> str | None:
        if not isinstance(shape, tuple) or len(shape) < 3:
            return f"takes inputs of shape (batch, steps, features) but received shape {shape}; add a time axis."
        return self.cell.input_problem(shape) if isinstance(self.cell, GatedCell | StackedRNNCells) else None

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"cell": serialize(self.cell)}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        return cls(**(dict(config) | {"cell": layer_of(config["cell"])}))


class OwnCell(RNN):
    """A recurrent layer whose constructor's arguments are its cell's."""

    def __init__(self, cell: GatedCell, **options: Any) -> None:
        super().__init__(cell, **options)
        self.units = cell.units
        self.activation = cell.activation
        self.use_bias = cell.use_bias
        self.dropout = cell.dropout
        self.recurrent_dropout = cell.recurrent_dropout

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.pop("cell", None)
        return config

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        return cls(**config)


def cell_options(name: str, options: Mapping[str, Any]) -> Any:
    """What a layer's own cell takes over of the layer's options."""
    return {"name": name, "dtype": options.get("dtype"), "trainable": options.get("trainable", True)}


def _take(sequence: Tensor, steps: Tensor) -> Tensor:
    """The chosen steps of ``[N, T, ...]``."""
    return torch.take_along_dim(sequence, steps.view(*steps.shape, *(1,) * (sequence.ndim - 2)), 1)


def _where(condition: Tensor, chosen: Tensor, other: Any) -> Tensor:
    return torch.where(condition.view(*condition.shape, *(1,) * (chosen.ndim - condition.ndim)), chosen, other)
