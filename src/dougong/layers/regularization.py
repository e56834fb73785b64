"""Layers that act in training only: dropout, noise, and a penalty on activations.

Without a seed the numbers come from torch's own generator and dropout is torch's kernel.  A layer with a seed draws
from a generator of its own, so that its stream depends on nothing else; the two streams differ.
Ref: Keras 3 semantics.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Unpack

import torch
from torch import Tensor
from torch.nn import functional as F

from dougong.core.arithmetic import data_format_of
from dougong.core.errors import ConfigError
from dougong.core.seeds import default_seed
from dougong.core.symbol import Shape
from dougong.layers.layer import Layer, LayerOptions
from dougong.ops.regularizers import L1L2
from dougong.ops.seed_generator import SeedGenerator, generator_of

__all__ = [
    "ActivityRegularization",
    "AlphaDropout",
    "Dropout",
    "GaussianDropout",
    "GaussianNoise",
    "RandomLayer",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "SpatialDropout3D",
]


class RandomLayer(Layer):
    """What draws random numbers in training: shapes stay, masks pass, ``generator`` is the layer's own or None."""

    supports_masking = True

    def __init__(self, seed: Any, **options: Unpack[LayerOptions]) -> None:
        super().__init__(**options)
        self.seed = SeedGenerator.from_config(seed["config"]) if isinstance(seed, Mapping) else seed
        self._generators: dict[torch.device, torch.Generator] = {}

    def reserve_seed(self) -> None:
        """Draw, and leave, the seed that Keras's layer draws here: what is made next begins as it does in Keras."""
        if self.seed is None:
            default_seed()

    def generator(self, device: torch.device) -> torch.Generator | None:
        """The layer's own stream on a device, if it has a seed; that of a `SeedGenerator` is saved with the layer."""
        if self.seed is None or isinstance(self.seed, SeedGenerator):
            return generator_of(self.seed, device)
        if device not in self._generators:
            self._generators[device] = torch.Generator(device).manual_seed(self.seed)
        return self._generators[device]

    def keep_mask(self, inputs: Tensor, shape: Sequence[int], rate: float) -> Tensor:
        """Ones with probability ``1 - rate``, else zeros."""
        return inputs.new_empty(shape).bernoulli_(1.0 - rate, generator=self.generator(inputs.device))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape


def _rate(value: float) -> float:
    if not 0 <= value <= 1:
        raise ConfigError(f"rate must be within 0 and 1, the share of values dropped; got {value}")
    return value


