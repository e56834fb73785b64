"""Layers that make one tensor of several: sums, products, extremes, concatenation, dot products.

Inputs broadcast; those of lower rank get axes of size 1 after the batch axis first.  Each class has a function of the
same name in small letters.   Ref: Keras 3 semantics.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any, ClassVar, Unpack

import torch
from torch import Tensor
from torch.nn import functional as F

from dougong.core.errors import ConfigError, ShapeError
from dougong.core.symbol import Shape
from dougong.layers.layer import REFUSALS, Layer, LayerOptions

__all__ = [
    "Add",
    "Average",
    "Concatenate",
    "Dot",
    "Maximum",
    "Merge",
    "Minimum",
    "Multiply",
    "Subtract",
    "add",
    "average",
    "concatenate",
    "dot",
    "maximum",
    "minimum",
    "multiply",
    "subtract",
    "unmasked",
]

Masks = Sequence[Tensor | None]


class Merge(Layer):
    """A layer on a list of tensors; subclasses write `merge`.  An output step counts where any input's step does."""

    supports_masking = True

    @abstractmethod
    def merge(self, inputs: Sequence[Tensor]) -> Tensor:
        """The result for inputs of equal rank, without masks."""

    def merge_masked(self, inputs: Sequence[Tensor], masks: Masks) -> Tensor:
        """The result where some inputs have a mask."""
        return self.merge(inputs)

    def build(self, input_shape: Any) -> None:
        if not isinstance(input_shape, list | tuple) or not all(isinstance(s, list | tuple) for s in input_shape):
            raise ShapeError(f"{type(self).__name__} {self.name!r} merges a list of tensors but received one tensor")

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        if self.built and self._plain and not kwargs and len(args) == 1 and unmasked(args[0]):
            try:
                return self.call(args[0])
            except REFUSALS as error:
                self._check_input(args[0], error)
                raise
        return super().forward(*args, **kwargs)

    def call(self, inputs: Sequence[Tensor], mask: Masks | None = None) -> Tensor:
        rank = inputs[0].ndim
        if any(item.ndim != rank for item in inputs):
            rank = max(item.ndim for item in inputs)
            if mask is not None:  # one of fewer axes ends where its input gets more
                mask = [one if item.ndim == rank else None for item, one in zip(inputs, mask)]
            inputs = [item.reshape(item.shape[0], *(1,) * (rank - item.ndim), *item.shape[1:]) for item in inputs]
        return self.merge(inputs) if mask is None else self.merge_masked(inputs, mask)

    def compute_output_shape(self, input_shape: Sequence[Shape]) -> Shape:
        rank = max(map(len, input_shape))
        padded = [(shape[0], *(1,) * (rank - len(shape)), *shape[1:]) for shape in input_shape]
        return tuple(self._merged_size(sizes, input_shape) for sizes in zip(*padded))

    def _merged_size(self, sizes: tuple[int | None, ...], shapes: Sequence[Shape]) -> int | None:
        known = {size for size in sizes if size is not None and size != 1}
        if len(known) > 1:
            raise ShapeError(
                f"{type(self).__name__} {self.name!r} cannot merge shapes {', '.join(map(str, map(tuple, shapes)))}:"
                f" sizes {sorted(known)} meet on one axis; make them equal or 1."
            )
        if known:
            return known.pop()
        return None if None in sizes else 1

    def compute_mask(self, inputs: Any, mask: Masks | None = None) -> Tensor | None:
        if mask is None or any(one is None for one in mask):
            return None
        try:
            return reduce(torch.logical_or, mask)  # type: ignore[arg-type]
        except RuntimeError as error:
            shapes = ", ".join(str(tuple(one.shape)) for one in mask if one is not None)
            raise ShapeError(
                f"{type(self).__name__} {self.name!r} cannot merge masks of shapes {shapes}; give inputs of equal rank"
            ) from error

    def input_problem(self, shape: Any) -> str | None:
        if not isinstance(shape, list | tuple) or not shape or not all(isinstance(s, list | tuple) for s in shape):
            return "merges a list of tensors but received one tensor; write layer([a, b])."
        self.compute_output_shape(shape)
        return None


def unmasked(inputs: Any) -> bool:
    """Whether this is a list of plain tensors without masks, which may go straight to `call`."""
    if type(inputs) not in (list, tuple):
        return False
    return all(type(item) is Tensor and getattr(item, "_keras_mask", None) is None for item in inputs)


def _spread(mask: Tensor, like: Tensor) -> Tensor:
    return mask.unsqueeze(-1).expand_as(like)


