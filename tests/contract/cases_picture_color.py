"""The cases of the picture layers of colour, tone, filters, histograms, erasing, mixing and policies.

Those that act in training only act when called alone, as in Keras.
"""

from __future__ import annotations

from typing import Any

from contract.layer_case import PICTURE, LayerCase

__all__ = ["CASES"]

_RANGE = {"value_range": (-2.0, 2.0)}
_COLORS = (6, 7, 3)


def _case(kind: str, config: dict[str, Any], note: str = "", **more: Any) -> LayerCase:
    colors: dict[str, Any] = {"wrong": (2, 6, 7, 2), "expected": "red, green and blue"}
    plain: dict[str, Any] = {"wrong": (2, 5), "expected": "(batch, height"}
    needs_colors = kind in ("RandomHue", "RandomSaturation", "RandomColorDegeneration", "RandomGrayscale") or (
        kind == "RandomColorJitter"
    )
    on = _COLORS if needs_colors or kind in ("RandAugment", "AugMix") else PICTURE
    given = {"free": (1, 2), "random": True, "call": {"training": False}, **(colors if needs_colors else plain)} | more
    return LayerCase(kind, config, (on,), note, **given)


CASES: tuple[LayerCase, ...] = (
    _case("AugMix", _RANGE),
    _case("AutoContrast", _RANGE, random=False),
    _case("ContrastLimitedAdaptiveHistogramEqualization", _RANGE, random=False, smooth=False,
          keras="Keras on torch cuts the counts of small tiles at 0"),
    _case("CutMix", {}),
    _case("Equalization", _RANGE, random=False, trains=True, smooth=False,
          keras="Keras's takes all pictures of a batch together"),
    _case("MixUp", {}),
    _case("RandAugment", _RANGE),
    _case("RandomBrightness", {"factor": 0.5} | _RANGE),
    _case("RandomBrightness", {"factor": 0.5, "data_format": "channels_first"} | _RANGE, "first", free=(2, 3),
          expected="(batch, channels"),
    _case("RandomColorDegeneration", {"factor": 0.5} | _RANGE),
    _case("RandomColorJitter", {"brightness_factor": 0.2, "hue_factor": 0.2} | _RANGE),
    _case("RandomContrast", {"factor": 0.5} | _RANGE),
    _case("RandomErasing", _RANGE),
    _case("RandomGaussianBlur", _RANGE),
    _case("RandomGrayscale", {}),
    _case("RandomHue", {"factor": 0.5} | _RANGE),
    _case("RandomInvert", _RANGE),
    _case("RandomPosterization", {"factor": 6} | _RANGE),
    _case("RandomSaturation", {"factor": 0.5} | _RANGE),
    _case("RandomSharpness", {"factor": 0.5, "seed": 1} | _RANGE),
    _case("Solarization", {"addition_factor": 0.3, "threshold_factor": 0.5} | _RANGE),
)  # fmt: skip
