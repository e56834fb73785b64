"""Blocks of images: cut out and put back (`unfold`, `fold`), moved between space and channels.

Shapes: N batch, H W space, C channels, L places of the block.   Source: Keras 3 semantics.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor
from torch.nn import functional as F

from dougong.core.arithmetic import data_format_of, per_axis
from dougong.core.errors import ConfigError, ShapeError
from dougong.ops.op import floating, op, tensor

__all__ = ["depth_to_space", "fold", "space_to_depth", "unfold"]

Axes = int | Sequence[int]


@op
def unfold(x: Any, kernel_size: Axes, dilation: Axes = 1, padding: Axes = 0, stride: Axes = 1) -> Tensor:
    """The values under a sliding block, one column for each place.   Shapes: ``[N, C, H, W] -> [N, C kh kw, L]``.

    Keras: equals its namesake.

    >>> unfold([[[[1.0, 2.0], [3.0, 4.0]]]], 2).flatten()
    tensor([1., 2., 3., 4.])
    """
    x = floating(x)
    if x.ndim != 4:
        raise ShapeError(f"unfold takes images [N, C, H, W], got shape {tuple(x.shape)}")
    return F.unfold(x, *_sizes(kernel_size, dilation, padding, stride))


@op
def fold(
    x: Any, output_size: Axes, kernel_size: Axes, dilation: Axes = 1, padding: Axes = 0, stride: Axes = 1
) -> Tensor:
    """The sum of overlapping blocks, the adjoint of `unfold`.   Shapes: ``[N, C kh kw, L] -> [N, C, *output_size]``.

    Keras: equals its namesake.

    >>> fold([[[1.0, 2.0], [3.0, 4.0]]], (1, 3), (1, 2)).flatten()
    tensor([1., 5., 4.])
    """
    x = floating(x)
    if x.ndim != 3:
        raise ShapeError(f"fold takes columns [N, C kh kw, L], got shape {tuple(x.shape)}")
    return F.fold(x, per_axis(output_size, 2, "output_size"), *_sizes(kernel_size, dilation, padding, stride))


@op
def depth_to_space(x: Any, block_size: int, data_format: str = "channels_last") -> Tensor:
    """Spread channels over blocks of ``block_size``² pixels.   Shapes: ``[N, H, W, C] -> [N, H b, W b, C / b²]``.

    The block's row and column are the slow part of the channel's number; with the channels first, as in
    `torch.pixel_shuffle`, they are the fast part.   Keras: equals its namesake.

    >>> depth_to_space([[[[1, 2, 3, 4]]]], 2).flatten()
    tensor([1, 2, 3, 4], dtype=torch.int32)
    """
    x, last = _checked(x, block_size, data_format)
    channels = x.shape[-1 if last else 1]
    if channels % block_size**2:
        raise ShapeError(f"depth_to_space: {channels} channels are no multiple of block_size² = {block_size**2}")
    if not last:
        return F.pixel_shuffle(x, block_size)
    blocks = x.unflatten(-1, (block_size, block_size, channels // block_size**2))
    return blocks.permute(0, 1, 3, 2, 4, 5).flatten(1, 2).flatten(2, 3)


@op
def space_to_depth(x: Any, block_size: int, data_format: str = "channels_last") -> Tensor:
    """Stack blocks of ``block_size``² pixels in the channels.   Shapes: ``[N, H b, W b, C] -> [N, H, W, C b²]``.

    It undoes `depth_to_space`.   Keras: equals its namesake.

    >>> space_to_depth([[[[1], [2]], [[3], [4]]]], 2).flatten()
    tensor([1, 2, 3, 4], dtype=torch.int32)
    """
    x, last = _checked(x, block_size, data_format)
    rows, columns = (1, 2) if last else (2, 3)
    if x.shape[rows] % block_size or x.shape[columns] % block_size:
        raise ShapeError(
            f"space_to_depth: an image of {x.shape[rows]} by {x.shape[columns]} cannot be cut into blocks"
            f" of {block_size}"
        )
    if not last:
        return F.pixel_unshuffle(x, block_size)
    blocks = x.unflatten(columns, (-1, block_size)).unflatten(rows, (-1, block_size))
    return blocks.permute(0, 1, 3, 2, 4, 5).flatten(3)


def _sizes(kernel_size: Axes, dilation: Axes, padding: Axes, stride: Axes) -> tuple[tuple[int, ...], ...]:
    return (
        per_axis(kernel_size, 2, "kernel_size"),
        per_axis(dilation, 2, "dilation"),
        per_axis(padding, 2, "padding", minimum=0),
        per_axis(stride, 2, "stride"),
    )


def _checked(x: Any, block_size: int, data_format: str) -> tuple[Tensor, bool]:
    if block_size < 2:
        raise ConfigError(f"block_size must be at least 2, got {block_size}")
    x = tensor(x)
    if x.ndim != 4:
        raise ShapeError(f"blocks are moved in images with 4 axes, got shape {tuple(x.shape)}")
    return x, data_format_of(data_format) == "channels_last"
