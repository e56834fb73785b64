"""ConvLSTM1D, ConvLSTM2D, ConvLSTM3D: recurrent layers over sequences of signals, pictures or volumes.

Shapes: N batch, T steps, C channels, K filters; one to three spatial axes.
Ref: Keras 3 semantics; Shi et al. 2015, arXiv:1506.04214.
"""

from __future__ import annotations

from typing import Any, ClassVar

from dougong.core.symbol import Shape
from dougong.layers.conv_lstm_cell import ConvLSTMCell
from dougong.layers.convolutional import Axes
from dougong.layers.rnn import OwnCell, cell_options

__all__ = ["ConvLSTM", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D"]


class ConvLSTM(OwnCell):
    """An LSTM whose products are convolutions: `ConvLSTMCell`'s formulas, `RNN`'s options.

    The inputs of all steps pass through one convolution; each step then costs one more, of its states.
    Shapes: ``[N, T, *space, C] -> [N, *space', K]``, or ``[N, T, *space', K]`` with ``return_sequences``; with
    ``data_format="channels_first"`` channels stand after T.
    Raises: ConfigError for bad arguments, ShapeError for other inputs.
    """

    rank: ClassVar[int]

    def __init__(
        self,
        filters: int,
        kernel_size: Axes,
        strides: Axes = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Axes = 1,
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
        **options: Any,
    ) -> None:
        cell = ConvLSTMCell(
            self.rank,
            filters,
            kernel_size,
            strides,
            padding,
            data_format,
            dilation_rate,
            activation=activation,
            recurrent_activation=recurrent_activation,
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            recurrent_initializer=recurrent_initializer,
            bias_initializer=bias_initializer,
            unit_forget_bias=unit_forget_bias,
            kernel_regularizer=kernel_regularizer,
            recurrent_regularizer=recurrent_regularizer,
            bias_regularizer=bias_regularizer,
            kernel_constraint=kernel_constraint,
            recurrent_constraint=recurrent_constraint,
            bias_constraint=bias_constraint,
            dropout=dropout,
            recurrent_dropout=recurrent_dropout,
            seed=seed,
            **cell_options("conv_lstm_cell", options),
        )
        super().__init__(
            cell,
            return_sequences=return_sequences,
            return_state=return_state,
            go_backwards=go_backwards,
            stateful=stateful,
            activity_regularizer=activity_regularizer,
            **options,
        )
        for word in ("filters", "kernel_size", "strides", "padding", "data_format", "dilation_rate"):
            setattr(self, word, getattr(cell, word))
        self.recurrent_activation = cell.recurrent_activation

    def compute_output_shape(self, input_shape: Shape) -> Any:
        state, _ = self.cell.compute_output_shape((input_shape[0], *input_shape[2:]))
        output = (*input_shape[:2], *state[1:]) if self.return_sequences else state
        return (output, state, state) if self.return_state else output

    def input_problem(self, shape: Any) -> str | None:
        if not isinstance(shape, tuple) or len(shape) != self.rank + 3:
            space = ("length", "height, width", "depth, height, width")[self.rank - 1]
            axes = f"{space}, channels" if self.cell.data_format == "channels_last" else f"channels, {space}"
            return f"takes inputs of axes (batch, steps, {axes}) but received shape {shape}."
        problem = self.cell.input_problem((shape[0], *shape[2:]))
        return problem and f"{problem.rstrip('.')} at each step of shape {shape}."


class ConvLSTM1D(ConvLSTM):
    """Over sequences of signals.   Keras: equals ``keras.layers.ConvLSTM1D``, random stream apart.

    >>> import torch
    >>> ConvLSTM1D(4, 3)(torch.zeros(1, 3, 8, 2)).shape
    torch.Size([1, 6, 4])
    """

    rank = 1


class ConvLSTM2D(ConvLSTM):
    """Over sequences of pictures.   Keras: equals ``keras.layers.ConvLSTM2D``, random stream apart.

    >>> import torch
    >>> ConvLSTM2D(4, 3)(torch.zeros(1, 3, 8, 8, 2)).shape
    torch.Size([1, 6, 6, 4])
    """

    rank = 2


class ConvLSTM3D(ConvLSTM):
    """Over sequences of volumes.   Keras: equals ``keras.layers.ConvLSTM3D``, random stream apart.

    >>> import torch
    >>> ConvLSTM3D(4, 3)(torch.zeros(1, 3, 5, 5, 5, 2)).shape
    torch.Size([1, 3, 3, 3, 4])
    """

    rank = 3
