"""Layers that spread out the values of pictures by their histograms.

Shapes: N batch, H height, W width, C channels, B bins; tiles: G rows of them, T columns.
All pictures, channels and tiles are counted at once: each value's bin is numbered through from the first picture's
first tile to the last one's last.   Source: Keras 3 semantics.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

import torch
from torch import Tensor

from dougong.core.arithmetic import per_axis
from dougong.core.errors import ConfigError
from dougong.layers.layer import LayerOptions
from dougong.layers.pictures.base import PictureLayer, Transformation, number_pair
from dougong.layers.pictures.tone import along_rows, without_seed

__all__ = ["ContrastLimitedAdaptiveHistogramEqualization", "Equalization"]

_LEVELS = 256


def _counts(places: Tensor, how_many: int) -> Tensor:
    """How often each number below ``how_many`` stands in ``places``.

    Not `torch.bincount`, which waits for a GPU's answer to know how large its result is.
    """
    ones = torch.ones((), dtype=torch.int32, device=places.device).expand(places.numel())
    return torch.zeros(how_many, dtype=torch.int32, device=places.device).index_add_(0, places.flatten(), ones)


class Equalization(PictureLayer):
    r"""Spreads out the values of each channel of each picture until all are about equally frequent.

    .. math:: y = \operatorname{round}\left(255\,\frac{F(x) - F_{\min}}{F_{\max} - F_{\min}}\right)

    for x scaled to [0, 255]; F counts the values in the bins up to that of x.   A channel within one bin stays as it
    is.   Shapes: ``[N, H, W, C]``, unchanged.   Units: ``value_range``, (low, high), is the pictures'.
    Acts in training only, which is what Keras's does, though Keras's text says otherwise.
    Keras: equals ``keras.layers.Equalization`` for one picture; in a batch Keras counts all pictures together, so that
    each changes with the others.

    >>> Equalization()(torch.tensor([[[[10.0], [10.0], [12.0], [11.0]]]])).flatten()
    tensor([  0.,   0., 255., 128.])
    """

    def __init__(
        self,
        value_range: Sequence[float] = (0, 255),
        bins: int = 256,
        data_format: str | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(None, data_format, **options)
        self.value_range = number_pair(value_range, "value_range")
        if bins < 1:
            raise ConfigError(f"bins must be at least 1; got {bins!r}")
        self.bins = bins

    def transform_images(self, images: Tensor, transformation: Transformation = None, training: bool = True) -> Tensor:
        images = self.as_float(images)
        if not training:
            return images
        low, high = self.value_range
        bytes_ = images if (low, high) == (0, 255) else (images - low) * (255 / (high - low))
        batch, _, _, channels = self.sizes(images)
        histograms = batch * channels
        shape = [batch, 1, 1, 1]
        shape[self.channel_axis] = channels
        first = torch.arange(histograms, dtype=torch.int32, device=images.device).view(shape) * self.bins
        bins = (bytes_ * (self.bins - 1)).div_(255).clamp_(0, self.bins - 1)
        places = bins.to(torch.int32).add_(along_rows(first, images))
        counts = _counts(places, histograms * self.bins).view(histograms, self.bins)
        levels = _equalizing(counts).to(images.dtype)
        spread = levels.flatten().index_select(0, places.flatten()).view(places.shape)
        several = ((counts > 0).sum(-1) > 1).to(images.dtype).view(shape)
        spread = spread.lerp_(bytes_, along_rows(1 - several, images))
        return spread if (low, high) == (0, 255) else spread * ((high - low) / 255) + low

    def get_config(self) -> dict[str, Any]:
        return without_seed(super().get_config())


def _equalizing(counts: Tensor) -> Tensor:
    """The new level of each bin, from 0 to 255.   Shapes: ``[..., B] -> [..., B]``."""
    below = counts.cumsum(-1)
    total = below[..., -1:]
    least = torch.where(below > 0, below, total).amin(-1, keepdim=True)
    return ((below - least) * 255 / (total - least).clamp_min(1)).round().clamp(0, 255)


class ContrastLimitedAdaptiveHistogramEqualization(PictureLayer):
    r"""CLAHE: `Equalization` tile by tile, where no value may count too much, blended from tile to tile.

    1. The picture is cut into ``tile_grid_size`` tiles; where it does not divide, its last row and column are
       repeated (Keras on other backends mirrors it).
    2. In each tile and channel the 256 counts are cut at ``clip_limit`` times their mean, in whole numbers and at
       least 1, which keeps plain tiles from becoming noise; what was cut off is given to all 256 alike.
       A ``clip_limit`` of 0 cuts nothing.
    3. Each value gets the equalized levels of the four tiles around it, blended by their distances.

    Shapes: ``[N, H, W, C]``, unchanged.   The dtype stays, whole numbers too (cut off, not rounded).
    Units: ``value_range``, (low, high), is the pictures'.   Acts in training and inference.
    Keras: equals ``keras.layers.ContrastLimitedAdaptiveHistogramEqualization``, without its table of H·W·256 numbers;
    where the limit is below 1, in tiles of few pixels, Keras on torch cuts at 0 and gives the picture back.  The limit
    of at least 1 is OpenCV's.
    Ref: Zuiderveld 1994, "Contrast limited adaptive histogram equalization", Graphics Gems IV.

    >>> layer = ContrastLimitedAdaptiveHistogramEqualization(tile_grid_size=(1, 1), clip_limit=0)
    >>> layer(torch.tensor([[[[10.0], [10.0], [12.0], [11.0]]]])).flatten()
    tensor([127.5000, 127.5000, 255.0000, 191.2500])
    """

    def __init__(
        self,
        value_range: Sequence[float] = (0, 255),
        clip_limit: float = 4.0,
        tile_grid_size: Sequence[int] = (8, 8),
        data_format: str | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(None, data_format, **options)
        self.value_range = number_pair(value_range, "value_range")
        self.clip_limit = clip_limit
        self.tile_grid_size = per_axis(tile_grid_size, 2, "tile_grid_size")

    def transform_images(self, images: Tensor, transformation: Transformation = None, training: bool = True) -> Tensor:
        low, high = self.value_range
        kind = images.dtype
        last = self.data_format == "channels_last"
        pictures = images if last else images.movedim(1, -1)
        if (low, high) != (0, 255):
            pictures = (pictures - low) / (high - low) * 255
        spread = self._equalized(pictures)
        if (low, high) != (0, 255):
            spread = spread / 255 * (high - low) + low
        return (spread if last else spread.movedim(-1, 1)).to(kind)

    def _equalized(self, pictures: Tensor) -> Tensor:
        batch, height, width, channels = pictures.shape
        (rows, columns), device = self.tile_grid_size, pictures.device
        tall, wide = -(-height // rows), -(-width // columns)
        levels = pictures.clamp(0, _LEVELS - 1).to(torch.int32)
        whole = _continued(_continued(levels, 1, tall * rows), 2, wide * columns)
        y, x = torch.arange(tall * rows, device=device), torch.arange(wide * columns, device=device)
        size = (batch, rows, columns, channels)
        places = _bins(whole, size, y // tall, x // wide)
        counts = _counts(places, batch * rows * columns * channels * _LEVELS).view(*size, _LEVELS)
        table = self._equalizing(counts, tall * wide).to(super().output_dtype(pictures.dtype)).flatten()

        (above, below, down), (left, right, across) = _around(y[:height], tall, rows), _around(x[:width], wide, columns)
        down, across = down.view(-1, 1, 1).to(table.dtype), across.to(table.dtype)[:, None].repeat(1, channels)

        def at(row: Tensor, column: Tensor) -> Tensor:
            return table.index_select(0, _bins(levels, size, row, column).flatten()).view(levels.shape)

        top = _blended(at(above, left), at(above, right), across)
        return _blended(top, _blended(at(below, left), at(below, right), across), down)

    def _equalizing(self, counts: Tensor, pixels: int) -> Tensor:
        """The new level of each level in each tile, from 0 to 255.   Shapes: ``[..., 256] -> [..., 256]``."""
        if self.clip_limit > 0:
            cut = counts.clamp_max(max(int(self.clip_limit * pixels / _LEVELS), 1))
            counts = cut + (counts - cut).sum(-1, keepdim=True) / _LEVELS
        below = counts.cumsum(-1)
        least = below[..., :1]
        rest = pixels - least
        return ((below - least) * 255 / torch.where(rest == 0, 1.0, rest)).clamp(0, 255)

    def output_dtype(self, dtype: torch.dtype) -> torch.dtype:
        return super().output_dtype(dtype) if dtype.is_floating_point else dtype

    def get_config(self) -> dict[str, Any]:
        return without_seed(super().get_config())


def _continued(pictures: Tensor, axis: int, length: int) -> Tensor:
    """An axis continued up to ``length`` by what stands last on it."""
    size = pictures.shape[axis]
    if size == length:
        return pictures
    return pictures.index_select(axis, torch.arange(length, device=pictures.device).clamp_max_(size - 1))


def _bins(levels: Tensor, size: tuple[int, int, int, int], rows: Tensor, columns: Tensor) -> Tensor:
    """The bins of levels ``[N, H, W, C]`` in the tiles of given rows ``[H]`` and columns ``[W]``."""
    batch, in_rows, in_columns, channels = size
    picture = torch.arange(batch, device=rows.device)[:, None] * in_rows
    by_row = (picture + rows) * in_columns * channels * _LEVELS
    by_column = (columns[:, None] * channels + torch.arange(channels, device=rows.device)) * _LEVELS
    return (levels + by_column.to(levels.dtype)).add_(by_row.to(levels.dtype)[:, :, None, None])


def _around(places: Tensor, length: int, tiles: int) -> tuple[Tensor, Tensor, Tensor]:
    """The tiles whose middles lie before and after each pixel, and the weight of the second."""
    middle = (places - length / 2.0) / length + 1.0
    after = middle.floor()
    second = after.to(torch.int64)
    return (second - 1).clamp(0, tiles - 1), second.clamp(0, tiles - 1), middle - after


def _blended(first: Tensor, second: Tensor, weight: Tensor) -> Tensor:
    return first * (1.0 - weight) + second * weight
