"""Colours of pictures: grey, hue, saturation and value.   Shapes: N batch, H height, W width, C channels.

Red, green and blue stand on the channel axis: the last, or the third from the end with ``channels_first``.
All functions take a batch or a single picture and are differentiable wherever the formula is.
Source: Smith 1978, doi:10.1145/965139.807361 (the hexcone); Keras 3 semantics.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from dougong.core.arithmetic import data_format_of
from dougong.core.errors import ConfigError, ShapeError
from dougong.ops.op import op, tensor

__all__ = [
    "channels_of",
    "hsv_to_rgb",
    "joined_planes",
    "rgb_to_grayscale",
    "rgb_to_hsv",
    "with_saturation_times",
    "with_turned_hue",
]

_LUMA = (0.2989, 0.587, 0.114)


def channels_of(images: Tensor, data_format: str | None = None) -> int:
    """The channel axis of a batch of pictures or of a single one.   Raises: ShapeError for any other rank.

    >>> channels_of(torch.zeros(4, 4, 3)), channels_of(torch.zeros(2, 3, 4, 4), "channels_first")
    (-1, -3)
    """
    if images.ndim not in (3, 4):
        raise ShapeError(
            f"pictures have 3 axes, or 4 with the batch, but received shape {tuple(images.shape)}; reshape them"
        )
    return -1 if data_format_of(data_format) == "channels_last" else -3


def _planes(images: Tensor, data_format: str | None) -> tuple[tuple[Tensor, Tensor, Tensor], int]:
    axis = channels_of(images, data_format)
    if images.shape[axis] != 3:
        raise ShapeError(
            f"red, green and blue are 3 channels, but axis {axis} of shape {tuple(images.shape)} has"
            f" {images.shape[axis]}; is data_format right?"
        )
    red, green, blue = images.unbind(axis)
    return (red, green, blue), axis


def _floats(images: Tensor) -> Tensor:
    if images.is_floating_point():
        return images
    raise ConfigError(
        f"hue, saturation and value need floats in [0, 1], got {str(images.dtype).removeprefix('torch.')};"
        " convert first: ops.cast(images, 'float32') / 255"
    )


@op
def rgb_to_grayscale(images: Any, data_format: str | None = None) -> Tensor:
    r"""The luma of ITU-R BT.601: how bright the colours look; one channel is left as it is.

    .. math:: y = 0.2989\,r + 0.587\,g + 0.114\,b

    Shapes: ``[..., H, W, 3] -> [..., H, W, 1]``.   Whole numbers stay whole, cut off.   Units: those of ``images``.
    Raises: ShapeError unless there are 1 or 3 channels.   Keras: equals ``keras.ops.image.rgb_to_grayscale``.

    >>> rgb_to_grayscale(torch.tensor([[[1.0, 0.0, 0.0], [1.0, 1.0, 1.0]]])).flatten()
    tensor([0.2989, 0.9999])
    """
    images = tensor(images)
    axis = channels_of(images, data_format)
    if images.shape[axis] == 1:
        return images
    (red, green, blue), _ = _planes(images, data_format)
    luma = torch.add(torch.add(red * _LUMA[0], green, alpha=_LUMA[1]), blue, alpha=_LUMA[2])
    return luma.to(images.dtype).unsqueeze(axis)


def _hexcone(red: Tensor, green: Tensor, blue: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The hue as a part of the circle, in [0, 1]; the greatest of the three; and the greatest minus the least.

    After two exchanges red is the greatest, so that one formula serves all; they are written as maxima and minima,
    since choosing pixel by pixel is what takes long.   Ref: Sam Hocevar, "Fast branchless RGB to HSV", 2013.
    """
    is_blue, warm, cold = (green < blue).to(red.dtype), torch.maximum(green, blue), torch.minimum(green, blue)
    is_cold, value, middle = (red < warm).to(red.dtype), torch.maximum(red, warm), torch.minimum(red, warm)
    chroma = value - torch.minimum(middle, cold)
    start = torch.addcmul(-is_blue, is_cold, 2.0 * is_blue - 1.0 / 3.0)
    # Grey has no hue: its chroma of 0 is replaced by 1, and its hue becomes 0.
    part = (middle - cold) / (6.0 * (chroma + (chroma == 0)))
    return (start + part).abs(), value, chroma


def _colors(hue: Tensor, value: Tensor, chroma: Tensor, axis: int) -> Tensor:
    """Red, green and blue from a hue in turns, of any number: each lies below ``value`` by its part of ``chroma``."""
    sixths = (hue - hue.floor()) * 6.0
    red = torch.addcmul(value - chroma, chroma, ((sixths - 3.0).abs() - 1.0).clamp(0.0, 1.0))
    green = torch.addcmul(value, chroma, ((sixths - 2.0).abs() - 1.0).clamp(0.0, 1.0), value=-1.0)
    blue = torch.addcmul(value, chroma, ((sixths - 4.0).abs() - 1.0).clamp(0.0, 1.0), value=-1.0)
    return joined_planes((red, green, blue), axis)


