"""The cases of the layers that resize, cut and warp pictures.  Those that draw act when called alone, as in Keras."""

from __future__ import annotations

from typing import Any

from contract.layer_case import PICTURE, LayerCase

__all__ = ["CASES"]

_COMMON: dict[str, Any] = {"on": (PICTURE,), "wrong": (2, 5), "expected": "batch, height, width, channels"}
_RANDOM: dict[str, Any] = _COMMON | {"free": (1, 2), "random": True, "call": {"training": False}}
_FIRST = {"data_format": "channels_first"}

CASES: tuple[LayerCase, ...] = (
    LayerCase("Resizing", {"height": 4, "width": 9}, free=(1, 2), **_COMMON),
    LayerCase("Resizing", {"height": 9, "width": 4, "interpolation": "bicubic", "crop_to_aspect_ratio": True},
              note="cut", free=(1, 2), **_COMMON),
    LayerCase("Resizing", {"height": 3, "width": 3, "antialias": True, "pad_to_aspect_ratio": True, **_FIRST},
              (PICTURE,), note="padded"),
    LayerCase("CenterCrop", {"height": 3, "width": 4}, free=(1, 2), **_COMMON),
    LayerCase("CenterCrop", {"height": 8, "width": 3}, note="small", free=(2,), **_COMMON),
    LayerCase("RandomCrop", {"height": 3, "width": 4}, keras="its RandomCrop gives uncut pictures in use", **_RANDOM),
    LayerCase("RandomFlip", {}, **_RANDOM),
    LayerCase("RandomFlip", {"mode": "horizontal", "seed": 3, **_FIRST}, (PICTURE,), note="first", random=True,
              call={"training": False}),
    LayerCase("RandomRotation", {"factor": 0.2}, **_RANDOM),
    LayerCase("RandomZoom", {"height_factor": 0.3}, **_RANDOM),
    LayerCase("RandomTranslation", {"height_factor": 0.2, "width_factor": (0.1, 0.3), "fill_mode": "wrap"}, **_RANDOM),
    LayerCase("RandomShear", {"x_factor": 0.3, "y_factor": (0.1, 0.2), "interpolation": "nearest"}, **_RANDOM),
    LayerCase("RandomPerspective", {"scale": 0.6, "fill_value": 0.5, "seed": 1}, **_RANDOM),
    LayerCase("RandomElasticTransform", {"factor": (0.9, 1.0), "value_range": (-2, 2)}, **_RANDOM),
)  # fmt: skip
