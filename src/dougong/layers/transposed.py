"""Conv1DTranspose, Conv2DTranspose, Conv3DTranspose.   Shapes: N batch, C channels, K filters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

from torch import Tensor

from dougong.core.arithmetic import Padding, data_format_of, padding_of, per_axis, transposed_length, transposed_pads
from dougong.core.errors import ConfigError
from dougong.core.symbol import Shape
from dougong.layers.convolutional import Axes, kernel_layout, refuse_stride_with_dilation
from dougong.layers.layer import LayerOptions
from dougong.layers.spatial import SpatialLayer
from dougong.ops import activations, constraints, initializers, regularizers
from dougong.ops.activations import linear
from dougong.ops.convolution import convolve_transposed

__all__ = [
    "Conv1DTranspose",
    "Conv2DTranspose",
    "Conv3DTranspose",
    "Convolution1DTranspose",
    "Convolution2DTranspose",
    "Convolution3DTranspose",
    "TransposedConvolution",
]


class TransposedConvolution(SpatialLayer):
    r"""The gradient of a convolution as a layer: enlarges the input ``strides`` times, with learnt weights.

    .. math:: y_{m,k} = f\bigl(b_k + \sum_{o s + j d = m + p} \sum_c w_{j,k,c}\, x_{o,c}\bigr)

    ``output_padding`` chooses among the lengths that a convolution with these strides would have shrunk to the input's.
    Shapes: ``[N, *space, C] -> [N, *space', K]``; ``kernel`` is ``[*kernel_size, K, C]``, ``weight`` torch's view.
    Raises: ConfigError for bad arguments; ShapeError for inputs of other axes or channels.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Axes,
        strides: Axes = 1,
        padding: str = "valid",
        output_padding: Axes | None = None,
        data_format: str | None = None,
        dilation_rate: Axes = 1,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        *,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**options)
        (self.filters,) = per_axis(filters, 1, "filters")
        self.kernel_size = per_axis(kernel_size, self.rank, "kernel_size")
        self.strides = per_axis(strides, self.rank, "strides")
        self.padding: Padding = padding_of(padding)
        self.output_padding = None
        if output_padding is not None:
            self.output_padding = per_axis(output_padding, self.rank, "output_padding", minimum=0)
            if any(extra >= stride for extra, stride in zip(self.output_padding, self.strides)):
                raise ConfigError(f"output_padding={self.output_padding} must be below strides={self.strides}")
        self.data_format = data_format_of(data_format)
        self.dilation_rate = per_axis(dilation_rate, self.rank, "dilation_rate")
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        refuse_stride_with_dilation(self.strides, self.dilation_rate)
        self._cuts = tuple(
            transposed_pads(k, s, self.padding, o, d)
            for k, s, o, d in zip(self.kernel_size, self.strides, self._output_paddings(), self.dilation_rate)
        )

    def _output_paddings(self) -> Sequence[int | None]:
        return self.output_padding or (None,) * self.rank

    def build(self, input_shape: Shape) -> None:
        channels = self.required_channels(input_shape)
        self.weight = self.add_weight(
            (*self.kernel_size, self.filters, channels),
            self.kernel_initializer,
            name="kernel",
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
            layout=kernel_layout(self.rank),
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                (self.filters,),
                self.bias_initializer,
                name="bias",
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )
        self.channels = channels

    def call(self, inputs: Tensor) -> Tensor:
        outputs = convolve_transposed(
            inputs,
            self.weight,
            self.bias,
            strides=self.strides,
            cuts=self._cuts,
            dilation=self.dilation_rate,
            data_format=self.data_format,
        )
        return outputs if self.activation is linear else self.activation(outputs)

    def output_space(self, space: Sequence[int | None]) -> Sequence[int | None]:
        axes = zip(space, self.kernel_size, self.strides, self._output_paddings(), self.dilation_rate)
        return [transposed_length(n, k, s, self.padding, o, d) for n, k, s, o, d in axes]

    def output_channels(self, channels: int | None) -> int | None:
        return self.filters


class Conv1DTranspose(TransposedConvolution):
    """Over one axis.   Keras: equals ``keras.layers.Conv1DTranspose``.

    >>> import torch
    >>> Conv1DTranspose(4, 3, strides=2, padding="same")(torch.zeros(2, 10, 3)).shape
    torch.Size([2, 20, 4])
    """

    rank = 1


class Conv2DTranspose(TransposedConvolution):
    """Over images.   Keras: equals ``keras.layers.Conv2DTranspose``.

    >>> import torch
    >>> Conv2DTranspose(4, 3, strides=2)(torch.zeros(2, 8, 8, 3)).shape
    torch.Size([2, 17, 17, 4])
    """

    rank = 2


class Conv3DTranspose(TransposedConvolution):
    """Over volumes.   Keras: equals ``keras.layers.Conv3DTranspose``, whose ``data_format`` comes earlier than in 2D.

    >>> import torch
    >>> Conv3DTranspose(4, 2, strides=2)(torch.zeros(1, 2, 3, 4, 5)).shape
    torch.Size([1, 4, 6, 8, 4])
    """

    rank = 3

    def __init__(
        self,
        filters: int,
        kernel_size: Axes,
        strides: Axes = 1,
        padding: str = "valid",
        data_format: str | None = None,
        output_padding: Axes | None = None,
        **options: Any,
    ) -> None:
        super().__init__(filters, kernel_size, strides, padding, output_padding, data_format, **options)


Convolution1DTranspose = Conv1DTranspose
Convolution2DTranspose = Conv2DTranspose
Convolution3DTranspose = Conv3DTranspose
