"""Windows: weights that let a stretch of a signal fade in and out.   Shapes: a length M gives ``[M]``, a float.

n counts from 0 to M - 1.   Keras: each equals ``keras.ops`` of its name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch.signal import windows

from dougong.core.dtypes import torch_dtype
from dougong.ops.op import op, require_values, tensor

__all__ = ["bartlett", "blackman", "hamming", "hanning", "kaiser"]


def _window(kernel: Callable[..., Tensor], length: Any, **options: Any) -> Tensor:
    length = tensor(length)
    require_values(length, "the length of a window")
    return kernel(int(length), dtype=torch_dtype(None), device=length.device, **options)


@op
def bartlett(x: Any) -> Tensor:
    r"""The triangle :math:`1 - |2n / (M - 1) - 1|`.

    >>> bartlett(5)
    tensor([0.0000, 0.5000, 1.0000, 0.5000, 0.0000])
    """
    return _window(windows.bartlett, x)


@op
def hanning(x: Any) -> Tensor:
    r""":math:`0.5 - 0.5 \cos(2\pi n / (M - 1))`."""
    return _window(windows.hann, x)


@op
def hamming(x: Any) -> Tensor:
    r""":math:`0.54 - 0.46 \cos(2\pi n / (M - 1))`.

    >>> hamming(3)
    tensor([0.0800, 1.0000, 0.0800])
    """
    return _window(windows.hamming, x)


@op
def blackman(x: Any) -> Tensor:
    r""":math:`0.42 - 0.5 \cos(2\pi n / (M - 1)) + 0.08 \cos(4\pi n / (M - 1))`."""
    return _window(windows.blackman, x)


@op
def kaiser(x: Any, beta: float) -> Tensor:
    r""":math:`I_0(\beta \sqrt{1 - (2n / (M - 1) - 1)^2}) / I_0(\beta)`; a larger ``beta`` gives a narrower one.

    >>> kaiser(3, 0.0)
    tensor([1., 1., 1.])
    """
    return _window(windows.kaiser, x, beta=beta)
