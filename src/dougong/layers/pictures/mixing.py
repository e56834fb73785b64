"""Layers that mix pictures of a batch, and their labels.   Shapes: N batch, H height, W width, C channels, K classes.

They act in training only, and take dicts with ``images`` and ``labels``, as all picture layers do.
Source: Keras 3 semantics.
"""

from __future__ import annotations

from typing import Any, Unpack

import torch
from torch import Tensor

from dougong.core.errors import ConfigError, DataError
from dougong.core.symbol import Symbol
from dougong.layers.layer import LayerOptions
from dougong.layers.pictures.base import PictureLayer, Transformation, factor_range
from dougong.layers.pictures.draws import random_shares
from dougong.layers.pictures.erasing import random_rectangles
from dougong.layers.pictures.tone import Factor

__all__ = ["CutMix", "MixUp"]


class _Mixing(PictureLayer):
    """Mixes each picture with another; ``mix_weight`` is its own share, ``permutation_order`` says which other."""

    def transform_labels(self, labels: Tensor, transformation: Transformation, training: bool = True) -> Tensor:
        if not training or transformation is None:
            return labels
        if labels.ndim < 2 and not labels.is_floating_point():
            raise DataError(
                f"{type(self).__name__} {self.name!r} mixes labels, but class numbers of shape {tuple(labels.shape)}"
                " cannot be mixed; make them one-hot with to_categorical"
            )
        return self._mixed(self.as_float(labels), transformation)

    def _mixed(self, values: Tensor, transformation: Transformation) -> Tensor:
        weight = transformation["mix_weight"].to(values.dtype).view(-1, *(1,) * (values.ndim - 1))
        return torch.lerp(_others(values, transformation), values, weight)

    def label_spec(self, labels: Symbol) -> Symbol:
        return Symbol(labels.shape, self.output_dtype(labels.dtype), name="value")


def _others(values: Tensor, transformation: Transformation) -> Tensor:
    return values.index_select(0, transformation["permutation_order"])


class MixUp(_Mixing):
    r"""Blends each picture with another one of the batch, and their labels by the same share.

    .. math:: y_n = w_n x_n + (1 - w_n)\,x_{\pi(n)},\quad w_n \sim \operatorname{Beta}(\alpha, \alpha)

    Shapes: images ``[N, H, W, C]`` and labels ``[N, K]``, unchanged; both become floats, segmentation masks too.
    Raises: ConfigError for an ``alpha`` not above 0; DataError for class numbers, which cannot be blended.
    Keras: equals ``keras.layers.MixUp``; there class numbers become a table of nonsense, and masks lose their shape.
    Ref: Zhang et al. 2017, arXiv:1710.09412.

    >>> mixed = MixUp(seed=1)({"images": torch.rand(4, 8, 8, 3), "labels": torch.eye(4)})
    >>> mixed["labels"].sum(-1)
    tensor([1., 1., 1., 1.])
    """

    def __init__(
        self,
        alpha: float = 0.2,
        data_format: str | None = None,
        seed: int | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(seed, data_format, **options)
        if not alpha > 0:
            raise ConfigError(f"alpha must be above 0: it is both parameters of a beta distribution; got {alpha!r}")
        self.alpha = alpha

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Transformation:
        if not training:
            return None
        images, batch = self.pictures(data), self.sizes(data).batch
        stream = self.stream(images.device, seed)
        alpha = torch.full((batch, 2), self.alpha, device=images.device)
        return {
            "mix_weight": random_shares(alpha, stream)[:, 0],
            "permutation_order": torch.randperm(batch, generator=stream, device=images.device),
        }

    def transform_images(self, images: Tensor, transformation: Transformation, training: bool = True) -> Tensor:
        images = self.as_float(images)
        return self._mixed(images, transformation) if training else images

    def transform_segmentation_masks(
        self, segmentation_masks: Tensor, transformation: Transformation, training: bool = True
    ) -> Tensor:
        return self.transform_images(segmentation_masks, transformation, training)

    def mask_dtype(self, dtype: torch.dtype) -> torch.dtype:
        return self.output_dtype(dtype)


class CutMix(_Mixing):
    r"""Replaces a rectangle of each picture by that of another one, and mixes their labels by the area.

    .. math:: \text{share of height and width} = \sqrt{1 - w},\quad w \sim \operatorname{Beta}(a, a),\quad
              a \sim U(\text{factor})

    with one a for the batch.   ``factor`` is a pair within [0, 1]; a number f stands for (0, f).
    Shapes: images ``[N, H, W, C]``, labels ``[N, K]``, unchanged; segmentation masks ``[N, H, W, ...]`` keep their
    dtype.   Raises: DataError for class numbers, which cannot be mixed.
    Keras: equals ``keras.layers.CutMix``; there masks of one channel get as many as the pictures have.
    Ref: Yun et al. 2019, arXiv:1905.04899.

    >>> black_and_white = torch.stack((torch.zeros(8, 8, 3), torch.ones(8, 8, 3)))
    >>> mixed = CutMix(seed=3)({"images": black_and_white, "labels": torch.eye(2)})
    >>> sorted(set(mixed["images"].flatten().tolist())), mixed["labels"].sum(-1)
    ([0.0, 1.0], tensor([1., 1.]))
    """

    def __init__(
        self,
        factor: Factor = 1.0,
        seed: int | None = None,
        data_format: str | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(seed, data_format, **options)
        self.factor = factor_range(factor, (0, 1))

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Transformation:
        if not training:
            return None
        images, sizes = self.pictures(data), self.sizes(data)
        stream = self.stream(images.device, seed)
        alpha = self.uniform((), *self.factor, on=images, seed=stream) + 1e-6
        share = (1 - random_shares(alpha.expand(sizes.batch, 2), stream)[:, 0]).sqrt()
        found = random_rectangles(self, data, (share, share), stream)
        area = found.heights * found.widths / (sizes.height * sizes.width)
        return {
            "permutation_order": torch.randperm(sizes.batch, generator=stream, device=images.device),
            "batch_masks": found.within,
            "mix_weight": (1 - area)[:, None, None, None],
        }

    def transform_images(self, images: Tensor, transformation: Transformation, training: bool = True) -> Tensor:
        images = self.as_float(images)
        if not training or transformation is None:
            return images
        # A weight of 0 or 1 instead of `where`, which torch does one by one.
        return torch.lerp(images, _others(images, transformation), transformation["batch_masks"].to(images.dtype))

    def transform_segmentation_masks(
        self, segmentation_masks: Tensor, transformation: Transformation, training: bool = True
    ) -> Tensor:
        if not training or transformation is None:
            return segmentation_masks
        within = transformation["batch_masks"].narrow(self.channel_axis, 0, 1)
        if segmentation_masks.ndim == 3:
            within = within.squeeze(self.channel_axis)
        return torch.where(within, _others(segmentation_masks, transformation), segmentation_masks)
