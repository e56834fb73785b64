"""Layers that sharpen and blur pictures.   Shapes: N batch, H height, W width, C channels.   Source: Keras 3."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

import torch
from torch import Tensor

from dougong.core.arithmetic import per_axis
from dougong.core.errors import ConfigError
from dougong.layers.layer import LayerOptions
from dougong.layers.pictures.base import PictureLayer, Transformation, factor_range, number_pair
from dougong.layers.pictures.draws import chosen
from dougong.layers.pictures.tone import Factor
from dougong.ops.picture_filters import filtered, gaussian_blur

__all__ = ["RandomGaussianBlur", "RandomSharpness"]


class RandomSharpness(PictureLayer):
    r"""Mixes each picture with a blurred one, or takes the blurred one away, by a random share.

    .. math:: y = \operatorname{clip}\left(x + (1 - 2f)\,(\text{blurred}(x) - x), \text{low}, \text{high}\right),\quad
              f \sim U(\text{factor}),\quad \text{kernel} = \tfrac1{13}
              \begin{pmatrix} 1 & 1 & 1 \\ 1 & 5 & 1 \\ 1 & 1 & 1 \end{pmatrix}

    so that f = 0 blurs, 0.5 changes nothing and 1 sharpens; beyond the border pictures are 0.
    ``factor`` is a pair within [0, 1]; a number f stands for (0, f).   Shapes: ``[N, H, W, C]``, unchanged.
    Units: ``value_range``, (low, high), is the pictures'.   Acts in training only.
    Keras: equals ``keras.layers.RandomSharpness``.

    >>> RandomSharpness((0, 0))(torch.full((1, 3, 3, 1), 13.0))[0, 1].flatten()
    tensor([10., 13., 10.])
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
        return {"factor": self.uniform((self.sizes(data).batch,), *self.factor, on=self.pictures(data), seed=seed)}

    def transform_images(self, images: Tensor, transformation: Transformation, training: bool = True) -> Tensor:
        images = self.as_float(images)
        if not training:
            return images
        kernel = torch.full((3, 3), 1 / 13, dtype=images.dtype, device=images.device)
        kernel[1, 1] = 5 / 13
        share = 2 * transformation["factor"].to(images.dtype)[:, None, None, None]
        return filtered(images, kernel, self.data_format).lerp_(images, share).clamp_(*self.value_range)


class RandomGaussianBlur(PictureLayer):
    r"""Blurs some pictures, all by the same Gaussian of random width.

    A picture is blurred with probability :math:`p \sim U(\text{factor})`; the two widths, across and down, are from
    :math:`U(\text{sigma})`, in pixels.   A factor or sigma is a pair; a number f stands for (0, f).
    ``kernel_size`` is one odd number, or one across and one down.   Shapes: ``[N, H, W, C]``, unchanged.
    Units: ``value_range``, (low, high), is the pictures'; what leaves it is cut.   Acts in training only.
    Raises: ConfigError for an even kernel, a factor outside [0, 1], or a sigma not within it, as in Keras.
    Keras: equals ``keras.layers.RandomGaussianBlur``; for kernels not square see `gaussian_blur`.

    >>> layer = RandomGaussianBlur((1, 1), sigma=(1, 1), seed=2)
    >>> point = torch.zeros(1, 3, 3, 1); point[0, 1, 1, 0] = 100.0
    >>> layer(point)[0, 1, :, 0]
    tensor([12.3841, 20.4180, 12.3841])
    """

    def __init__(
        self,
        factor: Factor = 1.0,
        kernel_size: int | Sequence[int] = 3,
        sigma: Factor = 1.0,
        value_range: Sequence[float] = (0, 255),
        data_format: str | None = None,
        seed: int | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(seed, data_format, **options)
        self.factor = factor_range(factor, (0, 1))
        self.kernel_size = per_axis(kernel_size, 2, "kernel_size")
        if not all(size % 2 for size in self.kernel_size):
            raise ConfigError(f"kernel_size must be odd, so that it has a middle; got {kernel_size!r}")
        self.sigma = factor_range(sigma, (0, 1), "sigma")
        self.value_range = number_pair(value_range, "value_range")

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Transformation:
        if not training:
            return None
        images = self.pictures(data)
        stream = self.stream(images.device, seed)
        return {
            "should_apply_blur": chosen(self, data, self.factor, stream),
            "blur_factor": self.uniform((2,), *self.sigma, on=images, seed=stream) + 1e-6,
        }

    def transform_images(self, images: Tensor, transformation: Transformation, training: bool = True) -> Tensor:
        images = self.as_float(images)
        if not training:
            return images
        sigma = transformation["blur_factor"].to(images.dtype)
        blurred = gaussian_blur(images, self.kernel_size, sigma, self.data_format)
        kept = (~transformation["should_apply_blur"]).to(images.dtype)[:, None, None, None]
        return blurred.lerp_(images, kept).clamp_(*self.value_range)
