"""First values of weights.   Shapes are Keras's: ``[in, out]`` for Dense, ``[*kernel, in, out]`` for convolutions.

A random initializer with an int seed gives the same values at every call; without one it draws from torch's global
generator.  Values are drawn on the CPU in float32 (float64 for a float64 weight), so that no device changes them.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Generator, Tensor

from dougong.core.config import Configurable, custom_object_scope, resolve
from dougong.core.config import serialize as serialize
from dougong.core.errors import ConfigError, ShapeError
from dougong.core.seeds import default_seed
from dougong.core.variable import Variable
from dougong.ops.draws import cut_normal
from dougong.ops.seed_generator import generator_of

__all__ = [
    "Constant",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "Identity",
    "Initializer",
    "LecunNormal",
    "LecunUniform",
    "Ones",
    "Orthogonal",
    "RandomInitializer",
    "RandomNormal",
    "RandomUniform",
    "TruncatedNormal",
    "VarianceScaling",
    "Zeros",
    "deserialize",
    "fans",
    "fresh",
    "get",
    "serialize",
]

Device = torch.device | str | None
# The standard deviation of a standard normal cut off at two: undone, so that the variance is the one asked for.
_CUT_NORMAL_DEVIATION = 0.87962566103423978


class Initializer(Configurable, ABC):
    """A rule that fills a weight."""

    keras_module: ClassVar[str] = "keras.initializers"

    @abstractmethod
    def __call__(self, shape: Sequence[int], dtype: torch.dtype = torch.float32, device: Device = None) -> Tensor:
        """A new tensor of ``shape``."""

    def clone(self) -> Self:
        return self.from_config(self.get_config())


class Zeros(Initializer):
    """All 0.

    >>> Zeros()((2,))
    tensor([0., 0.])
    """

    def __call__(self, shape: Sequence[int], dtype: torch.dtype = torch.float32, device: Device = None) -> Tensor:
        return torch.zeros(tuple(shape), dtype=dtype, device=device)


class Ones(Initializer):
    """All 1.

    >>> Ones()((2,))
    tensor([1., 1.])
    """

    def __call__(self, shape: Sequence[int], dtype: torch.dtype = torch.float32, device: Device = None) -> Tensor:
        return torch.ones(tuple(shape), dtype=dtype, device=device)


class Constant(Initializer):
    """One number everywhere, or the values of an array.   Raises: ShapeError if the array does not broadcast.

    >>> Constant([1.0, 2.0])((2,))
    tensor([1., 2.])
    """

    def __init__(self, value: Any = 0.0) -> None:
        self.value = value

    def __call__(self, shape: Sequence[int], dtype: torch.dtype = torch.float32, device: Device = None) -> Tensor:
        value = torch.as_tensor(self.value, dtype=dtype, device=device)
        try:
            return value.expand(tuple(shape)).clone()
        except RuntimeError as error:
            wanted = tuple(shape)
            raise ShapeError(f"a constant of shape {tuple(value.shape)} cannot fill a weight of {wanted}") from error

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        value = config.get("value", 0.0)
        if isinstance(value, Mapping):  # an array, as `serialize` and Keras write it
            stored = value.get("config", {})
            value = np.asarray(stored.get("value"), dtype=stored.get("dtype"))
        return cls(value)


class Identity(Initializer):
    """``gain`` on the diagonal of a matrix, 0 elsewhere.   Raises: ShapeError unless the weight is a matrix.

    >>> Identity(2.0)((1, 2))
    tensor([[2., 0.]])
    """

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = gain

    def __call__(self, shape: Sequence[int], dtype: torch.dtype = torch.float32, device: Device = None) -> Tensor:
        if len(shape) != 2:
            raise ShapeError(f"Identity fills matrices only, not a weight of {tuple(shape)}; use Orthogonal")
        return self.gain * torch.eye(*shape, dtype=dtype, device=device)


class RandomInitializer(Initializer):
    """Draws values.  ``seed`` is an int, a SeedGenerator or torch.Generator that moves on at each call, or None.

    None stands for a seed drawn once, so that one initializer gives the same values at every call, as in Keras.
    """

    def __init__(self, seed: Any = None) -> None:
        self.seed = seed
        self._drawn = default_seed() if seed is None else None

    def __call__(self, shape: Sequence[int], dtype: torch.dtype = torch.float32, device: Device = None) -> Tensor:
        kind = torch.float64 if dtype == torch.float64 else torch.float32
        if device is not None and torch.device(device).type == "meta":
            return torch.empty(tuple(shape), dtype=dtype, device=device)
        seed = self._drawn if self.seed is None else self.seed
        drawn = self.draw(torch.empty(tuple(shape), dtype=kind), generator_of(seed, "cpu"))
        return drawn.to(device=device, dtype=dtype)

    @abstractmethod
    def draw(self, empty: Tensor, generator: Generator | None) -> Tensor:
        """Fill ``empty`` and return it."""


class RandomNormal(RandomInitializer):
    r"""Draws from :math:`\mathcal N(\text{mean}, \text{stddev}^2)`.

    >>> RandomNormal(seed=1)((2, 2)).shape
    torch.Size([2, 2])
    """

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: Any = None) -> None:
        super().__init__(seed)
        self.mean = mean
        self.stddev = stddev

    def draw(self, empty: Tensor, generator: Generator | None) -> Tensor:
        return empty.normal_(self.mean, self.stddev, generator=generator)


class RandomUniform(RandomInitializer):
    """Draws evenly from ``[minval, maxval)``.

    >>> bool((RandomUniform(2.0, 3.0)((100,)) >= 2).all())
    True
    """

    def __init__(self, minval: float = -0.05, maxval: float = 0.05, seed: Any = None) -> None:
        super().__init__(seed)
        self.minval = minval
        self.maxval = maxval

    def draw(self, empty: Tensor, generator: Generator | None) -> Tensor:
        return _even(empty, self.minval, self.maxval, generator)


class TruncatedNormal(RandomInitializer):
    """Draws from a normal distribution; what lies beyond two ``stddev`` is drawn again.

    >>> bool((TruncatedNormal(stddev=1.0)((100,)).abs() <= 2).all())
    True
    """

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: Any = None) -> None:
        super().__init__(seed)
        self.mean = mean
        self.stddev = stddev

    def draw(self, empty: Tensor, generator: Generator | None) -> Tensor:
        return _cut_normal(empty, self.mean, self.stddev, generator)


def _cut_normal(empty: Tensor, mean: float, deviation: float, generator: Generator | None) -> Tensor:
    return cut_normal(empty.shape, empty.dtype, empty.device, generator).mul_(deviation).add_(mean)


def _even(empty: Tensor, low: float, high: float, generator: Generator | None) -> Tensor:
    drawn = torch.rand(empty.shape, dtype=empty.dtype, generator=generator)
    return (high - low) * drawn + low


def fans(
    shape: Sequence[int], input_axes: Sequence[int] | None = None, output_axes: Sequence[int] | None = None
) -> tuple[int, int]:
    """How many inputs and outputs a weight of Keras's shape connects; the axes can be named instead.

    >>> fans((3, 3, 16, 32)), fans((8,)), fans((4, 5, 6), (0,), (1, 2))
    ((144, 288), (8, 8), (4, 30))
    """
    if input_axes is not None and output_axes is not None:
        return math.prod(shape[axis] for axis in input_axes), math.prod(shape[axis] for axis in output_axes)
    if len(shape) < 2:
        size = math.prod(shape)
        return size, size
    receptive_field = math.prod(shape[:-2])
    return receptive_field * shape[-2], receptive_field * shape[-1]


class VarianceScaling(RandomInitializer):
    r"""Draws with variance ``scale`` divided by the number of connections, so that signals keep their size.

    .. math:: \sigma^2 = \text{scale} / n, \qquad n = \text{fan}_{in},\ \text{fan}_{out}\ \text{or their mean}

    ``distribution`` is ``truncated_normal``, ``untruncated_normal`` or ``uniform`` (within :math:`\pm\sqrt 3 \sigma`).
    Raises: ConfigError for a scale that is not positive, or an unknown mode or distribution.
    """

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: Any = None,
        input_axes: Sequence[int] | None = None,
        output_axes: Sequence[int] | None = None,
    ) -> None:
        distribution = distribution.lower()
        distribution = "truncated_normal" if distribution == "normal" else distribution
        if not scale > 0:
            raise ConfigError(f"scale must be a number > 0; got {scale!r}")
        if mode not in ("fan_in", "fan_out", "fan_avg"):
            raise ConfigError(f"mode must be 'fan_in', 'fan_out' or 'fan_avg'; got {mode!r}")
        if distribution not in ("truncated_normal", "untruncated_normal", "uniform"):
            raise ConfigError(
                f"distribution must be 'truncated_normal', 'untruncated_normal' or 'uniform'; got {distribution!r}"
            )
        super().__init__(seed)
        self.scale = scale
        self.mode = mode
        self.distribution = distribution
        self.input_axes = input_axes
        self.output_axes = output_axes

    def draw(self, empty: Tensor, generator: Generator | None) -> Tensor:
        fan_in, fan_out = fans(empty.shape, self.input_axes, self.output_axes)
        connections = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        deviation = math.sqrt(self.scale / max(1.0, connections))
        if self.distribution == "uniform":
            limit = math.sqrt(3.0) * deviation
            return _even(empty, -limit, limit, generator)
        if self.distribution == "untruncated_normal":
            return empty.normal_(0.0, deviation, generator=generator)
        return _cut_normal(empty, 0.0, deviation / _CUT_NORMAL_DEVIATION, generator)


class _Preset(VarianceScaling):
    """`VarianceScaling` with everything but the seed chosen."""

    rule: ClassVar[tuple[float, str, str]]

    def __init__(
        self,
        seed: Any = None,
        input_axes: Sequence[int] | None = None,
        output_axes: Sequence[int] | None = None,
    ) -> None:
        super().__init__(*self.rule, seed, input_axes, output_axes)


class GlorotUniform(_Preset):
    """Evenly within ±√(6 / (fan_in + fan_out)); Keras's default.   Ref: Glorot & Bengio 2010."""

    rule = (1.0, "fan_avg", "uniform")


