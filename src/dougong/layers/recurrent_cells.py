"""SimpleRNNCell, LSTMCell, GRUCell: the recurrences themselves, fused where torch has a kernel.

Shapes: N batch, T steps, F features, U units, G gates.   Ref: Keras 3 semantics.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Unpack

import torch
from torch import Tensor
from torch.nn import functional as F

from dougong.core.errors import ShapeError
from dougong.core.layout import Layout
from dougong.layers.gated_cell import GatedCell, States
from dougong.layers.layer import LayerOptions
from dougong.layers.recurrence import gated_recurrence, own_gradient_pays, plain_recurrence
from dougong.ops import activations

__all__ = ["GRUCell", "LSTMCell", "SimpleRNNCell"]

# Beyond so many state values the memory that `gated_recurrence` walks through costs more than the kernels it saves.
_MANY_STATES = 2**20
_PLAIN_KERNELS: Mapping[Any, Callable[..., Any]] = {torch.tanh: torch.rnn_tanh, torch.relu: torch.rnn_relu}


class SimpleRNNCell(GatedCell):
    r""":math:`h_t = \phi(W_{ih} x_t + W_{hh} h_{t-1} + b)`.   Keras: equals ``keras.layers.SimpleRNNCell``."""

    gates = 1
    seed_first = True

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
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(
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
            **options,
        )

    def sequence(self, x: Tensor, states: States, every: bool = False) -> tuple[Tensor, States]:
        kernel = _PLAIN_KERNELS.get(self.activation)
        if kernel is None or self._loops():
            return self._looped(x, states, every)
        if own_gradient_pays(x):
            gates = F.linear(self._dropped(x).transpose(0, 1), self.weight_ih, self.bias)
            outputs, h = plain_recurrence(gates, states[0], self.weight_hh, self.activation is torch.relu)
            outputs = outputs.transpose(0, 1)
            return outputs, [outputs if every else h]
        weights = [self.weight_ih, self.weight_hh]
        if self.bias is not None:
            weights += [self.bias, self._no_bias]
        keep = torch.is_grad_enabled()
        h = states[0].unsqueeze(0)
        outputs, h = kernel(self._dropped(x), h, weights, self.bias is not None, 1, 0.0, keep, False, True)
        return outputs, [outputs if every else h[0]]

    def _looped(self, x: Tensor, states: States, every: bool) -> tuple[Tensor, States]:
        h, activation = states[0], self.activation
        masks = self._state_masks(h)
        outputs = []
        for gates in self._projected(x, self.bias):
            h = activation(gates + self._from_state(h, masks))
            outputs.append(h)
        stacked = torch.stack(outputs, 1)
        return stacked, [stacked if every else h]


class LSTMCell(GatedCell):
    r"""Long short-term memory.   Keras: equals ``keras.layers.LSTMCell``.   Ref: Hochreiter & Schmidhuber 1997.

    .. math:: c_t = \sigma(f) c_{t-1} + \sigma(i) \phi(g),\qquad h_t = \sigma(o) \phi(c_t),\qquad
              (i, f, g, o) = W_{ih} x_t + W_{hh} h_{t-1} + b

    Gates stand in the order i, f, g, o, torch's and Keras's.  ``unit_forget_bias`` starts f's bias at 1.
    """

    gates = 4
    num_states = 2

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
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(
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
            **options,
        )
        self.recurrent_activation = activations.get(recurrent_activation)
        self.unit_forget_bias = unit_forget_bias
        self._fused = self.activation is torch.tanh and self.recurrent_activation is torch.sigmoid

    def first_bias(self, shape: Sequence[int], dtype: torch.dtype = torch.float32) -> Tensor:
        if not self.unit_forget_bias:
            return super().first_bias(shape, dtype)
        units, initial = self.units, self.bias_initializer
        forget = torch.ones(units, dtype=dtype)
        parts = [initial((units,), dtype=dtype), forget, initial((2 * units,), dtype=dtype)]
        return torch.cat([part.to(forget.device) for part in parts])

    def sequence(self, x: Tensor, states: States, every: bool = False) -> tuple[Tensor, States]:
        if not self._fused or every or self._loops():
            return self._looped(x, states, every)
        if (x.ndim == 3 and x.shape[2] != self.features) or any(s.shape != (x.shape[0], self.units) for s in states):
            self._refuse_sizes(x, states)
        weights = [self.weight_ih, self.weight_hh]
        if self.bias is not None:
            weights += [self.bias, self._no_bias]
        state = [one.unsqueeze(0) for one in states]
        keep = torch.is_grad_enabled()  # whether the kernel keeps what its gradient needs
        outputs, h, c = torch.lstm(self._dropped(x), state, weights, self.bias is not None, 1, 0.0, keep, False, True)
        return outputs, [h[0], c[0]]

    def _refuse_sizes(self, x: Tensor, states: States) -> None:
        """torch's kernel on the CPU would read beyond the weights without a word."""
        problem = self.input_problem((x.shape[0], x.shape[2]))
        wanted, got = (x.shape[0], self.units), " and ".join(str(tuple(state.shape)) for state in states)
        problem = problem or f"needs states of shape {wanted} but received {got}; give one for every sample and unit."
        raise ShapeError(f"{type(self).__name__} {self.name!r} {problem}")

    def _looped(self, x: Tensor, states: States, every: bool) -> tuple[Tensor, States]:
        h, c = states
        activation, gate = self.activation, self.recurrent_activation
        masks = self._state_masks(h)
        outputs, cells = [], []
        for gates in self._projected(x, self.bias):
            i, f, g, o = (gates + self._from_state(h, masks)).chunk(4, 1)
            c = gate(f) * c + gate(i) * activation(g)
            h = gate(o) * activation(c)
            outputs.append(h)
            cells.append(c)
        stacked = torch.stack(outputs, 1)
        return stacked, [stacked, torch.stack(cells, 1)] if every else [h, c]


