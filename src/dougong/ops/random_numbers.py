"""``keras.random``: tensors of random numbers.

``seed`` None draws from torch's own generator, which `set_random_seed` governs; an int gives the same numbers at every
call; a `SeedGenerator` gives the next ones.  With an int seed the numbers are those of Keras's torch backend.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from dougong.core import device
from dougong.core.dtypes import torch_dtype
from dougong.core.errors import ConfigError, ShapeError
from dougong.ops.draws import cut_normal
from dougong.ops.op import floating, joined, op, tensor
from dougong.ops.seed_generator import SeedGenerator, generator_of

__all__ = [
    "SeedGenerator",
    "beta",
    "binomial",
    "categorical",
    "dropout",
    "gamma",
    "normal",
    "randint",
    "shuffle",
    "truncated_normal",
    "uniform",
]

Shape = Sequence[int]


def normal(shape: Shape, mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: Any = None) -> Tensor:
    r"""Draws from :math:`\mathcal N(\text{mean}, \text{stddev}^2)`.   Keras: equals its namesake.

    >>> normal((2, 3), seed=1).shape
    torch.Size([2, 3])
    """
    made = torch.empty(tuple(shape), dtype=_floating_dtype(dtype, "normal"), device=device.default())
    return made.normal_(mean, stddev, generator=generator_of(seed, made.device))


def truncated_normal(
    shape: Shape, mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: Any = None
) -> Tensor:
    r"""Draws from :math:`\mathcal N(\text{mean}, \text{stddev}^2)` within two deviations of the mean.

    Keras: equals its namesake, but never leaves a number outside (see `cut_normal`).

    >>> bool(truncated_normal((1000,), seed=1).abs().max() < 2)
    True
    """
    where = device.default()
    kind = _floating_dtype(dtype, "truncated_normal")
    return cut_normal(tuple(shape), kind, where, generator_of(seed, where)) * stddev + mean


def uniform(shape: Shape, minval: Any = 0.0, maxval: Any = 1.0, dtype: Any = None, seed: Any = None) -> Tensor:
    """Draws evenly from ``[minval, maxval)``.   Keras: equals its namesake.

    >>> bool((uniform((100,), 2.0, 3.0, seed=1) >= 2).all())
    True
    """
    where = device.default()
    kind = _floating_dtype(dtype, "uniform")
    unit = torch.rand(tuple(shape), dtype=kind, device=where, generator=generator_of(seed, where))
    return (maxval - minval) * unit + minval


def randint(shape: Shape, minval: int, maxval: int, dtype: Any = "int32", seed: Any = None) -> Tensor:
    """Draws whole numbers evenly from minval to maxval - 1.   Keras: equals its namesake.

    >>> sorted(set(randint((100,), 0, 3, seed=1).tolist()))
    [0, 1, 2]
    """
    where, kind = device.default(), torch_dtype(dtype or "int32")
    if kind.is_floating_point or kind.is_complex:
        raise ConfigError(f"randint draws whole numbers, so dtype must be one of these; got {dtype!r}")
    generator = generator_of(seed, where)
    return torch.randint(int(minval), int(maxval), tuple(shape), dtype=kind, device=where, generator=generator)


@op
def categorical(logits: Any, num_samples: int, dtype: Any = "int32", seed: Any = None) -> Tensor:
    """Class numbers, drawn with the probabilities softmax(logits).   Shapes: ``[N, C] -> [N, num_samples]``.

    Keras: equals its namesake.

    >>> categorical([[0.0, -1e9]], 3)
    tensor([[0, 0, 0]], dtype=torch.int32)
    """
    x = floating(logits)
    if x.ndim != 2:
        raise ShapeError(f"categorical takes logits [batch, classes], got shape {tuple(x.shape)}")
    odds = torch.softmax(x, -1)
    return torch.multinomial(odds, num_samples, True, generator=generator_of(seed, x.device)).to(torch_dtype(dtype))


@op
def dropout(inputs: Any, rate: float, noise_shape: Sequence[int | None] | None = None, seed: Any = None) -> Tensor:
    """Sets values to 0 with probability ``rate`` and divides the others by ``1 - rate``.

    ``noise_shape`` is the shape of the zeros' pattern, None standing for the input's size.
    Keras: equals its namesake.

    >>> dropout([1.0, 1.0], 0.0)
    tensor([1., 1.])
    """
    x = floating(inputs)
    if not 0 <= rate <= 1:
        raise ConfigError(f"rate must be within 0 and 1, the share of values dropped; got {rate}")
    if rate == 0:
        return x
    if rate == 1:
        return torch.zeros_like(x)
    if noise_shape is None and seed is None:
        return F.dropout(x, rate)
    shape = x.shape
    if noise_shape is not None:
        shape = [own if size is None else size for size, own in zip(noise_shape, shape, strict=True)]
    keep = torch.full(tuple(shape), 1.0 - rate, device=x.device)
    return torch.where(keep.bernoulli(generator=generator_of(seed, x.device)).bool(), x / (1.0 - rate), 0.0)


@op
def shuffle(x: Any, axis: int = 0, seed: Any = None) -> Tensor:
    """The parts along ``axis`` in random order, each part as it was.

    Keras: equals its namesake on TensorFlow and JAX; on torch Keras 3.15 shuffles each row before ``axis`` on its own.

    >>> shuffle([1, 2, 3], seed=1).sort().values
    tensor([1, 2, 3], dtype=torch.int32)
    """
    x = tensor(x)
    order = torch.rand(x.shape[axis], device=x.device, generator=generator_of(seed, x.device)).argsort()
    return x.index_select(axis, order)


def gamma(shape: Shape, alpha: Any, dtype: Any = None, seed: Any = None) -> Tensor:
    r"""Draws from the gamma distribution :math:`x^{\alpha - 1} e^{-x} / \Gamma(\alpha)`.   Keras: equals its namesake.

    >>> bool((gamma((100,), 2.0, seed=1) > 0).all())
    True
    """
    kind = _floating_dtype(dtype, "gamma")
    (concentration,) = _spread(shape, alpha)
    drawn = torch._standard_gamma(concentration, generator=generator_of(seed, concentration.device))
    return drawn.clamp_min(torch.finfo(drawn.dtype).tiny).to(kind)


def beta(shape: Shape, alpha: Any, beta: Any, dtype: Any = None, seed: Any = None) -> Tensor:
    r"""Draws from the beta distribution :math:`\propto x^{\alpha - 1} (1 - x)^{\beta - 1}`.

    Keras: equals its namesake.

    >>> bool((beta((100,), 2.0, 3.0, seed=1) < 1).all())
    True
    """
    kind = _floating_dtype(dtype, "beta")
    concentration = torch.stack(_spread(shape, alpha, beta), -1)
    return torch._sample_dirichlet(concentration, generator=generator_of(seed, concentration.device))[..., 0].to(kind)


def binomial(shape: Shape, counts: Any, probabilities: Any, dtype: Any = None, seed: Any = None) -> Tensor:
    """How many of ``counts`` trials succeed with ``probabilities``.   Keras: equals its namesake.

    >>> binomial((2,), 5.0, 1.0)
    tensor([5., 5.])
    """
    kind = _floating_dtype(dtype, "binomial")
    trials, odds = _spread(shape, counts, probabilities)
    return torch.binomial(trials, odds, generator=generator_of(seed, trials.device)).to(kind)


def _floating_dtype(dtype: Any, name: str) -> torch.dtype:
    kind = torch_dtype(dtype)
    if not kind.is_floating_point:
        raise ConfigError(f"{name} draws floating-point numbers; got dtype {dtype!r}")
    return kind


def _spread(shape: Shape, *values: Any) -> list[Tensor]:
    """The parameters at every place of ``shape``."""
    return [one.expand(tuple(shape)) for one in joined(floating(value) for value in values)]
