"""Convolution with Keras's padding.   Shapes: N batch, D H W space, C input channels, K filters, G groups.

Channels-last data is permuted, not copied: its memory is what torch calls channels_last, the fastest for convolution.
Weights have torch's layout, ``[K, C/G, *kernel]``, and ``[C, K/G, *kernel]`` where the convolution is transposed.
Source: torch's kernels; TensorFlow's padding rules, see `dougong.core.arithmetic`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from dougong.core.arithmetic import DataFormat, Padding, extent, same_pads, symmetric_pads

__all__ = ["convolve", "convolve_transposed"]

_CONVOLUTIONS = {3: torch.conv1d, 4: torch.conv2d, 5: torch.conv3d}
_TRANSPOSED = {3: torch.conv_transpose1d, 4: torch.conv_transpose2d, 5: torch.conv_transpose3d}


def convolve(
    inputs: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    strides: Sequence[int],
    padding: Padding | Sequence[int],
    dilation: Sequence[int],
    groups: int = 1,
    data_format: DataFormat = "channels_last",
) -> Tensor:
    r"""Slide ``weight`` over the one to three spatial axes of ``inputs``.

    .. math:: y_{n,o,k} = b_k + \sum_{j,c} w_{k,c,j}\, x_{n,\,o s + j d - p,\,c}

    ``padding`` is Keras's word, or the equal pads p on both sides of each axis (`symmetric_pads`), which need no copy.
    Shapes: ``[N, *space, C], [K, C/G, *kernel], [K] -> [N, *space', K]``, or with channels first.
    Keras: equals ``keras.ops.conv``, with the bias added.

    >>> x, w = torch.arange(4.0).reshape(1, 4, 1), torch.ones(1, 1, 3)
    >>> convolve(x, w, strides=(1,), padding="same", dilation=(1,)).flatten()
    tensor([1., 3., 6., 5.])
    """
    last = data_format == "channels_last"
    x = inputs.movedim(-1, 1) if last else inputs
    if isinstance(padding, str):
        x, padding = _padded(x, weight.shape[2:], strides, padding, dilation)
    if last and weight.ndim == 3:  # as a picture of height 1: the kernels keep channels_last for pictures only
        flat = torch.conv2d(
            x.unsqueeze(2), weight.unsqueeze(2), bias, (1, *strides), (0, *padding), (1, *dilation), groups
        )
        return flat.squeeze(2).movedim(1, -1)
    y = _CONVOLUTIONS[weight.ndim](x, weight, bias, strides, padding, dilation, groups)
    return y.movedim(1, -1) if last else y


def _padded(
    x: Tensor, kernel: Sequence[int], strides: Sequence[int], padding: Padding, dilation: Sequence[int]
) -> tuple[Tensor, Sequence[int]]:
    """The input and the pads left for torch: it pads both sides alike, so all else is padded here, with a copy."""
    known = symmetric_pads(kernel, strides, padding, dilation)
    if known is not None:
        return x, known
    if padding == "causal":
        pads = [(extent(k, d) - 1, 0) for k, d in zip(kernel, dilation)]
    else:
        pads = [same_pads(n, k, s, d) for n, k, s, d in zip(x.shape[2:], kernel, strides, dilation)]
    if all(begin == end for begin, end in pads):
        return x, [begin for begin, _ in pads]
    flat = [side for pair in reversed(pads) for side in pair]
    return torch.constant_pad_nd(x, flat, 0.0), (0,) * len(pads)


def convolve_transposed(
    inputs: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    strides: Sequence[int],
    cuts: Sequence[tuple[int, int]],
    dilation: Sequence[int],
    groups: int = 1,
    data_format: DataFormat = "channels_last",
) -> Tensor:
    r"""The gradient of `convolve` with respect to its input, as a layer: lengthens each spatial axis by its stride.

    .. math:: y_{n,m,k} = b_k + \sum_{o s + j d = m + p} \sum_c w_{c,k,j}\, x_{n,o,c}

    ``cuts`` holds for each axis what is cut at the beginning (p) and at the end, see `transposed_pads`; a negative cut
    at the end lengthens by less than the stride.
    Shapes: ``[N, *space, C], [C, K/G, *kernel], [K] -> [N, *space', K]``, or with channels first.
    Keras: equals ``keras.ops.conv_transpose``, with the bias added.

    >>> x, w = torch.tensor([1.0, 2.0]).reshape(1, 2, 1), torch.ones(1, 1, 3)
    >>> convolve_transposed(x, w, strides=(2,), cuts=[(0, 1)], dilation=(1,)).flatten()
    tensor([1., 1., 3., 2.])
    """
    last = data_format == "channels_last"
    x = inputs.movedim(-1, 1) if last else inputs
    begins = [begin for begin, _ in cuts]
    # torch cuts both ends alike; "output padding" then restores the end.
    restored = [max(begin - end, 0) for begin, end in cuts]
    y = _TRANSPOSED[weight.ndim](x, weight, None, strides, begins, restored, groups, dilation)
    excess = [max(end - begin, 0) for begin, end in cuts]
    if any(excess):  # cut by one kernel, whose gradient is one, too
        y = torch.constant_pad_nd(y, [side for cut in reversed(excess) for side in (0, -cut)])
    y = y.movedim(1, -1) if last else y
    if bias is None:
        return y
    # Apart from the convolution: on the CPU its gradient within it is several times slower.
    return y + (bias if last else bias.view(-1, *(1,) * (y.ndim - 2)))