class Add(Merge):
    """The sum.   Keras: equals ``keras.layers.Add``.

    >>> Add()([torch.tensor([[1.0]]), torch.tensor([[2.0]])])
    tensor([[3.]])
    """

    def merge(self, inputs: Sequence[Tensor]) -> Tensor:
        return reduce(torch.add, inputs)


class Subtract(Merge):
    """The first minus the second.   Keras: equals ``keras.layers.Subtract``."""

    def merge(self, inputs: Sequence[Tensor]) -> Tensor:
        if len(inputs) != 2:
            raise ShapeError(f"Subtract {self.name!r} takes two inputs but received {len(inputs)}")
        return inputs[0] - inputs[1]


class Average(Merge):
    """The mean of the inputs.   Keras: equals ``keras.layers.Average``."""

    def merge(self, inputs: Sequence[Tensor]) -> Tensor:
        return reduce(torch.add, inputs) / len(inputs)


class Multiply(Merge):
    """The product; a masked input counts as 1, and as 0 where all are masked.

    Keras: equals ``keras.layers.Multiply``.
    """

    def merge(self, inputs: Sequence[Tensor]) -> Tensor:
        return reduce(torch.mul, inputs)

    def merge_masked(self, inputs: Sequence[Tensor], masks: Masks) -> Tensor:
        spread = [None if mask is None else _spread(mask, item) for item, mask in zip(inputs, masks)]
        product = self.merge([x if mask is None else torch.where(mask, x, 1.0) for x, mask in zip(inputs, spread)])
        if any(mask is None for mask in spread):
            return product
        return torch.where(reduce(torch.logical_or, spread), product, 0.0)  # type: ignore[arg-type]


class _Extreme(Merge):
    """A masked input is left out of the comparison.  ``choose`` gives one of two."""

    choose: ClassVar[Callable[..., Tensor]]

    def merge(self, inputs: Sequence[Tensor]) -> Tensor:
        return reduce(self.choose, inputs)

    def merge_masked(self, inputs: Sequence[Tensor], masks: Masks) -> Tensor:
        output, known = inputs[0], None if masks[0] is None else _spread(masks[0], inputs[0])
        for item, mask in zip(inputs[1:], masks[1:]):
            if mask is not None:
                mask = _spread(mask, item)
                item = torch.where(mask, item, output)
            if known is not None:
                output = torch.where(known, output, item)
            known = known | mask if known is not None and mask is not None else None
            output = self.choose(output, item)
        return output


class Maximum(_Extreme):
    """The elementwise maximum.   Keras: equals ``keras.layers.Maximum``."""

    choose = torch.maximum


class Minimum(_Extreme):
    """The elementwise minimum.   Keras: equals ``keras.layers.Minimum``."""

    choose = torch.minimum


class Concatenate(Merge):
    """The inputs one after the other along ``axis``; all other sizes must agree.

    Raises: ShapeError if they do not.   Keras: equals ``keras.layers.Concatenate``.

    >>> Concatenate()([torch.zeros(2, 3), torch.zeros(2, 4)]).shape
    torch.Size([2, 7])
    """

    def __init__(self, axis: int = -1, **options: Unpack[LayerOptions]) -> None:
        super().__init__(**options)
        self.axis = axis

    def merge(self, inputs: Sequence[Tensor]) -> Tensor:
        return torch.cat(list(inputs), self.axis)

    def call(self, inputs: Sequence[Tensor], mask: Masks | None = None) -> Tensor:
        return torch.cat(list(inputs), self.axis)

    def compute_output_shape(self, input_shape: Sequence[Shape]) -> Shape:
        rank = len(input_shape[0])
        if any(len(shape) != rank for shape in input_shape) or not -rank <= self.axis < rank:
            self._mismatch(input_shape)
        axis = self.axis % rank
        merged: list[int | None] = []
        for position, sizes in enumerate(zip(*input_shape)):
            known = {size for size in sizes if size is not None}
            if position == axis:
                merged.append(None if None in sizes else sum(size or 0 for size in sizes))
            elif len(known) > 1:
                self._mismatch(input_shape)
            else:
                merged.append(known.pop() if known else None)
        return tuple(merged)

    def _mismatch(self, shapes: Sequence[Shape]) -> None:
        raise ShapeError(
            f"Concatenate {self.name!r} along axis {self.axis} needs shapes that agree on every other axis but received"
            f" {', '.join(map(str, map(tuple, shapes)))}; pad, crop or reshape before it."
        )

    def compute_mask(self, inputs: Any, mask: Masks | None = None) -> Tensor | None:
        if mask is None or all(one is None for one in mask):
            return None
        full = [
            torch.ones_like(item, dtype=torch.bool)
            if one is None
            else (one.unsqueeze(-1).expand(item.shape) if one.ndim < item.ndim else one)
            for item, one in zip(inputs, mask)
        ]
        return torch.cat(full, self.axis).any(-1)


