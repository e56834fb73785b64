"""Where tensors live: CUDA when it is present, the CPU otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache

import torch

from dougong.core.errors import DeviceError

__all__ = ["default", "mixed_refusal", "parse", "within"]

_CHOSEN: ContextVar[torch.device | None] = ContextVar("device", default=None)


def default() -> torch.device:
    """The device new weights are made on."""
    return _CHOSEN.get() or _best()


@cache
def _best() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@contextmanager
def within(name: str | torch.device) -> Iterator[None]:
    """Within the block weights and tensors are made on this device.   Raises: DeviceError."""
    device = parse(name)
    token = _CHOSEN.set(device)
    try:
        with device:
            yield
    finally:
        _CHOSEN.reset(token)


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


def mixed_refusal(dtype: torch.dtype, device: torch.device) -> str | None:
    """Why arithmetic in bfloat16 or float16 must not be used on ``device``, or None.

    Measured: on a CPU without AVX512_BF16 or AMX, bfloat16 training is 36 times slower than float32.
    """
    if dtype is torch.float16:
        return None if device.type == "cuda" else "float16 arithmetic is for GPUs"
    if device.type == "cuda":
        return None if torch.cuda.is_bf16_supported() else "this GPU has no bfloat16 arithmetic"
    if device.type == "cpu":
        able = torch.backends.cpu.get_cpu_capability()
        has_bf16 = bool(getattr(torch.cpu, "_is_avx512_bf16_supported", bool)()) or bool(
            getattr(torch.cpu, "_is_amx_tile_supported", bool)()
        )
        return None if has_bf16 else f"this CPU ({able}) has neither AVX512_BF16 nor AMX: it would be about 36x slower"
    return None
