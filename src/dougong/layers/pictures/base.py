"""What every layer that changes pictures shares: how data come in, who acts when, and where random numbers come from.

Shapes: N batch, H height, W width, C channels; ``channels_last`` is ``[N, H, W, C]``, a single picture has no N.
Ref: Keras 3, ``BaseImagePreprocessingLayer``.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, Self, Unpack

import torch
from torch import Tensor
from torch.utils.data import get_worker_info

from dougong.core.arithmetic import DataFormat, data_format_of
from dougong.core.errors import ConfigError, UnknownNameError
from dougong.core.symbol import Symbol
from dougong.layers.layer import FORWARD_PASS, LayerOptions
from dougong.layers.regularization import RandomLayer
from dougong.ops.op import tensor
from dougong.ops.seed_generator import SeedGenerator, generator_of

__all__ = ["PictureLayer", "PictureSizes", "check_name", "factor_range", "number_pair"]

Factor = float | Sequence[float]  # a number, or the two ends of a range
Transformation = Any  # what a layer draws for one batch: None, a tuple or a dict of tensors


class PictureSizes(NamedTuple):
    """How many pictures, and how large."""

    batch: int
    height: int
    width: int
    channels: int


class PictureLayer(RandomLayer):
    """A layer on pictures.  Subclasses write `transform_images`, and `get_random_transformation` where they draw.

    Data are ``[N, H, W, C]`` or one ``[H, W, C]``, whole or floating numbers, or a dict with ``images`` and, if wanted,
    ``labels`` and ``segmentation_masks``, which go through the same transformation; other keys pass unchanged.

    Called alone such a layer acts, as Keras's does.  Under ``fit`` it acts, under ``evaluate`` and ``predict`` it does
    not; ``training=…``, ``.train()`` and ``.eval()`` say it outright.
    Random numbers are drawn on the pictures' device.  With a ``seed`` a layer has a stream of its own; each worker of a
    ``DataLoader`` then has one that depends on the seed, the worker and the epoch.
    Raises: ConfigError for ``bounding_boxes``.   Keras: the contract of ``BaseImagePreprocessingLayer``.

    >>> class Negative(PictureLayer):
    ...     def transform_images(self, images, transformation, training=True):
    ...         return 255 - images if training else images
    >>> Negative()(torch.zeros(2, 2, 1)).flatten().tolist()
    [255.0, 255.0, 255.0, 255.0]
    """

    factor_bounds: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    _told: bool = False  # whether .train() or .eval() chose the mode

    def __init__(
        self,
        seed: Any = None,
        data_format: str | None = None,
        bounding_box_format: str | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(seed, **options)
        if bounding_box_format is not None:
            raise ConfigError(_NO_BOXES.format(type(self).__name__))
        self.data_format: DataFormat = data_format_of(data_format)
        if self._takes_seed():
            self.reserve_seed()

    def _takes_seed(self) -> bool:
        return "seed" in inspect.signature(type(self).__init__).parameters

    # ── What subclasses write ───────────────────────────────────────────────────────────────────────────────────────

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Transformation:
        """What is to be done to each picture of ``data``; None where nothing is drawn.

        ``seed``, an int or a generator, replaces the layer's own stream for this draw.
        """
        return None

    def transform_images(self, images: Tensor, transformation: Transformation, training: bool = True) -> Tensor:
        """The pictures ``[N, H, W, C]`` (or ``[N, C, H, W]``) after ``transformation``."""
        raise ConfigError(f"{type(self).__name__} has no transform_images(self, images, transformation): write one")

    def transform_labels(self, labels: Tensor, transformation: Transformation, training: bool = True) -> Tensor:
        """The labels after ``transformation``: as they were, unless a subclass mixes pictures."""
        return labels

    def transform_segmentation_masks(
        self, segmentation_masks: Tensor, transformation: Transformation, training: bool = True
    ) -> Tensor:
        """The masks after ``transformation``: as they were, unless a subclass moves pixels."""
        return segmentation_masks

    # ── Calling ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def call(self, data: Any, training: bool = True) -> Any:
        if not isinstance(data, Mapping):
            return self._transformed({"images": data}, training)["images"]
        self._refuse_boxes(data)
        return self._transformed(data, training)

    def _transformed(self, data: Mapping[str, Any], training: bool) -> dict[str, Any]:
        """Every part of ``data`` after one transformation; a single picture is a batch of one on the way."""
        transforms = {
            "images": self.transform_images,
            "labels": self.transform_labels,
            "segmentation_masks": self.transform_segmentation_masks,
        }
        given = {key: self._taken(data[key]) for key in transforms if key in data}
        single = given["images"].ndim == 3
        if single:
            given = {key: value[None] for key, value in given.items()}
        drawn = self.get_random_transformation(given, training=training)
        done = {key: transforms[key](value, drawn, training=training) for key, value in given.items()}
        return {**data, **({key: value[0] for key, value in done.items()} if single else done)}

    def _refuse_boxes(self, data: Mapping[str, Any]) -> None:
        if "bounding_boxes" in data:
            raise ConfigError(_NO_BOXES.format(f"{type(self).__name__} {self.name!r}"))

    def _taken(self, value: Any) -> Tensor:
        """A tensor as Keras hands it on: floating numbers in the layer's dtype, others as they are."""
        taken = tensor(value)
        wanted = self.dtype_policy.weights
        return taken.to(wanted) if taken.is_floating_point() and wanted.is_floating_point else taken

    def as_float(self, images: Tensor) -> Tensor:
        """The pictures in the layer's dtype, which is what most layers give."""
        return images.to(self.dtype_policy.weights)

    # ── Who acts when ───────────────────────────────────────────────────────────────────────────────────────────────

    def train(self, mode: bool = True) -> Self:
        if FORWARD_PASS.training is None:
            self._told = True
        return super().train(mode)

    def is_training(self) -> bool:
        """What the caller said, else what .train() or .eval() chose, else True."""
        if FORWARD_PASS.training is None:
            return self.training if self._told else True
        return FORWARD_PASS.training

    # ── Random numbers ──────────────────────────────────────────────────────────────────────────────────────────────

    def generator(self, device: torch.device) -> torch.Generator | None:
        worker = None if self.seed is None or device.type == "meta" else get_worker_info()
        if worker is None:
            return None if device.type == "meta" else super().generator(device)
        if worker.seed != self.__dict__.get("_worker_seed"):  # another worker, or the same in another epoch
            self._worker_seed, self._generators = worker.seed, {}
        if device not in self._generators:
            own: Any = int(self.seed.state.sum()) if isinstance(self.seed, SeedGenerator) else self.seed
            self._generators[device] = torch.Generator(device).manual_seed((own + worker.seed) % 2**63)
        return self._generators[device]

    def uniform(
        self,
        shape: Sequence[int],
        low: float = 0.0,
        high: float = 1.0,
        *,
        on: Tensor,
        seed: Any = None,
        dtype: torch.dtype = torch.float32,
    ) -> Tensor:
        """Even draws from ``[low, high)``, on the device of ``on``, from ``seed`` or the layer's own stream."""
        return _empty(shape, on, dtype).uniform_(low, high, generator=self.stream(on.device, seed))

    def normal(self, shape: Sequence[int], *, on: Tensor, seed: Any = None) -> Tensor:
        """Draws from N(0, 1), on the device of ``on``, from ``seed`` or the layer's own stream."""
        return _empty(shape, on, torch.float32).normal_(generator=self.stream(on.device, seed))

    def stream(self, device: torch.device, seed: Any = None) -> torch.Generator | None:
        """The generator that a draw takes: ``seed``'s, the layer's own, or None for torch's."""
        return self.generator(device) if seed is None else generator_of(seed, device)

    # ── Shapes and config ───────────────────────────────────────────────────────────────────────────────────────────

    @property
    def height_axis(self) -> int:
        return -3 if self.data_format == "channels_last" else -2

    @property
    def width_axis(self) -> int:
        return self.height_axis + 1

    @property
    def channel_axis(self) -> int:
        return -1 if self.data_format == "channels_last" else -3

    def sizes(self, data: Any) -> PictureSizes:
        """The sizes of the pictures in ``data``, a tensor or a dict; a single picture counts as a batch of one."""
        shape = self.pictures(data).shape
        batch = shape[0] if len(shape) == 4 else 1
        return PictureSizes(batch, shape[self.height_axis], shape[self.width_axis], shape[self.channel_axis])

    @staticmethod
    def pictures(data: Any) -> Tensor:
        """The pictures of ``data``, a tensor or a dict."""
        return tensor(data["images"] if isinstance(data, Mapping) else data)

    def output_dtype(self, dtype: torch.dtype) -> torch.dtype:
        """The dtype of what becomes of pictures of ``dtype``."""
        return self.dtype_policy.weights

    def mask_dtype(self, dtype: torch.dtype) -> torch.dtype:
        """The dtype of what becomes of segmentation masks of ``dtype``."""
        return self.dtype_policy.weights if dtype.is_floating_point else dtype

    def label_spec(self, labels: Symbol) -> Symbol:
        """What becomes of symbolic labels."""
        return Symbol(labels.shape, labels.dtype, name="value")

    def compute_output_spec(self, data: Any, training: Any = None) -> Any:
        if isinstance(data, Symbol):
            return Symbol(self.compute_output_shape(data.shape), self.output_dtype(data.dtype), name="value")
        self._refuse_boxes(data)
        found = dict(data)
        for key, value in data.items():
            if key == "images":
                found[key] = self.compute_output_spec(value)
            elif key == "segmentation_masks":
                shape = self.compute_output_shape(value.shape)
                found[key] = Symbol(shape, self.mask_dtype(value.dtype), name="value")
            elif isinstance(value, Symbol):
                found[key] = self.label_spec(value) if key == "labels" else Symbol(value.shape, value.dtype)
        return found

    def input_problem(self, shape: Any) -> str | None:
        shape = shape.get("images") if isinstance(shape, Mapping) else shape
        if not isinstance(shape, tuple) or len(shape) in (3, 4):
            return None
        order = "height, width, channels" if self.data_format == "channels_last" else "channels, height, width"
        return (
            f"takes pictures with axes ({order}), or (batch, {order}), but received shape {tuple(shape)}; reshape them."
        )

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.pop("bounding_box_format", None)
        if not self._takes_seed():
            config.pop("seed", None)
        return config


