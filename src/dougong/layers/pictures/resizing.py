"""Layers that bring pictures to one size: stretched, or cut from the middle or anywhere.

Shapes: N batch, H height, W width, C channels; ``channels_last`` is ``[N, H, W, C]``, a single picture has no N.
Source: Keras 3 semantics.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, Unpack

import torch
from torch import Tensor

from dougong.core.arithmetic import per_axis
from dougong.core.errors import ConfigError
from dougong.core.symbol import Shape
from dougong.layers.layer import LayerOptions
from dougong.layers.pictures.base import PictureLayer, Transformation, check_name
from dougong.ops.resizing import RESIZE_INTERPOLATIONS, resize

__all__ = ["CenterCrop", "RandomCrop", "Resizing"]


class _SizedLayer(PictureLayer):
    """Gives pictures of ``height`` and ``width``."""

    height: int
    width: int

    def _set_size(self, height: int, width: int) -> None:
        self.height, self.width = per_axis((height, width), 2, "height and width")

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        shape = list(input_shape)
        shape[self.height_axis], shape[self.width_axis] = self.height, self.width
        return tuple(shape)

    def _fitted(self, images: Tensor, interpolation: str = "bilinear") -> Tensor:
        """The largest window in the middle that has the new proportions, brought to the new size."""
        size = (self.height, self.width)
        return resize(images, size, interpolation, crop_to_aspect_ratio=True, data_format=self.data_format)


class Resizing(_SizedLayer):
    """Brings pictures to ``height`` and ``width``, in training and in use.

    ``interpolation``: ``nearest``, ``bilinear``, ``bicubic``, ``lanczos3`` or ``lanczos5``; masks take the nearest.
    ``antialias`` widens the kernel when pictures shrink.  ``crop_to_aspect_ratio`` keeps proportions and cuts what is
    too much on two sides, ``pad_to_aspect_ratio`` keeps them and fills two sides with ``fill_value``.
    Shapes: ``[N, H, W, C] -> [N, height, width, C]``, or without N.  Whole numbers stay whole, rounded.
    Keras: equals ``keras.layers.Resizing``; Lanczos, which Keras lacks on torch, equals it on JAX.

    >>> Resizing(1, 2)(torch.tensor([[[0.0], [2.0], [4.0], [6.0]]])).flatten()
    tensor([1., 5.])
    """

    def __init__(
        self,
        height: int,
        width: int,
        interpolation: str = "bilinear",
        crop_to_aspect_ratio: bool = False,
        pad_to_aspect_ratio: bool = False,
        fill_mode: str = "constant",
        fill_value: float = 0.0,
        antialias: bool = False,
        data_format: str | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(data_format=data_format, **options)
        self._set_size(height, width)
        self.interpolation = check_name(interpolation, RESIZE_INTERPOLATIONS, "interpolation")
        if crop_to_aspect_ratio and pad_to_aspect_ratio:
            raise ConfigError("give crop_to_aspect_ratio or pad_to_aspect_ratio, not both")
        self.crop_to_aspect_ratio = crop_to_aspect_ratio
        self.pad_to_aspect_ratio = pad_to_aspect_ratio
        self.fill_mode = check_name(fill_mode, ("constant",), "fill_mode")
        self.fill_value = fill_value
        self.antialias = bool(antialias)

    def transform_images(self, images: Tensor, transformation: Transformation = None, training: bool = True) -> Tensor:
        return self._resized(images, self.interpolation)

    def transform_segmentation_masks(
        self, segmentation_masks: Tensor, transformation: Transformation = None, training: bool = True
    ) -> Tensor:
        return self._resized(segmentation_masks, "nearest")

    def _resized(self, images: Tensor, interpolation: str) -> Tensor:
        return resize(
            images,
            (self.height, self.width),
            interpolation,
            self.antialias,
            self.crop_to_aspect_ratio,
            self.pad_to_aspect_ratio,
            self.fill_mode,
            self.fill_value,
            self.data_format,
        )

    def output_dtype(self, dtype: torch.dtype) -> torch.dtype:
        return self.mask_dtype(dtype)


class _CroppingLayer(_SizedLayer):
    """Cuts windows; pictures and masks alike become floating numbers, as in Keras."""

    def mask_dtype(self, dtype: torch.dtype) -> torch.dtype:
        return self.output_dtype(dtype)

    def transform_images(self, images: Tensor, transformation: Transformation, training: bool = True) -> Tensor:
        return self._cut(self.as_float(images), transformation, training, "bilinear")

    def transform_segmentation_masks(
        self, segmentation_masks: Tensor, transformation: Transformation, training: bool = True
    ) -> Tensor:
        return self._cut(self.as_float(segmentation_masks), transformation, training, "nearest")

    @abstractmethod
    def _cut(self, images: Tensor, transformation: Transformation, training: bool, interpolation: str) -> Tensor:
        """The window, or what stands for it where the pictures are too small."""


class CenterCrop(_CroppingLayer):
    """Cuts a window of ``height`` and ``width`` from the middle, in training and in use.

    A smaller picture gives the largest window of these proportions, enlarged.
    Shapes: ``[N, H, W, C] -> [N, height, width, C]``, or without N.
    Keras: equals ``keras.layers.CenterCrop``; masks are enlarged without mixing classes.

    >>> CenterCrop(1, 2)(torch.arange(4.0).view(1, 4, 1)).flatten()
    tensor([1., 2.])
    """

    def __init__(
        self, height: int, width: int, data_format: str | None = None, **options: Unpack[LayerOptions]
    ) -> None:
        super().__init__(data_format=data_format, **options)
        self._set_size(height, width)

    def transform_images(self, images: Tensor, transformation: Transformation = None, training: bool = True) -> Tensor:
        return super().transform_images(images, transformation, training)

    def _cut(self, images: Tensor, transformation: Transformation, training: bool, interpolation: str) -> Tensor:
        high, wide = images.shape[self.height_axis], images.shape[self.width_axis]
        if high < self.height or wide < self.width:
            return self._fitted(images, interpolation)
        rows = images.narrow(self.height_axis, (high - self.height) // 2, self.height)
        return rows.narrow(self.width_axis, (wide - self.width) // 2, self.width)


class RandomCrop(_CroppingLayer):
    """Cuts a window of ``height`` and ``width``, in training anywhere, one place for the whole batch.

    In use, and from smaller pictures, it is the largest window of these proportions from the middle, resized.
    Shapes: ``[N, H, W, C] -> [N, height, width, C]``, or without N.
    Keras: equals ``keras.layers.RandomCrop`` in training.  In use Keras 3.15 gives the picture uncut, against its own
    documentation and output shape, and from smaller pictures a window of other proportions.

    >>> torch.equal(RandomCrop(2, 2)(torch.ones(4, 4, 1)), torch.ones(2, 2, 1))
    True
    """

    def __init__(
        self,
        height: int,
        width: int,
        seed: Any = None,
        data_format: str | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(seed, data_format, **options)
        self._set_size(height, width)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Transformation:
        """The window's first row and column, tensors of no axes; None for the window in the middle."""
        images, sizes = self.pictures(data), self.sizes(data)
        spare = sizes.height - self.height, sizes.width - self.width
        if not training or min(spare) < 0:
            return None
        stream = self.stream(images.device, seed)
        return tuple(self.uniform((), 0, size + 1, on=images, seed=stream).long().clamp_max(size) for size in spare)

    def _cut(self, images: Tensor, transformation: Transformation, training: bool, interpolation: str) -> Tensor:
        if not training or transformation is None:
            return self._fitted(images, interpolation)
        # The place stays on the device, so that a captured step cuts elsewhere each time.
        top, left = (torch.as_tensor(start, device=images.device) for start in transformation)
        down, across = self.height_axis % 4, self.width_axis % 4
        rows = images.index_select(down, torch.arange(self.height, device=images.device) + top)
        windows = rows.unfold(across, self.width, 1).movedim(-1, across + 1)
        return windows.index_select(across, left.view(1)).squeeze(across)
