"""Depthwise and separable convolutions.   Shapes: N batch, C channels, M depth multiplier, K filters."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Unpack

from torch import Tensor

from dougong.core.arithmetic import Padding, data_format_of, output_length, padding_of, per_axis, symmetric_pads
from dougong.core.layout import Layout
from dougong.core.symbol import Shape
from dougong.layers.convolutional import Axes, kernel_layout
from dougong.layers.layer import LayerOptions
from dougong.layers.spatial import SpatialLayer
from dougong.ops import activations, constraints, initializers, regularizers
from dougong.ops.activations import linear
from dougong.ops.convolution import convolve

__all__ = [
    "DepthwiseConv1D",
    "DepthwiseConv2D",
    "DepthwiseConvolution",
    "SeparableConv1D",
    "SeparableConv2D",
    "SeparableConvolution",
    "SeparableConvolution1D",
    "SeparableConvolution2D",
]


def _to_torch(kernel: Tensor) -> Tensor:
    """``[*kernel, C, M] -> [C M, 1, *kernel]``."""
    return kernel.movedim((-2, -1), (0, 1)).flatten(0, 1).unsqueeze(1)


def _to_keras(weight: Tensor, multiplier: int) -> Tensor:
    """``[C M, 1, *kernel] -> [*kernel, C, M]``, a view."""
    return weight.squeeze(1).unflatten(0, (-1, multiplier)).movedim((0, 1), (-2, -1))


def _depthwise_layout(multiplier: int) -> Layout:
    return Layout(to_keras=partial(_to_keras, multiplier=multiplier), from_keras=_to_torch)


class _Depthwise(SpatialLayer):
    """What both families share: the window, and the weight that filters each channel by itself."""

    depth_multiplier: int
    depthwise_regularizer: Any
    depthwise_constraint: Any

    def _set_window(
        self, kernel_size: Axes, strides: Axes, padding: str, data_format: str | None, dilation_rate: Axes
    ) -> None:
        self.kernel_size = per_axis(kernel_size, self.rank, "kernel_size")
        self.strides = per_axis(strides, self.rank, "strides")
        self.padding: Padding = padding_of(padding)
        self.data_format = data_format_of(data_format)
        self.dilation_rate = per_axis(dilation_rate, self.rank, "dilation_rate")
        pads = symmetric_pads(self.kernel_size, self.strides, self.padding, self.dilation_rate)
        self._pads: Padding | tuple[int, ...] = self.padding if pads is None else pads

    def _depthwise_weight(self, channels: int, initializer: Any, name: str) -> Any:
        return self.add_weight(
            (*self.kernel_size, channels, self.depth_multiplier),
            initializer,
            name=name,
            regularizer=self.depthwise_regularizer,
            constraint=self.depthwise_constraint,
            layout=_depthwise_layout(self.depth_multiplier),
        )

    def output_space(self, space: Sequence[int | None]) -> Sequence[int | None]:
        axes = zip(space, self.kernel_size, self.strides, self.dilation_rate)
        return [output_length(n, k, s, self.padding, d) for n, k, s, d in axes]


class DepthwiseConvolution(_Depthwise):
    r"""A convolution of each channel by itself, with M filters for each.

    .. math:: y_{o,\,c M + m} = f\bigl(b_{c M + m} + \sum_j w_{j,c,m}\, x_{o s + j d - p,\,c}\bigr)

    Shapes: ``[N, *space, C] -> [N, *space', C M]``; ``kernel`` is ``[*kernel_size, C, M]``.
    Raises: ConfigError for bad arguments; ShapeError for inputs of other axes or channels, or too small.
    """

    def __init__(
        self,
        kernel_size: Axes,
        strides: Axes = 1,
        padding: str = "valid",
        depth_multiplier: int = 1,
        data_format: str | None = None,
        dilation_rate: Axes = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        *,
        depthwise_constraint: Any = None,
        bias_constraint: Any = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**options)
        self._set_window(kernel_size, strides, padding, data_format, dilation_rate)
        (self.depth_multiplier,) = per_axis(depth_multiplier, 1, "depth_multiplier")
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.depthwise_initializer = initializers.get(depthwise_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.depthwise_regularizer = regularizers.get(depthwise_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.depthwise_constraint = constraints.get(depthwise_constraint)
        self.bias_constraint = constraints.get(bias_constraint)

    def build(self, input_shape: Shape) -> None:
        channels = self.required_channels(input_shape)
        self.weight = self._depthwise_weight(channels, self.depthwise_initializer, "kernel")
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                (channels * self.depth_multiplier,),
                self.bias_initializer,
                name="bias",
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )
        self.channels = channels

    def call(self, inputs: Tensor) -> Tensor:
        outputs = convolve(
            inputs,
            self.weight,
            self.bias,
            strides=self.strides,
            padding=self._pads,
            dilation=self.dilation_rate,
            groups=self.channels or 1,
            data_format=self.data_format,
        )
        return outputs if self.activation is linear else self.activation(outputs)

    def output_channels(self, channels: int | None) -> int | None:
        return None if channels is None else channels * self.depth_multiplier


class SeparableConvolution(_Depthwise):
    r"""A depthwise convolution, then a mix of the channels: far fewer weights than one convolution for both.

    .. math:: y_{o,k} = f\bigl(b_k + \sum_{c,m} v_{c M + m,\,k} \sum_j w_{j,c,m}\, x_{o s + j d - p,\,c}\bigr)

    Shapes: ``[N, *space, C] -> [N, *space', K]``; ``depthwise_kernel`` is ``[*kernel_size, C, M]``,
    ``pointwise_kernel`` ``[1..., C M, K]``.
    Raises: ConfigError for bad arguments; ShapeError for inputs of other axes or channels, or too small.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Axes,
        strides: Axes = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Axes = 1,
        depth_multiplier: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        pointwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        pointwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        *,
        depthwise_constraint: Any = None,
        pointwise_constraint: Any = None,
        bias_constraint: Any = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**options)
        (self.filters,) = per_axis(filters, 1, "filters")
        self._set_window(kernel_size, strides, padding, data_format, dilation_rate)
        (self.depth_multiplier,) = per_axis(depth_multiplier, 1, "depth_multiplier")
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.depthwise_initializer = initializers.get(depthwise_initializer)
        self.pointwise_initializer = initializers.get(pointwise_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.depthwise_regularizer = regularizers.get(depthwise_regularizer)
        self.pointwise_regularizer = regularizers.get(pointwise_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.depthwise_constraint = constraints.get(depthwise_constraint)
        self.pointwise_constraint = constraints.get(pointwise_constraint)
        self.bias_constraint = constraints.get(bias_constraint)

    def build(self, input_shape: Shape) -> None:
        channels = self.required_channels(input_shape)
        self.depthwise_weight = self._depthwise_weight(channels, self.depthwise_initializer, "depthwise_kernel")
        self.pointwise_weight = self.add_weight(
            (*(1,) * self.rank, channels * self.depth_multiplier, self.filters),
            self.pointwise_initializer,
            name="pointwise_kernel",
            regularizer=self.pointwise_regularizer,
            constraint=self.pointwise_constraint,
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
        filtered = convolve(
            inputs,
            self.depthwise_weight,
            strides=self.strides,
            padding=self._pads,
            dilation=self.dilation_rate,
            groups=self.channels or 1,
            data_format=self.data_format,
        )
        ones, zeros = (1,) * self.rank, (0,) * self.rank
        outputs = convolve(
            filtered,
            self.pointwise_weight,
            self.bias,
            strides=ones,
            padding=zeros,
            dilation=ones,
            data_format=self.data_format,
        )
        return outputs if self.activation is linear else self.activation(outputs)

    def output_channels(self, channels: int | None) -> int | None:
        return self.filters


class DepthwiseConv1D(DepthwiseConvolution):
    """Over one axis.   Keras: equals ``keras.layers.DepthwiseConv1D``.

    >>> import torch
    >>> DepthwiseConv1D(3, depth_multiplier=2)(torch.zeros(2, 10, 4)).shape
    torch.Size([2, 8, 8])
    """

    rank = 1


class DepthwiseConv2D(DepthwiseConvolution):
    """Over images.   Keras: equals ``keras.layers.DepthwiseConv2D``.

    >>> import torch
    >>> DepthwiseConv2D(3, padding="same")(torch.zeros(2, 8, 8, 4)).shape
    torch.Size([2, 8, 8, 4])
    """

    rank = 2


class SeparableConv1D(SeparableConvolution):
    """Over one axis.   Keras: equals ``keras.layers.SeparableConv1D``.

    >>> import torch
    >>> SeparableConv1D(6, 3)(torch.zeros(2, 10, 4)).shape
    torch.Size([2, 8, 6])
    """

    rank = 1


class SeparableConv2D(SeparableConvolution):
    """Over images.   Keras: equals ``keras.layers.SeparableConv2D``.

    >>> import torch
    >>> SeparableConv2D(6, 3, strides=2)(torch.zeros(2, 9, 9, 4)).shape
    torch.Size([2, 4, 4, 6])
    """

    rank = 2


SeparableConvolution1D, SeparableConvolution2D = SeparableConv1D, SeparableConv2D
