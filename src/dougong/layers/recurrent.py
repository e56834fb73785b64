"""Recurrent layers: RNN over any cell, and SimpleRNN, LSTM, GRU, which make their cell themselves.

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
from dougong.layers.layer import Layer, LayerOptions
from dougong.layers.recurrent_cells import GatedCell, GRUCell, LSTMCell, SimpleRNNCell
from dougong.layers.stacked_cells import StackedRNNCells, cell_from, initial_state, output_size, run_cell

__all__ = ["GRU", "LSTM", "RNN", "SimpleRNN"]


class RNN(Layer):
    """Runs a cell over time.   Shapes: ``[N, T, F] -> [N, U]``, or ``[N, T, U]`` with ``return_sequences``.

    ``return_state`` adds the last states; ``go_backwards`` reads from the end and gives the outputs in that order;
    ``stateful`` starts from where the last batch ended, until `reset_state`, with a batch size fixed at build.
    ``zero_output_for_mask`` gives zeros at masked steps.  ``unroll`` changes nothing here.  ``cell`` may be a list.
    Keras: equals ``keras.layers.RNN``.

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
            for index, state in enumerate(leaves(initial_state(self.cell, input_shape[0]))):
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
            # Copies: the kept states are written to before the gradient needs what was read.
            return pack(self.cell.state_size if self._num_states > 1 else [0], [s.clone() for s in self.states or ()])
        if self._gated:
            return [inputs.new_zeros(inputs.shape[0], self.cell.units)] * self._num_states
        zeros = initial_state(self.cell, inputs.shape[0])
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
                _where(any_step, _take(after, final)[:, 0], before)
                for after, before in zip(leaves(new), leaves(states))
            ]
            states = pack(states, ends)
        return outputs, outputs[:, -1], states

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
        sizes = self.cell.state_size
        states = map_leaves(lambda size: (input_shape[0], size), sizes if isinstance(sizes, list | tuple) else [sizes])
        return output, *states

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
        return cls(**(dict(config) | {"cell": cell_from(config["cell"])}))


def _take(sequence: Tensor, steps: Tensor) -> Tensor:
    """The chosen steps of ``[N, T, ...]``."""
    return torch.take_along_dim(sequence, steps.view(*steps.shape, *(1,) * (sequence.ndim - 2)), 1)


def _where(condition: Tensor, chosen: Tensor, other: Any) -> Tensor:
    return torch.where(condition.view(*condition.shape, *(1,) * (chosen.ndim - condition.ndim)), chosen, other)


class _OwnCell(RNN):
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


def _cell_options(name: str, options: Mapping[str, Any]) -> Any:
    return {"name": name, "dtype": options.get("dtype"), "trainable": options.get("trainable", True)}


class SimpleRNN(_OwnCell):
    """The plain recurrence of `SimpleRNNCell`.   Keras: equals ``keras.layers.SimpleRNN``.

    >>> SimpleRNN(4)(torch.zeros(2, 5, 3)).shape
    torch.Size([2, 4])
    """

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        seed: int | None = None,
        *,
        zero_output_for_mask: bool = False,
        **options: Any,
    ) -> None:
        cell = SimpleRNNCell(
            units,
            activation,
            use_bias,
            kernel_initializer,
            recurrent_initializer,
            bias_initializer,
            kernel_regularizer,
            recurrent_regularizer,
            bias_regularizer,
            kernel_constraint,
            recurrent_constraint,
            bias_constraint,
            dropout,
            recurrent_dropout,
            seed,
            **_cell_options("simple_rnn_cell", options),
        )
        super().__init__(
            cell,
            return_sequences=return_sequences,
            return_state=return_state,
            go_backwards=go_backwards,
            stateful=stateful,
            unroll=unroll,
            zero_output_for_mask=zero_output_for_mask,
            activity_regularizer=activity_regularizer,
            **options,
        )


class LSTM(_OwnCell):
    """Long short-term memory, `LSTMCell`'s formulas.   Keras: equals ``keras.layers.LSTM``.

    tanh and sigmoid without ``recurrent_dropout`` run as one fused kernel (oneDNN, cuDNN); ``use_cudnn`` is accepted.

    >>> LSTM(4, return_sequences=True)(torch.zeros(2, 5, 3)).shape
    torch.Size([2, 5, 4])
    """

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        unit_forget_bias: bool = True,
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        use_cudnn: bool | str = "auto",
        *,
        zero_output_for_mask: bool = False,
        **options: Any,
    ) -> None:
        cell = LSTMCell(
            units,
            activation,
            recurrent_activation,
            use_bias,
            kernel_initializer,
            recurrent_initializer,
            bias_initializer,
            unit_forget_bias,
            kernel_regularizer,
            recurrent_regularizer,
            bias_regularizer,
            kernel_constraint,
            recurrent_constraint,
            bias_constraint,
            dropout,
            recurrent_dropout,
            seed,
            **_cell_options("lstm_cell", options),
        )
        super().__init__(
            cell,
            return_sequences=return_sequences,
            return_state=return_state,
            go_backwards=go_backwards,
            stateful=stateful,
            unroll=unroll,
            zero_output_for_mask=zero_output_for_mask,
            activity_regularizer=activity_regularizer,
            **options,
        )
        self.recurrent_activation = cell.recurrent_activation
        self.use_cudnn = use_cudnn

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.pop("use_cudnn", None)  # Keras does not write it either
        return config


class GRU(_OwnCell):
    """Gated recurrent unit, `GRUCell`'s formulas.   Keras: equals ``keras.layers.GRU``.

    tanh and sigmoid with ``reset_after`` and without ``recurrent_dropout`` run as torch's kernel.

    >>> GRU(4, return_state=True)(torch.zeros(2, 5, 3))[1].shape
    torch.Size([2, 4])
    """

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        reset_after: bool = True,
        use_cudnn: bool | str = "auto",
        *,
        zero_output_for_mask: bool = False,
        **options: Any,
    ) -> None:
        cell = GRUCell(
            units,
            activation,
            recurrent_activation,
            use_bias,
            kernel_initializer,
            recurrent_initializer,
            bias_initializer,
            kernel_regularizer,
            recurrent_regularizer,
            bias_regularizer,
            kernel_constraint,
            recurrent_constraint,
            bias_constraint,
            dropout,
            recurrent_dropout,
            reset_after,
            seed,
            **_cell_options("gru_cell", options),
        )
        super().__init__(
            cell,
            return_sequences=return_sequences,
            return_state=return_state,
            go_backwards=go_backwards,
            stateful=stateful,
            unroll=unroll,
            zero_output_for_mask=zero_output_for_mask,
            activity_regularizer=activity_regularizer,
            **options,
        )
        self.recurrent_activation = cell.recurrent_activation
        self.reset_after = reset_after
        self.use_cudnn = use_cudnn

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.pop("use_cudnn", None)
        return config
