"""Pictures bent: affine, perspective and elastic transforms.

Letters: N pictures, H height, W width, C channels; ``channels_last`` is ``[N, H, W, C]``, a single picture has no N.
A transform says for each pixel of the output where to read the input: x to the right, y down, in pixels.
Source: Keras 3 semantics; Heckbert 1989, "Fundamentals of Texture Mapping and Image Warping" (homographies);
Simard et al. 2003, doi:10.1109/ICDAR.2003.1227801 (elastic).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from dougong.core.arithmetic import data_format_of
from dougong.core.errors import ShapeError, UnknownNameError
from dougong.ops.colors import channels_of
from dougong.ops.interpolation import ORDERS, sample
from dougong.ops.op import floating, op, tensor
from dougong.ops.seed_generator import generator_of

__all__ = [
    "affine_transform",
    "blurred_noise",
    "compute_homography_matrix",
    "displaced",
    "elastic_transform",
    "perspective_transform",
]


@op
def affine_transform(
    images: Any,
    transform: Any,
    interpolation: str = "bilinear",
    fill_mode: str = "constant",
    fill_value: float = 0,
    data_format: str | None = None,
) -> Tensor:
    r"""Each picture read at places that depend on the pixel by a matrix, ``[a0, a1, a2, b0, b1, b2, c0, c1]``.

    .. math:: (x', y') = \frac{(a_0 x + a_1 y + a_2,\ b_0 x + b_1 y + b_2)}{c_0 x + c_1 y + 1}

    ``transform`` is ``[8]`` for all pictures or ``[N, 8]``; ``fill_mode`` as in `map_coordinates`.
    Shapes: ``[N, H, W, C]`` or one picture, unchanged, in the images' dtype.   Raises: ShapeError, UnknownNameError.
    Keras: equals ``keras.ops.image.affine_transform`` where c0 = c1 = 0; on torch Keras multiplies c0 and c1 by the
    channel's number, and swaps the entries of the caller's own ``transform``.

    >>> affine_transform(torch.arange(3.0).view(1, 3, 1), [1, 0, 1, 0, 1, 0, 0, 0]).flatten()   # one pixel to the left
    tensor([1., 2., 0.])
    """
    matrix = floating(transform)
    if matrix.ndim not in (1, 2) or matrix.shape[-1] != 8:
        raise ShapeError(f"a transform has 8 numbers, or [N, 8] for N pictures, but received {tuple(matrix.shape)}")
    return _warped(tensor(images), matrix.reshape(-1, 8), interpolation, fill_mode, fill_value, data_format)


@op
def perspective_transform(
    images: Any,
    start_points: Any,
    end_points: Any,
    interpolation: str = "bilinear",
    fill_value: float = 0,
    data_format: str | None = None,
) -> Tensor:
    """Each picture seen from elsewhere: what stood at four ``start_points`` goes to four ``end_points``, (x, y) each.

    Beyond the picture stands ``fill_value``.
    Shapes: points ``[4, 2]`` for all pictures or ``[N, 4, 2]``; pictures unchanged, in their dtype.
    Raises: ShapeError, UnknownNameError; torch's error where three points lie on a line.
    Keras: equals ``keras.ops.image.perspective_transform`` on floating pictures; on whole ones Keras cuts the points
    to whole numbers, too, and reads elsewhere.

    >>> square = [[0.0, 0.0], [2.0, 0.0], [0.0, 2.0], [2.0, 2.0]]
    >>> wider = [[0.0, 0.0], [4.0, 0.0], [0.0, 2.0], [4.0, 2.0]]
    >>> perspective_transform(torch.arange(3.0).expand(3, 3)[..., None], square, wider)[0].flatten()
    tensor([0.0000, 0.5000, 1.0000])
    """
    x = tensor(images)
    kind = x.dtype if x.is_floating_point() else torch.float32
    matrix = compute_homography_matrix(tensor(start_points, kind), tensor(end_points, kind))
    return _warped(x, matrix.reshape(-1, 8), interpolation, "constant", fill_value, data_format)


@op
def compute_homography_matrix(start_points: Any, end_points: Any) -> Tensor:
    r"""The ``[N, 8]`` transforms that read the picture so that ``start_points`` come to stand at ``end_points``.

    For each pair, from (u, v) to (x, y), two of the eight equations:

    .. math:: a_0 x + a_1 y + a_2 - c_0 u x - c_1 u y = u,\qquad b_0 x + b_1 y + b_2 - c_0 v x - c_1 v y = v

    Shapes: ``[N, 4, 2], [N, 4, 2] -> [N, 8]``, one set of points counting as N = 1.   Raises: ShapeError.
    Keras: equals ``keras.src.ops.image``'s function of this name.
    """
    start, end = floating(start_points), floating(end_points)
    for name, points in (("start_points", start), ("end_points", end)):
        if points.ndim not in (2, 3) or points.shape[-2:] != (4, 2):
            raise ShapeError(f"{name} are 4 points (x, y): [4, 2] or [N, 4, 2], but received {tuple(points.shape)}")
    if start.shape != end.shape:
        raise ShapeError(
            f"start_points and end_points must have one shape; received {tuple(start.shape)} and {tuple(end.shape)}"
        )
    kind = torch.promote_types(start.dtype, end.dtype)
    start, end = (points.reshape(-1, 4, 2).to(torch.promote_types(kind, torch.float32)) for points in (start, end))
    ones = torch.ones_like(end[..., :1])
    place = torch.cat([end, ones], -1)  # x, y, 1
    none = torch.zeros_like(place)
    for_x = torch.cat([place, none, -start[..., :1] * end], -1)
    for_y = torch.cat([none, place, -start[..., 1:] * end], -1)
    equations = torch.stack([for_x, for_y], 2).reshape(-1, 8, 8)
    return torch.linalg.solve(equations, start.reshape(-1, 8)).to(kind)


@op
def elastic_transform(
    images: Any,
    alpha: float = 20.0,
    sigma: float = 5.0,
    interpolation: str = "bilinear",
    fill_mode: str = "reflect",
    fill_value: float = 0.0,
    seed: Any = None,
    data_format: str | None = None,
) -> Tensor:
    r"""Each pixel read at a place moved at random, neighbours alike.

    .. math:: (x', y') = (x, y) + \alpha\, \sigma\, (G_\sigma * (n_x, n_y)),\qquad n_x, n_y \sim N(0, 1)

    :math:`G_\sigma` is a Gaussian of standard deviation ``sigma``, cut after 3σ.   Units: pixels.
    Shapes: ``[N, H, W, C]`` or one picture, unchanged, in the images' dtype.
    Keras: equals ``keras.ops.image.elastic_transform``, which on torch ignores ``seed``; here an int gives the same
    numbers at each call.

    >>> elastic_transform(torch.ones(8, 8, 1), seed=1).unique()
    tensor([1.])
    """
    x = tensor(images)
    channels_of(x, data_format)
    batch, height, width = _sizes(x, data_format)
    kind = x.dtype if x.is_floating_point() else torch.float32
    generator = generator_of(seed, x.device)
    noise = [
        torch.empty((batch, height, width), dtype=kind, device=x.device).normal_(generator=generator) for _ in "xy"
    ]
    moved = float(alpha) * blurred_noise(torch.stack(noise), float(sigma))
    return displaced(x, moved, interpolation, fill_mode, fill_value, data_format)


def displaced(
    images: Tensor,
    moved: Tensor,
    interpolation: str,
    fill_mode: str,
    fill_value: float = 0.0,
    data_format: str | None = None,
) -> Tensor:
    """Each pixel read ``moved[0]`` further right and ``moved[1]`` further down.   Shapes: moved ``[2, N, H, W]``."""
    _, height, width = _sizes(images, data_format)
    x = torch.arange(width, device=moved.device, dtype=moved.dtype) + moved[0]
    y = torch.arange(height, device=moved.device, dtype=moved.dtype)[:, None] + moved[1]
    return _read(images, y, x, interpolation, fill_mode, fill_value, data_format)


def blurred_noise(noise: Tensor, sigma: float | Tensor) -> Tensor:
    """``sigma`` times the noise, blurred with zeros around it by a Gaussian of ``sigma`` pixels that is cut after 3σ.

    ``sigma`` may be a tensor of no axes, at most a third of the picture: it is never read on the host.
    Shapes: ``[..., H, W]``, unchanged.
    """
    height, width = noise.shape[-2:]
    longest = max(height, width) if isinstance(sigma, Tensor) else int(3 * sigma) + 1
    scale = torch.as_tensor(sigma, dtype=noise.dtype, device=noise.device)
    return _blur(height, scale, longest) @ (noise * scale) @ _blur(width, scale, longest).mT


def _blur(size: int, sigma: Tensor, longest: int) -> Tensor:
    """The matrix that blurs a line of ``size``: one product with it costs less than the window slid along.

    The window reaches no further than ``longest`` to each side.
    """
    reach = ((6 * sigma).to(torch.int32) | 1) // 2

    def weight(distance: Tensor) -> Tensor:
        near = torch.exp(-0.5 * (distance / sigma) ** 2)
        return torch.where(distance.abs() <= reach, near, 0)

    place = torch.arange(size, device=sigma.device, dtype=sigma.dtype)
    total = weight(torch.arange(-longest, longest + 1, device=sigma.device, dtype=sigma.dtype)).sum()
    return weight(place[:, None] - place) / total


def _warped(
    images: Tensor, matrix: Tensor, interpolation: str, fill_mode: str, fill_value: float, data_format: str | None
) -> Tensor:
    """The pictures read where ``matrix`` ``[N, 8]`` or ``[1, 8]`` says."""
    channels_of(images, data_format)
    batch, height, width = _sizes(images, data_format)
    if matrix.shape[0] not in (1, batch):
        raise ShapeError(
            f"{matrix.shape[0]} transforms do not fit {batch} pictures of shape {tuple(images.shape)};"
            " give one for all or one for each"
        )
    matrix = matrix.to(images.device)
    a0, a1, a2, b0, b1, b2, c0, c1 = matrix.view(-1, 8, 1, 1).unbind(1)
    x = torch.arange(width, device=matrix.device, dtype=matrix.dtype)
    y = torch.arange(height, device=matrix.device, dtype=matrix.dtype)[:, None]
    depth = c0 * x + c1 * y + 1
    read_x, read_y = ((p * x + q * y + r) / depth for p, q, r in ((a0, a1, a2), (b0, b1, b2)))
    return _read(images, read_y, read_x, interpolation, fill_mode, fill_value, data_format)


def _read(
    images: Tensor,
    y: Tensor,
    x: Tensor,
    interpolation: str,
    fill_mode: str,
    fill_value: float,
    data_format: str | None,
) -> Tensor:
    """The pictures at places ``y`` and ``x``, ``[N, H, W]`` or ``[1, H, W]`` each."""
    if interpolation not in ORDERS:
        raise UnknownNameError("interpolation", interpolation, ORDERS)
    last = data_format_of(data_format) == "channels_last"
    pixels = images if last else images.movedim(-3, -1)
    batch, height, width = _sizes(images, data_format)
    first = torch.arange(batch, device=images.device)[:, None, None] * (height * width)
    table = pixels.reshape(-1, pixels.shape[-1])
    found = sample(table, (y, x), (height, width), ORDERS[interpolation], fill_mode, fill_value, first)
    found = found.reshape(pixels.shape)
    return found if last else found.movedim(-1, -3)


def _sizes(images: Tensor, data_format: str | None) -> tuple[int, int, int]:
    """Batch (1 for a single picture), height and width."""
    first = -3 if data_format_of(data_format) == "channels_last" else -2
    return (images.shape[0] if images.ndim == 4 else 1), images.shape[first], images.shape[first + 1]
