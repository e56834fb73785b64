"""Max and average pooling with Keras's padding.   Shapes: N batch, D H W space, C channels.

"same" never copies the input.  Torch pads both sides alike; where the end needs one more, the last window may hang over
it, or, for stride 1, the beginning gets as much and the first output is dropped.
Source: TensorFlow's padding rules; padding never wins a maximum and never counts in an average.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from dougong.core.arithmetic import DataFormat, Padding, same_pads

__all__ = ["average_pool", "max_pool"]

_MAX = {3: torch.max_pool1d, 4: torch.max_pool2d, 5: torch.max_pool3d}
_AVERAGE = {3: torch.avg_pool1d, 4: F.avg_pool2d, 5: F.avg_pool3d}


def max_pool(
    inputs: Tensor,
    *,
    pool_size: tuple[int, ...],
    strides: tuple[int, ...],
    padding: Padding = "valid",
    data_format: DataFormat = "channels_last",
) -> Tensor:
    r"""The largest value in each window.

    .. math:: y_o = \max_{0 \le j < k} x_{o s + j - p}

    Shapes: ``[N, *space, C] -> [N, *space', C]``, or with channels first.   Keras: equals ``keras.ops.max_pool``.

    >>> x = torch.tensor([-3.0, -1.0, -2.0]).reshape(1, 3, 1)
    >>> max_pool(x, pool_size=(2,), strides=(2,), padding="same").flatten()
    tensor([-1., -2.])
    """
    last = data_format == "channels_last"
    x = inputs.movedim(-1, 1) if last else inputs
    if padding == "valid":
        y = _MAX[x.ndim](x, pool_size, strides)
    else:
        pads, first = _same(x.shape[2:], pool_size, strides)
        y = _MAX[x.ndim](x, pool_size, strides, pads, 1, True)[first]
    return y.movedim(1, -1) if last else y


def average_pool(
    inputs: Tensor,
    *,
    pool_size: tuple[int, ...],
    strides: tuple[int, ...],
    padding: Padding = "valid",
    data_format: DataFormat = "channels_last",
) -> Tensor:
    r"""The mean of those values in each window that are not padding.

    .. math:: y_o = \frac{1}{|J_o|} \sum_{j \in J_o} x_{o s + j - p},\quad J_o = \{j : 0 \le o s + j - p < n\}

    Shapes: ``[N, *space, C] -> [N, *space', C]``, or with channels first.
    Keras: equals ``keras.ops.average_pool`` on TensorFlow and JAX; on torch Keras counts the end's padding.

    >>> x = torch.tensor([1.0, 2.0, 6.0]).reshape(1, 3, 1)
    >>> average_pool(x, pool_size=(2,), strides=(2,), padding="same").flatten()
    tensor([1.5000, 6.0000])
    """
    last = data_format == "channels_last"
    x = inputs.movedim(-1, 1) if last else inputs
    if padding == "valid":
        y = _AVERAGE[x.ndim](x, pool_size, strides)
    else:
        pads, first = _same(x.shape[2:], pool_size, strides)
        if x.ndim == 5 and any(n < k for n, k in zip(x.shape[2:], pool_size)):
            # torch's avg_pool3d refuses a window larger than the input, padded or not.
            y = _padded_average(x, pool_size, strides)
        else:
            y = _AVERAGE[x.ndim](x, pool_size, strides, pads, True, False)[first]
    return y.movedim(1, -1) if last else y


def _padded_average(x: Tensor, pool_size: tuple[int, ...], strides: tuple[int, ...]) -> Tensor:
    pairs = [same_pads(n, k, s) for n, k, s in zip(x.shape[2:], pool_size, strides)]
    flat = [side for pair in reversed(pairs) for side in pair]
    share, total = (torch.constant_pad_nd(t, flat, 0.0) for t in (torch.ones_like(x), x))
    return F.avg_pool3d(total, pool_size, strides) / F.avg_pool3d(share, pool_size, strides)


def _same(space: Sequence[int], pool: tuple[int, ...], strides: tuple[int, ...]) -> tuple[list[int], tuple[slice, ...]]:
    """Torch's pads, and where the wanted outputs are in what it then gives with ``ceil_mode``."""
    pads, where = [], [slice(None), slice(None)]
    for n, k, s in zip(space, pool, strides):
        begin, end = same_pads(n, k, s)
        shifted = s == 1 and begin < end
        pads.append(end if shifted else begin)
        where.append(slice(1, None) if shifted else slice(None))
    return pads, tuple(where)
