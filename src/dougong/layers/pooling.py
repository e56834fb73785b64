"""Max and average pooling, over windows and over everything.   Shapes: N batch, C channels; space is 1 to 3 axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

import torch
from torch import Tensor

from dougong.core.arithmetic import Padding, data_format_of, output_length, padding_of, per_axis, spatial_axes
from dougong.core.symbol import Shape
from dougong.layers.layer import LayerOptions
from dougong.layers.spatial import SpatialLayer
from dougong.ops.pooling import average_pool, max_pool

__all__ = [
    "AveragePooling1D",
    "AveragePooling2D",
    "AveragePooling3D",
    "AvgPool1D",
    "AvgPool2D",
    "AvgPool3D",
    "GlobalAveragePooling1D",
    "GlobalAveragePooling2D",
    "GlobalAveragePooling3D",
    "GlobalAvgPool1D",
    "GlobalAvgPool2D",
    "GlobalAvgPool3D",
    "GlobalMaxPool1D",
    "GlobalMaxPool2D",
    "GlobalMaxPool3D",
    "GlobalMaxPooling1D",
    "GlobalMaxPooling2D",
    "GlobalMaxPooling3D",
    "GlobalPooling",
    "MaxPool1D",
    "MaxPool2D",
    "MaxPool3D",
    "MaxPooling1D",
    "MaxPooling2D",
    "MaxPooling3D",
    "Pooling",
]

Axes = int | Sequence[int]


class Pooling(SpatialLayer):
    """One number for each window of ``pool_size``; windows are ``strides`` apart, by default side by side.

    Shapes: ``[N, *space, C] -> [N, *space', C]``.
    Raises: ConfigError for bad arguments; ShapeError for inputs of other axes, or too small.
    """

    def __init__(
        self,
        pool_size: Axes = 2,
        strides: Axes | None = None,
        padding: str = "valid",
        data_format: str | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**options)
        self.pool_size = per_axis(pool_size, self.rank, "pool_size")
        self.strides = self.pool_size if strides is None else per_axis(strides, self.rank, "strides")
        self.padding: Padding = padding_of(padding)
        self.data_format = data_format_of(data_format)

    def output_space(self, space: Sequence[int | None]) -> Sequence[int | None]:
        return [output_length(n, k, s, self.padding) for n, k, s in zip(space, self.pool_size, self.strides)]


class _Max(Pooling):
    def call(self, inputs: Tensor) -> Tensor:
        if inputs.ndim != self.rank + 2:  # torch would take another axis for the batch, or for space
            self.require(tuple(inputs.shape))
        return max_pool(
            inputs,
            pool_size=self.pool_size,
            strides=self.strides,
            padding=self.padding,
            data_format=self.data_format,
        )


class _Average(Pooling):
    def call(self, inputs: Tensor) -> Tensor:
        if inputs.ndim != self.rank + 2:  # torch would take another axis for the batch, or for space
            self.require(tuple(inputs.shape))
        return average_pool(
            inputs,
            pool_size=self.pool_size,
            strides=self.strides,
            padding=self.padding,
            data_format=self.data_format,
        )


class MaxPooling1D(_Max):
    """The largest value of each window over one axis.   Keras: equals ``keras.layers.MaxPooling1D``.

    >>> MaxPooling1D(2)(torch.tensor([[[1.0], [3.0], [2.0], [0.0]]])).flatten()
    tensor([3., 2.])
    """

    rank = 1


class MaxPooling2D(_Max):
    """The largest value of each window of an image.   Keras: equals ``keras.layers.MaxPooling2D``.

    >>> MaxPooling2D()(torch.zeros(1, 5, 5, 3)).shape
    torch.Size([1, 2, 2, 3])
    """

    rank = 2


class MaxPooling3D(_Max):
    """The largest value of each window of a volume.   Keras: equals ``keras.layers.MaxPooling3D``.

    >>> MaxPooling3D(padding="same")(torch.zeros(1, 5, 5, 5, 3)).shape
    torch.Size([1, 3, 3, 3, 3])
    """

    rank = 3


class AveragePooling1D(_Average):
    """The mean of each window over one axis; "same" padding does not count.

    Keras: equals ``keras.layers.AveragePooling1D`` on TensorFlow and JAX.

    >>> AveragePooling1D(2)(torch.tensor([[[1.0], [3.0], [2.0], [0.0]]])).flatten()
    tensor([2., 1.])
    """

    rank = 1


class AveragePooling2D(_Average):
    """The mean of each window of an image; "same" padding does not count.

    Keras: equals ``keras.layers.AveragePooling2D`` on TensorFlow and JAX.

    >>> AveragePooling2D(3, strides=1)(torch.zeros(1, 5, 5, 3)).shape
    torch.Size([1, 3, 3, 3])
    """

    rank = 2


class AveragePooling3D(_Average):
    """The mean of each window of a volume; "same" padding does not count.

    Keras: equals ``keras.layers.AveragePooling3D`` on TensorFlow and JAX.

    >>> AveragePooling3D()(torch.zeros(1, 4, 4, 4, 3)).shape
    torch.Size([1, 2, 2, 2, 3])
    """

    rank = 3


class GlobalPooling(SpatialLayer):
    """One number for each channel, whatever the space.   Shapes: ``[N, *space, C] -> [N, C]``.

    ``keepdims`` keeps the spatial axes with length 1.   Raises: ShapeError for inputs of other axes, or without space.
    """

    def __init__(self, data_format: str | None = None, keepdims: bool = False, **options: Unpack[LayerOptions]) -> None:
        super().__init__(**options)
        self.data_format = data_format_of(data_format)
        self.keepdims = keepdims
        self._axes = spatial_axes(self.rank, self.data_format)

    def output_space(self, space: Sequence[int | None]) -> Sequence[int | None]:
        return [0 if length == 0 else 1 for length in space]

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        shape = super().compute_output_shape(input_shape)
        return shape if self.keepdims else (shape[0], self.split(shape)[1])


class _GlobalMax(GlobalPooling):
    def call(self, inputs: Tensor) -> Tensor:
        if inputs.ndim != self.rank + 2:  # torch would take another axis for the batch, or for space
            self.require(tuple(inputs.shape))
        return torch.amax(inputs, self._axes, self.keepdims)


class _GlobalAverage(GlobalPooling):
    def call(self, inputs: Tensor) -> Tensor:
        if inputs.ndim != self.rank + 2:  # torch would take another axis for the batch, or for space
            self.require(tuple(inputs.shape))
        return torch.mean(inputs, self._axes, self.keepdims)


class GlobalMaxPooling1D(_GlobalMax):
    """The largest value of each channel.   Keras: equals ``keras.layers.GlobalMaxPooling1D``.

    >>> GlobalMaxPooling1D()(torch.tensor([[[1.0], [3.0]]]))
    tensor([[3.]])
    """

    rank = 1


class GlobalMaxPooling2D(_GlobalMax):
    """The largest value of each channel of an image.   Keras: equals ``keras.layers.GlobalMaxPooling2D``.

    >>> GlobalMaxPooling2D()(torch.zeros(2, 4, 4, 3)).shape
    torch.Size([2, 3])
    """

    rank = 2


class GlobalMaxPooling3D(_GlobalMax):
    """The largest value of each channel of a volume.   Keras: equals ``keras.layers.GlobalMaxPooling3D``.

    >>> GlobalMaxPooling3D(keepdims=True)(torch.zeros(2, 4, 4, 4, 3)).shape
    torch.Size([2, 1, 1, 1, 3])
    """

    rank = 3


class GlobalAveragePooling1D(GlobalPooling):
    """The mean of each channel over the steps that the mask keeps.

    Keras: equals ``keras.layers.GlobalAveragePooling1D``; a sample with nothing kept gives NaN, as there.

    >>> x = torch.tensor([[[1.0], [3.0], [9.0]]])
    >>> GlobalAveragePooling1D()(x, mask=torch.tensor([[True, True, False]]))
    tensor([[2.]])
    """

    rank = 1
    _direct = True

    def call(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        if inputs.ndim != self.rank + 2:  # torch would take another axis for the batch, or for space
            self.require(tuple(inputs.shape))
        if mask is None:
            return torch.mean(inputs, self._axes, self.keepdims)
        kept = mask.bool().unsqueeze(-1 if self.data_format == "channels_last" else 1)
        total = torch.where(kept, inputs, 0.0).sum(self._axes, self.keepdims)
        return total / kept.sum(self._axes, self.keepdims)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return None


class GlobalAveragePooling2D(_GlobalAverage):
    """The mean of each channel of an image.   Keras: equals ``keras.layers.GlobalAveragePooling2D``.

    >>> GlobalAveragePooling2D()(torch.ones(2, 4, 4, 3)).shape
    torch.Size([2, 3])
    """

    rank = 2


class GlobalAveragePooling3D(_GlobalAverage):
    """The mean of each channel of a volume.   Keras: equals ``keras.layers.GlobalAveragePooling3D``.

    >>> GlobalAveragePooling3D()(torch.ones(2, 4, 4, 4, 3)).shape
    torch.Size([2, 3])
    """

    rank = 3


MaxPool1D, MaxPool2D, MaxPool3D = MaxPooling1D, MaxPooling2D, MaxPooling3D
AvgPool1D, AvgPool2D, AvgPool3D = AveragePooling1D, AveragePooling2D, AveragePooling3D
GlobalMaxPool1D, GlobalMaxPool2D, GlobalMaxPool3D = GlobalMaxPooling1D, GlobalMaxPooling2D, GlobalMaxPooling3D
GlobalAvgPool1D, GlobalAvgPool2D = GlobalAveragePooling1D, GlobalAveragePooling2D
GlobalAvgPool3D = GlobalAveragePooling3D
