"""A folder of pictures as batches.   Shapes: N pictures, H height, W width, C channels."""

from __future__ import annotations

import os
import struct
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dougong.core.arithmetic import data_format_of
from dougong.core.errors import ConfigError, DataError, UnknownNameError
from dougong.data.batched_samples import threads_that_pay
from dougong.data.class_folders import FolderOptions, datasets_of
from dougong.ops.resizing import RESIZE_INTERPOLATIONS, resize

__all__ = ["image_dataset_from_directory", "read_pixels"]

_SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png")
_MODES = {"grayscale": "L", "rgb": "RGB", "rgba": "RGBA"}


def image_dataset_from_directory(
    directory: str | os.PathLike[str],
    labels: Any = "inferred",
    label_mode: str | None = "int",
    class_names: Sequence[str] | None = None,
    color_mode: str = "rgb",
    batch_size: int | None = 32,
    image_size: int | Sequence[int] = (256, 256),
    shuffle: bool = True,
    seed: int | None = None,
    validation_split: float | None = None,
    subset: str | None = None,
    interpolation: str = "bilinear",
    follow_links: bool = False,
    crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False,
    data_format: str | None = None,
    format: str = "tf",
    verbose: bool = True,
) -> Any:
    """Pictures (.bmp, .gif, .jpg, .png) in one folder a class as batches ``(pictures, labels)``; see `BatchedSamples`.

    ``pictures`` are float32 ``[N, H, W, C]``, 0 to 255, brought to ``image_size`` (height, width); ``labels`` are int32
    ``[N]`` (``label_mode="int"``), float32 ``[N, classes]`` ("categorical"), float32 ``[N, 1]`` ("binary"), or absent
    (None).  ``labels`` may be a list in the order of the paths instead.  ``validation_split`` with ``subset`` and
    ``seed`` gives disjoint parts; "both" gives a list of two.  ``class_names`` and ``file_paths`` are attributes.
    Pictures of sixteen bits are scaled to eight.  Of an animation the first picture is taken.
    Raises: DataError for a missing or empty folder, or a picture that cannot be read, naming it; ConfigError.
    Keras: files, labels and pixels equal ``keras.utils.image_dataset_from_directory`` on torch, the order of each pass
    apart; ``format`` ("tf", "grain") is accepted and changes nothing.
    """
    if color_mode not in _MODES:
        raise UnknownNameError("color_mode", color_mode, _MODES)
    size = (image_size, image_size) if isinstance(image_size, int) else tuple(image_size)
    if len(size) != 2 or not all(isinstance(length, int) and length > 0 for length in size):
        raise ConfigError(f"image_size must be (height, width), got {image_size!r}")
    if interpolation.lower() not in RESIZE_INTERPOLATIONS:
        raise UnknownNameError("interpolation", interpolation, RESIZE_INTERPOLATIONS)
    if crop_to_aspect_ratio and pad_to_aspect_ratio:
        raise ConfigError("give crop_to_aspect_ratio or pad_to_aspect_ratio, not both")
    check_format(format)
    last = data_format_of(data_format) == "channels_last"
    options = FolderOptions(
        "picture", _SUFFIXES, directory, labels, label_mode, class_names, batch_size, shuffle, seed, validation_split,
        subset, follow_links, verbose,
    )  # fmt: skip

    def read(path: str) -> Tensor:
        pixels = torch.from_numpy(read_pixels(path, color_mode)).float()
        return resize(
            pixels if last else pixels.permute(2, 0, 1), size, interpolation.lower(),
            crop_to_aspect_ratio=crop_to_aspect_ratio, pad_to_aspect_ratio=pad_to_aspect_ratio,
            data_format="channels_last" if last else "channels_first",
        )  # fmt: skip

    return datasets_of(options, lambda paths: torch.stack([read(path) for path in paths]), threads_that_pay())


def check_format(format: str) -> None:
    """Keras's ``format`` names the framework of the data set: "tf" or "grain".   Raises: UnknownNameError."""
    if format not in ("tf", "grain"):
        raise UnknownNameError("format", format, ("tf", "grain"))


def read_pixels(path: str | os.PathLike[str], color_mode: str = "rgb") -> np.ndarray:
    """The pixels of a picture file.   Shape: ``[H, W, C]`` uint8.   Raises: DataError naming the file."""
    from PIL import Image  # lazy: 0.15 s that only pictures need

    bombs = (Image.DecompressionBombError, Image.DecompressionBombWarning)
    try:
        with warnings.catch_warnings(), Image.open(path) as picture:
            warnings.simplefilter("ignore")  # what Pillow says of damaged metadata: the pixels are what counts
            mode = _MODES[color_mode]
            if picture.mode.startswith("I") or picture.mode == "F":  # sixteen bits: convert would cut off, not scale
                high = np.asarray(picture).astype(np.int64) >> 8
                converted = Image.fromarray(np.clip(high, 0, 255).astype(np.uint8)).convert(mode)
            else:
                converted = picture if picture.mode == mode else picture.convert(mode)
            pixels = np.array(converted)
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such picture any more; list the folder again") from None
    except (OSError, ValueError, SyntaxError, EOFError, IndexError, TypeError, struct.error, *bombs) as error:
        raise DataError(f"{path} cannot be read as a picture ({error}); replace or delete it") from error
    return pixels[:, :, None] if pixels.ndim == 2 else pixels
