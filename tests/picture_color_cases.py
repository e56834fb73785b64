"""The picture layers of colour, tone, filters and histograms beside Keras's: what both are made with.

Pictures have strong, plain and grey colours, and one channel of a single value.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import keras
import numpy as np
import torch
from torch import Tensor

from dougong.layers.pictures import color, erasing, filters, histograms, mixing, tone

__all__ = ["CASES", "RANDOM", "PictureCase", "kind", "moved", "pictures"]

_MODULES = (color, erasing, filters, histograms, mixing, tone)


class PictureCase(NamedTuple):
    """One configuration; ``floats`` says that Keras's is right for floating numbers only."""

    name: str
    config: Mapping[str, Any] = {}
    floats: bool = False
    value_range: tuple[float, float] = (0, 255)

    @property
    def id(self) -> str:
        words = [f"{key}={value}" for key, value in self.config.items()]
        return "-".join([self.name, *words]).replace(" ", "")

    def ours(self, **more: Any) -> Any:
        return kind(self.name)(**self.config, **more)

    def theirs(self, **more: Any) -> Any:
        return getattr(keras.layers, self.name)(**self.config, **more)


def kind(name: str) -> Any:
    """Our class of this name."""
    return next(getattr(module, name) for module in _MODULES if name in module.__all__)


def pictures(batch: int = 4, dtype: str = "float32", scale: tuple[float, float] = (0, 255), seed: int = 0) -> Tensor:
    draw = np.random.default_rng(seed)
    smooth = draw.integers(0, 256, (batch, 1, 1, 3)) + 8 * draw.integers(-9, 10, (batch, 12, 10, 3))
    wild = draw.integers(0, 256, (batch, 12, 10, 3))
    found = np.where(draw.uniform(size=(batch, 12, 10, 1)) < 0.7, smooth, wild).clip(0, 255)
    found[:, :3, :3] = found[:, :3, :3, :1]
    found[0, ..., 1] = 77
    if dtype == "uint8":
        return torch.from_numpy(found.astype("uint8"))
    low, high = scale
    return torch.from_numpy((found / 255 * (high - low) + low).astype(dtype))


def moved(images: Tensor) -> Tensor:
    """Pictures with the channels first."""
    return images.movedim(-1, 1).contiguous()


_CLAHE = "ContrastLimitedAdaptiveHistogramEqualization"
_UNIT = {"value_range": (0.0, 1.0)}

CASES = [
    PictureCase("RandomBrightness", {"factor": 0.4}, floats=True),
    PictureCase("RandomBrightness", {"factor": (-0.1, 0.9), **_UNIT}, True, (0, 1)),
    PictureCase("RandomContrast", {"factor": 0.8}),
    PictureCase("RandomContrast", {"factor": (0.3, 0.9), **_UNIT}, False, (0, 1)),
    PictureCase("RandomHue", {"factor": 1.0}),
    PictureCase("RandomHue", {"factor": (0.2, 0.5), "value_range": (-1.0, 1.0)}, False, (-1, 1)),
    PictureCase("RandomSaturation", {"factor": 1.0, **_UNIT}, True, (0, 1)),
    PictureCase("RandomSaturation", {"factor": (0.0, 0.5)}, floats=True),
    PictureCase("RandomSharpness", {"factor": 1.0}),
    PictureCase("RandomSharpness", {"factor": (0.1, 0.9), **_UNIT}, False, (0, 1)),
    PictureCase("RandomColorDegeneration", {"factor": 0.8}),
    PictureCase("RandomColorDegeneration", {"factor": (0.2, 1.0), **_UNIT}, False, (0, 1)),
    PictureCase("RandomGaussianBlur", {}),
    PictureCase("RandomGaussianBlur", {"factor": (0.9, 1), "kernel_size": 7, "sigma": (0.5, 3.0)}, False),
    PictureCase("RandomGaussianBlur", {"factor": (1, 1), **_UNIT}, False, (0, 1)),
    PictureCase("RandomGrayscale", {}),
    PictureCase("RandomGrayscale", {"factor": 0.9}, False, (0, 1)),
    PictureCase("RandomInvert", {}),
    PictureCase("RandomInvert", {"factor": (0.4, 0.6), **_UNIT}, False, (0, 1)),
    PictureCase("RandomPosterization", {"factor": 6}),
    PictureCase("RandomPosterization", {"factor": (3, 3), **_UNIT}, False, (0, 1)),
    PictureCase("RandomPosterization", {"factor": (2, 7), "value_range": (-1, 1)}, False, (-1, 1)),
    PictureCase("Solarization", {}),
    PictureCase("Solarization", {"addition_factor": 0.4, "threshold_factor": 0.9, **_UNIT}, False, (0, 1)),
    PictureCase("Solarization", {"threshold_factor": 0.8, "value_range": (-1, 1)}, False, (-1, 1)),
    PictureCase("AutoContrast", {}),
    PictureCase("AutoContrast", {"value_range": (-1, 1)}, False, (-1, 1)),
    PictureCase(_CLAHE, {"tile_grid_size": (1, 1), "clip_limit": 10.0}),
    PictureCase(_CLAHE, {"tile_grid_size": (2, 1), "clip_limit": 7.5}),
    PictureCase(_CLAHE, {"tile_grid_size": (3, 2), "clip_limit": 20.0}),
    PictureCase(_CLAHE, {"tile_grid_size": (5, 4), "clip_limit": 32.0}),
    PictureCase(_CLAHE, {"clip_limit": 0, **_UNIT}, False, (0, 1)),
    PictureCase("RandomErasing", {}),
    PictureCase("RandomErasing", {"factor": (0.7, 0.9), "scale": (0.2, 0.4), "fill_value": 9.0}),
    PictureCase("RandomErasing", {"fill_value": (0.1, 0.2, 0.3), **_UNIT}, False, (0, 1)),
    PictureCase("MixUp", {}),
    PictureCase("MixUp", {"alpha": 1.0}),
    PictureCase("CutMix", {}),
    PictureCase("CutMix", {"factor": (0.2, 0.4)}),
]  # fmt: skip

RANDOM = [case for case in CASES if case.name.startswith("Random") or case.name in ("Solarization", "MixUp", "CutMix")]
