"""Boxes and masks drawn into pictures.   Letters: N pictures, H height, W width, C channels, K boxes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from dougong.core.arithmetic import data_format_of
from dougong.core.errors import ConfigError, DataError, ShapeError
from dougong.ops.bounding_boxes import convert_format

__all__ = ["as_numpy", "draw_bounding_boxes", "draw_segmentation_masks", "last_axis_channels"]

_LETTERS = 20  # pixels that text of font_scale 1 is high
_PALETTE = np.array([2**25 - 1, 2**15 - 1, 2**21 - 1])  # Keras's colours: multiples of these, modulo 255


def as_numpy(value: Any) -> np.ndarray:
    """A NumPy array of a tensor, or of anything array-like."""
    return value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)


def last_axis_channels(images: Any, data_format: str | None, what: str = "images") -> np.ndarray:
    """A batch of pictures as ``[N, H, W, C]``.   Raises: ShapeError."""
    array = as_numpy(images)
    if array.ndim != 4:
        raise ShapeError(f"{what} must be a batch [N, H, W, C], got shape {array.shape}; one picture: {what}[None]")
    return array.transpose(0, 2, 3, 1) if data_format_of(data_format) == "channels_first" else array


def draw_bounding_boxes(
    images: Any,
    bounding_boxes: Mapping[str, Any],
    bounding_box_format: str,
    class_mapping: Mapping[int, str] | None = None,
    color: Sequence[int] = (128, 128, 128),
    line_thickness: int = 2,
    text_thickness: int = 1,
    font_scale: float = 1.0,
    data_format: str | None = None,
) -> np.ndarray:
    """Pictures with frames, and above each its class's name from ``class_mapping`` and its confidence.

    ``bounding_boxes`` holds ``"boxes"`` ``[N, K, 4]``, ``"labels"`` ``[N, K]`` (-1: no box) and, maybe,
    ``"confidences"`` ``[N, K]``.  Pictures of floats up to 1 are taken as parts of 255.
    Shapes: ``[N, H, W, C] -> [N, H, W, C]`` uint8.   Raises: ShapeError, DataError.
    Keras: as ``keras.visualization.draw_bounding_boxes``, drawn by Pillow instead of OpenCV: letters look different.
    """
    if not isinstance(bounding_boxes, Mapping) or not {"boxes", "labels"} <= set(bounding_boxes):
        raise DataError("bounding_boxes must be a dict with 'boxes' and 'labels'")
    pictures = _as_bytes(last_axis_channels(images, data_format))
    height, width = pictures.shape[1:3]
    frames = as_numpy(convert_format(bounding_boxes["boxes"], bounding_box_format, "xyxy", height, width))
    labels, confidences = as_numpy(bounding_boxes["labels"]), bounding_boxes.get("confidences")
    sure = None if confidences is None else as_numpy(confidences)
    for number, picture in enumerate(pictures):
        texts = []
        for label, confidence in zip(labels[number], labels[number] if sure is None else sure[number]):
            name = (class_mapping or {}).get(int(label), "")
            texts.append(name if sure is None or not name else f"{name} | {confidence:.2f}")
        shown = [(frame, text) for frame, label, text in zip(frames[number], labels[number], texts) if int(label) != -1]
        _draw(picture, shown, tuple(color), line_thickness, text_thickness or line_thickness, font_scale)
    return pictures.transpose(0, 3, 1, 2) if data_format_of(data_format) == "channels_first" else pictures


def _as_bytes(pictures: np.ndarray) -> np.ndarray:
    if pictures.dtype.kind == "f" and pictures.size:
        pictures = np.clip(pictures, 0, 1) * 255 if pictures.max() <= 1 else np.clip(pictures, 0, 255)
    return pictures.astype("uint8")  # a copy, to be drawn into


def _draw(
    picture: np.ndarray,
    shown: Sequence[tuple[np.ndarray, str]],
    color: tuple[int, ...],
    thickness: int,
    text_thickness: int,
    font_scale: float,
) -> None:
    """Draw frames and texts into one picture ``[H, W, C]``, in place."""
    from PIL import Image, ImageDraw, ImageFont  # lazy: 0.15 s that only pictures need

    channels = picture.shape[2]
    canvas = Image.fromarray(picture[:, :, 0] if channels == 1 else picture)
    ink = color[0] if channels == 1 else (*color[:3], 255)[:channels]
    brush, font = ImageDraw.Draw(canvas), ImageFont.load_default(max(6.0, _LETTERS * font_scale))
    for frame, text in shown:
        left, top, right, bottom = (int(x) for x in frame)
        around = thickness // 2  # a line's middle stands on the box
        if right >= left and bottom >= top:
            corners = (left - around, top - around, right + around, bottom + around)
            brush.rectangle(corners, outline=ink, width=max(1, thickness))
        if text:
            high = int(_LETTERS * font_scale)
            place = (left, top - 6 - high) if top - 8 > high else (left + 3, top + text_thickness + 3)
            brush.text(
                place,
                text,
                fill=ink,
                font=font,
                stroke_width=max(0, text_thickness - 1) * font_scale / 2,
                stroke_fill=ink,
            )
    picture[...] = np.asarray(canvas).reshape(picture.shape)


def draw_segmentation_masks(
    images: Any,
    segmentation_masks: Any,
    num_classes: int | None = None,
    color_mapping: Mapping[int, Sequence[int]] | None = None,
    alpha: float = 0.8,
    blend: bool = True,
    ignore_index: int = -1,
    data_format: str | None = None,
) -> np.ndarray:
    """Pictures with each class in its colour, which covers them by ``alpha``; pixels of ``ignore_index`` stay.

    Without ``color_mapping`` colours are Keras's, black for class 0.  Classes from ``num_classes`` on are not coloured.
    Shapes: ``[N, H, W, 3]``, ``[N, H, W]`` or ``[N, H, W, 1]`` -> ``[N, H, W, 3]`` uint8 (without ``blend`` float32).
    Raises: ShapeError; DataError unless masks are whole numbers.
    Keras: equals ``keras.visualization.draw_segmentation_masks``, but without ``num_classes`` the last class counts.
    """
    pictures = last_axis_channels(images, data_format).astype("float32")
    masks = as_numpy(segmentation_masks)
    if masks.ndim == 4:
        masks = masks[:, 0] if data_format_of(data_format) == "channels_first" else masks[..., 0]
    if masks.dtype.kind not in "iu":
        raise DataError(f"masks hold class numbers, got {masks.dtype}; round them: masks.astype('int32')")
    if masks.shape != pictures.shape[:3]:
        raise ShapeError(f"masks of shape {masks.shape} do not fit pictures of shape {pictures.shape}")
    count = int(masks.max(initial=-1)) + 1 if num_classes is None else num_classes
    painted = pictures.copy()
    for number in range(count):
        painted[masks == number] = (number * _PALETTE) % 255 if color_mapping is None else _color(color_mapping, number)
    if not blend:
        return painted
    mixed = pictures * np.float32(1 - alpha) + painted * np.float32(alpha)
    return np.where((masks != ignore_index)[..., None], mixed, pictures).astype("uint8")


def _color(colors: Mapping[int, Sequence[int]], number: int) -> Sequence[int]:
    if number not in colors:
        raise ConfigError(f"color_mapping has no colour for class {number}; it has {sorted(colors)}")
    return colors[number]