_NO_BOXES = (
    "{} was given bounding boxes, which Dougong does not carry through augmentation: leave bounding_box_format and the"
    " key 'bounding_boxes' out, and transform the boxes' corners yourself with what get_random_transformation() returns"
)


def number_pair(value: Any, name: str) -> tuple[float, float]:
    """Two numbers, the smaller first.   Raises: ConfigError naming the argument.

    >>> number_pair([255, 0], "value_range")
    (0, 255)
    """
    if not isinstance(value, list | tuple) or len(value) != 2 or not all(map(_is_number, value)):
        raise ConfigError(f"{name} must be two numbers, (low, high); got {value!r}")
    low, high = sorted(value)
    return low, high


def factor_range(factor: Any, bounds: tuple[float, float], name: str = "factor") -> tuple[float, float]:
    """The range that a factor means: a number f stands for (-f, f), cut at the lower bound; a pair for itself, sorted.

    Raises: ConfigError for a number outside the bounds, or a range that does not meet them.

    >>> factor_range(0.2, (-1, 1)), factor_range(0.2, (0, 1)), factor_range((0.5, 0.1), (0, 1))
    ((-0.2, 0.2), (0, 0.2), (0.1, 0.5))
    """
    low, high = bounds
    if _is_number(factor) and low <= factor <= high:
        return max(-abs(factor), low), abs(factor)
    pair = isinstance(factor, list | tuple) and len(factor) == 2 and all(map(_is_number, factor))
    if pair and factor[0] <= high and factor[1] >= low:
        return min(factor), max(factor)
    raise ConfigError(f"{name} must be a number, or a pair of numbers, within [{low}, {high}]; got {factor!r}")


def check_name(value: str, allowed: Sequence[str], kind: str) -> str:
    """``value``, if it is one of ``allowed``.   Raises: UnknownNameError listing near names."""
    if value not in allowed:
        raise UnknownNameError(kind, value, allowed)
    return value


def _empty(shape: Sequence[int], on: Tensor, dtype: torch.dtype) -> Tensor:
    return torch.empty(tuple(shape), device=on.device, dtype=dtype)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