class GlorotNormal(_Preset):
    """A truncated normal of variance 2 / (fan_in + fan_out).   Ref: Glorot & Bengio 2010."""

    rule = (1.0, "fan_avg", "truncated_normal")


class HeUniform(_Preset):
    """Evenly within ±√(6 / fan_in), for relu.   Ref: He et al. 2015, arXiv:1502.01852."""

    rule = (2.0, "fan_in", "uniform")


class HeNormal(_Preset):
    """A truncated normal of variance 2 / fan_in, for relu.   Ref: He et al. 2015, arXiv:1502.01852."""

    rule = (2.0, "fan_in", "truncated_normal")


class LecunUniform(_Preset):
    """Evenly within ±√(3 / fan_in).   Ref: LeCun et al. 1998, Efficient BackProp."""

    rule = (1.0, "fan_in", "uniform")


class LecunNormal(_Preset):
    """A truncated normal of variance 1 / fan_in, for selu.   Ref: LeCun et al. 1998; Klambauer et al. 2017."""

    rule = (1.0, "fan_in", "truncated_normal")


class Orthogonal(RandomInitializer):
    """Orthogonal columns, or rows where there are fewer of them, of the weight flattened to ``[-1, out]``.

    Raises: ShapeError for a weight of fewer than two axes.   Ref: Saxe et al. 2014, arXiv:1312.6120.

    >>> w = Orthogonal(seed=0)((4, 2)); torch.allclose(w.T @ w, torch.eye(2), atol=1e-6)
    True
    """

    def __init__(self, gain: float = 1.0, seed: Any = None) -> None:
        super().__init__(seed)
        self.gain = gain

    def draw(self, empty: Tensor, generator: Generator | None) -> Tensor:
        if empty.ndim < 2:
            raise ShapeError(f"Orthogonal needs two axes or more, got {tuple(empty.shape)}; use RandomNormal there")
        columns = empty.shape[-1]
        rows = empty.numel() // columns
        flat = empty.new_empty(max(rows, columns), min(rows, columns)).normal_(generator=generator)
        q, r = torch.linalg.qr(flat)
        # Without the signs of r, QR's own convention would make some rotations likelier than others.
        q = q * r.diagonal().sign()
        return self.gain * (q.mT if rows < columns else q).reshape(empty.shape)


