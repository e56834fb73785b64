"""Erasing a random rectangle, and the rectangles themselves.   Shapes: N batch, H height, W width, C channels.

Source: Keras 3 semantics; Zhong et al. 2017, arXiv:1708.04896.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Unpack

import torch
from torch import Tensor

from dougong.core.errors import ConfigError
from dougong.layers.layer import LayerOptions
from dougong.layers.pictures.base import PictureLayer, Transformation, factor_range, number_pair
from dougong.layers.pictures.draws import chosen
from dougong.layers.pictures.tone import Factor

__all__ = ["RandomErasing", "Rectangles", "random_rectangles"]


class Rectangles(NamedTuple):
    """One rectangle for each picture: its sizes in pixels, not rounded, and which values lie within.

    ``heights`` and ``widths`` are ``[N]``; ``within`` is ``[N, H, W, C]``, or ``[N, 1, H, W]`` with channels first.
    """

    heights: Tensor
    widths: Tensor
    within: Tensor


def random_rectangles(
    layer: PictureLayer, data: Any, shares: tuple[Tensor, Tensor], seed: torch.Generator | None
) -> Rectangles:
    """Rectangles that take up given shares of the height and of the width, anywhere within the pictures."""
    images, sizes = layer.pictures(data), layer.sizes(data)

    def inside(share: Tensor, length: int) -> tuple[Tensor, Tensor]:
        size = share * length
        begin = layer.uniform(size.shape, on=images, seed=seed) * (length - size)
        places = torch.arange(length, dtype=size.dtype, device=size.device)
        return size, (places >= begin[:, None]) & (places < (begin + size)[:, None])

    (widths, columns), (heights, rows) = inside(shares[1], sizes.width), inside(shares[0], sizes.height)
    if layer.data_format == "channels_first":
        return Rectangles(heights, widths, rows[:, None, :, None] & columns[:, None, None, :])
    columns = columns[:, None, :, None].expand(-1, -1, -1, sizes.channels).contiguous()  # whole rows meet faster
    return Rectangles(heights, widths, rows[:, :, None, None] & columns)


class RandomErasing(PictureLayer):
    r"""Replaces a random rectangle of some pictures by noise or by one value.

    A picture is changed with probability :math:`p \sim U(\text{factor})`.  The rectangle takes up
    :math:`\sqrt{s_1}` of the width and :math:`\sqrt{s_2}` of the height, with s from :math:`U(\text{scale})`.
    ``fill_value`` is a number, three numbers for three channels, or None for noise from N(0, high²) cut to the range.
    A factor is a pair within [0, 1]; a number f stands for (0, f).   Shapes: ``[N, H, W, C]``, unchanged.
    Units: ``value_range``, (low, high), and ``fill_value`` are the pictures'.   Acts in training only.
    Keras: equals ``keras.layers.RandomErasing``; with channels first, three fill values go to the channels.

    >>> layer = RandomErasing((1, 1), scale=(0.25, 0.25), fill_value=0, seed=1)
    >>> layer(torch.ones(1, 4, 4, 1))[0, :, :, 0].sum()
    tensor(12.)
    """

    def __init__(
        self,
        factor: Factor = 1.0,
        scale: Sequence[float] | float = (0.02, 0.33),
        fill_value: float | Sequence[float] | None = None,
        value_range: Sequence[float] = (0, 255),
        seed: int | None = None,
        data_format: str | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(seed, data_format, **options)
        self.factor = factor_range(factor, (0, 1))
        self.scale = factor_range(scale, (0, 1), "scale")
        if isinstance(fill_value, list | tuple) and len(fill_value) != 3:
            raise ConfigError(f"fill_value must be None, a number, or three numbers; got {fill_value!r}")
        self.fill_value = fill_value
        self.value_range = number_pair(value_range, "value_range")

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Transformation:
        if not training:
            return None
        images = self.pictures(data)
        stream = self.stream(images.device, seed)
        width, height = self.uniform((2, self.sizes(data).batch), *self.scale, on=images, seed=stream).sqrt()
        within = random_rectangles(self, data, (height, width), stream).within
        return {
            "apply_erasing": chosen(self, data, self.factor, stream),
            "batch_masks": within,
            "fill_value": self._filling(images, stream),
        }

    def _filling(self, images: Tensor, stream: torch.Generator | None) -> Tensor:
        low, high = self.value_range
        if self.fill_value is None:
            return self.normal(images.shape, on=images, seed=stream).mul_(high).clamp_(low, high)
        shape = [1, 1, 1, 1]
        values = torch.tensor(self.fill_value, dtype=torch.float32, device=images.device)
        shape[self.channel_axis] = values.numel()
        return values.clamp(low, high).view(shape)

    def transform_images(self, images: Tensor, transformation: Transformation, training: bool = True) -> Tensor:
        images = self.as_float(images)
        if not training:
            return images
        erased = transformation["batch_masks"] & transformation["apply_erasing"][:, None, None, None]
        # A weight of 0 or 1 instead of `where`, which torch does one by one.
        return torch.lerp(images, transformation["fill_value"].to(images.dtype), erased.to(images.dtype))
