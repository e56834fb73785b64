"""The cell of ConvLSTM1D, ConvLSTM2D and ConvLSTM3D: an LSTM whose products are convolutions.

Weights: ``weight_ih`` ``[4K, C, *kernel]`` and ``weight_hh`` ``[4K, K, *kernel]``, gates in the order i, f, g, o.
Shapes: N batch, T steps, C channels, K filters.   Ref: Keras 3 semantics; Shi et al. 2015, arXiv:1506.04214.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from dougong.core.arithmetic import data_format_of, output_length, padding_of, per_axis, symmetric_pads
from dougong.core.errors import ShapeError
from dougong.core.symbol import Shape
from dougong.layers.convolutional import Axes, kernel_layout, refuse_stride_with_dilation
from dougong.layers.gated_cell import States
from dougong.layers.recurrent_cells import LSTMCell
from dougong.ops.convolution import convolve

__all__ = ["ConvLSTMCell"]

_FORMATS = {2: torch.channels_last, 3: torch.channels_last_3d}


class ConvLSTMCell(LSTMCell):
    r"""`LSTMCell` over ``rank`` spatial axes.

    .. math:: (i, f, g, o) = W_x * x_t + W_h * h_{t-1} + b

    The inputs' convolution has the ``strides``, ``padding`` and ``dilation_rate`` given; the states' has none and keeps
    their size.  ``options`` are `LSTMCell`'s.   Keras: equals the cell within ``keras.layers.ConvLSTM2D``.
    """

    seed_first = True

    def __init__(
        self,
        rank: int,
        filters: int,
        kernel_size: Axes,
        strides: Axes = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Axes = 1,
        **options: Any,
    ) -> None:
        (filters,) = per_axis(filters, 1, "filters")
        super().__init__(filters, **options)
        self.rank = rank
        self.filters = filters
        self.kernel_size = per_axis(kernel_size, rank, "kernel_size")
        self.strides = per_axis(strides, rank, "strides")
        self.padding: Any = padding_of(padding)
        self.data_format = data_format_of(data_format)
        self.dilation_rate = per_axis(dilation_rate, rank, "dilation_rate")
        refuse_stride_with_dilation(self.strides, self.dilation_rate)
        ones = (1,) * rank
        pads = symmetric_pads(self.kernel_size, self.strides, self.padding, self.dilation_rate)
        self._pads: Any = self.padding if pads is None else pads
        self._state_pads: Any = symmetric_pads(self.kernel_size, ones, "same", ones) or "same"

    # ── Shapes ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _split(self, shape: Shape) -> tuple[Shape, int | None]:
        """The spatial lengths and the channels of one step's shape."""
        return (shape[1:-1], shape[-1]) if self.data_format == "channels_last" else (shape[2:], shape[1])

    def _state_shape(self, batch: int | None, space: Shape) -> Shape:
        lengths = zip(space, self.kernel_size, self.strides, self.dilation_rate)
        made = [output_length(n, k, s, self.padding, d) for n, k, s, d in lengths]
        return (batch, *made, self.filters) if self.data_format == "channels_last" else (batch, self.filters, *made)

    def compute_output_shape(self, input_shape: Shape) -> Any:
        state = self._state_shape(input_shape[0], self._split(input_shape)[0])
        return state, [state, state]

    def zero_states(self, inputs: Tensor) -> States:
        """None for each state: zeros, which the first step need not convolve."""
        return [None, None]

    def get_initial_state(self, batch_size: int) -> list[Tensor]:
        if None in self.space:
            raise ShapeError(f"{self.name!r} was built for unknown lengths {self.space}; give Input a full shape")
        shape: Any = self._state_shape(batch_size, self.space)
        return [torch.zeros(shape, dtype=self.weight_hh.dtype, device=self.weight_hh.device) for _ in range(2)]

    def input_problem(self, shape: Shape) -> str | None:
        """As `Layer.input_problem`, for one step's shape."""
        space, channels = self._split(shape)
        if channels not in (None, self.features):
            return f"was built for {self.features} channels but received shape {shape}; build with {channels}."
        if any(n is not None and n < 1 for n in self._state_shape(None, space)[1:]):
            return f"received shape {shape}, which is too small for kernel_size={self.kernel_size}."
        return None

    # ── Building and running ────────────────────────────────────────────────────────────────────────────────────────

    def build(self, input_shape: Shape) -> None:
        self.space, channels = self._split(tuple(input_shape))
        if channels is None:
            raise ShapeError(f"ConvLSTM cell {self.name!r} needs the channels known but received shape {input_shape}")
        self.features = channels
        problem = self.input_problem(tuple(input_shape))
        if problem:
            raise ShapeError(f"ConvLSTM cell {self.name!r} {problem}")
        width = 4 * self.filters
        self.weight_ih = self.add_weight(
            (*self.kernel_size, channels, width),
            self.kernel_initializer,
            name="kernel",
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
            layout=kernel_layout(self.rank),
        )
        self.weight_hh = self.add_weight(
            (*self.kernel_size, self.filters, width),
            self.recurrent_initializer,
            name="recurrent_kernel",
            regularizer=self.recurrent_regularizer,
            constraint=self.recurrent_constraint,
            layout=kernel_layout(self.rank),
        )
        if self.use_bias:
            self.bias = self.add_weight(
                (width,),
                self.first_bias,
                name="bias",
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )

    def sequence(self, x: Tensor, states: States, every: bool = False) -> tuple[Tensor, States]:
        last = self.data_format == "channels_last"
        h, c = ((state.movedim(-1, 1) if last and state is not None else state) for state in states)
        activation, gate = self.activation, self.recurrent_activation
        masks = None
        outputs, cells = [], []
        for gates in self._convolved(x):
            if h is not None:
                masks = self._state_masks(h) if masks is None else masks
                gates = gates + self._from_states(h, masks)
            i, f, g, o = gates.chunk(4, 1)
            new = gate(i) * activation(g)
            c = new if c is None else gate(f) * c + new
            h = gate(o) * activation(c)
            outputs.append(h.movedim(1, -1) if last else h)
            cells.append(c.movedim(1, -1) if last else c)
        stacked = torch.stack(outputs, 1)
        return stacked, [stacked, torch.stack(cells, 1)] if every else [outputs[-1], cells[-1]]

    def _convolved(self, x: Tensor) -> Sequence[Tensor]:
        """The inputs' part of all gates, ``[N, 4K, *space]`` for each step, from one convolution over all steps."""
        batch, steps = x.shape[:2]
        x = x.transpose(0, 1)
        if self.data_format == "channels_last":
            x = x.movedim(-1, 2)
        groups = 1
        if self.training and 0 < self.dropout < 1:  # each gate hides values of its own, the same ones in all steps
            masks = self._scaled_mask(x, (4, *x.shape[1:]), self.dropout)
            x, groups = (x.unsqueeze(2) * masks.transpose(0, 1)).flatten(2, 3), 4
        gates = convolve(
            x.flatten(0, 1),
            self.weight_ih,
            self.bias,
            strides=self.strides,
            padding=self._pads,
            dilation=self.dilation_rate,
            groups=groups,
            data_format="channels_first",
        )
        if self.rank in _FORMATS and self.data_format == "channels_last":
            # Inputs of one channel have no order of axes to go by, and torch would choose the slower one.
            gates = gates.contiguous(memory_format=_FORMATS[self.rank])
        return gates.unflatten(0, (steps, batch)).unbind(0)

    def _from_states(self, h: Tensor, masks: Tensor | None) -> Tensor:
        ones, groups = (1,) * self.rank, 1
        if masks is not None:
            h, groups = (h * masks).transpose(0, 1).flatten(1, 2), 4
        return convolve(
            h,
            self.weight_hh,
            strides=ones,
            padding=self._state_pads,
            dilation=ones,
            groups=groups,
            data_format="channels_first",
        )