class Dropout(RandomLayer):
    r"""Sets each value to 0 with probability ``rate`` and multiplies the others by :math:`1/(1 - \text{rate})`.

    ``noise_shape`` is the shape of the zeros' pattern; a size of 1 repeats it along that axis, None is the input's.
    Keras: equals ``keras.layers.Dropout``, random stream apart.   Ref: Srivastava et al. 2014.

    >>> Dropout(0.5)(torch.ones(3))   # in inference, nothing
    tensor([1., 1., 1.])
    >>> Dropout(0.5, noise_shape=(None, 1), seed=4)(torch.ones(4, 3), training=True).tolist()
    [[2.0, 2.0, 2.0], [0.0, 0.0, 0.0], [2.0, 2.0, 2.0], [0.0, 0.0, 0.0]]
    """

    def __init__(
        self,
        rate: float,
        noise_shape: Sequence[int | None] | None = None,
        seed: int | SeedGenerator | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(seed, **options)
        self.rate = _rate(rate)
        if rate > 0:
            self.reserve_seed()
        self.noise_shape = None if noise_shape is None else tuple(noise_shape)

    def call(self, inputs: Tensor) -> Tensor:
        if not self.training or self.rate == 0:
            return inputs
        if self.noise_shape is None and self.seed is None:
            return F.dropout(inputs, self.rate)
        shape = inputs.shape
        if self.noise_shape is not None:
            shape = [own if size is None else size for size, own in zip(self.noise_shape, shape, strict=True)]
        return _dropped(inputs, self.keep_mask(inputs, shape, self.rate), self.rate)

    def input_problem(self, shape: Shape) -> str | None:
        if self.noise_shape is None or len(self.noise_shape) == len(shape):
            return None
        return f"has noise_shape {self.noise_shape} but received shape {tuple(shape)}; give one size for every axis."


def _dropped(inputs: Tensor, keep: Tensor, rate: float) -> Tensor:
    return inputs * keep if rate == 1 else inputs * keep.div_(1.0 - rate)


class _SpatialDropout(RandomLayer):
    """Dropout of whole feature maps: one draw for each sample and channel.

    Ref: Tompson et al. 2014, arXiv:1411.4280.
    """

    _rank: ClassVar[int]

    def __init__(
        self,
        rate: float,
        data_format: str | None = None,
        seed: int | SeedGenerator | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(seed, **options)
        self.rate = _rate(rate)
        if rate > 0:
            self.reserve_seed()
        self.data_format = data_format_of(data_format)

    def call(self, inputs: Tensor) -> Tensor:
        if not self.training or self.rate == 0:
            return inputs
        batch, ones = inputs.shape[0], (1,) * self._rank
        last = self.data_format == "channels_last"
        shape = (batch, *ones, inputs.shape[-1]) if last else (batch, inputs.shape[1], *ones)
        return _dropped(inputs, self.keep_mask(inputs, shape, self.rate), self.rate)

    def input_problem(self, shape: Shape) -> str | None:
        if len(shape) == self._rank + 2:
            return None
        return (
            f"takes inputs with {self._rank + 2} axes, batch and channels counted, but received shape {tuple(shape)}."
        )

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.pop("trainable")  # Keras's constructor does not take it
        return config


class SpatialDropout1D(_SpatialDropout):
    """Dropout of whole channels.   Shapes: ``[N, T, C] -> [N, T, C]``.   Keras: equals ``SpatialDropout1D``."""

    _rank = 1

    def __init__(self, rate: float, seed: int | SeedGenerator | None = None, **options: Unpack[LayerOptions]) -> None:
        super().__init__(rate, None, seed, **options)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.pop("data_format", None)  # Keras gives it to the 2D and 3D forms only
        return config


class SpatialDropout2D(_SpatialDropout):
    """Dropout of whole feature maps.   Shapes: ``[N, H, W, C]``, unchanged.   Keras: equals ``SpatialDropout2D``."""

    _rank = 2


class SpatialDropout3D(_SpatialDropout):
    """Dropout of whole volumes.   Shapes: ``[N, D, H, W, C]``, unchanged.   Keras: equals ``SpatialDropout3D``."""

    _rank = 3


class GaussianDropout(RandomLayer):
    r"""Multiplies by noise from :math:`N(1, \text{rate}/(1 - \text{rate}))`, the mean and variance of dropout's factor.

    Keras: equals ``keras.layers.GaussianDropout``; a rate of 1 is refused, since the variance would be infinite.
    """

    def __init__(self, rate: float, seed: int | SeedGenerator | None = None, **options: Unpack[LayerOptions]) -> None:
        super().__init__(seed, **options)
        if not 0 <= rate < 1:
            raise ConfigError(f"rate must be at least 0 and below 1, where the noise would be infinite; got {rate}")
        self.rate = rate
        if rate > 0:
            self.reserve_seed()

    def call(self, inputs: Tensor) -> Tensor:
        if not self.training or self.rate == 0:
            return inputs
        deviation = math.sqrt(self.rate / (1.0 - self.rate))
        noise = torch.empty_like(inputs).normal_(1.0, deviation, generator=self.generator(inputs.device))
        return inputs * noise


class GaussianNoise(RandomLayer):
    """Adds noise from N(0, stddev²).   ``stddev`` has the inputs' unit.   Keras: equals ``GaussianNoise``."""

    def __init__(self, stddev: float, seed: int | SeedGenerator | None = None, **options: Unpack[LayerOptions]) -> None:
        super().__init__(seed, **options)
        if stddev < 0:
            raise ConfigError(f"stddev must be >= 0; got {stddev}")
        self.stddev = stddev
        if stddev > 0:
            self.reserve_seed()

    def call(self, inputs: Tensor) -> Tensor:
        if not self.training or self.stddev == 0:
            return inputs
        noise = torch.empty_like(inputs).normal_(0.0, self.stddev, generator=self.generator(inputs.device))
        return inputs + noise


class AlphaDropout(RandomLayer):
    r"""Dropout for SELU networks: drops to SELU's lower limit :math:`\alpha'` and restores mean 0 and variance 1.

    .. math:: y = a\,(x m + \alpha'(1 - m)) + b,\qquad a = \left((1 - p)(1 + p \alpha'^2)\right)^{-1/2},\quad
              b = -a\,p\,\alpha',\quad \alpha' = -1.7580993

    Keras: equals ``keras.layers.AlphaDropout``.   Ref: Klambauer et al. 2017, arXiv:1706.02515.
    """

    def __init__(
        self,
        rate: float,
        noise_shape: Sequence[int | None] | None = None,
        seed: int | SeedGenerator | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(seed, **options)
        if not 0 <= rate < 1:
            raise ConfigError(f"rate must be at least 0 and below 1, where no scale restores the variance; got {rate}")
        self.rate = rate
        if rate > 0:
            self.reserve_seed()
        self.noise_shape = None if noise_shape is None else tuple(noise_shape)

    def call(self, inputs: Tensor) -> Tensor:
        if not self.training or self.rate == 0:
            return inputs
        shape = inputs.shape
        if self.noise_shape is not None:
            shape = [own if size is None else size for size, own in zip(self.noise_shape, shape, strict=True)]
        keep = self.keep_mask(inputs, shape, self.rate)
        floor = -1.6732632423543772 * 1.0507009873554805
        scale = ((1.0 - self.rate) * (1.0 + self.rate * floor**2)) ** -0.5
        return scale * (inputs * keep + floor * (1.0 - keep)) - scale * floor * self.rate


class ActivityRegularization(Layer):
    r"""Adds :math:`l_1 \sum|x| + l_2 \sum x^2`, divided by the batch size, to the loss; the input passes unchanged.

    Keras: equals ``keras.layers.ActivityRegularization``.
    """

    supports_masking = True

    def __init__(self, l1: float = 0.0, l2: float = 0.0, **options: Unpack[LayerOptions]) -> None:
        super().__init__(activity_regularizer=L1L2(l1, l2), **options)  # type: ignore[misc]
        self.l1 = l1
        self.l2 = l2

    def call(self, inputs: Tensor) -> Tensor:
        return inputs

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.pop("activity_regularizer", None)
        return config