_TABLE: Mapping[str, Callable[..., Any]] = {
    "Constant": Constant,
    "GlorotNormal": GlorotNormal,
    "GlorotUniform": GlorotUniform,
    "HeNormal": HeNormal,
    "HeUniform": HeUniform,
    "Identity": Identity,
    "IdentityInitializer": Identity,
    "LecunNormal": LecunNormal,
    "LecunUniform": LecunUniform,
    "Ones": Ones,
    "Orthogonal": Orthogonal,
    "OrthogonalInitializer": Orthogonal,
    "RandomNormal": RandomNormal,
    "RandomUniform": RandomUniform,
    "TruncatedNormal": TruncatedNormal,
    "VarianceScaling": VarianceScaling,
    "Zeros": Zeros,
    "constant": Constant,
    "glorot_normal": GlorotNormal,
    "glorot_uniform": GlorotUniform,
    "he_normal": HeNormal,
    "he_uniform": HeUniform,
    "identity": Identity,
    "lecun_normal": LecunNormal,
    "lecun_uniform": LecunUniform,
    "normal": RandomNormal,
    "one": Ones,
    "ones": Ones,
    "orthogonal": Orthogonal,
    "random_normal": RandomNormal,
    "random_uniform": RandomUniform,
    "truncated_normal": TruncatedNormal,
    "uniform": RandomUniform,
    "variance_scaling": VarianceScaling,
    "zero": Zeros,
    "zeros": Zeros,
}


def get(identifier: Any) -> Callable[..., Tensor] | None:
    """The initializer that an argument means: a name, a config, a class, an object, a function, an array, or None.

    Raises: UnknownNameError listing near names.

    >>> get("he_normal").get_config()
    {'seed': None, 'input_axes': None, 'output_axes': None}
    """
    if isinstance(identifier, Tensor | np.ndarray | np.generic):
        return Constant(identifier)
    return resolve(identifier, _TABLE, "initializer")


Variable.named_initializer = staticmethod(get)


def fresh(initializer: Any) -> Any:
    """Another initializer of the same settings, so that a second weight does not begin with the first one's values.

    One with a seed of its own gives these all the same, as in Keras; a plain function is returned as it is.

    >>> one = RandomNormal(); bool((one((9,)) == fresh(one)((9,))).all())
    False
    """
    return initializer.clone() if isinstance(initializer, Initializer) else initializer


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """`get`, with names of the user's own.   Keras: equals ``keras.initializers.deserialize``."""
    with custom_object_scope(custom_objects):
        return get(config)
