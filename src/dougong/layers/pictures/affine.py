"""Pictures turned, zoomed, shifted and sheared at random, each its own way, in training only.

Shapes: N batch, H height, W width, C channels; ``[N, H, W, C]`` or a single picture, unchanged.
Units: shares of the picture's height and width; angles in turns.   Source: Keras 3 semantics.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Any, ClassVar, Unpack

import torch
from torch import Tensor

from dougong.core.errors import ConfigError
from dougong.layers.layer import LayerOptions
from dougong.layers.pictures.base import Factor, Transformation, factor_range
from dougong.layers.pictures.warping import WarpingLayer
from dougong.ops.warping import affine_transform

__all__ = ["RandomRotation", "RandomShear", "RandomTranslation", "RandomZoom"]


class _AffineLayer(WarpingLayer):
    """Reads each picture where a matrix ``[a0, a1, a2, b0, b1, b2, 0, 0]`` says, as `affine_transform` does."""

    def _warp(self, images: Tensor, transformation: Transformation, interpolation: str) -> Tensor:
        matrix = self._matrix(images, transformation)
        return affine_transform(images, matrix, interpolation, self.fill_mode, self.fill_value, self.data_format)

    @abstractmethod
    def _matrix(self, images: Tensor, transformation: Transformation) -> Tensor:
        """The matrices ``[N, 8]``."""

    def _uniform_column(self, data: Any, low: float, high: float, seed: Any) -> Tensor:
        """A draw for each picture, ``[N, 1]``."""
        return self.uniform((self.sizes(data).batch, 1), low, high, on=self.pictures(data), seed=seed)


class RandomRotation(_AffineLayer):
    r"""Turns each picture about its middle by a random angle :math:`2\pi f`, counter-clockwise where f > 0.

    f is drawn evenly from ``factor``, a pair within [-1, 1]; a number stands for (-f, f).
    Keras: equals ``keras.layers.RandomRotation``.

    >>> RandomRotation((0.25, 0.25))(torch.arange(4.0).view(2, 2, 1)).round().flatten().tolist()
    [1.0, 3.0, 0.0, 2.0]
    """

    def __init__(
        self,
        factor: Factor,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: Any = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(interpolation, fill_mode, fill_value, seed, data_format, **options)
        self.factor = factor_range(factor, self.factor_bounds)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Transformation:
        """``angle`` ``[N]`` in degrees and ``rotation_matrix`` ``[N, 8]``."""
        if not training:
            return None
        images, sizes = self.pictures(data), self.sizes(data)
        low, high = (360.0 * end for end in self.factor)
        angle = self.uniform((sizes.batch,), low, high, on=images, seed=seed)
        turn = angle * (math.pi / 180.0)
        cos, sin, none = torch.cos(turn), torch.sin(turn), torch.zeros_like(turn)
        x, y = 0.5 * (sizes.width - 1), 0.5 * (sizes.height - 1)
        rows = (cos, -sin, x - x * cos + y * sin, sin, cos, y - x * sin - y * cos, none, none)
        return {"angle": angle, "rotation_matrix": torch.stack(rows, 1)}

    def _matrix(self, images: Tensor, transformation: Transformation) -> Tensor:
        return transformation["rotation_matrix"]


class RandomZoom(_AffineLayer):
    """Makes each picture smaller (factor > 0) or larger (< 0) about its middle, by a random factor.

    What is read spans 1 + f of the picture, f drawn evenly from a pair within (-1, 1]; a number stands for (-f, f).
    Without ``width_factor`` both sides take one draw and proportions stay.   Keras: equals ``keras.layers.RandomZoom``.

    >>> RandomZoom((1.0, 1.0), fill_mode="constant")(torch.ones(4, 4, 1))[..., 0].sum()
    tensor(4.)
    """

    def __init__(
        self,
        height_factor: Factor,
        width_factor: Factor | None = None,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: Any = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(interpolation, fill_mode, fill_value, seed, data_format, **options)
        self.height_factor, self.width_factor = height_factor, width_factor
        self._height_range = self._zoom_range(height_factor, "height_factor")
        self._width_range = None if width_factor is None else self._zoom_range(width_factor, "width_factor")

    def _zoom_range(self, factor: Any, name: str) -> tuple[float, float]:
        found = _within(factor, self.factor_bounds, name)
        if -1 in (factor if isinstance(factor, list | tuple) else (factor,)):
            raise ConfigError(f"{name} must be above -1, where a single point would fill the picture; got {factor!r}")
        return found

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Transformation:
        """``height_zoom`` and ``width_zoom``, ``[N, 1]``: how much of the picture is read, 1 being all."""
        if not training:
            return None
        stream = self.stream(self.pictures(data).device, seed)
        ranges = (self._height_range, self._width_range)
        drawn = [self._uniform_column(data, 1 + r[0], 1 + r[1], stream) for r in ranges if r is not None]
        return {"height_zoom": drawn[0], "width_zoom": drawn[-1]}

    def _matrix(self, images: Tensor, transformation: Transformation) -> Tensor:
        wide, high = (transformation[key].to(torch.float32) for key in ("width_zoom", "height_zoom"))
        none = torch.zeros_like(wide)
        middle_x, middle_y = ((images.shape[axis] - 1) / 2 for axis in (self.width_axis, self.height_axis))
        rows = (wide, none, middle_x * (1 - wide), none, high, middle_y * (1 - high), none, none)
        return torch.cat(rows, 1)


class RandomTranslation(_AffineLayer):
    """Shifts each picture by a random share of its height (down where > 0) and of its width (to the right).

    Shares are drawn evenly from pairs within [-1, 1]; a number f stands for (-f, f).
    Keras: equals ``keras.layers.RandomTranslation``.

    >>> layer = RandomTranslation(0.0, (0.5, 0.5), fill_mode="wrap")
    >>> layer(torch.arange(4.0).view(1, 4, 1)).flatten()
    tensor([2., 3., 0., 1.])
    """

    def __init__(
        self,
        height_factor: Factor,
        width_factor: Factor,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: Any = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(interpolation, fill_mode, fill_value, seed, data_format, **options)
        self.height_factor, self.width_factor = height_factor, width_factor
        self._height_range = _within(height_factor, self.factor_bounds, "height_factor")
        self._width_range = _within(width_factor, self.factor_bounds, "width_factor")

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Transformation:
        """``translations``, ``[N, 2]``: pixels to the right and down."""
        if not training:
            return None
        sizes, stream = self.sizes(data), self.stream(self.pictures(data).device, seed)
        down = self._uniform_column(data, *self._height_range, stream) * sizes.height
        right = self._uniform_column(data, *self._width_range, stream) * sizes.width
        return {"translations": torch.cat([right, down], 1)}

    def _matrix(self, images: Tensor, transformation: Transformation) -> Tensor:
        right, down = transformation["translations"].unbind(1)
        one, none = torch.ones_like(right), torch.zeros_like(right)
        return torch.stack((one, none, -right, none, one, -down, none, none), 1)


class RandomShear(_AffineLayer):
    """Shears each picture along its width and its height, from the upper left corner.

    Reads (x + s y, y + t x), s and t drawn evenly from ``x_factor`` and ``y_factor``, pairs within [0, 1], and turned
    negative together for every second picture; a number f stands for (-f, f).
    Keras: equals ``keras.layers.RandomShear``, whose own config of a number Keras cannot read back.

    >>> layer = RandomShear(fill_mode="constant")
    >>> sheared = layer.transform_images(torch.ones(1, 3, 3, 1), {"shear_factor": torch.tensor([[1.0, 0.0]])})
    >>> sheared[0, ..., 0].tolist()
    [[1.0, 1.0, 1.0], [1.0, 1.0, 0.0], [1.0, 0.0, 0.0]]
    """

    factor_bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def __init__(
        self,
        x_factor: Factor = 0.0,
        y_factor: Factor = 0.0,
        interpolation: str = "bilinear",
        fill_mode: str = "reflect",
        fill_value: float = 0.0,
        data_format: str | None = None,
        seed: Any = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(interpolation, fill_mode, fill_value, seed, data_format, **options)
        self.x_factor = self._shear_range(x_factor, "x_factor")
        self.y_factor = self._shear_range(y_factor, "y_factor")

    def _shear_range(self, factor: Any, name: str) -> tuple[float, float]:
        if isinstance(factor, list | tuple) and len(factor) == 2 and factor[0] == -factor[1]:
            factor = factor[1]  # what Keras writes for a number
        low, high = _within(factor, self.factor_bounds, name)
        return (-high, high) if isinstance(factor, int | float) else (low, high)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Transformation:
        """``shear_factor``, ``[N, 2]``: s and t."""
        if not training:
            return None
        stream = self.stream(self.pictures(data).device, seed)
        inverted = self._uniform_column(data, 0.0, 1.0, stream) > 0.5
        down = self._uniform_column(data, *self.y_factor, stream)
        right = self._uniform_column(data, *self.x_factor, stream)
        shear = torch.cat([right, down], 1)
        return {"shear_factor": torch.where(inverted, -shear, shear)}

    def _matrix(self, images: Tensor, transformation: Transformation) -> Tensor:
        right, down = transformation["shear_factor"].to(torch.float32).unbind(1)
        one, none = torch.ones_like(right), torch.zeros_like(right)
        return torch.stack((one, right, none, down, one, none, none, none), 1)

    def get_config(self) -> dict[str, Any]:
        """As Keras's, with a number where one was given: Keras refuses the negative half of the pair that it writes."""
        config = super().get_config()
        for name in ("x_factor", "y_factor"):
            low, high = config[name]
            config[name] = high if low == -high else [low, high]
        return config


def _within(factor: Any, bounds: tuple[float, float], name: str) -> tuple[float, float]:
    """The range that a factor means, with both its ends within the bounds.   Raises: ConfigError."""
    low, high = factor_range(factor, bounds, name)
    if low < bounds[0] or high > bounds[1]:
        raise ConfigError(f"{name} must be a number, or a pair of numbers, within {list(bounds)}; got {factor!r}")
    return low, high
