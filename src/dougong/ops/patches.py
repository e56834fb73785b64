"""Pictures and volumes cut into patches.

Shapes: N batch, D depth, H height, W width, C channels; patches are ``[N, rows, columns, C']`` with
C' = (patch height · patch width · C), the channel running fastest.   Source: Keras 3 semantics.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from torch import Tensor
from torch.nn import functional as F

from dougong.core.arithmetic import data_format_of, extent, padding_of, per_axis, same_pads
from dougong.core.errors import ConfigError, ShapeError
from dougong.ops.op import op, tensor

__all__ = ["extract_patches", "extract_patches_3d"]


@op
def extract_patches(
    images: Any,
    size: int | Sequence[int],
    strides: int | Sequence[int] | None = None,
    dilation_rate: int | Sequence[int] = 1,
    padding: str = "valid",
    data_format: str | None = None,
) -> Tensor:
    """Patches of pictures, side by side where ``strides`` is None, each flattened into channels.

    ``size`` of three numbers cuts volumes, as `extract_patches_3d`.
    Shapes: ``[N, H, W, C] -> [N, rows, columns, height · width · C]``, or the same without N.
    Raises: ShapeError, ConfigError.   Keras: equals ``keras.ops.image.extract_patches``.

    >>> from torch import arange
    >>> extract_patches(arange(16.0).view(4, 4, 1), 2)[0, 1].tolist()
    [2.0, 3.0, 6.0, 7.0]
    """
    rank = 2 if isinstance(size, int) else len(size)
    if rank not in (2, 3):
        raise ConfigError(f"size must be an int, 2 ints, or 3 for volumes; got {size!r}")
    return _patches(tensor(images), rank, size, strides, dilation_rate, padding, data_format)


@op
def extract_patches_3d(
    volumes: Any,
    size: int | Sequence[int],
    strides: int | Sequence[int] | None = None,
    dilation_rate: int | Sequence[int] = 1,
    padding: str = "valid",
    data_format: str | None = None,
) -> Tensor:
    """Patches of volumes, side by side where ``strides`` is None, each flattened into channels.

    Shapes: ``[N, D, H, W, C] -> [N, d, h, w, depth · height · width · C]``, or the same without N.
    Raises: ShapeError, ConfigError.   Keras: equals ``keras.ops.image.extract_patches_3d``.

    >>> from torch import ones
    >>> extract_patches_3d(ones(4, 4, 4, 1), 2).shape
    torch.Size([2, 2, 2, 8])
    """
    return _patches(tensor(volumes), 3, size, strides, dilation_rate, padding, data_format)


def _patches(
    x: Tensor, rank: int, size: Any, strides: Any, dilation_rate: Any, padding: str, data_format: str | None
) -> Tensor:
    sizes = per_axis(size, rank, "size")
    steps = sizes if strides is None else per_axis(strides, rank, "strides")
    rates = per_axis(dilation_rate, rank, "dilation_rate")
    padding = padding_of(padding)
    last = data_format_of(data_format) == "channels_last"
    if x.ndim not in (rank + 1, rank + 2):
        raise ShapeError(
            f"patches of {rank} axes are cut from {rank + 1} axes, or {rank + 2} with the batch, but received shape"
            f" {tuple(x.shape)}"
        )
    x = x if last else x.movedim(-rank - 1, -1)
    if padding == "same":
        pads = [same_pads(n, k, s, d) for n, k, s, d in zip(x.shape[-rank - 1 : -1], sizes, steps, rates)]
        x = F.pad(x, (0, 0, *(side for pair in reversed(pads) for side in pair)))
    first = x.ndim - rank - 1
    for axis, (k, s, d) in enumerate(zip(sizes, steps, rates)):
        if x.shape[first + axis] < extent(k, d):
            raise ShapeError(
                f"patches of {sizes} with dilation {rates} do not fit into shape {tuple(x.shape)}; pad with 'same'"
            )
        x = x.unfold(first + axis, extent(k, d), s)[..., ::d]
    # [N, rows, columns, C, height, width]: the channel goes last.
    x = x.movedim(first + rank, -1)
    x = x.reshape(*x.shape[: first + rank], prod(x.shape[first + rank :]))
    return x if last else x.movedim(-1, first)
