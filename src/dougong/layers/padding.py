"""Layers that only change the space: zero padding, cropping, upsampling.   Shapes: N batch, C channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

import torch
from torch import Tensor
from torch.nn import functional as F

from dougong.core.arithmetic import data_format_of, pairs, per_axis
from dougong.core.errors import ConfigError
from dougong.layers.layer import LayerOptions
from dougong.layers.spatial import SpatialLayer
from dougong.ops.resizing import resize

__all__ = [
    "Cropping",
    "Cropping1D",
    "Cropping2D",
    "Cropping3D",
    "UpSampling",
    "UpSampling1D",
    "UpSampling2D",
    "UpSampling3D",
    "ZeroPadding",
    "ZeroPadding1D",
    "ZeroPadding2D",
    "ZeroPadding3D",
]

Axes = int | Sequence[int]
Pairs = int | Sequence[int | Sequence[int]]


class ZeroPadding(SpatialLayer):
    """Zeros before the beginning and after the end of each spatial axis.

    ``padding`` is an int, an int for each axis, or a (beginning, end) pair for each axis.
    Shapes: ``[N, *space, C] -> [N, *space', C]``.   Raises: ConfigError for bad arguments; ShapeError for other axes.
    """

    def __init__(self, padding: Pairs = 1, data_format: str | None = None, **options: Unpack[LayerOptions]) -> None:
        super().__init__(**options)
        self.padding: Any = pairs(padding, self.rank, "padding")
        self._set_pads(data_format)

    def _set_pads(self, data_format: str | None) -> None:
        self.data_format = data_format_of(data_format)
        self._pairs = (self.padding,) if self.rank == 1 and isinstance(self.padding[0], int) else self.padding
        flat = [side for pair in reversed(self._pairs) for side in pair]
        self._flat = [0, 0, *flat] if self.data_format == "channels_last" else flat

    def call(self, inputs: Tensor) -> Tensor:
        if inputs.ndim != self.rank + 2:  # torch would take another axis for the batch, or for space
            self.require(tuple(inputs.shape))
        return torch.constant_pad_nd(inputs, self._flat, 0)

    def output_space(self, space: Sequence[int | None]) -> Sequence[int | None]:
        return [None if length is None else length + sum(pair) for length, pair in zip(space, self._pairs)]


class ZeroPadding1D(ZeroPadding):
    """Over one axis; a pair of ints means (beginning, end).   Keras: equals ``keras.layers.ZeroPadding1D``.

    >>> ZeroPadding1D((0, 2))(torch.ones(1, 1, 1)).flatten()
    tensor([1., 0., 0.])
    """

    rank = 1

    def __init__(self, padding: Axes = 1, data_format: str | None = None, **options: Unpack[LayerOptions]) -> None:
        super().__init__(0, **options)
        self.padding = per_axis(padding, 2, "padding", minimum=0)
        self._set_pads(data_format)


class ZeroPadding2D(ZeroPadding):
    """Around images.   Keras: equals ``keras.layers.ZeroPadding2D``.

    >>> ZeroPadding2D(((1, 0), (2, 2)))(torch.ones(1, 3, 3, 1)).shape
    torch.Size([1, 4, 7, 1])
    """

    rank = 2


class ZeroPadding3D(ZeroPadding):
    """Around volumes.   Keras: equals ``keras.layers.ZeroPadding3D``.

    >>> ZeroPadding3D()(torch.ones(1, 2, 2, 2, 1)).shape
    torch.Size([1, 4, 4, 4, 1])
    """

    rank = 3


class Cropping(SpatialLayer):
    """Cuts off the beginning and the end of each spatial axis, as a view.

    ``cropping`` is an int, an int for each axis, or a (beginning, end) pair for each axis.
    Shapes: ``[N, *space, C] -> [N, *space', C]``.
    Raises: ConfigError for bad arguments; ShapeError for other axes, or where nothing would be left.
    """

    _pairs: tuple[tuple[int, int], ...]

    def _set_slices(self) -> None:
        kept = [slice(begin, -end if end else None) for begin, end in self._pairs]
        lead = [slice(None)] * (1 if self.data_format == "channels_last" else 2)
        self._slices = (*lead, *kept)

    def call(self, inputs: Tensor) -> Tensor:
        if inputs.ndim != self.rank + 2:  # torch would take another axis for the batch, or for space
            self.require(tuple(inputs.shape))
        outputs = inputs[self._slices]
        if not outputs.numel() and inputs.numel():  # slicing never fails, it only gives nothing
            self.require(tuple(inputs.shape))
        return outputs

    def output_space(self, space: Sequence[int | None]) -> Sequence[int | None]:
        return [None if length is None else length - sum(pair) for length, pair in zip(space, self._pairs)]


class Cropping1D(Cropping):
    """Over one axis; a pair of ints means (beginning, end).   Keras: equals ``keras.layers.Cropping1D``.

    >>> Cropping1D((0, 2))(torch.arange(4.0).reshape(1, 4, 1)).flatten()
    tensor([0., 1.])
    """

    rank = 1

    def __init__(self, cropping: Axes = 1, **options: Unpack[LayerOptions]) -> None:
        super().__init__(**options)
        self.cropping = per_axis(cropping, 2, "cropping", minimum=0)
        self._pairs = ((self.cropping[0], self.cropping[1]),)
        self._set_slices()


class Cropping2D(Cropping):
    """Of images.   Keras: equals ``keras.layers.Cropping2D``.

    >>> Cropping2D(((1, 0), (2, 2)))(torch.ones(1, 6, 6, 1)).shape
    torch.Size([1, 5, 2, 1])
    """

    rank = 2

    def __init__(
        self,
        cropping: Pairs = ((0, 0), (0, 0)),
        data_format: str | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**options)
        self.cropping = self._pairs = pairs(cropping, 2, "cropping")
        self.data_format = data_format_of(data_format)
        self._set_slices()


class Cropping3D(Cropping):
    """Of volumes.   Keras: equals ``keras.layers.Cropping3D``.

    >>> Cropping3D()(torch.ones(1, 4, 4, 4, 1)).shape
    torch.Size([1, 2, 2, 2, 1])
    """

    rank = 3

    def __init__(
        self,
        cropping: Pairs = ((1, 1), (1, 1), (1, 1)),
        data_format: str | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**options)
        self.cropping = self._pairs = pairs(cropping, 3, "cropping")
        self.data_format = data_format_of(data_format)
        self._set_slices()


class UpSampling(SpatialLayer):
    """Repeats each value ``size`` times along each spatial axis.   Shapes: ``[N, *space, C] -> [N, *space', C]``."""

    size: Any
    interpolation: str = "nearest"

    def call(self, inputs: Tensor) -> Tensor:
        if inputs.ndim != self.rank + 2:  # torch would take another axis for the batch, or for space
            self.require(tuple(inputs.shape))
        last = self.data_format == "channels_last"
        x = inputs.movedim(-1, 1) if last else inputs
        sizes = [n * factor for n, factor in zip(x.shape[2:], self._factors())]
        smooth = self.interpolation != "nearest"
        if x.is_floating_point():
            y = F.interpolate(x, sizes, mode=self.interpolation, align_corners=False if smooth else None)
        elif smooth:
            y = resize(x, sizes, self.interpolation, data_format="channels_first")  # rounded
        else:
            y = x
            for axis, factor in enumerate(self._factors(), start=2):
                y = y.repeat_interleave(factor, axis)
        return y.movedim(1, -1) if last else y

    def output_space(self, space: Sequence[int | None]) -> Sequence[int | None]:
        return [None if length is None else length * factor for length, factor in zip(space, self._factors())]

    def _factors(self) -> tuple[int, ...]:
        return (self.size,) if isinstance(self.size, int) else self.size


class UpSampling1D(UpSampling):
    """Over one axis.   Keras: equals ``keras.layers.UpSampling1D``.

    >>> UpSampling1D(2)(torch.tensor([[[1.0], [2.0]]])).flatten()
    tensor([1., 1., 2., 2.])
    """

    rank = 1

    def __init__(self, size: int = 2, **options: Unpack[LayerOptions]) -> None:
        super().__init__(**options)
        (self.size,) = per_axis(size, 1, "size")


class UpSampling2D(UpSampling):
    """Of images; ``interpolation`` is "nearest", "bilinear" or "bicubic".   Raises: ConfigError for another one.

    Keras: equals ``keras.layers.UpSampling2D`` on torch, whose bicubic weights (a = -0.75) are not TensorFlow's (-0.5).

    >>> UpSampling2D((1, 2), interpolation="bilinear")(torch.tensor([0.0, 4.0]).reshape(1, 1, 2, 1)).flatten()
    tensor([0., 1., 3., 4.])
    """

    rank = 2

    def __init__(
        self,
        size: Axes = (2, 2),
        data_format: str | None = None,
        interpolation: str = "nearest",
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**options)
        self.size = per_axis(size, 2, "size")
        self.data_format = data_format_of(data_format)
        self.interpolation = interpolation.lower()
        if self.interpolation not in ("nearest", "bilinear", "bicubic"):
            raise ConfigError(f"interpolation must be 'nearest', 'bilinear' or 'bicubic'; got {interpolation!r}")


class UpSampling3D(UpSampling):
    """Of volumes.   Keras: equals ``keras.layers.UpSampling3D``.

    >>> UpSampling3D((1, 2, 3))(torch.ones(1, 2, 2, 2, 1)).shape
    torch.Size([1, 2, 4, 6, 1])
    """

    rank = 3

    def __init__(self, size: Axes = (2, 2, 2), data_format: str | None = None, **options: Unpack[LayerOptions]) -> None:
        super().__init__(**options)
        self.size = per_axis(size, 3, "size")
        self.data_format = data_format_of(data_format)
