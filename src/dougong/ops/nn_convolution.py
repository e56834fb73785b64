"""``keras.ops``'s convolutions, which take kernels in Keras's layout.

Shapes: N batch, space one to three axes, C input channels, K filters, M filters a channel, G groups; data may also have
its channels first.   Source: Keras 3 semantics; the arithmetic is in `dougong.ops.convolution`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from dougong.core.arithmetic import (
    DataFormat,
    channel_axis,
    data_format_of,
    padding_of,
    per_axis,
    transposed_pads,
)
from dougong.core.errors import ShapeError
from dougong.ops.convolution import convolve, convolve_transposed
from dougong.ops.op import floating, joined, op

__all__ = ["conv", "conv_transpose", "depthwise_conv", "separable_conv"]

Axes = int | Sequence[int]


@op
def conv(
    inputs: Any,
    kernel: Any,
    strides: Axes = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Axes = 1,
) -> Tensor:
    """Convolution.  The channels a kernel has tell the number of groups, ``C / (C/G)``.

    Shapes: ``[N, *space, C], [*size, C/G, K] -> [N, *space', K]``.
    Raises: ShapeError where kernel and inputs do not fit.   Keras: equals its namesake.

    >>> conv([[[1.0], [2.0], [4.0]]], [[[1.0]], [[-1.0]]]).flatten()
    tensor([-1., -2.])
    """
    x, w, form = _checked(inputs, kernel, data_format)
    channels, taken = x.shape[channel_axis(form)], w.shape[-2]
    if taken == 0 or channels % taken:
        raise ShapeError(
            f"conv: a kernel of shape {tuple(w.shape)} takes {taken} channels a group, which does not"
            f" divide the {channels} of inputs of shape {tuple(x.shape)}; kernels are [*size, C/G, K]"
        )
    rank = x.ndim - 2
    return convolve(
        x,
        _in_torchs_layout(w),
        strides=per_axis(strides, rank, "strides"),
        padding=padding_of(padding, ("valid", "same", "causal")),
        dilation=per_axis(dilation_rate, rank, "dilation_rate"),
        groups=channels // taken,
        data_format=form,
    )


@op
def depthwise_conv(
    inputs: Any,
    kernel: Any,
    strides: Axes = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Axes = 1,
) -> Tensor:
    """Convolution of each channel with its own M filters.

    Shapes: ``[N, *space, C], [*size, C, M] -> [N, *space', C M]``.   Keras: equals its namesake.

    >>> depthwise_conv([[[1.0, 10.0], [2.0, 20.0]]], [[[1.0], [2.0]]]).flatten()
    tensor([ 1., 20.,  2., 40.])
    """
    x, w, form = _checked(inputs, kernel, data_format)
    if w.shape[-2] != x.shape[channel_axis(form)]:
        raise ShapeError(
            f"a depthwise kernel of shape {tuple(w.shape)} is for {w.shape[-2]} channels, but inputs of"
            f" shape {tuple(x.shape)} have {x.shape[channel_axis(form)]}; give [*size, C, M]"
        )
    w = w.reshape(*w.shape[:-2], 1, w.shape[-2] * w.shape[-1])
    return conv(x, w, strides, padding, form, dilation_rate)


@op
def separable_conv(
    inputs: Any,
    depthwise_kernel: Any,
    pointwise_kernel: Any,
    strides: Axes = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Axes = 1,
) -> Tensor:
    """`depthwise_conv`, then a convolution of size 1 that mixes the channels.

    Shapes: ``[N, *space, C], [*size, C, M], [1, …, C M, K] -> [N, *space', K]``.   Keras: equals its namesake.

    >>> separable_conv([[[1.0, 10.0]]], [[[1.0], [2.0]]], [[[1.0], [1.0]]]).flatten()
    tensor([21.])
    """
    apart = depthwise_conv(inputs, depthwise_kernel, strides, padding, data_format, dilation_rate)
    return conv(apart, pointwise_kernel, 1, "valid", data_format)


@op
def conv_transpose(
    inputs: Any,
    kernel: Any,
    strides: Axes = 1,
    padding: str = "valid",
    output_padding: Axes | None = None,
    data_format: str | None = None,
    dilation_rate: Axes = 1,
) -> Tensor:
    """The gradient of `conv` with respect to its inputs: enlarges each axis by its stride.

    Shapes: ``[N, *space, C], [*size, K, C] -> [N, *space', K]``.   Keras: equals its namesake.

    >>> conv_transpose([[[1.0], [2.0]]], [[[1.0]], [[1.0]], [[1.0]]], strides=2, padding="same").flatten()
    tensor([1., 1., 3., 2.])
    """
    x, w, form = _checked(inputs, kernel, data_format)
    if w.shape[-1] != x.shape[channel_axis(form)]:
        raise ShapeError(
            f"a transposed kernel of shape {tuple(w.shape)} is for {w.shape[-1]} channels, but inputs of"
            f" shape {tuple(x.shape)} have {x.shape[channel_axis(form)]}; give [*size, K, C]"
        )
    rank = x.ndim - 2
    steps, dilation = per_axis(strides, rank, "strides"), per_axis(dilation_rate, rank, "dilation_rate")
    given = output_padding is not None
    extra = per_axis(output_padding, rank, "output_padding", minimum=0) if given else (None,) * rank
    word = padding_of(padding)
    cuts = [transposed_pads(k, s, word, o, d) for k, s, o, d in zip(w.shape, steps, extra, dilation)]
    return convolve_transposed(x, _in_torchs_layout(w), strides=steps, cuts=cuts, dilation=dilation, data_format=form)


def _checked(inputs: Any, kernel: Any, data_format: str | None) -> tuple[Tensor, Tensor, DataFormat]:
    """Inputs and kernel of one dtype, with one to three axes of space each."""
    x, w = joined((floating(inputs), floating(kernel)))
    if x.ndim not in (3, 4, 5) or w.ndim != x.ndim:
        raise ShapeError(
            f"a convolution takes inputs [N, *space, C] with one to three axes of space and a kernel of as many axes,"
            f" but received shapes {tuple(x.shape)} and {tuple(w.shape)}"
        )
    return x, w, data_format_of(data_format)


def _in_torchs_layout(kernel: Tensor) -> Tensor:
    """``[*size, in, out]`` as ``[out, in, *size]``."""
    return kernel.movedim((-1, -2), (0, 1))
