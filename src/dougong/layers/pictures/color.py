"""Layers that change the colours of pictures.   Shapes: N batch, H height, W width, and 3 channels: red, green, blue.

They act in training only.   Source: Keras 3 semantics.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Unpack

import torch
from torch import Tensor

from dougong.layers.layer import LayerOptions
from dougong.layers.pictures.base import PictureLayer, Transformation, factor_range, number_pair
from dougong.layers.pictures.tone import Factor, RandomBrightness, RandomContrast
from dougong.ops.colors import rgb_to_grayscale, with_saturation_times, with_turned_hue

__all__ = ["RandomColorDegeneration", "RandomColorJitter", "RandomGrayscale", "RandomHue", "RandomSaturation"]


class _ColorLayer(PictureLayer):
    """Takes pictures of 3 channels, or what else is in ``_channels``."""

    _channels: ClassVar[tuple[int, ...]] = (3,)

    def input_problem(self, shape: Any) -> str | None:
        problem = super().input_problem(shape)
        found = shape.get("images") if isinstance(shape, Mapping) else shape
        if problem is not None or not found or found[self.channel_axis] in (None, *self._channels):
            return problem
        return (
            f"works on red, green and blue, {' or '.join(map(str, self._channels))} channels on axis"
            f" {self.channel_axis}, but received shape {tuple(found)}; is data_format right?"
        )


class RandomHue(_ColorLayer):
    r"""Turns the hue of each picture by a random part of the circle, to either side.

    .. math:: h' = (h \pm f / 2) \bmod 1,\quad f \sim U(\text{factor})

    ``factor`` is a pair within [0, 1]; a number f stands for (0, f).   Shapes: ``[N, H, W, 3]``, unchanged.
    Units: ``value_range``, (low, high), is the pictures'.   Keras: equals ``keras.layers.RandomHue``.

    >>> layer, third = RandomHue(0.5), {"factor": torch.tensor([1 / 3])}
    >>> layer.transform_images(torch.tensor([[[[200.0, 0.0, 0.0]]]]), third).flatten().round()
    tensor([  0., 200.,   0.])
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
        self.factor = factor_range(factor, (0, 1))
        self.value_range = number_pair(value_range, "value_range")

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Transformation:
        if not training:
            return None
        images, shape = self.pictures(data), (self.sizes(data).batch,)
        stream = self.stream(images.device, seed)
        side = torch.sign(self.uniform(shape, -1.0, 1.0, on=images, seed=stream))
        return {"factor": side * self.uniform(shape, *self.factor, on=images, seed=stream) * 0.5}

    def transform_images(self, images: Tensor, transformation: Transformation, training: bool = True) -> Tensor:
        images = self.as_float(images)
        if not training:
            return images
        turned = with_turned_hue(images, transformation["factor"].to(images.dtype), self.data_format)
        return turned.clamp_(*self.value_range)


class RandomSaturation(_ColorLayer):
    r"""Makes the colours of each picture paler or stronger by a random factor.

    .. math:: s' = \min\left(s\,\frac{f}{1 - f}, 1\right),\quad f \sim U(\text{factor})

    so that f = 0 gives grey, 0.5 changes nothing and 1 gives the strongest colours.
    ``factor`` is a pair within [-1, 1], where less than 0 gives grey, too; a number f stands for (-f, f).
    Shapes: ``[N, H, W, 3]``, unchanged.   Units: ``value_range``, (low, high), is the pictures'.
    Keras: equals ``keras.layers.RandomSaturation``, whose text says (0, f), for a range of (0, 1).  With (0, 255) Keras
    cuts the saturation at 255 instead of 1 and gives negative colours; it also refuses whole numbers.

    >>> RandomSaturation((0.6, 0.6))(torch.tensor([[[[200.0, 100.0, 100.0]]]])).flatten().round()
    tensor([200.,  50.,  50.])
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
        self.factor = factor_range(factor, (-1, 1))
        self.value_range = number_pair(value_range, "value_range")

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Transformation:
        if not training:
            return None
        drawn = self.uniform((self.sizes(data).batch,), *self.factor, on=self.pictures(data), seed=seed)
        return {"factor": drawn / (1 - drawn + 1e-7)}

    def transform_images(self, images: Tensor, transformation: Transformation, training: bool = True) -> Tensor:
        images = self.as_float(images)
        if not training:
            return images
        factor = transformation["factor"].to(images.dtype).clamp_min(0.0)
        low = self.value_range[0]
        return with_saturation_times(images, factor, low, self.data_format).clamp_min_(low)  # rounding may end below


class _GrayLayer(_ColorLayer):
    """Mixes pictures with their grey ones; grey pictures stay as they are."""

    _channels = (1, 3)

    def _mixed(self, images: Tensor, weight: Tensor) -> Tensor:
        """``weight``, one number for each picture, is the grey picture's."""
        axis, weight = self.channel_axis, weight.to(images.dtype)
        gray = rgb_to_grayscale(images, self.data_format) * weight
        mixed = images * (1 - weight)
        for channel in range(mixed.shape[axis]):  # whole planes: torch repeats three numbers more slowly
            mixed.narrow(axis, channel, 1).add_(gray)
        return mixed


