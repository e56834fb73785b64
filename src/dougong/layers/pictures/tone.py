"""Layers that change how bright pictures are, value by value.   Shapes: N batch, H height, W width, C channels.

They give floats, whatever comes in, and have no say about colours: any number of channels will do.
Source: Keras 3 semantics.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

import torch
from torch import Tensor

from dougong.core.errors import ConfigError
from dougong.layers.layer import LayerOptions
from dougong.layers.pictures.base import PictureLayer, Transformation, factor_range, number_pair
from dougong.layers.pictures.draws import chosen

__all__ = [
    "AutoContrast",
    "Factor",
    "RandomBrightness",
    "RandomContrast",
    "RandomInvert",
    "RandomPosterization",
    "Solarization",
    "along_rows",
]

Factor = float | Sequence[float]


def along_rows(numbers: Tensor, images: Tensor) -> Tensor:
    """One number for each picture and channel, ``[N, 1, 1, C]``, ready to meet ``images``; ``[N, C, 1, 1]`` as it is.

    Repeated along the width: torch combines rows of W·C numbers several times faster than C numbers at a time.
    """
    return numbers.expand(-1, -1, images.shape[2], -1).contiguous() if numbers.shape[1] == 1 else numbers


class RandomBrightness(PictureLayer):
    r"""Adds one random number to all of a picture, and cuts what leaves the range.

    .. math:: y = \operatorname{clip}(x + \delta\,(\text{high} - \text{low}), \text{low}, \text{high}),\quad
              \delta \sim U(\text{factor})

    ``factor`` is a pair within [-1, 1]; a number f stands for (-f, f).   Shapes: ``[N, H, W, C]``, unchanged.
    Units: ``value_range``, (low, high), is the pictures'.   Acts in training only.
    Keras: equals ``keras.layers.RandomBrightness`` for floats; whole numbers become floats first, where Keras adds in
    their own dtype and wraps around; the input is left as it was, where Keras on torch adds to it in place.

    >>> RandomBrightness((0.5, 0.5))(torch.tensor([[[[0.0, 200.0]]]])).flatten()
    tensor([127.5000, 255.0000])
    """

    def __init__(
        self,
        factor: Factor,
        value_range: Sequence[float] = (0, 255),
        seed: int | None = None,
        data_format: str | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(seed, data_format, **options)
        self.factor = factor_range(factor, (-1, 1))
        self.value_range = number_pair(value_range, "value_range")

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Transformation:
        if not training:
            return None
        low, high = self.value_range
        shape = (self.sizes(data).batch, 1, 1, 1)
        return {"rgb_delta": self.uniform(shape, *self.factor, on=self.pictures(data), seed=seed) * (high - low)}

    def transform_images(self, images: Tensor, transformation: Transformation, training: bool = True) -> Tensor:
        images = self.as_float(images)
        if not training:
            return images
        return (images + transformation["rgb_delta"].to(images.dtype)).clamp_(*self.value_range)


class RandomContrast(PictureLayer):
    r"""Pulls every value towards its channel's mean, or pushes it away, by one random factor a picture.

    .. math:: y = \operatorname{clip}\left((x - \mu)\,f + \mu, \text{low}, \text{high}\right),\quad
              f \sim U(1 - \text{factor}_0,\ 1 + \text{factor}_1)

    ``factor`` is a pair within [0, 1].   Shapes: ``[N, H, W, C]``, unchanged.   Acts in training only.
    Keras: equals ``keras.layers.RandomContrast``.  There too one number f stands for (0, f), which only raises the
    contrast, though Keras's text says (f, f).

    >>> halved = {"contrast_factor": torch.tensor([[[[0.5]]]])}
    >>> RandomContrast(0.5).transform_images(torch.tensor([[[[0.0], [100.0]]]]), halved).flatten()
    tensor([25., 75.])
    """

    def __init__(
        self,
        factor: Factor,
        value_range: Sequence[float] = (0, 255),
        seed: int | None = None,
        data_format: str | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(seed, data_format, **options)
        self.factor = factor_range(factor, (0, 1))
        self.value_range = number_pair(value_range, "value_range")

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Transformation:
        if not training:
            return None
        lower, upper = self.factor
        shape = (self.sizes(data).batch, 1, 1, 1)
        return {"contrast_factor": self.uniform(shape, 1 - lower, 1 + upper, on=self.pictures(data), seed=seed)}

    def transform_images(self, images: Tensor, transformation: Transformation, training: bool = True) -> Tensor:
        images = self.as_float(images)
        if not training:
            return images
        factor = transformation["contrast_factor"].to(images.dtype)
        mean = images.mean((self.height_axis, self.width_axis), keepdim=True)
        return torch.addcmul(along_rows(mean * (1 - factor), images), images, factor).clamp_(*self.value_range)


class RandomInvert(PictureLayer):
    r"""Turns some pictures into their negatives.

    .. math:: y = \text{low} + \text{high} - x \quad\text{with probability } p \sim U(\text{factor})

    ``factor`` is a pair within [0, 1]; a number f stands for (0, f).   Shapes: ``[N, H, W, C]``, unchanged.
    Acts in training only.   Keras: equals ``keras.layers.RandomInvert`` where low is 0; elsewhere Keras gives
    high - x, which leaves the range.

    >>> RandomInvert((1, 1), value_range=(-1, 1))(torch.tensor([[[[-1.0, 0.5]]]])).flatten()
    tensor([ 1.0000, -0.5000])
    """

    def __init__(
        self,
        factor: Factor = 1.0,
        value_range: Sequence[float] = (0, 255),
        seed: int | None = None,
        data_format: str | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(seed, data_format, **options)
        self.factor = factor_range(factor, (0, 1))
        self.value_range = number_pair(value_range, "value_range")

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Transformation:
        return {"apply_inversion": chosen(self, data, self.factor, seed)} if training else None

    def transform_images(self, images: Tensor, transformation: Transformation, training: bool = True) -> Tensor:
        images = self.as_float(images)
        if not training:
            return images
        inverted = transformation["apply_inversion"].to(images.dtype)[:, None, None, None]
        return torch.addcmul(inverted * sum(self.value_range), images, 1 - 2 * inverted)


class RandomPosterization(PictureLayer):
    r"""Leaves each value only its first bits, as few as are drawn for the picture.

    .. math:: y = 2^{8 - b} \lfloor x / 2^{8 - b} \rfloor,\quad b \in \{\text{factor}_0, \dots, \text{factor}_1 - 1\}

    ``factor`` is a pair of numbers of bits within [1, 8], of which the second is not drawn; one number f stands for
    (1, f), and f is drawn only where both ends are f.   Shapes: ``[N, H, W, C]``, unchanged.   Acts in training only.
    Units: ``value_range``, scaled to [0, 255] in between.   Keras: equals ``keras.layers.RandomPosterization``.

    >>> RandomPosterization((2, 2))(torch.tensor([[[[60.0, 64.0, 255.0]]]])).flatten()
    tensor([  0.,  64., 192.])
    """

    def __init__(
        self,
        factor: Factor,
        value_range: Sequence[float] = (0, 255),
        data_format: str | None = None,
        seed: int | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(seed, data_format, **options)
        self.factor = factor_range(factor, (1, 8))
        self.value_range = number_pair(value_range, "value_range")

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Transformation:
        if not training:
            return None
        low, high = map(int, self.factor)
        device = self.pictures(data).device
        stream, shape = self.stream(device, seed), (self.sizes(data).batch,)
        bits = torch.randint(low, max(high, low + 1), shape, generator=stream, device=device)
        return {"shift_factor": 8 - bits}

    def transform_images(self, images: Tensor, transformation: Transformation, training: bool = True) -> Tensor:
        images = self.as_float(images)
        if not training:
            return images
        low, high = self.value_range
        step = torch.exp2(transformation["shift_factor"].to(images.dtype))[:, None, None, None]
        if (low, high) == (0, 255):
            return (images / step).floor_().mul_(step)
        steps = ((images - low) / (high - low) * 255).floor_().div_(step).floor_()
        return steps.mul_(step * ((high - low) / 255)).add_(low)


class Solarization(PictureLayer):
    r"""Adds a random number, then turns what reaches a random threshold into its negative.

    .. math:: z = \operatorname{clip}(x + a, \text{low}, \text{high}),\quad
              y = \begin{cases} z & z < t \\ \text{low} + \text{high} - z & \text{otherwise} \end{cases}

    with a and t - low drawn for each picture, from the two factors times the width of the range.
    A factor is a pair within [0, 1]; a number f stands for (0, f).   Shapes: ``[N, H, W, C]``, unchanged.
    Acts in training only.   Keras: equals ``keras.layers.Solarization`` for factors that begin at 0; Keras forgets to
    multiply the lower end by the range.

    >>> Solarization(threshold_factor=(0.5, 0.5))(torch.tensor([[[[100.0, 200.0]]]])).flatten()
    tensor([100.,  55.])
    """

    def __init__(
        self,
        addition_factor: Factor = 0.0,
        threshold_factor: Factor = 0.0,
        value_range: Sequence[float] = (0, 255),
        seed: int | None = None,
        data_format: str | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(seed, data_format, **options)
        self.addition_factor = _share(addition_factor, "addition_factor")
        self.threshold_factor = _share(threshold_factor, "threshold_factor")
        self.value_range = number_pair(value_range, "value_range")

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Transformation:
        if not training:
            return None
        images, shape = self.pictures(data), (self.sizes(data).batch, 1, 1, 1)
        stream = self.stream(images.device, seed)
        return {
            "additions": self.uniform(shape, *self.addition_factor, on=images, seed=stream) * 255,
            "thresholds": self.uniform(shape, *self.threshold_factor, on=images, seed=stream) * 255,
        }

    def transform_images(self, images: Tensor, transformation: Transformation, training: bool = True) -> Tensor:
        images = self.as_float(images)
        if not training:
            return images
        low, high = self.value_range
        unit = (high - low) / 255
        added = (images + (transformation["additions"].to(images.dtype) * unit - low)).clamp_(0, high - low)
        # Of two numbers the distance from 0 or from the width, instead of `where`, which torch does one by one.
        bright = (added >= transformation["thresholds"].to(images.dtype) * unit).to(images.dtype)
        negative = added.sub_(bright, alpha=high - low).abs_()
        return negative if low == 0 else negative.add_(low)


def _share(factor: Factor, name: str) -> tuple[float, float]:
    low, high = factor_range(factor, (0, 1), name)
    if not 0 <= low <= high <= 1:
        raise ConfigError(f"{name} must be a number, or a pair of numbers, within [0, 1]; got {factor!r}")
    return low, high


class AutoContrast(PictureLayer):
    r"""Stretches each channel of each picture until it fills the whole range.

    .. math:: y = \text{low} + (\text{high} - \text{low})\,\frac{x - \min x}{\max x - \min x}

    A channel of one value stays as it is.   Shapes: ``[N, H, W, C]``, unchanged.   Acts in training and inference.
    Keras: equals ``keras.layers.AutoContrast``, with channels first too, where Keras mixes up the axes.

    >>> AutoContrast()(torch.tensor([[[[10.0], [20.0], [30.0]]]])).flatten()
    tensor([  0.0000, 127.5000, 255.0000])
    """

    def __init__(
        self, value_range: Sequence[float] = (0, 255), data_format: str | None = None, **options: Unpack[LayerOptions]
    ) -> None:
        super().__init__(None, data_format, **options)
        self.value_range = number_pair(value_range, "value_range")

    def transform_images(self, images: Tensor, transformation: Transformation = None, training: bool = True) -> Tensor:
        images = self.as_float(images)
        low, high = self.value_range
        # The height first: rows can be compared as they lie.
        first, second = self.height_axis, self.width_axis
        least = images.amin(first, keepdim=True).amin(second, keepdim=True)
        most = images.amax(first, keepdim=True).amax(second, keepdim=True)
        plain = most == least
        scale = torch.where(plain, 1.0, (high - low) / torch.where(plain, 1.0, most - least))
        shift = torch.where(plain, 0.0, low - least * scale)
        return torch.addcmul(along_rows(shift, images), images, along_rows(scale, images)).clamp_(low, high)

    def get_config(self) -> dict[str, Any]:
        return without_seed(super().get_config())


def without_seed(config: dict[str, Any]) -> dict[str, Any]:
    """The config of a layer that draws nothing, for which Keras's constructor takes no seed."""
    config.pop("seed", None)
    return config
