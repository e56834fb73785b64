"""Pictures bent at random, each its own way, in training only.

Shapes: N batch, H height, W width, C channels; ``[N, H, W, C]`` or a single picture, unchanged.
Source: Keras 3 semantics; Simard et al. 2003, doi:10.1109/ICDAR.2003.1227801 (elastic).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Unpack

import torch
from torch import Tensor

from dougong.core.errors import ConfigError
from dougong.layers.layer import LayerOptions
from dougong.layers.pictures.base import Factor, Transformation, factor_range, number_pair
from dougong.layers.pictures.warping import WarpingLayer
from dougong.ops.interpolation import FILL_MODES
from dougong.ops.warping import blurred_noise, displaced, perspective_transform

__all__ = ["RandomElasticTransform", "RandomPerspective"]


class RandomPerspective(WarpingLayer):
    """Shows each picture as from the side: its corners go elsewhere at random.

    A corner (x, y) goes to (x + x u, y + y v), u and v drawn evenly from (-``scale``/2, ``scale``/2); the upper left
    one stays.  Each picture is changed with a probability that is drawn for it from ``factor``, a pair within [0, 1];
    a number f stands for (0, f).  Beyond the picture stands ``fill_value``.
    Keras: equals ``keras.layers.RandomPerspective``; whole-number masks follow their pictures, in Keras they do not.

    >>> RandomPerspective(scale=0.0)(torch.ones(4, 4, 1)).unique()
    tensor([1.])
    """

    factor_bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def __init__(
        self,
        factor: Factor = 1.0,
        scale: float = 1.0,
        interpolation: str = "bilinear",
        fill_value: float = 0.0,
        seed: Any = None,
        data_format: str | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(interpolation, "constant", fill_value, seed, data_format, **options)
        self.factor = factor_range(factor, self.factor_bounds)
        if not 0 <= scale <= 1:
            raise ConfigError(f"scale must be within [0, 1]; got {scale!r}")
        self.scale = scale

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Transformation:
        """``apply_perspective`` ``[N]``; ``start_points`` and ``end_points``, ``[N, 4, 2]``: corners (x, y)."""
        if not training:
            return None
        images, sizes = self.pictures(data), self.sizes(data)
        stream = self.stream(images.device, seed)
        chosen = self._chosen(data, self.factor, stream)
        shift = self.uniform((sizes.batch, 4, 2), -0.5 * self.scale, 0.5 * self.scale, on=images, seed=stream)
        right, below = sizes.width - 1.0, sizes.height - 1.0
        corners = [[0.0, 0.0], [right, 0.0], [0.0, below], [right, below]]
        start = torch.tensor(corners, device=images.device).expand(sizes.batch, 4, 2)
        return {"apply_perspective": chosen, "start_points": start, "end_points": start + start * shift}

    def _warp(self, images: Tensor, transformation: Transformation, interpolation: str) -> Tensor:
        points = transformation["start_points"], transformation["end_points"]
        seen = perspective_transform(images, *points, interpolation, self.fill_value, self.data_format)
        return torch.where(transformation["apply_perspective"].view(-1, 1, 1, 1), seen, images)


class RandomElasticTransform(WarpingLayer):
    r"""Bends each picture like rubber: pixels are read at places moved at random, neighbours alike.

    One s for the batch is drawn evenly from ``scale``; displacements are :math:`\alpha\sigma(G_\sigma * n)`, as in
    `elastic_transform`, where

    .. math:: \alpha = 0.1\, s \max(H, W),\qquad \sigma = 0.05\, s \min(H, W) \text{ pixels.}

    Each picture is changed with a probability that is drawn for it from ``factor``.  ``factor`` and ``scale`` are pairs
    within [0, 1]; a number f stands for (0, f).  Pictures are cut to ``value_range``.
    Keras: equals ``keras.layers.RandomElasticTransform``, with a seed that counts on torch, too; masks are bent like
    their pictures, where Keras bends them another way and refuses whole numbers.

    >>> RandomElasticTransform(seed=1)(torch.zeros(8, 8, 1)).unique()
    tensor([0.])
    """

    factor_bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    fill_modes: ClassVar[tuple[str, ...]] = tuple(FILL_MODES)

    def __init__(
        self,
        factor: Factor = 1.0,
        scale: Factor = 1.0,
        interpolation: str = "bilinear",
        fill_mode: str = "reflect",
        fill_value: float = 0.0,
        value_range: Sequence[float] = (0, 255),
        seed: Any = None,
        data_format: str | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(interpolation, fill_mode, fill_value, seed, data_format, **options)
        self.factor = factor_range(factor, self.factor_bounds)
        self.scale = factor_range(scale, self.factor_bounds, "scale")
        self.value_range = number_pair(value_range, "value_range")

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Transformation:
        """``apply_transform`` ``[N]``, ``distortion_factor``, which is s, and ``noise`` ``[2, N, H, W]``; or None."""
        if not training or self.scale[1] == 0 or self.factor[1] == 0:
            return None
        images, (batch, height, width, _) = self.pictures(data), self.sizes(data)
        stream = self.stream(images.device, seed)
        return {
            "apply_transform": self._chosen(data, self.factor, stream),
            "distortion_factor": self.uniform((), *self.scale, on=images, seed=stream),
            "noise": torch.stack([self.normal((batch, height, width), on=images, seed=stream) for _ in "xy"]),
        }

    def transform_images(self, images: Tensor, transformation: Transformation, training: bool = True) -> Tensor:
        moved = super().transform_images(images, transformation, training)
        return moved.clamp(*self.value_range) if training and transformation is not None else moved

    def _warp(self, images: Tensor, transformation: Transformation, interpolation: str) -> Tensor:
        high, wide = images.shape[self.height_axis], images.shape[self.width_axis]
        scale = transformation["distortion_factor"]
        moved = (0.1 * max(high, wide) * scale) * blurred_noise(transformation["noise"], 0.05 * min(high, wide) * scale)
        bent = displaced(images, moved, interpolation, self.fill_mode, self.fill_value, self.data_format)
        return torch.where(transformation["apply_transform"].view(-1, 1, 1, 1), bent, images)