class RandomColorDegeneration(_GrayLayer):
    r"""Mixes each picture with its grey one, by a random share.

    .. math:: y = \operatorname{clip}(x + f\,(\text{grey}(x) - x), \text{low}, \text{high}),\quad
              f \sim U(\text{factor})

    ``factor`` is a pair within [-1, 1], where less than 0 makes colours stronger; a number f stands for (-f, f).
    Shapes: ``[N, H, W, 3]``, unchanged.   Units: ``value_range``, (low, high), is the pictures'.
    Keras: equals ``keras.layers.RandomColorDegeneration``, whose text says (0, f).

    >>> RandomColorDegeneration((1, 1))(torch.tensor([[[[100.0, 0.0, 0.0]]]])).flatten()
    tensor([29.8900, 29.8900, 29.8900])
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
        self.factor = factor_range(factor, (-1, 1))
        self.value_range = number_pair(value_range, "value_range")

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Transformation:
        if not training:
            return None
        shape = (self.sizes(data).batch, 1, 1, 1)
        return {"factor": self.uniform(shape, *self.factor, on=self.pictures(data), seed=seed)}

    def transform_images(self, images: Tensor, transformation: Transformation, training: bool = True) -> Tensor:
        images = self.as_float(images)
        if not training:
            return images
        return self._mixed(images, transformation["factor"]).clamp_(*self.value_range)


class RandomGrayscale(_GrayLayer):
    """Replaces some pictures by their grey ones, still of three channels; the dtype stays, whole numbers too.

    ``factor`` is the probability.   Shapes: ``[N, H, W, 3]``, unchanged.
    Keras: equals ``keras.layers.RandomGrayscale``; dicts are taken too, and the config keeps the seed.

    >>> RandomGrayscale(1.0)(torch.tensor([[[[100, 0, 0]]]], dtype=torch.uint8)).flatten()
    tensor([29, 29, 29], dtype=torch.uint8)
    """

    def __init__(
        self,
        factor: float = 0.5,
        data_format: str | None = None,
        seed: int | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(seed, data_format, **options)
        factor_range((factor, factor), (0, 1))
        self.factor = factor

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Transformation:
        if not training:
            return None
        return self.uniform((self.sizes(data).batch, 1, 1, 1), on=self.pictures(data), seed=seed) < self.factor

    def transform_images(self, images: Tensor, transformation: Transformation, training: bool = True) -> Tensor:
        if not training:
            return images
        if images.is_floating_point():
            return self._mixed(images, transformation)
        return torch.where(transformation, rgb_to_grayscale(images, self.data_format), images)

    def output_dtype(self, dtype: torch.dtype) -> torch.dtype:
        return super().output_dtype(dtype) if dtype.is_floating_point else dtype


class RandomColorJitter(_ColorLayer):
    """Changes brightness, contrast, saturation and hue, in this order, each by a random amount.

    Each factor is that of `RandomBrightness`, `RandomContrast`, `RandomSaturation` and `RandomHue`; None leaves a step
    out.   Shapes: ``[N, H, W, 3]``, unchanged.   Units: ``value_range``, (low, high), is the pictures'.
    Keras: equals ``keras.layers.RandomColorJitter`` but for what is said of the four layers; ``data_format`` reaches
    them, which Keras forgets, and the transformation is drawn by `get_random_transformation`, where Keras ignores it.

    >>> layer = RandomColorJitter(brightness_factor=0.2, hue_factor=0.1, seed=1)
    >>> sorted(layer.get_random_transformation(torch.zeros(2, 4, 4, 3)))
    ['random_brightness', 'random_hue']
    """

    def __init__(
        self,
        value_range: Sequence[float] = (0, 255),
        brightness_factor: Factor | None = None,
        contrast_factor: Factor | None = None,
        saturation_factor: Factor | None = None,
        hue_factor: Factor | None = None,
        seed: int | None = None,
        data_format: str | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(seed, data_format, **options)
        self.value_range = number_pair(value_range, "value_range")
        self.brightness_factor = brightness_factor
        self.contrast_factor = contrast_factor
        self.saturation_factor = saturation_factor
        self.hue_factor = hue_factor
        self._steps: dict[str, PictureLayer] = {}
        for kind, factor in (
            (RandomBrightness, brightness_factor),
            (RandomContrast, contrast_factor),
            (RandomSaturation, saturation_factor),
            (RandomHue, hue_factor),
        ):
            if factor is not None:
                step = kind(factor, value_range=value_range, data_format=data_format, dtype=options.get("dtype"))
                self._steps[f"random_{kind.__name__.removeprefix('Random').lower()}"] = step

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Transformation:
        if not training:
            return None
        stream = self.stream(self.pictures(data).device, seed)
        return {name: step.get_random_transformation(data, seed=stream) for name, step in self._steps.items()}

    def transform_images(self, images: Tensor, transformation: Transformation, training: bool = True) -> Tensor:
        images = self.as_float(images)
        if training:
            for name, step in self._steps.items():
                images = step.transform_images(images, transformation[name])
        return images
