"""Sounds in WAV files.   Letters: T samples in time, C channels."""

from __future__ import annotations

import math
import os
import wave

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from dougong.core.errors import DataError

__all__ = ["read_wave", "resampled"]

_CROSSINGS = 12  # of zero, of the filter's kernel, on either side
_PASSED = 0.95  # of the band that both rates can hold


def read_wave(path: str | os.PathLike[str]) -> tuple[Tensor, int]:
    """The samples of a WAV file of 8, 16, 24 or 32 bits, as numbers in [-1, 1), and how many there are a second.

    Shape: ``[T, C]`` float32.   Raises: DataError naming the file, for compressed or damaged ones.
    """
    try:
        with wave.open(os.fspath(path), "rb") as file:
            channels, width, rate, frames = file.getparams()[:4]
            data = file.readframes(frames)
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such sound file") from None
    except (wave.Error, EOFError, OSError) as error:
        reason = str(error) or "it ends too early"
        raise DataError(f"{path} cannot be read as WAV ({reason}); save it as plain PCM, or delete it") from error
    whole = len(data) // (channels * width) * channels * width
    return torch.from_numpy(_numbers(data[:whole], width).reshape(-1, channels)), rate


def _numbers(data: bytes, width: int) -> np.ndarray:
    if width == 1:  # the only one without a sign
        return (np.frombuffer(data, np.uint8).astype(np.float32) - 128) / 128
    if width == 3:
        padded = np.zeros((len(data) // 3, 4), np.uint8)
        padded[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
        return (padded.view("<i4")[:, 0] / 2.0**31).astype(np.float32)
    kind = np.dtype(f"<i{width}")
    return (np.frombuffer(data, kind) / 2.0 ** (8 * width - 1)).astype(np.float32)


def resampled(sound: Tensor, rate: int, new_rate: int) -> Tensor:
    r"""A sound of ``rate`` samples a second as one of ``new_rate``, by interpolation with a windowed sinc.

    .. math:: y(t) = \sum_n x_n \, c\,\mathrm{sinc}(c(t r - n)) \cos^2\!\big(\tfrac{\pi}{2} \tfrac{t r - n}{w}\big),
              \qquad c = 0.95 \min(1, r'/r)

    Shape: ``[T, C] -> [⌈T r'/r⌉, C]``.   Ref: Smith, Digital Audio Resampling, ccrma.stanford.edu/~jos/resample.

    >>> resampled(torch.ones(8, 1), 8000, 16000).shape
    torch.Size([16, 1])
    """
    if rate == new_rate:
        return sound
    divisor = math.gcd(rate, new_rate)
    step, phases = rate // divisor, new_rate // divisor
    cut = _PASSED * min(1.0, phases / step)
    reach = math.ceil(_CROSSINGS / cut)
    # Output number k · phases + p stands at k · step + p · step / phases; one kernel for each p.
    offsets = torch.arange(-reach, step + reach, dtype=torch.float64)
    distance = torch.arange(phases, dtype=torch.float64)[:, None] * (step / phases) - offsets
    window = torch.cos(distance.clamp(-reach, reach) * (math.pi / 2 / reach)) ** 2
    kernels = (cut * torch.sinc(cut * distance) * window).to(sound.dtype)
    planes = F.pad(sound.mT[:, None], (reach, reach + step))
    made = F.conv1d(planes, kernels[:, None], stride=step).transpose(1, 2).flatten(1).mT
    return made[: math.ceil(len(sound) * phases / step)]
