"""Colours, filters and likeness of pictures beside Keras's own, live."""

from __future__ import annotations

import colorsys
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from closeness import close
from dougong.core.errors import ConfigError, ShapeError
from dougong.core.symbol import Input
from dougong.ops import colors, picture_filters

OURS: dict[str, Callable[..., Any]] = {
    name: getattr(module, name)
    for module, names in (
        (colors, ("rgb_to_grayscale", "rgb_to_hsv", "hsv_to_rgb")),
        (picture_filters, ("gaussian_blur", "sobel_edges")),
    )
    for name in names
}
EACH = pytest.mark.parametrize("name", OURS)
FIRST = pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])


def pictures(*shape: int, seed: int = 0) -> np.ndarray:
    """Random colours with plain, grey and black ones among them: what the formulas treat apart."""
    draw = np.random.default_rng(seed)
    values = draw.uniform(size=shape).astype("float32")
    plain = draw.integers(0, 3, shape).astype("float32") / 2
    return np.where(draw.uniform(size=(*shape[:-1], 1)) < 0.3, plain, values)


def formatted(values: np.ndarray, data_format: str) -> np.ndarray:
    return np.moveaxis(values, -1, -3).copy() if data_format == "channels_first" else values


@EACH
@FIRST
@pytest.mark.parametrize("shape", [(2, 7, 9, 3), (7, 9, 3)])
def test_equals_keras(name: str, data_format: str, shape: tuple[int, ...]) -> None:
    if name == "sobel_edges" and len(shape) == 3:
        pytest.skip("Keras's takes batches only")
    values = formatted(pictures(*shape), data_format)
    want = getattr(keras.ops.image, name)(values, data_format=data_format)
    close(OURS[name](values, data_format=data_format), want, because=name)


@EACH
@FIRST
def test_gradients_equal_keras(name: str, data_format: str) -> None:
    values = formatted(np.random.default_rng(3).uniform(0.05, 0.95, (2, 5, 6, 3)).astype("float32"), data_format)
    found = []
    for function in (OURS[name], getattr(keras.ops.image, name)):
        places = torch.tensor(values, requires_grad=True)
        out = function(places, data_format=data_format)
        weights = torch.linspace(-1, 1, out.numel()).reshape(out.shape)
        found.append(torch.autograd.grad((out * weights).sum(), places)[0])
    close(found[0], found[1], because=f"gradient of {name}", tolerance=2e-5)


@EACH
def test_a_single_picture_is_a_batch_of_one(name: str) -> None:
    values = pictures(6, 5, 3)
    close(OURS[name](values), OURS[name](values[None])[0], because=name, tolerance=1e-6)


@EACH
@pytest.mark.parametrize("shape", [(None, None, None, 3), (None, 8, 6, 3), (8, 6, 3)])
def test_symbols_have_the_shape_of_the_result(name: str, shape: tuple[int | None, ...]) -> None:
    symbol = OURS[name](Input(batch_shape=shape))
    got = tuple(OURS[name](torch.rand([5 if size is None else size for size in shape])).shape)
    assert tuple(symbol.shape) == tuple(
        None if axis < len(shape) and shape[axis] is None else n for axis, n in enumerate(got)
    )


@EACH
def test_a_wrong_rank_is_refused(name: str) -> None:
    with pytest.raises(ShapeError, match=r"\(3, 3\)"):
        OURS[name](torch.rand(3, 3))


def test_whole_numbers() -> None:
    whole = np.random.default_rng(0).integers(0, 256, (2, 5, 6, 3)).astype("uint8")
    gray = colors.rgb_to_grayscale(whole)
    assert gray.dtype is torch.uint8
    close(gray, keras.ops.image.rgb_to_grayscale(whole, data_format="channels_last"), because="grey", tolerance=0)
    close(colors.rgb_to_grayscale(gray), gray, because="grey stays", tolerance=0)
    for function in (colors.rgb_to_hsv, colors.hsv_to_rgb):
        with pytest.raises(ConfigError, match="uint8"):
            function(whole)
    assert picture_filters.gaussian_blur(whole).dtype is torch.float32
    assert picture_filters.ssim(whole, whole, max_val=255, filter_size=3).tolist() == [1.0, 1.0]
    with pytest.raises(ShapeError, match="3 channels"):
        colors.rgb_to_hsv(torch.rand(2, 4, 4, 2))


@given(arrays.arrays(np.float64, (1, 1, 3), elements=st.floats(0, 1).map(lambda value: round(value, 6))))
@settings(max_examples=60, deadline=None)
def test_hue_is_python_s_and_goes_back(values: np.ndarray) -> None:
    hsv = colors.rgb_to_hsv(values)
    close(hsv.flatten(), colorsys.rgb_to_hsv(*values.flatten()), because="colorsys", tolerance=1e-9)
    close(colors.hsv_to_rgb(hsv), values, because="back", tolerance=1e-9)