class Dot(Merge):
    """Products summed over one axis of each of two inputs; ``normalize`` scales these to length 1: cosine similarity.

    Shapes: ``[N, ..., F, ...], [N, ..., F, ...]`` -> ``[N, rest of the first, rest of the second]``, at least rank 2.
    Raises: ShapeError if the two sizes differ.   Keras: equals ``keras.layers.Dot``.

    >>> Dot(axes=1)([torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 4.0]])])
    tensor([[11.]])
    """

    def __init__(self, axes: int | Sequence[int], normalize: bool = False, **options: Unpack[LayerOptions]) -> None:
        super().__init__(**options)
        if not isinstance(axes, int) and (len(axes) != 2 or not all(isinstance(axis, int) for axis in axes)):
            raise ConfigError(f"axes must be an int or two ints, one for each input; got {axes!r}")
        self.axes = axes if isinstance(axes, int) else tuple(axes)
        self.normalize = normalize

    def _axes(self, first: int, second: int) -> tuple[int, int]:
        pair = (self.axes, self.axes) if isinstance(self.axes, int) else self.axes
        a, b = pair[0] % first, pair[1] % second
        if 0 in (a, b):
            raise ShapeError(f"Dot {self.name!r} cannot sum over the batch axis; choose axes >= 1")
        return a, b

    def call(self, inputs: Sequence[Tensor], mask: Masks | None = None) -> Tensor:
        x, y = inputs
        a, b = self._axes(x.ndim, y.ndim)
        if self.normalize:
            # Keras divides by sqrt(max(sum of squares, 1e-12)), which is a length of at least 1e-6.
            x, y = F.normalize(x, dim=a, eps=1e-6), F.normalize(y, dim=b, eps=1e-6)
        x, y = x.movedim(a, -1), y.movedim(b, 1)
        left, right = x.shape[1:-1], y.shape[2:]
        product = torch.bmm(x.flatten(1, -2) if left else x.unsqueeze(1), y.flatten(2) if right else y.unsqueeze(2))
        return product.reshape(x.shape[0], *(left + right or (1,)))

    def merge(self, inputs: Sequence[Tensor]) -> Tensor:
        return self.call(inputs)

    def compute_output_shape(self, input_shape: Sequence[Shape]) -> Shape:
        if len(input_shape) != 2:
            raise ShapeError(f"Dot {self.name!r} takes two inputs but received {len(input_shape)}")
        first, second = map(list, input_shape)
        a, b = self._axes(len(first), len(second))
        x, y = first.pop(a), second.pop(b)
        if None not in (x, y) and x != y:
            raise ShapeError(
                f"Dot {self.name!r} sums over sizes {x} and {y} of shapes {tuple(input_shape[0])} and"
                f" {tuple(input_shape[1])}; choose axes of equal size."
            )
        rest = (*first[1:], *second[1:])
        return first[0], *(rest or (1,))

    def compute_mask(self, inputs: Any, mask: Masks | None = None) -> None:
        return None


def _functional(layer: Callable[..., Merge]) -> Callable[..., Any]:
    def merge(inputs: Sequence[Any], **options: Any) -> Any:
        return layer(**options)(inputs)

    name = getattr(layer, "__name__", "merge").lower()
    merge.__name__ = merge.__qualname__ = name
    merge.__doc__ = f"`{layer.__name__}` of a list of tensors or symbols.   Keras: equals ``keras.layers.{name}``."  # type: ignore[attr-defined]
    return merge


add = _functional(Add)
subtract = _functional(Subtract)
multiply = _functional(Multiply)
average = _functional(Average)
maximum = _functional(Maximum)
minimum = _functional(Minimum)


def concatenate(inputs: Sequence[Any], axis: int = -1, **options: Unpack[LayerOptions]) -> Any:
    """`Concatenate` of a list of tensors or symbols.   Keras: equals ``keras.layers.concatenate``."""
    return Concatenate(axis, **options)(inputs)


def dot(
    inputs: Sequence[Any], axes: int | Sequence[int] = -1, normalize: bool = False, **options: Unpack[LayerOptions]
) -> Any:
    """`Dot` of two tensors or symbols.   Keras: equals ``keras.layers.dot``."""
    return Dot(axes, normalize, **options)(inputs)
