"""Padding and stride arithmetic: output lengths, "same" pads, and arguments brought to one int per axis.

Letters: n input length, k kernel, s stride, d dilation, and e = d(k - 1) + 1, the kernel's extent.
Source: TensorFlow's padding rules, which Keras follows; Dumoulin & Visin 2016, arXiv:1603.07285.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import index
from typing import Any, Literal, cast

from dougong.core.errors import ConfigError
from dougong.core.settings import SETTINGS

__all__ = [
    "DataFormat",
    "Padding",
    "channel_axis",
    "data_format_of",
    "extent",
    "output_length",
    "padding_of",
    "pairs",
    "per_axis",
    "same_pads",
    "spatial_axes",
    "symmetric_pads",
    "transposed_length",
    "transposed_pads",
]

Padding = Literal["valid", "same", "causal", "full"]
DataFormat = Literal["channels_last", "channels_first"]


def per_axis(value: Any, rank: int, name: str, *, minimum: int = 1) -> tuple[int, ...]:
    """One int for each of ``rank`` axes, from an int or a sequence of ``rank`` ints.

    Raises: ConfigError naming the argument.

    >>> per_axis(3, 2, "kernel_size"), per_axis([1, 2], 2, "strides")
    ((3, 3), (1, 2))
    >>> per_axis((3, 0), 2, "kernel_size")
    Traceback (most recent call last):
    dougong.core.errors.ConfigError: kernel_size must be an int or 2 ints, each >= 1; got (3, 0)
    """
    items: Any = value if isinstance(value, Iterable) and not isinstance(value, str) else (value,) * rank
    try:
        sizes = tuple(index(item) for item in items)
    except TypeError:
        sizes = ()
    if len(sizes) != rank or any(size < minimum for size in sizes):
        wanted = "an int" if rank == 1 else f"an int or {rank} ints, each"
        raise ConfigError(f"{name} must be {wanted} >= {minimum}; got {value!r}")
    return sizes


def pairs(value: Any, rank: int, name: str) -> tuple[tuple[int, int], ...]:
    """What to add or cut at the (beginning, end) of each axis, from an int, one int for each axis, or pairs.

    Raises: ConfigError naming the argument.

    >>> pairs(1, 2, "padding"), pairs((1, (0, 2)), 2, "padding")
    (((1, 1), (1, 1)), ((1, 1), (0, 2)))
    """
    items = value if isinstance(value, list | tuple) else (value,) * rank
    try:
        found = tuple(per_axis(item, 2, name, minimum=0) for item in items)
    except ConfigError:
        found = ()
    if len(found) != rank:
        raise ConfigError(f"{name} must be an int, {rank} ints or {rank} pairs of ints, each >= 0; got {value!r}")
    return tuple((begin, end) for begin, end in found)


def padding_of(value: Any, allowed: Sequence[Padding] = ("valid", "same")) -> Padding:
    """The padding that an argument means, in small letters.   Raises: ConfigError listing what is allowed.

    >>> padding_of("SAME")
    'same'
    """
    name = value.lower() if isinstance(value, str) else value
    if name not in allowed:
        raise ConfigError(f"padding must be one of {', '.join(map(repr, allowed))}; got {value!r}")
    return cast(Padding, name)


def data_format_of(value: str | None) -> DataFormat:
    """The process's setting for None, else the value.   Raises: ConfigError for anything but Keras's two words.

    >>> data_format_of(None)
    'channels_last'
    """
    if value is None:
        return cast(DataFormat, SETTINGS.image_data_format)
    name = value.lower() if isinstance(value, str) else value
    if name not in ("channels_last", "channels_first"):
        raise ConfigError(f"data_format must be 'channels_last' or 'channels_first'; got {value!r}")
    return cast(DataFormat, name)


def channel_axis(data_format: DataFormat) -> int:
    """Where the channels stand: -1 or 1."""
    return -1 if data_format == "channels_last" else 1


def spatial_axes(rank: int, data_format: DataFormat) -> tuple[int, ...]:
    """The axes that are neither batch nor channels.

    >>> spatial_axes(2, "channels_last"), spatial_axes(2, "channels_first")
    ((1, 2), (2, 3))
    """
    first = 1 if data_format == "channels_last" else 2
    return tuple(range(first, first + rank))


def extent(kernel: int, dilation: int = 1) -> int:
    """How many inputs the dilated kernel spans: e = d(k - 1) + 1."""
    return dilation * (kernel - 1) + 1


def output_length(
    length: int | None, kernel: int, stride: int = 1, padding: Padding = "valid", dilation: int = 1
) -> int | None:
    r"""The length that a convolution or a pooling gives; None stays None, 0 or less means that the input is too short.

    .. math:: \text{valid} = \lfloor (n - e) / s \rfloor + 1,\quad \text{same, causal} = \lceil n / s \rceil,\quad
              \text{full} = \lfloor (n + e - 2) / s \rfloor + 1

    >>> [output_length(10, 3, 2, padding) for padding in ("valid", "same", "causal", "full")]
    [4, 5, 5, 6]
    """
    if length is None:
        return None
    if padding == "valid":
        return (length - extent(kernel, dilation)) // stride + 1
    if padding == "full":
        return (length + extent(kernel, dilation) - 2) // stride + 1
    return -(-length // stride)


def same_pads(length: int, kernel: int, stride: int = 1, dilation: int = 1) -> tuple[int, int]:
    r"""How much "same" pads at the beginning and at the end; an odd one goes to the end.

    .. math:: p = \max(0, (\lceil n / s \rceil - 1) s + e - n),\quad (\lfloor p / 2 \rfloor, \lceil p / 2 \rceil)

    >>> same_pads(10, 3), same_pads(10, 3, 2), same_pads(10, 4)
    ((1, 1), (0, 1), (1, 2))
    """
    total = max(0, (-(-length // stride) - 1) * stride + extent(kernel, dilation) - length)
    return total // 2, total - total // 2


def symmetric_pads(
    kernel: Sequence[int], strides: Sequence[int], padding: Padding, dilation: Sequence[int]
) -> tuple[int, ...] | None:
    """The pads that torch's own ``padding=`` can apply whatever the input's length, or None where there are none.

    >>> symmetric_pads((3, 5), (1, 1), "same", (1, 2)), symmetric_pads((3, 3), (2, 2), "same", (1, 1))
    ((1, 4), None)
    """
    if padding == "valid":
        return (0,) * len(kernel)
    totals = [extent(k, d) - 1 for k, d in zip(kernel, dilation)]
    if padding == "full":
        return tuple(totals)
    if padding == "causal" or any(total % 2 for total in totals) or (any(totals) and max(strides) > 1):
        return None
    return tuple(total // 2 for total in totals)


def transposed_length(
    length: int | None,
    kernel: int,
    stride: int = 1,
    padding: Padding = "valid",
    output_padding: int | None = None,
    dilation: int = 1,
) -> int | None:
    r"""The length that a transposed convolution gives, with Keras's meaning of ``output_padding``.

    .. math:: \text{valid} = (n - 1) s + e + (o \text{ or } \max(s - e, 0)),\quad
              \text{same} = n s \text{ or } (n - 1) s + e \bmod 2 + o

    >>> transposed_length(4, 3, 2), transposed_length(4, 3, 2, "same"), transposed_length(4, 3, 2, "same", 0)
    (9, 8, 7)
    """
    if length is None:
        return None
    span = extent(kernel, dilation)
    if padding == "valid":
        return (length - 1) * stride + span + (max(stride - span, 0) if output_padding is None else output_padding)
    if output_padding is None:
        return length * stride
    return (length - 1) * stride + span % 2 + output_padding


def transposed_pads(
    kernel: int, stride: int, padding: Padding, output_padding: int | None, dilation: int
) -> tuple[int, int]:
    r"""How much of the full transposed convolution, of length (n - 1)s + e, is cut at the beginning and at the end.

    A negative cut lengthens.  Of the total, the beginning gets the smaller half, as in the gradient of "same".

    >>> transposed_pads(3, 2, "same", None, 1), transposed_pads(2, 3, "valid", None, 1)
    ((0, 1), (0, -1))
    """
    span = extent(kernel, dilation)
    total = span - stride if padding == "same" else -max(stride - span, 0)
    if output_padding is not None:
        total = span - span % 2 - output_padding if padding == "same" else -output_padding
    if padding == "valid":
        return 0, total
    begin = max(total // 2, 0)
    return begin, total - begin