def joined_planes(planes: Sequence[Tensor], axis: int) -> Tensor:
    """What `torch.stack` gives along the channel axis, where its copying of single numbers takes three times as long.

    >>> joined_planes((torch.zeros(2, 2), torch.ones(2, 2)), -1)[0, 0]
    tensor([0., 1.])
    """
    first = planes[0]
    shape = list(first.shape)
    shape.insert(axis % (first.ndim + 1), len(planes))
    whole = first.new_empty(shape)
    for index, plane in enumerate(planes):
        whole.select(axis, index).copy_(plane)
    return whole


@op
def rgb_to_hsv(images: Any, data_format: str | None = None) -> Tensor:
    r"""Hue, saturation and value of red, green and blue in [0, 1].

    .. math:: v = \max(r, g, b),\quad c = v - \min(r, g, b),\quad s = c / v,\quad
              h = \tfrac16 \begin{cases} (g - b)/c & v = r \\ 2 + (b - r)/c & v = g \\ 4 + (r - g)/c & v = b
              \end{cases} \bmod 1

    Black has s = 0, grey h = 0; what is nearer to 0 than the dtype's epsilon counts as 0.
    Shapes: ``[..., H, W, 3]``, unchanged.   Units: all in [0, 1]; h = 0 is red, 1/3 green, 2/3 blue.
    Raises: ShapeError unless there are 3 channels; ConfigError for whole numbers.
    Keras: equals ``keras.ops.image.rgb_to_hsv``.

    >>> rgb_to_hsv(torch.tensor([[[0.0, 0.5, 0.0]]])).flatten()
    tensor([0.3333, 1.0000, 0.5000])
    """
    images = _floats(tensor(images))
    smallest = torch.finfo(images.dtype).eps
    (red, green, blue), axis = _planes(F.hardshrink(images, smallest * (1.0 - smallest)), data_format)
    hue, value, chroma = _hexcone(red, green, blue)
    saturation = chroma / value.clamp_min(smallest) * (value > 0)
    return joined_planes((hue, saturation, value), axis)


@op
def hsv_to_rgb(images: Any, data_format: str | None = None) -> Tensor:
    r"""Red, green and blue of hue, saturation and value in [0, 1].

    .. math:: x_n = v - v s\,\operatorname{clip}(\min(k_n, 4 - k_n), 0, 1),\quad k_n = (n + 6h) \bmod 6,\quad
              n = 5, 3, 1 \text{ for red, green, blue}

    Shapes: ``[..., H, W, 3]``, unchanged.   Raises: ShapeError unless there are 3 channels; ConfigError for whole
    numbers.   Keras: equals ``keras.ops.image.hsv_to_rgb``.

    >>> hsv_to_rgb(torch.tensor([[[0.5, 1.0, 0.8]]])).flatten()
    tensor([0.0000, 0.8000, 0.8000])
    """
    (hue, saturation, value), axis = _planes(_floats(tensor(images)), data_format)
    return _colors(hue, value, value * saturation, axis)


def with_turned_hue(images: Tensor, turns: Tensor, data_format: str | None = None) -> Tensor:
    """Pictures with every hue turned by a part of the circle, brightness and saturation kept.

    Hue does not change when the three channels are scaled and shifted alike, so ``images`` may have any range.
    Shapes: ``[N, H, W, 3], [N] -> [N, H, W, 3]``.   Units: ``turns`` 1 is a whole turn.

    >>> with_turned_hue(torch.tensor([[[[200.0, 0.0, 0.0]]]]), torch.tensor([1 / 3])).flatten().round()
    tensor([  0., 200.,   0.])
    """
    planes, axis = _planes(images, data_format)
    hue, value, chroma = _hexcone(*planes)
    return _colors(hue + turns[:, None, None], value, chroma, axis)


def with_saturation_times(images: Tensor, factor: Tensor, low: float = 0.0, data_format: str | None = None) -> Tensor:
    r"""Pictures whose saturation is multiplied, at most to 1; hue and value are kept.

    .. math:: x' = v - (v - x)\,\min\!\left(f, \frac{v - \text{low}}{v - \min(r, g, b)}\right),\quad v = \max(r, g, b)

    which is what multiplying s in `rgb_to_hsv` of the pictures scaled to [0, 1] comes to.
    Shapes: ``[N, H, W, 3], [N] -> [N, H, W, 3]``.   Units: ``low`` is black, in the unit of ``images``.

    >>> with_saturation_times(torch.tensor([[[[200.0, 100.0, 100.0]]]]), torch.tensor([1.5])).flatten()
    tensor([200.,  50.,  50.])
    """
    planes, axis = _planes(images, data_format)
    value = torch.maximum(torch.maximum(planes[0], planes[1]), planes[2])
    chroma = value - torch.minimum(torch.minimum(planes[0], planes[1]), planes[2])
    full = (value - low).clamp_min(0.0) / chroma.clamp_min(torch.finfo(images.dtype).tiny)
    times = torch.minimum(factor[:, None, None], full)
    return joined_planes([torch.lerp(value, plane, times) for plane in planes], axis)
