"""Scaling inside the model, so that it takes the user's own units: Normalization and Rescaling.   Ref: Keras 3."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any, Self, Unpack

import numpy as np
import torch
from torch import Tensor

from dougong.core.errors import ConfigError, DataError, ShapeError
from dougong.core.symbol import Shape
from dougong.layers.adapting import batches_of, numbers
from dougong.layers.layer import Layer, LayerOptions

__all__ = ["Normalization", "Rescaling"]

_SMALLEST_DEVIATION = 1e-7


class Normalization(Layer):
    r"""Subtracts a mean and divides by a standard deviation, both given or learned from data by `adapt`.

    .. math:: y = \frac{x - \mu}{s},\qquad \text{inverted:}\ y = \mu + x s,\qquad s = \max(\sqrt{v}, 10^{-7})

    ``axis`` has a mean for each index, the other axes share it; None is one mean for everything.
    Buffers: ``adapt_mean``, ``adapt_variance`` and ``count`` where `adapt` is meant.   Units: out of and into x's.
    Keras: equals ``keras.layers.Normalization``.

    >>> layer = Normalization(); layer.adapt(np.array([[0.0, 7.0], [2.0, 9.0]], "float32"))
    >>> layer(torch.tensor([[0.0, 9.0]]))
    tensor([[-1.,  1.]])
    """

    supports_masking = True

    def __init__(
        self,
        axis: int | Sequence[int] | None = -1,
        mean: Any = None,
        variance: Any = None,
        invert: bool = False,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**options)
        self.axis = () if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
        self.invert = invert
        if (mean is None) != (variance is None):
            raise ConfigError("give both mean and variance, or neither and call adapt(data)")
        self.input_mean = None if mean is None else np.asarray(mean, "float64")
        self.input_variance = None if variance is None else np.asarray(variance, "float64")
        if self.input_mean is not None and self.input_variance is not None:
            shapes = self.input_mean.shape, self.input_variance.shape
            if shapes[0] != shapes[1]:
                raise ConfigError(f"mean and variance must have one shape; got {shapes[0]} and {shapes[1]}")
            if len(shapes[0]) > len(self.axis):
                raise ConfigError(f"mean has {len(shapes[0])} axes but axis names {len(self.axis)}: {self.axis}")

    def build(self, input_shape: Shape) -> None:
        rank = len(input_shape)
        if not all(-rank <= axis < rank for axis in self.axis):
            raise ShapeError(
                f"Normalization {self.name!r} has axis {self.axis} but inputs of shape {tuple(input_shape)}"
            )
        self._kept = tuple(sorted(axis % rank for axis in self.axis))
        sizes = tuple(input_shape[axis] for axis in self._kept)
        if None in sizes:
            raise ShapeError(f"Normalization {self.name!r} needs to know axes {self._kept} of {tuple(input_shape)}")
        self._rank = rank
        self._broadcast = tuple(size if axis in self._kept else 1 for axis, size in enumerate(input_shape))
        if self.input_mean is None or self.input_variance is None:
            self.adapt_mean = self.add_weight(sizes, "zeros", name="mean", trainable=False)  # type: ignore[arg-type]
            self.adapt_variance = self.add_weight(sizes, "ones", name="variance", trainable=False)  # type: ignore[arg-type]
            self.count = self.add_weight((), "zeros", "int32", name="count", trainable=False)
        else:
            kind = self.dtype_policy.weights
            mean, variance = (
                torch.as_tensor(np.broadcast_to(given, sizes).copy(), dtype=kind)  # type: ignore[arg-type]
                for given in (self.input_mean, self.input_variance)
            )
            self.register_buffer("adapt_mean", mean, persistent=False)
            self.register_buffer("adapt_variance", variance, persistent=False)

    def adapt(self, data: Any) -> None:
        """Take mean and variance from an array or table of numbers, a torch Dataset, or an iterable of batches.

        Of a batch ``(x, y)`` x counts.
        Raises: DataError for no data or no numbers, ShapeError for batches that do not fit each other.
        """
        if self.input_mean is not None:
            raise ConfigError(f"Normalization {self.name!r} was given mean and variance; adapt() would not change them")
        count, mean, squares = 0, np.zeros(()), np.zeros(())
        for given in batches_of(data):
            batch = numbers(given, f"Normalization {self.name!r}").astype(np.float64)
            if not self.built:
                self.build(batch.shape)
            problem = self.input_problem(batch.shape)
            if problem:
                raise ShapeError(f"Normalization {self.name!r} {problem}")
            shared = tuple(axis for axis in range(self._rank) if axis not in self._kept)
            size = prod(batch.shape[axis] for axis in shared)
            if size == 0:
                continue
            # Chan's update of a mean and a sum of squared distances: one pass, no large sums of squares.
            step = batch.mean(shared) - mean
            total = count + size
            squares = squares + batch.var(shared) * size + step**2 * (count * size / total)
            mean, count = mean + step * (size / total), total
        if count == 0:
            raise DataError("adapt() received no data; give an array or an iterable with at least one batch")
        with torch.no_grad():
            self.adapt_mean.copy_(torch.as_tensor(mean))
            self.adapt_variance.copy_(torch.as_tensor(squares / count))
            self.count.fill_(min(count, 2**31 - 1))

    @property
    def mean(self) -> Tensor | None:
        """The mean in the inputs' shape, 1 where axes share it; None before the layer is built."""
        return self.adapt_mean.view(self._broadcast) if self.built else None

    @property
    def variance(self) -> Tensor | None:
        """The variance, in the same shape."""
        return self.adapt_variance.view(self._broadcast) if self.built else None

    def finalize_state(self) -> None:
        """Nothing is left to do after `adapt` or `set_weights`; here for Keras's sake."""

    def call(self, inputs: Tensor) -> Tensor:
        mean = self.adapt_mean.view(self._broadcast)
        deviation = self.adapt_variance.view(self._broadcast).sqrt().clamp_min(_SMALLEST_DEVIATION)
        inputs = inputs.to(mean.dtype)
        return mean + inputs * deviation if self.invert else (inputs - mean) / deviation

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def input_problem(self, shape: Shape) -> str | None:
        if len(shape) == self._rank and all(shape[axis] in (None, self._broadcast[axis]) for axis in self._kept):
            return None
        wanted = tuple(size if axis in self._kept else None for axis, size in enumerate(self._broadcast))
        return (
            f"was built for inputs of shape {wanted} but received shape {tuple(shape)}; bring the axes to these sizes."
        )

    def get_config(self) -> dict[str, Any]:
        mean = None if self.input_mean is None else self.input_mean.tolist()
        variance = None if self.input_variance is None else self.input_variance.tolist()
        return super().get_config() | {"axis": list(self.axis), "mean": mean, "variance": variance}


