"""The one comparison of numbers in the tests."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

__all__ = ["close"]


def _array(value: Any) -> np.ndarray:
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu().numpy()
    return np.asarray(value)


def close(got: Any, want: Any, *, because: str, tolerance: float = 1e-5) -> None:
    """Raise unless shapes agree and every ``|got - want| <= tolerance * (1 + |want|)``; NaN equals NaN."""
    got, want = _array(got), _array(want)
    if got.shape != want.shape:
        raise AssertionError(f"{because}: shape {got.shape}, want {want.shape}")
    if got.size == 0:
        return
    got, want = got.astype(np.float64), want.astype(np.float64)
    same = (got == want) | (np.isnan(got) & np.isnan(want))
    with np.errstate(invalid="ignore"):
        error = np.where(same, 0.0, np.abs(got - want) / (1.0 + np.abs(want)))
    worst = np.unravel_index(int(np.nanargmax(np.where(np.isnan(error), np.inf, error))), error.shape)
    if not error[worst] <= tolerance:
        raise AssertionError(
            f"{because}: got {got[worst]!r}, want {want[worst]!r} at {tuple(map(int, worst))};"
            f" relative error {error[worst]:.2e} > {tolerance:.0e}"
        )
