"""Flatten, Reshape, Permute and RepeatVector: the same numbers in another shape, as views where strides allow it.

Shapes leave out nothing: N is the batch axis, which no layer here touches.   Ref: Keras 3 semantics.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, Unpack

from torch import Tensor

from dougong.core.arithmetic import data_format_of
from dougong.core.errors import ConfigError, ShapeError
from dougong.core.symbol import Shape, Symbol
from dougong.layers.layer import Layer, LayerOptions

__all__ = ["Flatten", "Permute", "RepeatVector", "Reshape"]


class Flatten(Layer):
    """All axes but the batch in one.   Shapes: ``[N, ...] -> [N, prod(...)]``, ``[N] -> [N, 1]``.

    ``channels_first`` moves axis 1 to the end before flattening, so that the order is the one of channels-last data.
    Keras: equals ``keras.layers.Flatten``.

    >>> import torch
    >>> Flatten()(torch.zeros(2, 3, 4)).shape
    torch.Size([2, 12])
    """

    def __init__(self, data_format: str | None = None, **options: Unpack[LayerOptions]) -> None:
        super().__init__(**options)
        self.data_format = data_format_of(data_format)

    def call(self, inputs: Tensor) -> Tensor:
        if self.data_format == "channels_first" and inputs.ndim > 2:
            inputs = inputs.movedim(1, -1)
        return inputs.reshape(inputs.shape[0], prod(inputs.shape[1:]))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        sizes = [size for size in input_shape[1:] if size is not None]
        return input_shape[0], prod(sizes) if len(sizes) == len(input_shape) - 1 else None


class Reshape(Layer):
    """Any shape with as many numbers.   Shapes: ``[N, ...] -> [N, *target_shape]``; one size may be -1.

    Raises: ShapeError if the sizes do not multiply to the input's.   Keras: equals ``keras.layers.Reshape``.

    >>> import torch
    >>> Reshape((-1, 2))(torch.zeros(5, 6)).shape
    torch.Size([5, 3, 2])
    """

    def __init__(self, target_shape: Sequence[int], **options: Unpack[LayerOptions]) -> None:
        super().__init__(**options)
        self.target_shape = (target_shape,) if isinstance(target_shape, int) else tuple(target_shape)
        if self.target_shape.count(-1) > 1 or any(size < -1 for size in self.target_shape):
            raise ConfigError(f"target_shape may hold sizes >= 0 and at most one -1; got {self.target_shape}")

    def call(self, inputs: Tensor) -> Tensor:
        batch = inputs.shape[0]
        if batch == 0 and -1 in self.target_shape:  # torch cannot infer a size when there is nothing to divide
            return inputs.reshape(self.compute_output_shape(tuple(inputs.shape)))  # type: ignore[arg-type]
        return inputs.reshape(batch, *self.target_shape)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape[0], *self._resolved(input_shape[1:])

    def compute_output_spec(self, inputs: Symbol) -> Symbol:
        return Symbol(self.compute_output_shape(inputs.shape), inputs.dtype, name="value")

    def _resolved(self, sizes: Shape) -> Shape:
        if -1 not in self.target_shape:
            return self.target_shape
        known = [size for size in sizes if size is not None]
        rest = prod(size for size in self.target_shape if size != -1)
        missing = prod(known) // rest if len(known) == len(sizes) and rest else None
        return tuple(missing if size == -1 else size for size in self.target_shape)

    def input_problem(self, shape: Shape) -> str | None:
        if None in shape[1:]:
            return None
        have, want = prod(size or 0 for size in shape[1:]), prod(size for size in self.target_shape if size != -1)
        fits = have == want if -1 not in self.target_shape else want and have % want == 0
        if fits:
            return None
        return (
            f"cannot turn inputs of shape {tuple(shape)}, {have} numbers a sample, into {self.target_shape};"
            " choose sizes whose product is the same, or let one be -1."
        )


class Permute(Layer):
    """The axes in another order, as a view.   ``dims`` counts from 1, the axis after the batch.

    Keras: equals ``keras.layers.Permute``.

    >>> import torch
    >>> Permute((2, 1))(torch.zeros(5, 3, 4)).shape
    torch.Size([5, 4, 3])
    """

    def __init__(self, dims: Sequence[int], **options: Unpack[LayerOptions]) -> None:
        super().__init__(**options)
        self.dims = tuple(dims)
        if sorted(self.dims) != list(range(1, len(self.dims) + 1)):
            raise ConfigError(
                f"dims must hold each of 1 … {len(self.dims)} once, since the batch axis stays; got {dims}"
            )

    def call(self, inputs: Tensor) -> Tensor:
        return inputs.permute(0, *self.dims)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape[0], *(input_shape[axis] for axis in self.dims)

    def input_problem(self, shape: Shape) -> str | None:
        if len(shape) == len(self.dims) + 1:
            return None
        return f"permutes {len(self.dims)} axes after the batch but received shape {tuple(shape)}; give dims for each."


class RepeatVector(Layer):
    """The input ``n`` times, as a view.   Shapes: ``[N, F] -> [N, n, F]``.   Keras: equals ``RepeatVector``.

    >>> import torch
    >>> RepeatVector(2)(torch.tensor([[1.0, 2.0]]))
    tensor([[[1., 2.],
             [1., 2.]]])
    """

    def __init__(self, n: int, **options: Unpack[LayerOptions]) -> None:
        super().__init__(**options)
        if not isinstance(n, int) or isinstance(n, bool) or n <= 0:
            raise ConfigError(f"n must be an int >= 1; got {n!r}")
        self.n = n

    def call(self, inputs: Tensor) -> Tensor:
        return inputs.unsqueeze(1).expand(-1, self.n, -1)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        if len(input_shape) != 2:
            raise ShapeError(f"RepeatVector {self.name!r} {self.input_problem(input_shape)}")
        return input_shape[0], self.n, input_shape[1]

    def input_problem(self, shape: Any) -> str | None:
        if len(shape) == 2:
            return None
        return f"repeats vectors of shape (batch, features) but received shape {tuple(shape)}; add Flatten() before it."
