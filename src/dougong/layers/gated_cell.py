"""What cells of recurrent layers share: weights of several gates, dropout, one step as a sequence of one.

A cell maps inputs and states to an output and new states.  `sequence` runs it over all steps: the inputs are projected
in one product for all steps, then the recurrence is torch's fused kernel where the activations allow it, else a loop.
Weights: ``weight_ih`` ``[G*U, F]``, ``weight_hh`` ``[G*U, U]``, ``bias``, in torch's gate order.
Shapes: N batch, T steps, F features, U units, G gates.   Ref: Keras 3 semantics.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Unpack

import torch
from torch import Tensor
from torch.nn import functional as F

from dougong.core.errors import ConfigError
from dougong.core.layout import IDENTITY, TRANSPOSED, Layout
from dougong.core.symbol import Shape
from dougong.layers.layer import LayerOptions
from dougong.layers.regularization import RandomLayer
from dougong.ops import activations, constraints, initializers, regularizers

__all__ = ["GatedCell", "States"]

States = list[Any]


class GatedCell(RandomLayer):
    """What the three cells share: weights of G gates, dropout, and `call` as a sequence of one step.

    In training ``dropout`` hides input features and ``recurrent_dropout`` state values, the same ones in all steps of a
    sequence; with ``recurrent_dropout`` each gate draws its own.
    """

    gates: ClassVar[int]
    num_states: ClassVar[int] = 1
    seed_first: ClassVar[bool] = False  # whether Keras's cell draws its seed before its initializers do
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
        if self.seed_first:
            self.reserve_seed()
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
        if not self.seed_first:
            self.reserve_seed()
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

    def zero_states(self, inputs: Tensor) -> States:
        """The first states for inputs ``[N, T, F]``; a cell that knows what to do with None may give that."""
        return [inputs.new_zeros(inputs.shape[0], self.units)] * self.num_states

    def get_initial_state(self, batch_size: int) -> list[Tensor]:
        """Zeros."""
        kind = self.dtype_policy.weights
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
