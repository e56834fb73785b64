"""One picture between files, Pillow's objects and arrays.   Letters: H height, W width, C channels."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from dougong.core.arithmetic import data_format_of
from dougong.core.dtypes import dtype_name, torch_dtype
from dougong.core.errors import ConfigError, DataError, ShapeError, UnknownNameError
from dougong.ops.resizing import resize

__all__ = ["array_to_img", "img_to_array", "load_img", "save_img", "smart_resize"]

_COLOR_MODES = {"grayscale": "L", "rgb": "RGB", "rgba": "RGBA"}
_GREY = ("L", "I;16", "I")  # kept as they are where grey is wanted, with the depth they have
_INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "hamming", "box", "lanczos")


def load_img(
    path: str | bytes | os.PathLike[str] | io.BytesIO,
    color_mode: str = "rgb",
    target_size: Sequence[int] | None = None,
    interpolation: str = "nearest",
    keep_aspect_ratio: bool = False,
) -> Any:
    """A picture file, or bytes of one, as a `PIL.Image.Image`.

    ``target_size`` is (height, width); with ``keep_aspect_ratio`` the largest window of its proportions is cut from the
    middle first.  ``interpolation`` is one of Pillow's: nearest, bilinear, bicubic, hamming, box, lanczos.
    Raises: DataError for a file that is missing or no picture, naming it; UnknownNameError.
    Keras: equals ``keras.utils.load_img``; sixteen bits become eight by scaling where colours are asked for.
    """
    if color_mode not in _COLOR_MODES:
        raise UnknownNameError("color_mode", color_mode, _COLOR_MODES)
    picture = _opened(path)
    wanted = _COLOR_MODES[color_mode]
    if picture.mode != wanted and not (wanted == "L" and picture.mode in _GREY):
        picture = _in_eight_bits(picture).convert(wanted)
    if target_size is None:
        return picture
    from PIL import Image  # lazy: 0.15 s that only pictures need

    height, width = target_size
    if picture.size == (width, height):
        return picture
    if interpolation not in _INTERPOLATIONS:
        raise UnknownNameError("interpolation", interpolation, _INTERPOLATIONS)
    box = _window(picture.size, (width, height)) if keep_aspect_ratio else None
    return picture.resize((width, height), Image.Resampling[interpolation.upper()], box=box)


def _opened(path: Any) -> Any:
    from PIL import Image  # lazy: as above

    if not isinstance(path, str | bytes | os.PathLike | io.BytesIO):
        raise DataError(f"load_img takes a path or io.BytesIO, got a {type(path).__name__}")
    name = "the bytes given" if isinstance(path, io.BytesIO) else os.fsdecode(path)
    try:
        picture = Image.open(path if isinstance(path, io.BytesIO) else io.BytesIO(Path(name).read_bytes()))
        picture.load()
    except (FileNotFoundError, IsADirectoryError) as error:
        raise DataError(f"{name}: there is no such picture ({error.strerror})") from None
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise DataError(f"{name} cannot be read as a picture ({error}); open and save it anew") from error
    return picture


def _in_eight_bits(picture: Any) -> Any:
    from PIL import Image  # lazy: as above

    if not picture.mode.startswith("I"):
        return picture
    return Image.fromarray(np.clip(np.asarray(picture).astype(np.int64) >> 8, 0, 255).astype(np.uint8))


def _window(size: tuple[int, int], wanted: tuple[int, int]) -> tuple[int, int, int, int]:
    """The largest box in the middle of a picture of ``size``, (width, height), with the proportions of ``wanted``."""
    (width, height), (new_width, new_height) = size, wanted
    cut_height = min(height, width * new_height // new_width)
    cut_width = min(width, height * new_width // new_height)
    left, top = (width - cut_width) // 2, (height - cut_height) // 2
    return left, top, left + cut_width, top + cut_height


def img_to_array(img: Any, data_format: str | None = None, dtype: Any = None) -> np.ndarray:
    """A Pillow picture as an array ``[H, W, C]`` (``channels_first``: ``[C, H, W]``) of ``dtype``, by default float32.

    Raises: ShapeError for what has neither two nor three axes.   Keras: equals ``keras.utils.img_to_array``.
    """
    first = data_format_of(data_format) == "channels_first"
    array = np.asarray(img, dtype=dtype or dtype_name(torch_dtype(None)))
    if array.ndim == 2:
        return array[None] if first else array[:, :, None]
    if array.ndim != 3:
        raise ShapeError(f"a picture has two or three axes, got shape {array.shape}")
    return array.transpose(2, 0, 1) if first else array


def array_to_img(x: Any, data_format: str | None = None, scale: bool = True, dtype: Any = None) -> Any:
    """An array ``[H, W, C]`` of 1, 3 or 4 channels as a `PIL.Image.Image`; ``scale`` spreads it over 0 to 255 first.

    Raises: ShapeError.   Keras: equals ``keras.utils.array_to_img``.

    >>> array_to_img(np.zeros((2, 3, 1))).size
    (3, 2)
    """
    from PIL import Image  # lazy: 0.15 s that only pictures need

    array = np.asarray(x.detach().cpu() if isinstance(x, Tensor) else x, dtype=dtype or dtype_name(torch_dtype(None)))
    if array.ndim != 3:
        raise ShapeError(f"array_to_img takes one picture of three axes, got shape {array.shape}; index a batch: x[0]")
    if data_format_of(data_format) == "channels_first":
        array = array.transpose(1, 2, 0)
    if scale:
        array = array - array.min()
        largest = array.max()
        array = (array / largest if largest else array) * 255
    channels = array.shape[2]
    if channels in (3, 4):
        return Image.fromarray(array.astype("uint8"))
    if channels == 1:
        return Image.fromarray(array[:, :, 0].astype("int32" if array.max() > 255 else "uint8"))
    raise ShapeError(f"a picture has 1, 3 or 4 channels, got shape {array.shape}")


def save_img(
    path: str | os.PathLike[str] | io.BytesIO,
    x: Any,
    data_format: str | None = None,
    file_format: str | None = None,
    scale: bool = True,
    **kwargs: Any,
) -> None:
    """Write an array as a picture file; its ending, or ``file_format``, says of which kind.  JPEG drops transparency.

    ``kwargs`` go to `PIL.Image.Image.save`.   Raises: ShapeError, ConfigError for an unknown kind.
    Keras: equals ``keras.utils.save_img``.
    """
    if file_format is None and isinstance(path, str | os.PathLike):
        file_format = Path(path).suffix[1:].lower()
    kind = "jpeg" if (file_format or "").lower() == "jpg" else file_format or None
    picture = array_to_img(x, data_format=data_format, scale=scale)
    if picture.mode == "RGBA" and kind == "jpeg":
        warnings.warn("JPEG holds no transparency: it is left out; use PNG to keep it", stacklevel=2)
        picture = picture.convert("RGB")
    try:
        picture.save(path, format=kind, **kwargs)
    except (KeyError, ValueError) as error:
        raise ConfigError(f"no picture can be written as {file_format!r} ({error}); use png, jpg or bmp") from error


def smart_resize(
    x: Any, size: Sequence[int], interpolation: str = "bilinear", data_format: str = "channels_last"
) -> Any:
    """Pictures brought to ``size``, (height, width), by cutting the largest window of its proportions from the middle.

    Shapes: ``[H, W, C]`` or ``[N, H, W, C]``.  An array gives an array, a tensor a tensor.
    Keras: equals ``keras.preprocessing.image.smart_resize`` on torch.
    """
    made = resize(x, tuple(size), interpolation, crop_to_aspect_ratio=True, data_format=data_format)
    return made.cpu().numpy() if isinstance(x, np.ndarray) else made
