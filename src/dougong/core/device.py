"""Where tensors live: CUDA when it is present, the CPU otherwise."""

from __future__ import annotations

from functools import cache

import torch

from dougong.core.errors import DeviceError

__all__ = ["bfloat16_refusal", "default", "parse"]


@cache
def default() -> torch.device:
    """The device new weights are made on."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def parse(name: str | torch.device | None) -> torch.device:
    """A device from its name.   Raises: DeviceError for one that is not there.

    >>> parse("cpu")
    device(type='cpu')
    """
    if name is None:
        return default()
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise DeviceError(f"no device is called {name!r}; use 'cpu', 'cuda' or 'cuda:1'") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise DeviceError("no CUDA device is available to this PyTorch; use device='cpu' or install a CUDA build")
    return device


def bfloat16_refusal(device: torch.device) -> str | None:
    """Why mixed bfloat16 must not be used on ``device``, or None.

    Measured: on a CPU without AVX512_BF16 or AMX, bfloat16 training is 36 times slower than float32.
    """
    if device.type == "cuda":
        return None if torch.cuda.is_bf16_supported() else "this GPU has no bfloat16 arithmetic"
    if device.type == "cpu":
        able = torch.backends.cpu.get_cpu_capability()
        has_bf16 = bool(getattr(torch.cpu, "_is_avx512_bf16_supported", bool)()) or bool(
            getattr(torch.cpu, "_is_amx_tile_supported", bool)()
        )
        return None if has_bf16 else f"this CPU ({able}) has neither AVX512_BF16 nor AMX: it would be about 36x slower"
    return None