def test_turning_and_saturating_are_what_going_through_hsv_gives() -> None:
    values = torch.tensor(pictures(3, 6, 5, 3), dtype=torch.float64)
    turns, factor = torch.tensor([-0.4, 0.3, 1.0]).double(), torch.tensor([0.0, 0.5, 4.0]).double()
    hsv = colors.rgb_to_hsv(values)
    turned = torch.cat([hsv[..., :1] + turns[:, None, None, None], hsv[..., 1:]], -1)
    want = colors.hsv_to_rgb(turned)
    close(colors.with_turned_hue(values, turns), want, because="hue", tolerance=1e-9)
    shifted = colors.with_turned_hue(values * 255 - 40, turns)
    close(shifted, want * 255 - 40, because="hue of another range", tolerance=1e-9)
    hsv[..., 1] = (hsv[..., 1] * factor[:, None, None]).clamp(0, 1)
    close(colors.with_saturation_times(values, factor), colors.hsv_to_rgb(hsv), because="saturation", tolerance=1e-9)


# ── Filters ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("size", [1, 3, 7, 11])
@FIRST
def test_blur_equals_keras(size: int, data_format: str) -> None:
    values = formatted(pictures(2, 12, 9, 2), data_format)
    sigma = (0.7, 2.5)
    want = keras.ops.image.gaussian_blur(values, (size, size), sigma, data_format)
    close(picture_filters.gaussian_blur(values, (size, size), sigma, data_format), want, because="blur")


@pytest.mark.parametrize("kernel", [(3, 7), (5, 1), (2, 4)])
def test_oblong_kernels_blur_each_axis_by_its_own(kernel: tuple[int, int]) -> None:
    point = torch.zeros(1, 15, 15, 1)
    point[0, 7, 7, 0] = 1.0
    spread = picture_filters.gaussian_blur(point, kernel, (1.0, 2.0))[0, :, :, 0]
    assert spread.shape == (15, 15)
    assert int((spread.sum(0) > 0).sum()) == kernel[0], "the first is the width's"
    assert int((spread.sum(1) > 0).sum()) == kernel[1]
    close(spread.sum(), 1.0, because="nothing is lost")


def test_blur_takes_sigma_as_a_tensor_with_gradient() -> None:
    sigma = torch.tensor([1.0, 2.0], dtype=torch.float64, requires_grad=True)
    values = torch.rand(1, 5, 5, 1, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, s: picture_filters.gaussian_blur(x, (3, 5), s), (values, sigma))


# ── Likeness ────────────────────────────────────────────────────────────────────────────────────────────────────────


@FIRST
@pytest.mark.parametrize("shape", [(3, 20, 17, 3), (16, 15, 2)])
def test_ssim_equals_keras(data_format: str, shape: tuple[int, ...]) -> None:
    one, two = (formatted(pictures(*shape, seed=seed), data_format) for seed in (0, 1))
    for options in ({}, {"max_val": 2.0, "filter_size": 5, "filter_sigma": 0.8, "k1": 0.02, "k2": 0.1}):
        for other in (two, (0.9 * one + 0.1 * two).astype("float32")):
            want = keras.ops.image.ssim(one, other, data_format=data_format, **options)
            close(picture_filters.ssim(one, other, data_format=data_format, **options), want, because="ssim")


def test_ssim_has_keras_s_gradient() -> None:
    one, two = torch.rand(2, 13, 12, 3), torch.rand(2, 13, 12, 3)
    found = []
    functions: tuple[Any, ...] = (picture_filters.ssim, keras.ops.image.ssim)
    for function in functions:
        places = one.clone().requires_grad_()
        found.append(torch.autograd.grad(function(places, two).sum(), places)[0])
    close(found[0], found[1], because="gradient of ssim")


def test_psnr_equals_keras() -> None:
    one, two = pictures(2, 5, 4, 3), pictures(2, 5, 4, 3, seed=1)
    for peak in (1.0, 255.0):
        close(picture_filters.psnr(one, two, peak), keras.ops.nn.psnr(one, two, peak), because="psnr")
    whole = (one * 255).astype("uint8"), (two * 255).astype("uint8")
    want = keras.ops.nn.psnr(whole[0].astype("float32"), whole[1].astype("float32"), 255)
    close(picture_filters.psnr(*whole, max_val=255), want, because="psnr of whole numbers")
    assert picture_filters.psnr(one, one, 1.0).item() == float("inf")
    symbol = picture_filters.psnr(Input((4,)), Input((4,)), max_val=1.0)
    assert symbol.shape == ()


def test_likeness_refuses_what_does_not_fit() -> None:
    for function in (picture_filters.ssim, lambda a, b: picture_filters.psnr(a, b, 1.0)):
        with pytest.raises(ShapeError, match=r"\(1, 12, 12, 3\) and \(1, 12, 12, 1\)"):
            function(torch.rand(1, 12, 12, 3), torch.rand(1, 12, 12, 1))
    with pytest.raises(ShapeError, match="filter_size"):
        picture_filters.ssim(torch.rand(8, 8, 3), torch.rand(8, 8, 3))
