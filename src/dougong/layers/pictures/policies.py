"""Policies: several random changes of one strength, picked at random.   Shapes: N batch, H height, W width, 3 channels.

They act in training only.  Which changes are made is drawn once for the batch, how strong they are for each picture.
Source: Keras 3 semantics.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Unpack

import torch
from torch import Tensor

from dougong.core.errors import ConfigError
from dougong.layers.layer import LayerOptions
from dougong.layers.pictures.affine import RandomRotation, RandomShear, RandomTranslation
from dougong.layers.pictures.base import PictureLayer, Transformation, factor_range, number_pair
from dougong.layers.pictures.color import RandomColorDegeneration
from dougong.layers.pictures.draws import random_shares
from dougong.layers.pictures.filters import RandomSharpness
from dougong.layers.pictures.histograms import Equalization
from dougong.layers.pictures.tone import (
    AutoContrast,
    Factor,
    RandomBrightness,
    RandomContrast,
    RandomPosterization,
    Solarization,
)

__all__ = ["AugMix", "RandAugment"]


class _Strength(NamedTuple):
    """What the changes of a policy are made with."""

    factor: tuple[float, float]
    value_range: tuple[float, float]
    interpolation: str
    common: dict[str, Any]


def _geometry(strength: _Strength) -> dict[str, PictureLayer]:
    factor, _, interpolation, common = strength
    return {
        "random_shear": RandomShear(factor, factor, interpolation=interpolation, **common),
        "random_translation": RandomTranslation(factor, factor, interpolation=interpolation, **common),
        "random_rotation": RandomRotation(factor, interpolation=interpolation, **common),
    }


def _light(strength: _Strength) -> dict[str, PictureLayer]:
    common = {"factor": strength.factor, "value_range": strength.value_range, **strength.common}
    return {
        "random_brightness": RandomBrightness(**common),
        "random_color_degeneration": RandomColorDegeneration(**common),
        "random_contrast": RandomContrast(**common),
        "random_sharpness": RandomSharpness(**common),
    }


def _levels(strength: _Strength) -> dict[str, PictureLayer]:
    factor = strength.factor
    common = {"value_range": strength.value_range, **strength.common}
    return {
        "random_posterization": RandomPosterization(max(1, int(8 * factor[1])), **common),
        "solarization": Solarization(addition_factor=factor, threshold_factor=factor, **common),
        "auto_contrast": AutoContrast(**common),
        "equalization": Equalization(**common),
    }


class _Policy(PictureLayer):
    """Makes the changes that `_changes` names."""

    def __init__(
        self,
        factor: Factor,
        value_range: Sequence[float],
        interpolation: str,
        seed: int | None,
        data_format: str | None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(seed, data_format, **options)
        self.factor = factor_range(factor, (0, 1))
        self.value_range = number_pair(value_range, "value_range")
        self.interpolation = interpolation
        common = {"data_format": data_format, "dtype": options.get("dtype")}
        strength = _Strength(self.factor, self.value_range, interpolation, common)
        self._changes = {name: change for make in self._families() for name, change in make(strength).items()}

    def _families(self) -> Sequence[Callable[[_Strength], dict[str, PictureLayer]]]:
        return _geometry, _light, _levels

    def _picked(self, how_many: int, of: int, data: Any, stream: torch.Generator | None) -> Tensor:
        return torch.randint(of, (how_many,), generator=stream, device=self.pictures(data).device)


class RandAugment(_Policy):
    """Applies ``num_ops`` of eleven changes, one after the other.

    The changes: shear, translation, rotation, brightness, colour degeneration, contrast, sharpness, posterization,
    solarization, auto contrast and equalization, each drawn with equal probability, repeatedly too.
    ``factor`` is the strength of all, a pair within [0, 1]; a number f stands for (0, f).
    Shapes: ``[N, H, W, 3]``, unchanged; segmentation masks follow.   Units: ``value_range``, (low, high), is the
    pictures'.   Keras: equals ``keras.layers.RandAugment`` but for what is said of the changes' own layers; only what
    was drawn is computed.   Ref: Cubuk et al. 2019, arXiv:1909.13719.

    >>> RandAugment(seed=1)(torch.rand(2, 8, 8, 3) * 255).shape
    torch.Size([2, 8, 8, 3])
    """

    def __init__(
        self,
        value_range: Sequence[float] = (0, 255),
        num_ops: int = 2,
        factor: Factor = 0.5,
        interpolation: str = "bilinear",
        seed: int | None = None,
        data_format: str | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(factor, value_range, interpolation, seed, data_format, **options)
        self.num_ops = num_ops

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Transformation:
        """``layer_idxes``, which changes come one after the other, and ``transforms``, what each of them drew."""
        if not training:
            return None
        stream = self.stream(self.pictures(data).device, seed)
        picked = self._picked(self.num_ops, len(self._changes), data, stream)
        names = {self._name(index) for index in picked}
        transforms = {
            name: change.get_random_transformation(data, seed=stream)
            for name, change in self._changes.items()
            if name in names
        }
        return {"layer_idxes": picked, "transforms": transforms}

    def _name(self, index: Tensor) -> str:
        # The number is read, not the tensor's memory, so that a captured step sees a choice that it cannot replay.
        return list(self._changes)[int(index)]

    def transform_images(self, images: Tensor, transformation: Transformation, training: bool = True) -> Tensor:
        images = self.as_float(images)
        if training:
            for name in map(self._name, transformation["layer_idxes"]):
                images = self._changes[name].transform_images(images, transformation["transforms"][name])
        return images

    def transform_segmentation_masks(
        self, segmentation_masks: Tensor, transformation: Transformation, training: bool = True
    ) -> Tensor:
        masks = segmentation_masks
        if training:
            for name in map(self._name, transformation["layer_idxes"]):
                masks = self._changes[name].transform_segmentation_masks(masks, transformation["transforms"][name])
        return masks


class AugMix(_Policy):
    r"""Blends each picture with several versions of itself, each changed by a chain of random changes.

    .. math:: y = m\,x + (1 - m) \sum_k w_k\,\text{chain}_k(x),\quad m \sim \operatorname{Beta}(\alpha, \alpha),\quad
              w \sim \operatorname{Dirichlet}(\alpha, \dots, \alpha)

    Each of ``num_chains`` chains has up to ``chain_depth`` of the changes of `RandAugment`, without brightness, colour
    degeneration, contrast and sharpness unless ``all_ops``; m and w are one for the batch.
    ``factor`` is the strength of all, a pair within [0, 1]; a number f stands for (0, f).
    Shapes: ``[N, H, W, 3]``, unchanged; segmentation masks are blended alike, as floats, so give them one-hot.
    Units: ``value_range``, (low, high), is the pictures'; what leaves it is cut.
    Keras: equals ``keras.layers.AugMix`` but for what is said of the changes' own layers; the seed also picks the
    changes, for which Keras takes Python's own generator.   Ref: Hendrycks et al. 2019, arXiv:1912.02781.

    >>> AugMix(seed=1)(torch.rand(2, 8, 8, 3) * 255).shape
    torch.Size([2, 8, 8, 3])
    """

    def __init__(
        self,
        value_range: Sequence[float] = (0, 255),
        num_chains: int = 3,
        chain_depth: int = 3,
        factor: Factor = 0.3,
        alpha: float = 1.0,
        all_ops: bool = True,
        interpolation: str = "bilinear",
        seed: int | None = None,
        data_format: str | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        self.all_ops = all_ops
        super().__init__(factor, value_range, interpolation, seed, data_format, **options)
        self.num_chains = num_chains
        self.chain_depth = chain_depth
        if not alpha > 0:
            raise ConfigError(f"alpha must be above 0: it is the parameter of a Dirichlet distribution; got {alpha!r}")
        self.alpha = alpha

    def _families(self) -> Sequence[Callable[[_Strength], dict[str, PictureLayer]]]:
        return (_geometry, _light, _levels) if self.all_ops else (_geometry, _levels)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Transformation:
        """``chain_mixing_weights`` w, ``weight_sample`` m, and ``chain_transforms``: the changes with their draws."""
        if not training:
            return None
        device = self.pictures(data).device
        stream = self.stream(device, seed)
        alpha = torch.full((self.num_chains,), self.alpha, device=device)
        return {
            "chain_mixing_weights": random_shares(alpha, stream),
            "weight_sample": random_shares(alpha.new_full((2,), self.alpha), stream)[0],
            "chain_transforms": [self._chain(data, stream) for _ in range(self.num_chains)],
        }

    def _chain(self, data: Any, stream: torch.Generator | None) -> list[dict[str, Any]]:
        names = [*self._changes, None]  # None: one change less
        picked = (names[int(index)] for index in self._picked(self.chain_depth, len(names), data, stream))
        return [
            {"layer_name": name, "transformation": self._changes[name].get_random_transformation(data, seed=stream)}
            for name in picked
            if name is not None
        ]

    def transform_images(self, images: Tensor, transformation: Transformation, training: bool = True) -> Tensor:
        images = self.as_float(images)
        return (
            self._blended(images, transformation, "transform_images").clamp_(*self.value_range) if training else images
        )

    def transform_segmentation_masks(
        self, segmentation_masks: Tensor, transformation: Transformation, training: bool = True
    ) -> Tensor:
        masks = self.as_float(segmentation_masks)
        return self._blended(masks, transformation, "transform_segmentation_masks") if training else masks

    def _blended(self, values: Tensor, transformation: Transformation, method: str) -> Tensor:
        own = transformation["weight_sample"].to(values.dtype)
        shares = transformation["chain_mixing_weights"].to(values.dtype) * (1 - own)
        blended = values * own
        for share, chain in zip(shares, transformation["chain_transforms"], strict=True):
            changed = values
            for step in chain:
                changed = getattr(self._changes[step["layer_name"]], method)(changed, step["transformation"])
            blended = torch.addcmul(blended, changed, share)
        return blended

    def mask_dtype(self, dtype: torch.dtype) -> torch.dtype:
        return self.output_dtype(dtype)
