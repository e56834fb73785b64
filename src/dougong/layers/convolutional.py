"""Conv1D, Conv2D, Conv3D.   Shapes: N batch, C channels, K filters, G groups; space is one to three axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

from torch import Tensor

from dougong.core.arithmetic import Padding, data_format_of, output_length, padding_of, per_axis, symmetric_pads
from dougong.core.errors import ConfigError, ShapeError
from dougong.core.layout import Layout
from dougong.core.symbol import Shape
from dougong.layers.layer import LayerOptions
from dougong.layers.spatial import SpatialLayer
from dougong.ops import activations, constraints, initializers, regularizers
from dougong.ops.activations import linear
from dougong.ops.convolution import convolve

__all__ = [
    "Conv1D",
    "Conv2D",
    "Conv3D",
    "Convolution",
    "Convolution1D",
    "Convolution2D",
    "Convolution3D",
    "kernel_layout",
    "refuse_stride_with_dilation",
]

Axes = int | Sequence[int]


def kernel_layout(rank: int) -> Layout:
    """Keras's ``[*kernel, C, K]`` as torch's ``[K, C, *kernel]``."""
    return Layout.permuted(rank + 1, rank, *range(rank))


def refuse_stride_with_dilation(strides: tuple[int, ...], dilation_rate: tuple[int, ...]) -> None:
    """Raises: ConfigError where both are above 1, since no Keras backend but torch would load the model."""
    if max(strides) > 1 and max(dilation_rate) > 1:
        raise ConfigError(f"strides={strides} and dilation_rate={dilation_rate}: only one of them may be above 1")


class Convolution(SpatialLayer):
    r"""A small linear layer slid over the input: the same weights at every place.

    .. math:: y_{o,k} = f\bigl(b_k + \sum_{j,c} w_{j,c,k}\, x_{o s + j d - p,\,c}\bigr)

    ``padding`` is "valid", "same" or, for Conv1D, "causal"; with ``groups`` each K/G filters see C/G channels.
    Shapes: ``[N, *space, C] -> [N, *space', K]``; ``kernel`` is ``[*kernel_size, C/G, K]``, ``weight`` torch's view.
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
        groups: int = 1,
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
        self.padding: Padding = padding_of(
            padding, ("valid", "same", "causal") if self.rank == 1 else ("valid", "same")
        )
        self.data_format = data_format_of(data_format)
        self.dilation_rate = per_axis(dilation_rate, self.rank, "dilation_rate")
        (self.groups,) = per_axis(groups, 1, "groups")
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        refuse_stride_with_dilation(self.strides, self.dilation_rate)
        if self.filters % self.groups:
            raise ConfigError(f"filters={self.filters} must be a multiple of groups={self.groups}")
        # Found once: pads that do not depend on the input go to torch's kernel as they are.
        pads = symmetric_pads(self.kernel_size, self.strides, self.padding, self.dilation_rate)
        self._pads: Padding | tuple[int, ...] = self.padding if pads is None else pads

    def build(self, input_shape: Shape) -> None:
        channels = self.required_channels(input_shape)
        if channels % self.groups:
            raise ShapeError(
                f"{type(self).__name__} {self.name!r} has groups={self.groups}, which does not divide the {channels}"
                f" channels of shape {input_shape}; choose groups that do"
            )
        self.weight = self.add_weight(
            (*self.kernel_size, channels // self.groups, self.filters),
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
        outputs = convolve(
            inputs,
            self.weight,
            self.bias,
            strides=self.strides,
            padding=self._pads,
            dilation=self.dilation_rate,
            groups=self.groups,
            data_format=self.data_format,
        )
        return outputs if self.activation is linear else self.activation(outputs)

    def output_space(self, space: Sequence[int | None]) -> Sequence[int | None]:
        axes = zip(space, self.kernel_size, self.strides, self.dilation_rate)
        return [output_length(n, k, s, self.padding, d) for n, k, s, d in axes]

    def output_channels(self, channels: int | None) -> int | None:
        return self.filters


class Conv1D(Convolution):
    """Convolution over one axis, such as time.   Keras: equals ``keras.layers.Conv1D``, without LoRA.

    >>> import torch
    >>> Conv1D(4, 3, padding="causal")(torch.zeros(2, 10, 3)).shape
    torch.Size([2, 10, 4])
    """

    rank = 1


class Conv2D(Convolution):
    """Convolution over images.   Keras: equals ``keras.layers.Conv2D``, without LoRA.

    >>> import torch
    >>> Conv2D(8, 3, strides=2, padding="same", activation="relu")(torch.zeros(2, 28, 28, 1)).shape
    torch.Size([2, 14, 14, 8])
    """

    rank = 2


class Conv3D(Convolution):
    """Convolution over volumes, or images in time.   Keras: equals ``keras.layers.Conv3D``, without LoRA.

    >>> import torch
    >>> Conv3D(2, (1, 3, 3))(torch.zeros(1, 4, 8, 8, 3)).shape
    torch.Size([1, 4, 6, 6, 2])
    """

    rank = 3


Convolution1D, Convolution2D, Convolution3D = Conv1D, Conv2D, Conv3D
