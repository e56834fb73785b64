"""Pictures made larger and smaller.

Letters: N pictures, H height, W width, C channels; ``channels_last`` is ``[N, H, W, C]``, a single picture has no N.
Source: Keras 3 semantics; Keys 1981, doi:10.1109/TASSP.1981.1163711 (cubic); Duchon 1979 (Lanczos).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from dougong.core.arithmetic import data_format_of, per_axis
from dougong.core.errors import ConfigError, ShapeError, UnknownNameError
from dougong.ops.colors import channels_of
from dougong.ops.op import floating, op, tensor

__all__ = ["RESIZE_INTERPOLATIONS", "resize", "scale_and_translate"]


def _triangle(x: Tensor) -> Tensor:
    return (1 - x).clamp_min(0)


def _keys_cubic(x: Tensor) -> Tensor:
    near = ((1.5 * x - 2.5) * x) * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return torch.where(x >= 2, 0, torch.where(x >= 1, far, near))


def _lanczos(radius: int) -> Callable[[Tensor], Tensor]:
    def kernel(x: Tensor) -> Tensor:
        return torch.where(x > radius, 0, torch.sinc(x) * torch.sinc(x / radius))

    return kernel


_LANCZOS = {"lanczos3": _lanczos(3), "lanczos5": _lanczos(5)}
_KERNELS: Mapping[str, Callable[[Tensor], Tensor]] = {
    **dict.fromkeys(("linear", "bilinear", "trilinear", "triangle"), _triangle),
    **dict.fromkeys(("cubic", "bicubic", "tricubic"), _keys_cubic),
    **_LANCZOS,
}

# torch's kernel for a name; Lanczos has none there.
_TORCH_MODES = {"bilinear": "bilinear", "nearest": "nearest-exact", "bicubic": "bicubic"}
RESIZE_INTERPOLATIONS = (*_TORCH_MODES, *_LANCZOS)


@op
def resize(
    images: Any,
    size: Sequence[int],
    interpolation: str = "bilinear",
    antialias: bool = False,
    crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False,
    fill_mode: str = "constant",
    fill_value: float = 0.0,
    data_format: str | None = None,
) -> Tensor:
    """Pictures brought to ``size``, (height, width), by ``interpolation``: one of `RESIZE_INTERPOLATIONS`.

    ``antialias`` widens the kernel when pictures shrink.  ``crop_to_aspect_ratio`` first cuts the largest window of the
    new proportions from the middle, ``pad_to_aspect_ratio`` first adds ``fill_value`` on both sides; without either,
    proportions change.
    Shapes: ``[N, H, W, C] -> [N, *size, C]``, or without N, in the images' dtype; whole numbers are rounded.
    Raises: UnknownNameError for another interpolation, ConfigError, ShapeError.
    Keras: equals ``keras.ops.image.resize`` on torch; Lanczos, which Keras lacks on torch, equals it on JAX.

    >>> resize(torch.tensor([[[0.0], [4.0]]]), (1, 4)).flatten()
    tensor([0., 1., 3., 4.])
    """
    x = tensor(images)
    channels_of(x, data_format)
    height, width = per_axis(size, 2, "size")
    if interpolation not in RESIZE_INTERPOLATIONS:
        raise UnknownNameError("interpolation", interpolation, RESIZE_INTERPOLATIONS)
    if fill_mode != "constant":
        raise ConfigError(f"resize pads with fill_mode 'constant' only; got {fill_mode!r}")
    if crop_to_aspect_ratio and pad_to_aspect_ratio:
        raise ConfigError("give crop_to_aspect_ratio or pad_to_aspect_ratio, not both")
    last = data_format_of(data_format) == "channels_last"
    planes = (x if x.ndim == 4 else x[None]).movedim(-1 if last else 1, 1)
    planes = planes if planes.dtype in (torch.float32, torch.float64) else planes.to(torch.float32)
    if crop_to_aspect_ratio:
        planes = _cut_to(planes, height, width)
    elif pad_to_aspect_ratio:
        planes = _padded_to(planes, height, width, fill_value)
    planes = _resized(planes, (height, width), interpolation, antialias)
    if not x.is_floating_point():
        # Cubic and Lanczos kernels overshoot; bytes would wrap around.
        planes = (planes.clamp(0, 255) if x.dtype is torch.uint8 else planes).round()
    planes = planes.to(x.dtype).movedim(1, -1 if last else 1)
    return planes if x.ndim == 4 else planes[0]


def _cut_to(planes: Tensor, height: int, width: int) -> Tensor:
    """The largest window in the middle with the proportions of (height, width)."""
    high, wide = planes.shape[-2:]
    rows = max(min(high, int(float(wide * height) / width)), 1)
    columns = max(min(wide, int(float(high * width) / height)), 1)
    top, left = (high - rows) // 2, (wide - columns) // 2
    return planes[..., top : top + rows, left : left + columns]


def _padded_to(planes: Tensor, height: int, width: int, fill_value: float) -> Tensor:
    """The picture in the middle of the smallest frame with the proportions of (height, width), to one pixel."""
    high, wide = planes.shape[-2:]
    side = (max(wide, int(float(high * width) / height)) - wide) // 2
    above = (max(high, int(float(wide * height) / width)) - high) // 2
    return F.pad(planes, (side, side, above, above), value=fill_value)


def _resized(planes: Tensor, size: tuple[int, int], interpolation: str, antialias: bool) -> Tensor:
    if interpolation in _LANCZOS:
        for axis, length in ((2, size[0]), (3, size[1])):
            scale = torch.tensor(length / planes.shape[axis], dtype=planes.dtype, device=planes.device)
            shift = torch.zeros_like(scale)
            planes = _resampled(planes, axis, length, scale, shift, _LANCZOS[interpolation], antialias)
        return planes
    if interpolation == "nearest":
        return F.interpolate(planes, size, mode=_TORCH_MODES[interpolation])
    if antialias or interpolation == "bicubic":
        planes = planes.contiguous()  # these kernels of torch's are up to twice as fast on [N, C, H, W]
    return F.interpolate(planes, size, mode=interpolation, align_corners=False, antialias=antialias)


@op
def scale_and_translate(
    images: Any,
    output_shape: Sequence[int],
    scale: Any,
    translation: Any,
    spatial_dims: Sequence[int],
    method: str,
    antialias: bool = True,
) -> Tensor:
    r"""An array resampled along some axes: what stood at x, counted from the first element's edge, goes to sx + t.

    ``scale`` and ``translation`` have one number for each of ``spatial_dims``; what lies outside is 0.
    ``method``: ``linear``, ``cubic`` (Keys), ``lanczos3`` or ``lanczos5``.
    Shapes: ``[...] -> output_shape``, in the images' dtype; whole numbers are rounded and kept in the inputs' range.
    Raises: UnknownNameError, ShapeError.   Keras: equals ``keras.ops.image.scale_and_translate``.

    >>> scale_and_translate(torch.arange(3.0), (5,), [2.0], [-0.5], (0,), "linear")
    tensor([0.0000, 0.5000, 1.0000, 1.5000, 2.0000])
    """
    x = tensor(images)
    if method not in _KERNELS:
        raise UnknownNameError("method", method, _KERNELS)
    factors, shifts = floating(scale), floating(translation)
    axes = tuple(spatial_dims)
    if factors.shape != (len(axes),) or shifts.shape != (len(axes),) or len(output_shape) != x.ndim:
        raise ShapeError(
            f"scale_and_translate needs one scale and one translation for each of spatial_dims {axes}, and an"
            f" output_shape of {x.ndim} sizes; received {tuple(factors.shape)}, {tuple(shifts.shape)} and"
            f" {tuple(output_shape)}"
        )
    if not axes:
        return x
    kind = torch.promote_types(factors.dtype, shifts.dtype)
    found = x if x.is_floating_point() else x.to(torch.float32)
    for factor, shift, axis in zip(factors.to(kind), shifts.to(kind), axes):
        found = _resampled(found, axis, output_shape[axis], factor, shift, _KERNELS[method], antialias)
    if x.is_floating_point():
        return found
    return found.round().clamp(x.min().to(found.dtype), x.max().to(found.dtype)).to(x.dtype)


def _resampled(
    x: Tensor,
    axis: int,
    length: int,
    scale: Tensor,
    shift: Tensor,
    kernel: Callable[[Tensor], Tensor],
    antialias: bool,
) -> Tensor:
    weights = _resampling(x.shape[axis], length, scale, shift, kernel, antialias).to(x.dtype)
    return torch.tensordot(x, weights, dims=([axis], [0])).movedim(-1, axis)  # type: ignore[arg-type]


def _resampling(
    size: int, length: int, scale: Tensor, shift: Tensor, kernel: Callable[[Tensor], Tensor], antialias: bool
) -> Tensor:
    """The matrix ``[size, length]`` from a line to its resampled form; each column sums to 1, or to 0 outside."""
    inverse = 1 / scale
    places = torch.arange(length, dtype=scale.dtype, device=scale.device)
    centres = (places + 0.5) * inverse - shift * inverse - 0.5
    distance = (centres - torch.arange(size, dtype=scale.dtype, device=scale.device)[:, None]).abs()
    weights = kernel(distance / inverse.clamp_min(1) if antialias else distance)
    total = weights.sum(0, keepdim=True)
    some = total.abs() > 1000 * torch.finfo(torch.float32).eps
    weights = torch.where(some, weights / torch.where(some, total, 1), 0)
    return torch.where((centres >= -0.5) & (centres <= size - 0.5), weights, 0)
