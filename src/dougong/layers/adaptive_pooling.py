"""Pooling to a given number of windows, whatever the input's size.   Shapes: N batch, C channels; space is 1 to 3 axes.

Window ``o`` of ``m`` over ``n`` values runs from ⌊o n / m⌋ to ⌈(o + 1) n / m⌉, so windows may overlap.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Unpack

import torch
from torch import Tensor
from torch.nn import functional as F

from dougong.core.arithmetic import data_format_of, per_axis
from dougong.layers.layer import LayerOptions
from dougong.layers.spatial import SpatialLayer

__all__ = [
    "AdaptiveAveragePooling1D",
    "AdaptiveAveragePooling2D",
    "AdaptiveAveragePooling3D",
    "AdaptiveMaxPooling1D",
    "AdaptiveMaxPooling2D",
    "AdaptiveMaxPooling3D",
    "AdaptivePooling",
]


class AdaptivePooling(SpatialLayer):
    """One number for each of ``output_size`` windows along each axis.   Shapes: ``[N, *space, C] -> [N, *size, C]``.

    Raises: ConfigError for bad arguments; ShapeError for inputs of other axes.
    """

    pool: ClassVar[Callable[..., Tensor]]

    def __init__(
        self, output_size: int | Sequence[int], data_format: str | None = None, **options: Unpack[LayerOptions]
    ) -> None:
        super().__init__(**options)
        self.output_size = per_axis(output_size, self.rank, "output_size")
        self.data_format = data_format_of(data_format)

    def call(self, inputs: Tensor) -> Tensor:
        if inputs.ndim != self.rank + 2:  # torch would take another axis for the batch, or for space
            self.require(tuple(inputs.shape))
        pool: Any = type(self).pool
        if self.data_format == "channels_first":
            return pool(inputs, self.output_size)
        return pool(inputs.movedim(-1, 1), self.output_size).movedim(1, -1)

    def output_space(self, space: Sequence[int | None]) -> Sequence[int | None]:
        return [0 if length == 0 else size for length, size in zip(space, self.output_size)]


class AdaptiveAveragePooling1D(AdaptivePooling):
    """The mean of each window over one axis.   Keras: equals ``keras.layers.AdaptiveAveragePooling1D``.

    >>> AdaptiveAveragePooling1D(2)(torch.tensor([[[1.0], [3.0], [5.0], [9.0]]])).flatten()
    tensor([2., 7.])
    """

    rank = 1
    pool = staticmethod(torch.adaptive_avg_pool1d)


class AdaptiveAveragePooling2D(AdaptivePooling):
    """The mean of each window of an image.   Keras: equals ``keras.layers.AdaptiveAveragePooling2D``.

    >>> AdaptiveAveragePooling2D((2, 3))(torch.zeros(1, 7, 7, 4)).shape
    torch.Size([1, 2, 3, 4])
    """

    rank = 2
    pool = staticmethod(F.adaptive_avg_pool2d)


class AdaptiveAveragePooling3D(AdaptivePooling):
    """The mean of each window of a volume.   Keras: equals ``keras.layers.AdaptiveAveragePooling3D``.

    >>> AdaptiveAveragePooling3D(2)(torch.zeros(1, 7, 7, 7, 4)).shape
    torch.Size([1, 2, 2, 2, 4])
    """

    rank = 3
    pool = staticmethod(F.adaptive_avg_pool3d)


class AdaptiveMaxPooling1D(AdaptivePooling):
    """The largest value of each window over one axis.   Keras: equals ``keras.layers.AdaptiveMaxPooling1D``.

    >>> AdaptiveMaxPooling1D(2)(torch.tensor([[[1.0], [3.0], [5.0], [9.0]]])).flatten()
    tensor([3., 9.])
    """

    rank = 1
    pool = staticmethod(F.adaptive_max_pool1d)


class AdaptiveMaxPooling2D(AdaptivePooling):
    """The largest value of each window of an image.   Keras: equals ``keras.layers.AdaptiveMaxPooling2D``.

    >>> AdaptiveMaxPooling2D((2, 3))(torch.zeros(1, 7, 7, 4)).shape
    torch.Size([1, 2, 3, 4])
    """

    rank = 2
    pool = staticmethod(F.adaptive_max_pool2d)


class AdaptiveMaxPooling3D(AdaptivePooling):
    """The largest value of each window of a volume.   Keras: equals ``keras.layers.AdaptiveMaxPooling3D``.

    >>> AdaptiveMaxPooling3D(2)(torch.zeros(1, 7, 7, 7, 4)).shape
    torch.Size([1, 2, 2, 2, 4])
    """

    rank = 3
    pool = staticmethod(F.adaptive_max_pool3d)
