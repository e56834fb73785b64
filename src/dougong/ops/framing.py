"""Pictures cut and padded at their edges.

Letters: N pictures, H height, W width, C channels; ``channels_last`` is ``[N, H, W, C]``, a single picture has no N.
Source: Keras 3 semantics.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn import functional as F

from dougong.core.arithmetic import data_format_of
from dougong.core.errors import ConfigError, ShapeError
from dougong.ops.colors import channels_of
from dougong.ops.op import op, tensor

__all__ = ["crop_images", "pad_images"]


@op
def crop_images(
    images: Any,
    top_cropping: int | None = None,
    left_cropping: int | None = None,
    bottom_cropping: int | None = None,
    right_cropping: int | None = None,
    target_height: int | None = None,
    target_width: int | None = None,
    data_format: str | None = None,
) -> Tensor:
    """Pictures without some rows and columns; exactly two of top, bottom and target height, and so for the width.

    Shapes: ``[N, H, W, C] -> [N, target_height, target_width, C]``, or without N.
    Raises: ConfigError for one word too few or too many, ShapeError for more than there is.
    Keras: equals ``keras.ops.image.crop_images``.

    >>> from torch import arange
    >>> crop_images(arange(4.0).view(1, 4, 1), 0, 1, 0, target_width=2).flatten()
    tensor([1., 2.])
    """
    x = tensor(images)
    channels_of(x, data_format)
    last = data_format_of(data_format) == "channels_last"
    high, wide = (-3, -2) if last else (-2, -1)
    rows, columns = _words("cropping")
    top, bottom = _two_of_three(rows, top_cropping, bottom_cropping, target_height, x.shape[high], grows=False)
    left, right = _two_of_three(columns, left_cropping, right_cropping, target_width, x.shape[wide], grows=False)
    x = x.narrow(high, top, x.shape[high] - top - bottom)
    return x.narrow(wide, left, x.shape[wide] - left - right)


@op
def pad_images(
    images: Any,
    top_padding: int | None = None,
    left_padding: int | None = None,
    bottom_padding: int | None = None,
    right_padding: int | None = None,
    target_height: int | None = None,
    target_width: int | None = None,
    data_format: str | None = None,
) -> Tensor:
    """Pictures with zeros around; exactly two of top, bottom and target height, and so for the width.

    Shapes: ``[N, H, W, C] -> [N, target_height, target_width, C]``, or without N.
    Raises: ConfigError for one word too few or too many, ShapeError for a target smaller than the picture.
    Keras: equals ``keras.ops.image.pad_images``.

    >>> from torch import ones
    >>> pad_images(ones(1, 2, 1), 0, 1, 0, target_width=4).flatten()
    tensor([0., 1., 1., 0.])
    """
    x = tensor(images)
    channels_of(x, data_format)
    last = data_format_of(data_format) == "channels_last"
    high, wide = x.shape[-3 if last else -2], x.shape[-2 if last else -1]
    rows, columns = _words("padding")
    vertical = _two_of_three(rows, top_padding, bottom_padding, target_height, high, grows=True)
    horizontal = _two_of_three(columns, left_padding, right_padding, target_width, wide, grows=True)
    return F.pad(x, (*((0, 0) if last else ()), *horizontal, *vertical))


def _words(kind: str) -> tuple[tuple[str, str, str], tuple[str, str, str]]:
    """The names of the arguments, for rows and for columns."""
    return (f"top_{kind}", f"bottom_{kind}", "target_height"), (f"left_{kind}", f"right_{kind}", "target_width")


def _two_of_three(
    words: tuple[str, str, str], before: int | None, after: int | None, target: int | None, size: int, *, grows: bool
) -> tuple[int, int]:
    """How much is added, or cut, at the beginning and at the end of an axis, from two of the three."""
    given = (before, after, target)
    if given.count(None) != 1:
        raise ConfigError(f"give exactly two of {', '.join(words)}; got {given}")
    negative = [f"{word}={value}" for word, value in zip(words, given) if value is not None and value < 0]
    if negative:
        raise ConfigError(f"{', '.join(negative)} must be at least 0")
    change = 0 if target is None else (target - size if grows else size - target)
    start = change - after if before is None and after is not None else before or 0
    end = change - before if after is None and before is not None else after or 0
    if start < 0 or end < 0 or (not grows and start + end > size):
        verb = "pad" if grows else "crop"
        asked = ", ".join(f"{word}={value}" for word, value in zip(words, given) if value is not None)
        raise ShapeError(f"cannot {verb} {size} pixels with {asked}: the sides would be {start} and {end}")
    return start, end
