"""Boxes around objects: formats, sizes, overlaps, and their offsets from anchors.

Letters: B pictures, N boxes; a box is four numbers.   Source: Keras 3 semantics.
Formats, in upper or lower case: ``xyxy`` (left, top, right, bottom), ``yxyx``, ``xywh`` (left, top, width, height),
``center_xywh``, ``center_yxhw``, and all but the last as ``rel_…``: parts of the picture's width and height.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from dougong.core.dtypes import torch_dtype
from dougong.core.errors import ConfigError, ShapeError, UnknownNameError
from dougong.core.settings import SETTINGS
from dougong.ops.op import floating, tensor

__all__ = [
    "affine_transform",
    "clip_to_image_size",
    "compute_ciou",
    "compute_iou",
    "convert_format",
    "crop",
    "decode_deltas_to_boxes",
    "encode_box_to_deltas",
    "pad",
]

_ABSOLUTE = ("xyxy", "yxyx", "xywh", "center_xywh", "center_yxhw")
_FORMATS = (*_ABSOLUTE, *(f"rel_{name}" for name in _ABSOLUTE[:-1]))
_ENCODINGS = ("center_xywh", "center_yxhw")


def convert_format(
    boxes: Any, source: str, target: str, height: Any = None, width: Any = None, dtype: Any = "float32"
) -> Any:
    """Boxes in another format; of a dict, its ``"boxes"``.  ``height`` and ``width`` are the picture's.

    Shapes: ``[..., 4] -> [..., 4]``.   Raises: UnknownNameError; ShapeError; ConfigError where the size is needed.
    Keras: equals ``keras.utils.bounding_boxes.convert_format``, but a dict that is given stays as it is.

    >>> convert_format([[10.0, 20.0, 30.0, 60.0]], "xyxy", "center_xywh")
    tensor([[20., 40., 20., 40.]])
    """
    if isinstance(boxes, Mapping):
        return {**boxes, "boxes": convert_format(boxes["boxes"], source, target, height, width, dtype)}
    source, target = source.lower(), target.lower()
    for name in (source, target):
        if name not in _FORMATS:
            raise UnknownNameError("format of boxes", name, _FORMATS)
    found = tensor(boxes, dtype)
    if found.shape[-1:] != (4,):
        raise ShapeError(f"a box is four numbers along the last axis; received shape {tuple(found.shape)}")
    relative = source.startswith("rel_"), target.startswith("rel_")
    if any(relative) and (height is None or width is None):
        raise ConfigError(f"from {source!r} to {target!r} takes the picture's size: give height= and width=")
    if source == target:
        return found
    corners = _corners(found, source.removeprefix("rel_"))
    if relative[0] is not relative[1]:
        kind = torch_dtype(dtype)
        size = torch.stack([tensor(width, kind), tensor(height, kind)] * 2, -1).to(found.device)
        corners = corners * size if relative[0] else corners / size
    return _from_corners(corners, target.removeprefix("rel_"))


def _corners(boxes: Tensor, name: str) -> Tensor:
    """Any absolute format as ``xyxy``."""
    a, b, c, d = boxes.unbind(-1)
    if name == "yxyx":
        return torch.stack([b, a, d, c], -1)
    if name == "xywh":
        return torch.stack([a, b, a + c, b + d], -1)
    if name == "center_yxhw":
        a, b, c, d = b, a, d, c
    elif name == "xyxy":
        return boxes
    return torch.stack([a - c / 2, b - d / 2, a + c / 2, b + d / 2], -1)


def _from_corners(corners: Tensor, name: str) -> Tensor:
    left, top, right, bottom = corners.unbind(-1)
    if name == "xyxy":
        return corners
    if name == "yxyx":
        return torch.stack([top, left, bottom, right], -1)
    width, height = right - left, bottom - top
    if name == "xywh":
        return torch.stack([left, top, width, height], -1)
    x, y = left + width / 2, top + height / 2
    return torch.stack([x, y, width, height] if name == "center_xywh" else [y, x, height, width], -1)


def _only(name: str, *offered: str) -> None:
    if name not in offered:
        raise ConfigError(f"this takes boxes as {' or '.join(offered)}, got {name!r}; use convert_format first")


def clip_to_image_size(
    bounding_boxes: Mapping[str, Any], height: Any = None, width: Any = None, bounding_box_format: str = "xyxy"
) -> dict[str, Any]:
    """A dict of ``"boxes"`` and ``"labels"`` with boxes cut at the picture's edges; labels of empty ones become -1.

    Shapes: ``[..., N, 4]`` and ``[..., N]``.   Raises: ConfigError without the size.
    Keras: equals ``keras.utils.bounding_boxes.clip_to_image_size``.

    >>> clip_to_image_size({"boxes": [[-5.0, 2.0, 5.0, 9.0]], "labels": [3]}, height=4, width=4)
    {'boxes': tensor([[0., 2., 4., 4.]]), 'labels': tensor([3], dtype=torch.int32)}
    """
    _only(bounding_box_format, "xyxy", "rel_xyxy")
    if bounding_box_format == "rel_xyxy":
        height = width = 1
    if height is None or width is None:
        raise ConfigError("boxes in pixels are clipped to the picture's size: give height= and width=")
    boxes = _clipped(tensor(bounding_boxes["boxes"]), height, width)
    result = {**bounding_boxes, "boxes": boxes}
    if bounding_boxes.get("labels") is not None:
        labels = tensor(bounding_boxes["labels"])
        result["labels"] = torch.where(_area(boxes) > 0, labels, torch.full_like(labels, -1))
    return result


def _clipped(boxes: Tensor, height: Any, width: Any) -> Tensor:
    left, top, right, bottom = boxes.unbind(-1)
    high, wide = (tensor(size).to(boxes) for size in (height, width))
    zero = torch.zeros_like(high)
    return torch.stack(
        [x.clamp(zero, limit) for x, limit in ((left, wide), (top, high), (right, wide), (bottom, high))], -1
    )


def _area(corners: Tensor) -> Tensor:
    left, top, right, bottom = corners.unbind(-1)
    return (right - left) * (bottom - top)


def crop(boxes: Any, top: Any, left: Any, height: Any, width: Any, bounding_box_format: str = "xyxy") -> Tensor:
    """Boxes as they stand in the part of the picture that begins at (top, left) and has this size.

    Shapes: ``[..., 4] -> [..., 4]``.   Keras: equals ``keras.utils.bounding_boxes.crop``.

    >>> crop([[10.0, 20.0, 50.0, 60.0]], top=10, left=20, height=40, width=30)
    tensor([[ 0., 10., 30., 40.]])
    """
    _only(bounding_box_format, "xyxy")
    return _clipped(tensor(boxes) - _offsets(boxes, left, top), height, width)


def pad(
    boxes: Any,
    top: Any,
    left: Any,
    height: Any = None,  # noqa: ARG001  Keras's argument, which it does not use either
    width: Any = None,  # noqa: ARG001  as above
    bounding_box_format: str = "xyxy",
) -> Tensor:
    """Boxes as they stand when ``top`` rows and ``left`` columns are added before the picture.

    Shapes: ``[..., 4] -> [..., 4]``.   Keras: equals ``keras.utils.bounding_boxes.pad``, which needs no size either.

    >>> pad([[1, 2, 3, 4]], top=10, left=20)
    tensor([[21, 12, 23, 14]], dtype=torch.int32)
    """
    _only(bounding_box_format, "xyxy")
    return tensor(boxes) + _offsets(boxes, left, top)


def _offsets(boxes: Any, left: Any, top: Any) -> Tensor:
    pair = [tensor(left), tensor(top)]
    made = torch.stack(torch.broadcast_tensors(*pair, *pair), -1)
    return made.to(tensor(boxes).device)


def affine_transform(
    boxes: Any,
    angle: Any,
    translate_x: Any,
    translate_y: Any,
    scale: Any,
    shear_x: Any,
    shear_y: Any,
    height: Any,
    width: Any,
    center_x: Any = None,
    center_y: Any = None,
    bounding_box_format: str = "xyxy",
) -> Tensor:
    """The upright boxes around boxes that were turned, moved, scaled and sheared, one set of numbers for each picture.

    Angles in degrees; shifts and the centre, by default the middle, as parts of the picture's size.
    Shapes: ``[B, N, 4]``, numbers ``[B]`` -> ``[B, N, 4]``.
    Keras: equals ``keras.utils.bounding_boxes.affine_transform``.
    """
    _only(bounding_box_format, "xyxy")
    angles = -torch.deg2rad(floating(angle))
    middle_x = (0.5 if center_x is None else center_x) * (width - 1)
    middle_y = (0.5 if center_y is None else center_y) * (height - 1)
    from_x = middle_x - floating(translate_x) * (width - 1)
    from_y = middle_y - floating(translate_y) * (height - 1)
    lean_x, lean_y = (-torch.deg2rad(floating(shear)) for shear in (shear_x, shear_y))
    # Rotation and shear with determinant 1; its inverse needs no division.
    a = torch.cos(angles - lean_y) / torch.cos(lean_y)
    b = a * torch.tan(lean_x) + torch.sin(angles)
    c = -torch.sin(angles - lean_y) / torch.cos(lean_y)
    d = torch.cos(angles) - c * torch.tan(lean_x)
    factor = floating(scale)
    xx, xy, yx, yy = d * factor, -b * factor, -c * factor, a * factor
    shift_x = middle_x - xx * from_x - xy * from_y
    shift_y = middle_y - yx * from_x - yy * from_y
    left, top, right, bottom = tensor(boxes).to(angles.dtype).unbind(-1)
    x, y = torch.stack([left, right, right, left], -1), torch.stack([top, top, bottom, bottom], -1)
    new_x, new_y = (
        one[:, None, None] * x + other[:, None, None] * y + shift[:, None, None]
        for one, other, shift in ((xx, xy, shift_x), (yx, yy, shift_y))
    )
    return torch.stack([new_x.amin(-1), new_y.amin(-1), new_x.amax(-1), new_y.amax(-1)], -1)


# ── Overlaps ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _as_corners(boxes: Any, name: str, image_shape: Sequence[int] | None) -> Tensor:
    if name.lower().startswith("rel") and image_shape is None:
        raise ConfigError(f"boxes as {name!r} need the picture's size: give image_shape=(height, width, channels)")
    height, width = (None, None) if image_shape is None else image_shape[:2]
    return convert_format(boxes, name, "xyxy", height, width)


def compute_iou(
    boxes1: Any,
    boxes2: Any,
    bounding_box_format: str,
    use_masking: bool = False,
    mask_val: float = -1,
    image_shape: Sequence[int] | None = None,
) -> Tensor:
    r"""The overlap of every box with every other.

    .. math:: \text{IoU}(a, b) = \frac{|a \cap b|}{|a \cup b| + \epsilon}

    With ``use_masking``, pairs with a box of negative numbers only, as padding has, get ``mask_val``.
    Shapes: ``[N, 4], [M, 4] -> [N, M]``; either may have B in front.   Raises: ShapeError.
    Keras: equals ``keras.utils.bounding_boxes.compute_iou``.

    >>> compute_iou([[0.0, 0.0, 2.0, 2.0]], [[1.0, 0.0, 3.0, 2.0], [5.0, 5.0, 6.0, 6.0]], "xyxy")
    tensor([[0.3333, 0.0000]])
    """
    one, other = (_as_corners(boxes, bounding_box_format, image_shape) for boxes in (boxes1, boxes2))
    for boxes in (one, other):
        if boxes.ndim not in (2, 3):
            raise ShapeError(f"compute_iou takes boxes [N, 4] or [B, N, 4], received shape {tuple(boxes.shape)}")
    first, second = one[..., :, None, :], other[..., None, :, :]
    shared = _shared(first, second)
    found = shared / (_area(first) + _area(second) - shared + SETTINGS.epsilon)
    if not use_masking:
        return found
    padding = (first.amax(-1) < 0) | (second.amax(-1) < 0)
    return found.masked_fill(padding, mask_val)


def _shared(one: Tensor, other: Tensor) -> Tensor:
    """The area that two boxes share."""
    least, most = torch.maximum(one[..., :2], other[..., :2]), torch.minimum(one[..., 2:], other[..., 2:])
    return (most - least).clamp_min(0).prod(-1)


def compute_ciou(
    boxes1: Any, boxes2: Any, bounding_box_format: str, image_shape: Sequence[int] | None = None
) -> Tensor:
    r"""The complete overlap of boxes with their partners: IoU less the distance of centres and of proportions.

    .. math:: \text{IoU} - \frac{\rho^2}{c^2} - \alpha v, \qquad
              v = \frac{4}{\pi^2}\Big(\arctan\frac{w_2}{h_2} - \arctan\frac{w_1}{h_1}\Big)^2, \qquad
              \alpha = \frac{v}{1 - \text{IoU} + v}

    Shapes: ``[..., 4], [..., 4] -> [...]``.   Ref: Zheng et al. 2020, doi:10.1609/aaai.v34i07.6999.
    Keras: equals ``keras.utils.bounding_boxes.compute_ciou``, which refuses relative formats even with a size.

    >>> compute_ciou([[0.0, 0.0, 2.0, 2.0]], [[0.0, 0.0, 2.0, 2.0]], "xyxy").round(decimals=4)
    tensor([1.])
    """
    epsilon = SETTINGS.epsilon
    one, other = (_as_corners(boxes, bounding_box_format, image_shape) for boxes in (boxes1, boxes2))
    # Keras adds epsilon to heights, not to widths.
    (w1, h1), (w2, h2) = ((box[..., 2:] - box[..., :2]).unbind(-1) for box in (one, other))
    h1, h2 = h1 + epsilon, h2 + epsilon
    shared = _shared(one, other)
    overlap = shared / (w1 * h1 + w2 * h2 - shared + 2 * epsilon)
    around = torch.maximum(one[..., 2:], other[..., 2:]) - torch.minimum(one[..., :2], other[..., :2])
    apart = (one[..., 2:] + one[..., :2] - other[..., 2:] - other[..., :2]) / 2
    v = (4 / math.pi**2) * (torch.atan(w2 / h2) - torch.atan(w1 / h1)) ** 2
    alpha = v / (v - overlap + (1 + epsilon))
    return overlap - (apart.square().sum(-1) / (around.square().sum(-1) + epsilon) + v * alpha)


# ── Anchors ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def encode_box_to_deltas(
    anchors: Any,
    boxes: Any,
    anchor_format: str,
    box_format: str,
    encoding_format: str = "center_yxhw",
    variance: Sequence[float] | None = None,
    image_shape: Sequence[int] | None = None,
) -> Tensor:
    r"""Boxes as offsets of centre and logarithm of size from their anchors, divided by ``variance``.

    .. math:: (p - p_a) / s_a, \quad \log(s / s_a)

    Shapes: ``[N, 4], [..., N, 4] -> [..., N, 4]``, in ``encoding_format``.   Raises: ConfigError.
    Keras: equals ``keras.utils.bounding_boxes.encode_box_to_deltas``.
    """
    height, width, spread = _settings(encoding_format, variance, image_shape)
    start = convert_format(anchors, anchor_format, encoding_format, height, width)
    found = convert_format(boxes, box_format, encoding_format, height, width)
    size, own = (one[..., 2:].clamp_min(SETTINGS.epsilon) for one in (start, found))
    moved = (found[..., :2] - start[..., :2]) / size
    deltas = torch.cat([moved, torch.log(own / size).expand(*moved.shape[:-1], 2)], -1)
    return deltas if spread is None else deltas / spread.to(deltas)


def decode_deltas_to_boxes(
    anchors: Any,
    boxes_delta: Any,
    anchor_format: str,
    box_format: str,
    encoded_format: str = "center_yxhw",
    variance: Sequence[float] | None = None,
    image_shape: Sequence[int] | None = None,
) -> Any:
    """The boxes that `encode_box_to_deltas` made offsets of; dicts by level give a dict.

    Shapes: ``[N, 4], [..., N, 4] -> [..., N, 4]``, in ``box_format``.   Raises: ConfigError.
    Keras: equals ``keras.utils.bounding_boxes.decode_deltas_to_boxes``.

    >>> anchors, boxes = [[0.0, 0.0, 4.0, 4.0]], [[1.0, 1.0, 3.0, 5.0]]
    >>> deltas = encode_box_to_deltas(anchors, boxes, "xyxy", "xyxy")
    >>> decode_deltas_to_boxes(anchors, deltas, "xyxy", "xyxy")
    tensor([[1., 1., 3., 5.]])
    """
    height, width, spread = _settings(encoded_format, variance, image_shape)

    def decoded(anchor: Any, delta: Any) -> Tensor:
        start = convert_format(anchor, anchor_format, encoded_format, height, width)
        given = tensor(delta)
        given = given if spread is None else given * spread.to(given)
        place = given[..., :2] * start[..., 2:] + start[..., :2]
        boxes = torch.cat([place, torch.exp(given[..., 2:]) * start[..., 2:]], -1)
        return convert_format(boxes, encoded_format, box_format, height, width)

    if isinstance(anchors, Mapping) and isinstance(boxes_delta, Mapping):
        return {level: decoded(anchor, boxes_delta[level]) for level, anchor in anchors.items()}
    return decoded(anchors, boxes_delta)


def _settings(
    encoding: str, variance: Sequence[float] | None, image_shape: Sequence[int] | None
) -> tuple[int | None, int | None, Tensor | None]:
    """Height, width, and the variance as a tensor.   Raises: ConfigError."""
    if encoding not in _ENCODINGS:
        raise ConfigError(f"offsets are given as {' or '.join(_ENCODINGS)}, got {encoding!r}")
    spread = None if variance is None else floating(variance)
    if spread is not None and spread.shape[-1:] != (4,):
        raise ConfigError(f"variance is four numbers, got {variance}")
    height, width = (None, None) if image_shape is None else image_shape[:2]
    return height, width, spread
