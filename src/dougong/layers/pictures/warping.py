"""What layers share that read each pixel elsewhere in the picture.   Source: Keras 3 semantics."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar, Unpack

from torch import Tensor

from dougong.layers.layer import LayerOptions
from dougong.layers.pictures.base import PictureLayer, Transformation, check_name
from dougong.ops.interpolation import FILL_MODES, ORDERS

__all__ = ["WarpingLayer"]


class WarpingLayer(PictureLayer):
    """Moves pixels, in training only: of pictures by ``interpolation``, of masks by the nearest, in the masks' dtype.

    ``fill_mode`` says what stands beyond the edges of ``a b c d``: ``constant`` (``fill_value``) k k, ``nearest`` d d,
    ``wrap`` a b, ``reflect`` d c.
    """

    fill_modes: ClassVar[tuple[str, ...]] = tuple(mode for mode in FILL_MODES if mode != "mirror")

    def __init__(
        self,
        interpolation: str,
        fill_mode: str,
        fill_value: float,
        seed: Any,
        data_format: str | None,
        /,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(seed, data_format, **options)
        self.interpolation = check_name(interpolation, tuple(ORDERS), "interpolation")
        self.fill_mode = check_name(fill_mode, self.fill_modes, "fill_mode")
        self.fill_value = fill_value

    def transform_images(self, images: Tensor, transformation: Transformation, training: bool = True) -> Tensor:
        images = self.as_float(images)
        if not training or transformation is None:
            return images
        return self._warp(images, transformation, self.interpolation)

    def transform_segmentation_masks(
        self, segmentation_masks: Tensor, transformation: Transformation, training: bool = True
    ) -> Tensor:
        if not training or transformation is None:
            return segmentation_masks
        return self._warp(segmentation_masks, transformation, "nearest")

    @abstractmethod
    def _warp(self, images: Tensor, transformation: Transformation, interpolation: str) -> Tensor:
        """The pictures after ``transformation``."""

    def _chosen(self, data: Any, factor: tuple[float, float], seed: Any) -> Tensor:
        """Which pictures are changed, ``[N]``: each with a probability drawn for it from ``factor``."""
        images, shape = self.pictures(data), (self.sizes(data).batch,)
        probability = self.uniform(shape, *factor, on=images, seed=seed)
        return self.uniform(shape, on=images, seed=seed) < probability
