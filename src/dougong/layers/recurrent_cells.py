"""Cells of recurrent layers: one step of a recurrence, and the same over a whole sequence at the speed of one kernel.

A cell maps inputs and states to an output and new states.  `sequence` runs it over all steps: the inputs are projected
in one product for all steps, then the recurrence is torch's fused kernel where the activations allow it, else a loop.
Weights: ``weight_ih`` ``[G*U, F]``, ``weight_hh`` ``[G*U, U]``, ``bias``, in torch's gate order.
Shapes: N batch, T steps, F features, U units, G gates.   Ref: Keras 3 semantics.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Unpack

import torch
from torch import Tensor
from torch.nn import functional as F

from dougong.core.errors import ConfigError, ShapeError
from dougong.core.layout import IDENTITY, TRANSPOSED, Layout
from dougong.core.symbol import Shape
from dougong.layers.layer import LayerOptions
from dougong.layers.recurrence import gated_recurrence, own_gradient_pays, plain_recurrence
from dougong.layers.regularization import RandomLayer
from dougong.ops import activations, constraints, initializers, regularizers

__all__ = ["GRUCell", "GatedCell", "LSTMCell", "SimpleRNNCell"]

States = list[Any]

# Beyond so many state values the memory that `gated_recurrence` walks through costs more than the kernels it saves.
_MANY_STATES = 2**20
_PLAIN_KERNELS: Mapping[Any, Callable[..., Any]] = {torch.tanh: torch.rnn_tanh, torch.relu: torch.rnn_relu}


class GatedCell(RandomLayer):
    """What the three cells share: weights of G gates, dropout, and `call` as a sequence of one step.

    In training ``dropout`` hides input features and ``recurrent_dropout`` state values, the same ones in all steps of a
    sequence; with ``recurrent_dropout`` each gate draws its own.
    """

    gates: ClassVar[int]
    num_states: ClassVar[int] = 1
    kernel_layout: ClassVar[Layout] = TRANSPOSED
    bias_layout: ClassVar[Layout] = IDENTITY

    def __init__(
        self,
        units: int,
        activation: Any,
        use_bias: bool,
        kernel_initializer: Any,
        recurrent_initializer: Any,
        bias_initializer: Any,
        kernel_regularizer: Any,
        recurrent_regularizer: Any,
        bias_regularizer: Any,
        kernel_constraint: Any,
        recurrent_constraint: Any,
        bias_constraint: Any,
        dropout: float,
        recurrent_dropout: float,
        seed: int | None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(seed, **options)
        if units <= 0:
            raise ConfigError(f"units must be an int >= 1; got {units!r}")
        self.units = units
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.recurrent_initializer = initializers.get(recurrent_initializer)
        self.bias_initializer: Any = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.recurrent_regularizer = regularizers.get(recurrent_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.recurrent_constraint = constraints.get(recurrent_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self.dropout = min(1.0, max(0.0, dropout))
        self.recurrent_dropout = min(1.0, max(0.0, recurrent_dropout))
        self.bias: Tensor | None = None

    @property
    def state_size(self) -> int | list[int]:
        return self.units if self.num_states == 1 else [self.units] * self.num_states

    @property
    def output_size(self) -> int:
        return self.units

    @property
    def bias_shape(self) -> tuple[int, ...]:
        return (self.gates * self.units,)

    def build(self, input_shape: Shape) -> None:
        self.features = input_shape[-1]
        width = self.gates * self.units
        self.weight_ih = self.add_weight(
            (self.features, width),  # type: ignore[arg-type]
            self.kernel_initializer,
            name="kernel",
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
            layout=self.kernel_layout,
        )
        self.weight_hh = self.add_weight(
            (self.units, width),
            self.recurrent_initializer,
            name="recurrent_kernel",
            regularizer=self.recurrent_regularizer,
            constraint=self.recurrent_constraint,
            layout=self.kernel_layout,
        )
        if self.use_bias:
            self.bias = self.add_weight(
                self.bias_shape,
                self.first_bias,
                name="bias",
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
                layout=self.bias_layout,
            )
            # torch's kernels take two biases and Keras has one; the other is zero and no weight.
            zeros = torch.zeros_like(self.bias.detach())  # type: ignore[union-attr]
            self.register_buffer("_no_bias", zeros, persistent=False)

    def first_bias(self, shape: Sequence[int], dtype: torch.dtype = torch.float32) -> Tensor:
        """The bias to begin with, in Keras's order of gates."""
        return self.bias_initializer(shape, dtype=dtype)

    @abstractmethod
    def sequence(self, x: Tensor, states: States, every: bool = False) -> tuple[Tensor, States]:
        """Outputs of all steps and the last states, or with ``every`` the states after each step.

        Shapes: ``[N, T, F]``, states ``[N, U]`` -> ``[N, T, U]``, states ``[N, U]`` or ``[N, T, U]``.
        """

    def call(self, inputs: Tensor, states: Any) -> tuple[Tensor, Any]:
        nested = isinstance(states, list | tuple)
        outputs, new = self.sequence(inputs.unsqueeze(1), list(states) if nested else [states])
        return outputs[:, 0], new if nested else new[0]

    def get_initial_state(self, batch_size: int) -> list[Tensor]:
        """Zeros."""
        kind = self.dtype_policy.variable_dtype
        device = self.weight_hh.device if self.built else None
        return [torch.zeros(batch_size, self.units, dtype=kind, device=device) for _ in range(self.num_states)]

    def compute_output_shape(self, input_shape: Shape) -> Any:
        state = (input_shape[0], self.units)
        return state, [state] * self.num_states

    def input_problem(self, shape: Shape) -> str | None:
        """As `Layer.input_problem`; a recurrent layer asks with the shape of its own input, steps included."""
        if shape[-1] in (None, self.features):
            return None
        return f"was built for {self.features} features but received shape {tuple(shape)}; build with {shape[-1]}."

    def _loops(self) -> bool:
        """Whether dropout of states rules out the fused kernels."""
        return self.training and self.recurrent_dropout > 0

    def _dropped(self, x: Tensor) -> Tensor:
        """The inputs with some features hidden in all steps, in training."""
        if not self.training or self.dropout == 0:
            return x
        return x * self._scaled_mask(x, (x.shape[0], 1, x.shape[2]), self.dropout)

    def _scaled_mask(self, like: Tensor, shape: Sequence[int], rate: float) -> Tensor:
        keep = self.keep_mask(like, shape, rate)
        return keep if rate == 1 else keep.div_(1.0 - rate)

    def _projected(self, x: Tensor, bias: Tensor | None) -> Sequence[Tensor]:
        """The inputs' part of all gates, ``[N, G*U]`` for each step."""
        if not (self._loops() and self.dropout > 0):
            return F.linear(self._dropped(x), self.weight_ih, bias).unbind(1)
        masks = self._scaled_mask(x, (self.gates, x.shape[0], 1, x.shape[2]), self.dropout)
        weights = self.weight_ih.unflatten(0, (self.gates, -1))
        gates = torch.einsum("gntf,guf->ntgu", x * masks, weights).flatten(2)
        return (gates if bias is None else gates + bias).unbind(1)

    def _state_masks(self, h: Tensor) -> Tensor | None:
        """What hides state values for each gate, ``[G, N, U]``; None where nothing does."""
        if not self._loops():
            return None
        return self._scaled_mask(h, (self.gates, *h.shape), self.recurrent_dropout)

    def _from_state(self, h: Tensor, masks: Tensor | None, bias: Tensor | None = None) -> Tensor:
        """The states' part of all gates, ``[N, G*U]``."""
        if masks is None:
            return F.linear(h, self.weight_hh, bias)
        by_gate = torch.bmm(h * masks, self.weight_hh.unflatten(0, (self.gates, -1)).mT)
        gates = by_gate.transpose(0, 1).flatten(1)
        return gates if bias is None else gates + bias


class SimpleRNNCell(GatedCell):
    r""":math:`h_t = \phi(W_{ih} x_t + W_{hh} h_{t-1} + b)`.   Keras: equals ``keras.layers.SimpleRNNCell``."""

    gates = 1

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
