"""`STFT`: convolution kernels that compute a short-time Fourier transform."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from scipy import signal
from torch import Tensor

from dougong.core.errors import ConfigError, ShapeError
from dougong.ops.initializers import Device, Initializer

__all__ = ["STFT"]


class STFT(Initializer):
    r"""The real or imaginary part of a Fourier transform of T samples in F bands, for a Conv1D without bias.

    .. math:: k_{t f} = w_t\,\cos\!\left(\frac{-2\pi t f}{2(F - 1)}\right) / s \quad\text{(sin for side "imag")}

    Shapes: ``[T, 1, F]``.   ``window`` is a name of ``scipy.signal.windows``, an array of T values or None; the scale
    s is the window's L2 norm for ``density``, its L1 norm for ``spectrum``, else 1.
    Raises: ConfigError for another side or scaling, ShapeError for a window of another length.
    Keras: equals ``keras.initializers.STFT``.

    >>> STFT("real", None)((2, 1, 2)).flatten().tolist()
    [1.0, 1.0, 1.0, -1.0]
    """

    def __init__(
        self, side: str = "real", window: Any = "hann", scaling: str | None = "density", periodic: bool = False
    ) -> None:
        if side not in ("real", "imag"):
            raise ConfigError(f"side is 'real' or 'imag'; got {side!r}")
        if scaling not in (None, "density", "spectrum"):
            raise ConfigError(f"scaling is 'density', 'spectrum' or None; got {scaling!r}")
        self.side = side
        self.window = window
        self.scaling = scaling
        self.periodic = periodic

    def __call__(self, shape: Sequence[int], dtype: torch.dtype = torch.float32, device: Device = None) -> Tensor:
        if len(shape) != 3:
            raise ShapeError(f"STFT fills kernels [samples, 1, bands], not {tuple(shape)}")
        samples, _, bands = shape
        time = torch.arange(samples, dtype=dtype, device=device).view(-1, 1, 1)
        frequency = torch.arange(bands, dtype=dtype, device=device).view(1, 1, -1) / (2 * (bands - 1))
        angle = -2 * time * frequency * math.pi
        kernel = angle.cos() if self.side == "real" else angle.sin()
        return kernel if self.window is None else kernel * self._scaled_window(samples, dtype, device)

    def _scaled_window(self, samples: int, dtype: torch.dtype, device: Device) -> Tensor:
        values = self.window
        if isinstance(values, str):
            try:
                values = signal.get_window(values, samples, self.periodic)
            except ValueError as error:
                raise ConfigError(f"scipy.signal has no window {self.window!r}: {error}") from error
        window = torch.as_tensor(np.asarray(values), dtype=dtype, device=device)
        if window.shape != (samples,):
            raise ShapeError(f"the window has shape {tuple(window.shape)}, the kernel {samples} samples")
        if self.scaling == "density":
            window = window / window.square().sum().sqrt()
        elif self.scaling == "spectrum":
            window = window / window.abs().sum()
        return window.view(-1, 1, 1)
