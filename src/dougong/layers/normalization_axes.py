"""What all normalizations share: the axes they are taken over, shapes that stay."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

from dougong.core.errors import ConfigError, ShapeError
from dougong.core.symbol import Shape
from dougong.layers.layer import Layer, LayerOptions

__all__ = ["AxesLayer"]


class AxesLayer(Layer):
    """A layer with ``axis``, an int or several, whose sizes its weights have.

    Raises: ConfigError for anything else; ShapeError for inputs without these axes, or of other sizes there.
    """

    def __init__(self, axis: int | Sequence[int], **options: Unpack[LayerOptions]) -> None:
        super().__init__(**options)
        if not isinstance(axis, int) and not (
            isinstance(axis, list | tuple) and all(isinstance(one, int) for one in axis)
        ):
            raise ConfigError(f"axis must be an int or a list of ints; got {axis!r}")
        self.axis = axis if isinstance(axis, int) else list(axis)

    def build(self, input_shape: Shape) -> None:
        rank = len(input_shape)
        axes = [self.axis] if isinstance(self.axis, int) else self.axis
        if not all(-rank <= axis < rank for axis in axes):
            raise ShapeError(
                f"{type(self).__name__} {self.name!r} has axis {self.axis} but inputs of shape {input_shape}"
            )
        self._axes = sorted(axis % rank for axis in axes)
        self._sizes: Any = tuple(input_shape[axis] for axis in self._axes)
        self._rank = rank
        self._trailing = self._axes == list(range(rank - len(self._axes), rank))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def input_problem(self, shape: Shape) -> str | None:
        sizes = tuple(shape[axis] for axis in self._axes) if len(shape) == self._rank else ()
        if sizes == self._sizes or (sizes and None in sizes):
            return None
        return (
            f"was built for {' x '.join(map(str, self._sizes))} values on axis {', '.join(map(str, self._axes))} of"
            f" {self._rank} but received shape {tuple(shape)}; build a layer of its own for this shape."
        )
