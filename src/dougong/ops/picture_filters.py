"""Filters of pictures, and how alike two pictures are.   Shapes: N batch, H height, W width, C channels.

Channels-last pictures are permuted, not copied: that memory is what torch calls channels_last.   Source: Keras 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from dougong.core.arithmetic import data_format_of, per_axis, same_pads
from dougong.core.errors import ShapeError
from dougong.ops.colors import channels_of
from dougong.ops.op import floating, op

__all__ = ["filtered", "gaussian_blur", "psnr", "sobel_edges", "ssim"]


def _as_maps(images: Tensor, data_format: str | None) -> tuple[Tensor, bool]:
    """Pictures as ``[N, C, H, W]``, and whether it is a single one that had no batch."""
    axis = channels_of(images, data_format)
    maps = images.movedim(-1, -3) if axis == -1 else images
    return (maps.unsqueeze(0), True) if images.ndim == 3 else (maps, False)


def _from_maps(maps: Tensor, single: bool, data_format: str | None) -> Tensor:
    images = maps.squeeze(0) if single else maps
    return images.movedim(-3, -1) if data_format_of(data_format) == "channels_last" else images


def _bell(size: int, sigma: Any, like: Tensor) -> Tensor:
    """A Gaussian at ``size`` points a pixel apart, with sum 1."""
    places = torch.arange(size, dtype=like.dtype, device=like.device) - (size - 1) / 2
    return torch.softmax(-0.5 * (places / sigma).square(), 0)


def _filtered(maps: Tensor, kernels: Tensor, pads: Sequence[int] = (0, 0)) -> Tensor:
    """Every channel convolved with each of ``kernels`` (``[K, height, width]``): ``[N, C K, H, W]``."""
    channels = maps.shape[1]
    # Channel by channel, torch's convolution is many times slower on any other memory.
    maps = maps.contiguous(memory_format=torch.channels_last)
    weight = kernels.to(maps.dtype).unsqueeze(1).repeat(channels, 1, 1, 1)
    return F.conv2d(maps, weight, padding=tuple(pads), groups=channels)


@op
def gaussian_blur(
    images: Any, kernel_size: Sequence[int] = (3, 3), sigma: Any = (1.0, 1.0), data_format: str | None = None
) -> Tensor:
    r"""Pictures convolved with a Gaussian; beyond the border they are 0.

    .. math:: g_{ij} \propto \exp\left(-\frac{i^2}{2\sigma_1^2} - \frac{j^2}{2\sigma_0^2}\right)

    with i down and j across: the first of ``kernel_size`` and of ``sigma`` is the width's, the second the height's.
    Shapes: ``[..., H, W, C]``, unchanged.   Units: ``sigma`` in pixels, two numbers or a tensor of two.
    Raises: ShapeError for a wrong rank; ConfigError for a kernel size that is none.
    Keras: equals ``keras.ops.image.gaussian_blur`` for kernels of one odd size, and that of its JAX backend for all
    others, where its torch backend mixes up the two axes; on torch it also takes no ``data_format`` for channels first.

    >>> gaussian_blur(torch.ones(3, 3, 1), (3, 3), (1.0, 1.0))[1, 1].item()
    1.0
    """
    images = floating(images)
    width, height = per_axis(kernel_size, 2, "kernel_size")
    bell = torch.outer(_bell(height, sigma[1], images), _bell(width, sigma[0], images))
    return filtered(images, bell, data_format)


def filtered(images: Tensor, kernel: Tensor, data_format: str | None = None) -> Tensor:
    """Every channel of floating pictures under one kernel ``[height, width]``; beyond the border they are 0.

    >>> filtered(torch.ones(3, 3, 1), torch.ones(3, 3))[..., 0].tolist()
    [[4.0, 6.0, 4.0], [6.0, 9.0, 6.0], [4.0, 6.0, 4.0]]
    """
    maps, single = _as_maps(images, data_format)
    height, width = kernel.shape
    pads = (height // 2, width // 2)
    if height % 2 == 0 or width % 2 == 0:  # the odd one goes to the end
        maps = F.pad(maps, (*same_pads(maps.shape[3], width), *same_pads(maps.shape[2], height)))
        pads = (0, 0)
    return _from_maps(_filtered(maps, kernel.unsqueeze(0), pads), single, data_format)


@op
def sobel_edges(images: Any, data_format: str | None = None) -> Tensor:
    r"""How fast pictures change down and across, by Sobel's two filters; beyond the border they are 0.

    .. math:: K_y = \begin{pmatrix} -1 & -2 & -1 \\ 0 & 0 & 0 \\ 1 & 2 & 1 \end{pmatrix},\quad K_x = K_y^\top

    Shapes: ``[..., H, W, C] -> [..., H, W, C, 2]``, the last axis being (down, across), or with channels first.
    Raises: ShapeError for a wrong rank.   Keras: equals ``keras.ops.image.sobel_edges``.

    >>> sobel_edges(torch.arange(9.0).reshape(3, 3, 1))[1, 1, 0]
    tensor([24.,  8.])
    """
    images = floating(images)
    maps, single = _as_maps(images, data_format)
    channels = maps.shape[1]
    slope, weight = maps.new_tensor([-1.0, 0.0, 1.0]), maps.new_tensor([1.0, 2.0, 1.0])
    kernels = torch.stack((torch.outer(slope, weight), torch.outer(weight, slope)))
    # Each channel's two results lie side by side, so that pulling them apart copies nothing.
    edges = _filtered(maps, kernels, (1, 1)).unflatten(1, (channels, 2)).movedim(2, -1)
    edges = edges.squeeze(0) if single else edges
    return edges.movedim(-4, -2) if data_format_of(data_format) == "channels_last" else edges


@op
def ssim(
    image1: Any,
    image2: Any,
    max_val: float = 1.0,
    filter_size: int = 11,
    filter_sigma: float = 1.5,
    k1: float = 0.01,
    k2: float = 0.03,
    data_format: str | None = None,
) -> Tensor:
    r"""The structural similarity of two pictures: 1 where they are the same, about 0 where they have nothing in common.

    .. math:: \frac{(2\mu_1\mu_2 + c_1)(2\sigma_{12} + c_2)}{(\mu_1^2 + \mu_2^2 + c_1)(\sigma_1^2 + \sigma_2^2 + c_2)},
              \qquad c_i = (k_i\,\text{max\_val})^2

    with means, variances and covariance under a Gaussian window, averaged over its places and the channels.
    Shapes: ``[N, H, W, C], [N, H, W, C] -> [N]``; a scalar for single pictures.   Units: ``max_val`` is the range of
    the pictures' values.   Raises: ShapeError if the shapes differ or are smaller than the window.
    Keras: equals ``keras.ops.image.ssim``; whole numbers give floats, where Keras cuts the result to whole numbers.
    Ref: Wang et al. 2004, doi:10.1109/TIP.2003.819861.

    >>> picture = torch.rand(16, 16, 3)
    >>> ssim(picture, picture).item(), round(ssim(picture, 1 - picture).item()) < 0
    (1.0, True)
    """
    first, second = floating(image1), floating(image2)
    if first.shape != second.shape:
        raise ShapeError(f"ssim compares pictures of one shape, got {tuple(first.shape)} and {tuple(second.shape)}")
    (one, single), (two, _) = _as_maps(first, data_format), _as_maps(second, data_format)
    if min(one.shape[2:]) < filter_size:
        raise ShapeError(
            f"ssim's window of {filter_size} pixels is larger than pictures of shape {tuple(first.shape)}; give a"
            " smaller filter_size"
        )
    bell = _bell(filter_size, filter_sigma, one)
    sums = _filtered(torch.cat((one, two, one * one, two * two, one * two)), torch.outer(bell, bell).unsqueeze(0))
    mean1, mean2, square1, square2, product = sums.chunk(5)
    means, squares = mean1 * mean2, mean1 * mean1 + mean2 * mean2
    c1, c2 = (k1 * max_val) ** 2, (k2 * max_val) ** 2
    alike = (2.0 * means + c1) * (2.0 * (product - means) + c2)
    alike = alike / ((squares + c1) * (square1 + square2 - squares + c2))
    found = alike.mean((1, 2, 3))
    return found.squeeze(0) if single else found


@op
def psnr(x1: Any, x2: Any, max_val: Any) -> Tensor:
    r"""The peak signal-to-noise ratio of ``x1`` against ``x2``, over all their values.

    .. math:: 20 \log_{10} \text{max\_val} - 10 \log_{10} \operatorname{mean}(x_1 - x_2)^2

    Shapes: ``[...], [...] -> []``.   Units: decibels; infinite where both are the same.
    Raises: ShapeError if the shapes differ.   Keras: equals ``keras.ops.psnr``, and takes whole numbers too.

    >>> psnr([0.0, 0.5], [0.0, 0.6], max_val=1.0).round(decimals=3)
    tensor(23.0100)
    """
    first, second = floating(x1), floating(x2)
    if first.shape != second.shape:
        raise ShapeError(f"psnr compares values of one shape, got {tuple(first.shape)} and {tuple(second.shape)}")
    peak = torch.as_tensor(max_val, dtype=first.dtype, device=first.device)
    return 20.0 * torch.log10(peak) - 10.0 * torch.log10((first - second).square().mean())
