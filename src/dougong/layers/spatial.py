"""What layers over spatial axes share: where the channels stand, and what an input must look like.

Shapes: N batch, C channels, one to three spatial axes between them, or after them with ``channels_first``.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

from dougong.core.arithmetic import DataFormat
from dougong.core.errors import ShapeError
from dougong.core.symbol import Shape
from dougong.layers.layer import Layer

__all__ = ["SpatialLayer"]


class SpatialLayer(Layer):
    """A layer over ``rank`` spatial axes.  Subclasses set ``data_format`` and say what becomes of the lengths."""

    rank: ClassVar[int]
    data_format: DataFormat = "channels_last"
    channels: int | None = None
    """The number of input channels that the weights were made for; None before `build`, or where any number will do."""

    @abstractmethod
    def output_space(self, space: Sequence[int | None]) -> Sequence[int | None]:
        """The spatial lengths of the output; None where unknown, 0 or less where the input is too short."""

    def output_channels(self, channels: int | None) -> int | None:
        return channels

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        self.require(input_shape)
        space, channels = self.split(input_shape)
        return self.join(input_shape[0], self.output_space(space), self.output_channels(channels))

    def split(self, shape: Shape) -> tuple[Shape, int | None]:
        """The spatial lengths and the number of channels in a shape."""
        if self.data_format == "channels_last":
            return shape[1:-1], shape[-1]
        return shape[2:], shape[1]

    def join(self, batch: int | None, space: Sequence[int | None], channels: int | None) -> Shape:
        """The shape of these parts."""
        if self.data_format == "channels_last":
            return (batch, *space, channels)
        return (batch, channels, *space)

    def require(self, shape: Any) -> None:
        """Raises: ShapeError that names the layer, if an input of this shape does not fit."""
        problem = self.input_problem(shape)
        if problem is not None:
            raise ShapeError(f"{type(self).__name__} {self.name!r} {problem}")

    def required_channels(self, shape: Any) -> int:
        """The number of channels, which weights need to know.   Raises: ShapeError if it is unknown."""
        self.require(shape)
        channels = self.split(shape)[1]
        if channels is None:
            raise ShapeError(
                f"{type(self).__name__} {self.name!r} needs the number of channels, but received shape {shape};"
                " give Input a full shape"
            )
        return channels

    def input_problem(self, shape: Any) -> str | None:
        if len(shape) != self.rank + 2 or any(isinstance(size, tuple | list) for size in shape):
            space = ("length", "height, width", "depth, height, width")[self.rank - 1]
            axes = f"batch, {space}, channels" if self.data_format == "channels_last" else f"batch, channels, {space}"
            return f"takes one tensor of axes ({axes}) but received shape {shape}; Reshape adds or merges axes"
        space, channels = self.split(shape)
        if self.channels is not None and channels not in (None, self.channels):
            return (
                f"was built for {self.channels} channels but received shape {shape}, that is {channels} channels with"
                f" data_format='{self.data_format}'; give it the input it was built for, or make a new layer"
            )
        if any(length is not None and length < 1 for length in self.output_space(space)):
            return f"received shape {shape}, which is too small for {self.window()}: nothing would be left"
        return None

    def window(self) -> str:
        """What the input must be large enough for, in the words of the arguments."""
        names = ("kernel_size", "pool_size", "strides", "dilation_rate", "padding", "cropping")
        return ", ".join(f"{name}={getattr(self, name)!r}" for name in names if hasattr(self, name))
