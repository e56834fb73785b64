"""Fourier transforms.  Complex numbers are pairs (real, imaginary) of tensors, in and out.

Shapes: ``…`` batch axes, T samples, L sequence length, S stride, F fft length, B = F/2 + 1 bins, N sequences.
Source: ``torch.fft`` and ``torch.stft``; Keras 3 semantics.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from dougong.core.errors import ConfigError, ShapeError
from dougong.ops.op import floating, joined, op, tensor

__all__ = ["extract_sequences", "fft", "fft2", "ifft2", "irfft", "istft", "rfft", "stft"]

_WINDOWS = {"hann": torch.hann_window, "hamming": torch.hamming_window}


@op
def extract_sequences(x: Any, sequence_length: int, sequence_stride: int) -> Tensor:
    """Windows of ``sequence_length`` along the last axis, one every ``sequence_stride``.

    Shapes: ``[…, T] -> […, N, L]``.   Keras: equals its namesake.

    >>> extract_sequences([1, 2, 3, 4], 2, 2)
    tensor([[1, 2],
            [3, 4]], dtype=torch.int32)
    """
    return tensor(x).unfold(-1, sequence_length, sequence_stride)


@op
def fft(x: tuple[Any, Any]) -> tuple[Tensor, Tensor]:
    """The discrete Fourier transform along the last axis.

    >>> fft(([1.0, 1.0], [0.0, 0.0]))[0]
    tensor([2., 0.])
    """
    return _parts(torch.fft.fft(_complex(x)))


@op
def fft2(x: tuple[Any, Any]) -> tuple[Tensor, Tensor]:
    """The Fourier transform over the last two axes.

    >>> fft2(([[1.0, 1.0]], [[0.0, 0.0]]))[0]
    tensor([[2., 0.]])
    """
    return _parts(torch.fft.fft2(_complex(x)))


@op
def ifft2(x: tuple[Any, Any]) -> tuple[Tensor, Tensor]:
    """What `fft2` undoes.

    >>> ifft2(([[2.0, 0.0]], [[0.0, 0.0]]))[0]
    tensor([[1., 1.]])
    """
    return _parts(torch.fft.ifft2(_complex(x)))


@op
def rfft(x: Any, fft_length: int | None = None) -> tuple[Tensor, Tensor]:
    """The Fourier transform of real numbers, its non-negative frequencies; x is cut or padded to ``fft_length``.

    Shapes: ``[…, T] -> […, B]`` twice.

    >>> rfft([1.0, 1.0])[0]
    tensor([2., 0.])
    """
    return _parts(torch.fft.rfft(floating(x), fft_length))


@op
def irfft(x: tuple[Any, Any], fft_length: int | None = None) -> Tensor:
    """The real numbers that `rfft` transforms to ``x``, ``fft_length`` of them, by default 2(B - 1).

    >>> irfft(([2.0, 0.0], [0.0, 0.0]))
    tensor([1., 1.])
    """
    return torch.fft.irfft(_complex(x), fft_length)


@op
def stft(
    x: Any, sequence_length: int, sequence_stride: int, fft_length: int, window: Any = "hann", center: bool = True
) -> tuple[Tensor, Tensor]:
    """The spectra of windowed sequences, one every ``sequence_stride``.   Shapes: ``[…, T] -> […, N, B]`` twice.

    ``window`` is "hann", "hamming", L numbers, or None for ones.  ``center`` mirrors the signal at both ends, so that
    sequence n is centred on sample n S.   Raises: ConfigError, ShapeError.   Keras: equals its namesake.

    >>> stft(torch.ones(8), 4, 2, 4)[0].shape
    torch.Size([5, 3])
    """
    x = floating(x)
    _check(sequence_length, sequence_stride, fft_length)
    win = _window(window, sequence_length, x)
    win = x.new_ones(sequence_length) if win is None else win
    flat = x.reshape(-1, x.shape[-1])
    spectra = torch.stft(
        flat, fft_length, sequence_stride, sequence_length, window=win, center=center, return_complex=True
    )
    return _parts(spectra.mT.reshape(*x.shape[:-1], *spectra.mT.shape[1:]))


@op
def istft(
    x: tuple[Any, Any],
    sequence_length: int,
    sequence_stride: int,
    fft_length: int,
    length: int | None = None,
    window: Any = "hann",
    center: bool = True,
) -> Tensor:
    """The signal of which `stft` gave ``x``, ``length`` samples of it.   Shapes: ``[…, N, B]`` twice ``-> […, T]``.

    Exact where the windows overlap everywhere.  Where sequences are shorter than ``fft_length`` or not centred, the
    windows are divided by the sum of their squares over all shifts, as TensorFlow does; window None leaves the sum of
    the sequences as it is.   Raises: ConfigError, ShapeError.   Keras: equals its namesake.

    >>> signal = torch.arange(8.0)
    >>> istft(stft(signal, 4, 1, 4), 4, 1, 4).round(decimals=3)
    tensor([0., 1., 2., 3., 4., 5., 6., 7.])
    """
    spectra = _complex(x)
    _check(sequence_length, sequence_stride, fft_length)
    win = _window(window, sequence_length, spectra.real)
    if sequence_length == fft_length and center and win is not None:
        flat = spectra.reshape(-1, *spectra.shape[-2:]).mT
        signal = torch.istft(flat, fft_length, sequence_stride, sequence_length, win, True, length=length)
        return signal.reshape(*spectra.shape[:-2], signal.shape[-1])
    sequences = torch.fft.irfft(spectra, fft_length)
    if win is not None:
        sequences = sequences * _dual(win, sequence_stride, fft_length)
    signal = _overlapped(sequences, sequence_stride)
    start = fft_length // 2 if center else 0
    stop = signal.shape[-1] - start if length is None else start + length
    return signal[..., start:stop]


def _overlapped(sequences: Tensor, stride: int) -> Tensor:
    """The sum of sequences that begin ``stride`` apart.   Shapes: ``[…, N, L] -> […, S (N - 1) + L]``."""
    *batch, count, length = sequences.shape
    total = stride * (count - 1) + length
    columns = sequences.reshape(-1, count, length).mT
    return F.fold(columns, (1, total), (1, length), stride=(1, stride)).reshape(*batch, total)


def _dual(window: Tensor, stride: int, fft_length: int) -> Tensor:
    """The window, centred in ``fft_length``, over the sum of the squares of all its shifts by ``stride``."""
    left = (fft_length - window.shape[0]) // 2
    wide = F.pad(window, (left, fft_length - window.shape[0] - left))
    shifts = F.pad(wide.square(), (0, -fft_length % stride)).reshape(-1, stride)
    return wide / shifts.sum(0).repeat(shifts.shape[0])[:fft_length]


def _window(window: Any, length: int, like: Tensor) -> Tensor | None:
    if window is None:
        return None
    if isinstance(window, str):
        if window not in _WINDOWS:
            raise ConfigError(f"window must be 'hann', 'hamming', numbers or None; got {window!r}")
        return _WINDOWS[window](length, periodic=True, dtype=like.dtype, device=like.device)
    made = tensor(window, like.dtype)
    if tuple(made.shape) != (length,):
        raise ShapeError(f"window must have sequence_length = {length} numbers, got shape {tuple(made.shape)}")
    return made


def _check(length: int, stride: int, fft_length: int) -> None:
    if isinstance(stride, bool) or not isinstance(stride, int) or stride <= 0:
        raise ConfigError(f"sequence_stride must be an int above 0, got {stride!r}")
    if fft_length < length:
        raise ConfigError(f"fft_length {fft_length} must not be below sequence_length {length}")


def _complex(x: Any) -> Tensor:
    if not isinstance(x, list | tuple) or len(x) != 2:
        raise ShapeError("complex numbers are given as a pair (real, imaginary) of tensors")
    real, imaginary = joined(floating(part) for part in x)
    if real.shape != imaginary.shape:
        raise ShapeError(f"real and imaginary part differ in shape: {tuple(real.shape)}, {tuple(imaginary.shape)}")
    return torch.complex(real, imaginary)


def _parts(x: Tensor) -> tuple[Tensor, Tensor]:
    return x.real, x.imag