class Rescaling(Layer):
    """``inputs * scale + offset``, in floating point.   Keras: equals ``keras.layers.Rescaling``.

    >>> Rescaling(1 / 255)(torch.tensor([0, 255], dtype=torch.uint8))
    tensor([0., 1.])
    """

    supports_masking = True

    def __init__(self, scale: Any, offset: Any = 0.0, **options: Unpack[LayerOptions]) -> None:
        super().__init__(**options)
        self.scale = scale if isinstance(scale, int | float) else np.asarray(scale).tolist()
        self.offset = offset if isinstance(offset, int | float) else np.asarray(offset).tolist()
        kind = self.dtype_policy.weights
        self.register_buffer("_scale", torch.tensor(self.scale, dtype=kind), persistent=False)
        self.register_buffer("_offset", torch.tensor(self.offset, dtype=kind), persistent=False)

    def call(self, inputs: Tensor) -> Tensor:
        inputs = inputs.to(self._scale.dtype)
        if isinstance(self.scale, list) or isinstance(self.offset, list):
            return torch.addcmul(self._offset, inputs, self._scale)
        # Plain numbers: one pass over the inputs, five times as fast as with broadcast tensors.
        return torch.add(self._offset, inputs, alpha=self.scale) if self.offset else inputs * self.scale

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"scale": self.scale, "offset": self.offset}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Rebuild, also from arrays as Keras writes them."""
        words = ("scale", "offset")
        return super().from_config({**config} | {word: _plain(config[word]) for word in words if word in config})


def _plain(value: Any) -> Any:
    return value["config"]["value"] if isinstance(value, Mapping) else value
