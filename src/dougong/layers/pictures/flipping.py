"""Pictures mirrored at random.   Shapes: N batch, H height, W width, C channels.   Source: Keras 3 semantics."""

from __future__ import annotations

from typing import Any, Unpack

import torch
from torch import Tensor

from dougong.layers.layer import LayerOptions
from dougong.layers.pictures.base import PictureLayer, Transformation, check_name

__all__ = ["RandomFlip"]

_MODES = ("horizontal", "vertical", "horizontal_and_vertical")


class RandomFlip(PictureLayer):
    """Flips every second picture, chosen at random, left to right, upside down, or both at once.

    Acts in training only.  Pictures and masks alike become floating numbers.   Shapes: ``[N, H, W, C]``, unchanged.
    Keras: equals ``keras.layers.RandomFlip``, whose ``horizontal_and_vertical`` flips both ways or not at all, too.

    >>> layer = RandomFlip("horizontal", seed=1)
    >>> layer(torch.arange(2.0).expand(4, 1, 2)[..., None]).flatten(1).tolist()
    [[0.0, 1.0], [1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]
    """

    def __init__(
        self,
        mode: str = "horizontal_and_vertical",
        seed: Any = None,
        data_format: str | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(seed, data_format, **options)
        self.mode = check_name(mode, _MODES, "mode")

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Transformation:
        """``flips``, ``[N, 1, 1, 1]``: which pictures to flip."""
        if not training:
            return None
        images = self.pictures(data)
        return {"flips": self.uniform((self.sizes(data).batch, 1, 1, 1), on=images, seed=seed) <= 0.5}

    def transform_images(self, images: Tensor, transformation: Transformation, training: bool = True) -> Tensor:
        images = self.as_float(images)
        if not training or transformation is None:
            return images
        axes = {"horizontal": (self.width_axis,), "vertical": (self.height_axis,)}
        both = (self.height_axis, self.width_axis)
        return torch.where(transformation["flips"], images.flip(axes.get(self.mode, both)), images)

    def transform_segmentation_masks(
        self, segmentation_masks: Tensor, transformation: Transformation, training: bool = True
    ) -> Tensor:
        return self.transform_images(segmentation_masks, transformation, training)

    def mask_dtype(self, dtype: torch.dtype) -> torch.dtype:
        return self.output_dtype(dtype)