def _swap_gates(tensor: Tensor) -> Tensor:
    """Keras's z, r, h to torch's r, z, n along the last axis, and back."""
    first, second, third = tensor.chunk(3, -1)
    return torch.cat([second, first, third], -1)


def _gru_to_keras(weight: Tensor) -> Tensor:
    return _swap_gates(weight.t())


def _gru_from_keras(kernel: Tensor) -> Tensor:
    return _swap_gates(kernel).t()


class GRUCell(GatedCell):
    r"""Gated recurrent unit.   Keras: equals ``keras.layers.GRUCell``.   Ref: Cho et al. 2014, arXiv:1406.1078.

    .. math:: h_t = z h_{t-1} + (1 - z) n,\qquad n = \phi(W_n x_t + b_n + r (U_n h_{t-1} + b'_n))

    with r and z the sigmoids of their gates.  ``reset_after=False`` applies r to the state before the product,
    :math:`U_n (r h_{t-1})`, and has one bias.  Gates stand in torch's order r, z, n; Keras's is z, r, h.
    ``bias`` is ``[2, 3U]``, for inputs and for states, or ``[3U]``.
    """

    gates = 3
    kernel_layout = Layout(_gru_to_keras, _gru_from_keras)
    bias_layout = Layout(_swap_gates, _swap_gates)

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
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        reset_after: bool = True,
        seed: int | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(
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
            **options,
        )
        self.recurrent_activation = activations.get(recurrent_activation)
        self.reset_after = reset_after
        usual = self.activation is torch.tanh and self.recurrent_activation is torch.sigmoid
        self._fused = usual and reset_after

    @property
    def bias_shape(self) -> tuple[int, ...]:
        return (2, 3 * self.units) if self.reset_after else (3 * self.units,)

    def sequence(self, x: Tensor, states: States, every: bool = False) -> tuple[Tensor, States]:
        if not self._fused or self._loops():
            return self._looped(x, states, every)
        if own_gradient_pays(x) and x.shape[0] * x.shape[1] * self.units <= _MANY_STATES:
            bias_x, bias_h = (None, None) if self.bias is None else self.bias.unbind(0)
            gates = F.linear(self._dropped(x).transpose(0, 1), self.weight_ih, bias_x)
            outputs, h = gated_recurrence(gates, states[0], self.weight_hh, bias_h)
            outputs = outputs.transpose(0, 1)
            return outputs, [outputs if every else h]
        weights = [self.weight_ih, self.weight_hh]
        if self.bias is not None:
            weights += self.bias.unbind(0)
        keep = torch.is_grad_enabled()
        outputs, h = torch.gru(
            self._dropped(x), states[0].unsqueeze(0), weights, self.bias is not None, 1, 0.0, keep, False, True
        )
        return outputs, [outputs if every else h[0]]

    def _looped(self, x: Tensor, states: States, every: bool) -> tuple[Tensor, States]:
        h, units = states[0], self.units
        gate, activation = self.recurrent_activation, self.activation
        masks = self._state_masks(h)
        bias_x, bias_h = self.bias, None
        if self.bias is not None and self.reset_after:
            bias_x, bias_h = self.bias.unbind(0)
        candidate = self.weight_hh[2 * units :].t()
        outputs = []
        for from_input in self._projected(x, bias_x):
            from_state = self._from_state(h, masks, bias_h)
            r, z = gate(from_input[:, : 2 * units] + from_state[:, : 2 * units]).chunk(2, 1)
            if self.reset_after:
                reset = r * from_state[:, 2 * units :]
            else:
                reset = (r * h if masks is None else r * h * masks[2]) @ candidate
            n = activation(from_input[:, 2 * units :] + reset)
            h = torch.lerp(n, h, z)
            outputs.append(h)
        stacked = torch.stack(outputs, 1)
        return stacked, [stacked if every else h]
