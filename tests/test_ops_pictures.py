"""Operations on pictures beside Keras's: values and gradients, both data formats, every interpolation and filling."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import torch

from closeness import close
from dougong.core.errors import ConfigError, ShapeError, UnknownNameError
from dougong.core.symbol import Input
from dougong.ops.framing import crop_images, pad_images
from dougong.ops.interpolation import FILL_MODES, map_coordinates
from dougong.ops.patches import extract_patches, extract_patches_3d
from dougong.ops.resizing import resize, scale_and_translate
from dougong.ops.warping import (
    affine_transform,
    compute_homography_matrix,
    displaced,
    elastic_transform,
    perspective_transform,
)

torch.set_num_threads(1)
FORMATS = ("channels_last", "channels_first")
formats = pytest.mark.parametrize("data_format", FORMATS)
fillings = pytest.mark.parametrize("fill_mode", sorted(FILL_MODES))
interpolations = pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])


def pictures(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def ordered(images: torch.Tensor, data_format: str) -> torch.Tensor:
    return images if data_format == "channels_last" else images.movedim(-1, -3).contiguous()


def agree(ours: Any, theirs: Any, *inputs: torch.Tensor, gradients: bool = True, tolerance: float = 1e-5) -> None:
    """Raise unless both functions give the same values, dtypes and gradients."""
    mine, keras_own = ([one.clone().requires_grad_(one.is_floating_point()) for one in inputs] for _ in range(2))
    got, want = ours(*mine), theirs(*keras_own)
    assert got.dtype == want.dtype
    close(got, want, because="values", tolerance=tolerance)
    places = [(a, b) for a, b in zip(mine, keras_own) if a.requires_grad]
    if not gradients or not want.requires_grad:
        return
    weight = pictures(*want.shape, seed=5).to(want.dtype)
    found = torch.autograd.grad((got * weight).sum(), [a for a, _ in places], allow_unused=True)
    wanted = torch.autograd.grad((want * weight).sum(), [b for _, b in places], allow_unused=True)
    for a, b in zip(found, wanted, strict=True):
        if b is not None:
            assert a is not None
            close(a, b, because="gradient", tolerance=tolerance * 10)


# ── Resizing ────────────────────────────────────────────────────────────────────────────────────────────────────────


@formats
@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic"])
@pytest.mark.parametrize("size", [(5, 4), (13, 17), (9, 11)])
@pytest.mark.parametrize(
    "ratio", [{}, {"crop_to_aspect_ratio": True}, {"pad_to_aspect_ratio": True, "fill_value": 0.3}]
)
@pytest.mark.parametrize("antialias", [False, True])
def test_resize(data_format: str, interpolation: str, size: Any, ratio: Any, antialias: bool) -> None:
    options = {"interpolation": interpolation, "antialias": antialias, "data_format": data_format, **ratio}
    images = ordered(pictures(2, 9, 11, 3), data_format)
    agree(lambda x: resize(x, size, **options), lambda x: keras.ops.image.resize(x, size, **options), images)
    agree(lambda x: resize(x, size, **options), lambda x: keras.ops.image.resize(x, size, **options), images[0])


@pytest.mark.parametrize("kind", [torch.uint8, torch.int32, torch.float16, torch.float64])
@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic"])
def test_resize_keeps_the_dtype(kind: torch.dtype, interpolation: str) -> None:
    images = (pictures(2, 9, 11, 3) * 255).to(kind)
    for size in ((4, 5), (20, 31)):
        got = resize(images, size, interpolation)
        want = keras.ops.image.resize(images, size, interpolation)
        assert got.dtype == want.dtype == kind
        close(got, want, because="values", tolerance=0 if not kind.is_floating_point else 1e-6)


@pytest.mark.parametrize("interpolation", ["lanczos3", "lanczos5"])
@pytest.mark.parametrize("antialias", [False, True])
def test_lanczos_equals_jax(interpolation: str, antialias: bool) -> None:
    jax = pytest.importorskip("jax")
    images = pictures(2, 9, 11, 3)
    for size in ((5, 6), (20, 31)):
        want = jax.image.resize(images.numpy(), (2, *size, 3), interpolation, antialias=antialias)
        close(resize(images, size, interpolation, antialias), np.asarray(want), because=interpolation)
    white = torch.full((4, 4, 1), 255, dtype=torch.uint8)
    white[:, :2] = 0
    assert resize(white, (9, 9), interpolation).max() == 255  # overshoot does not wrap around


def test_resize_refuses() -> None:
    images = pictures(2, 4, 4, 3)
    with pytest.raises(UnknownNameError, match="did you mean 'bilinear'"):
        resize(images, (2, 2), "bilinaer")
    with pytest.raises(ConfigError, match="not both"):
        resize(images, (2, 2), crop_to_aspect_ratio=True, pad_to_aspect_ratio=True)
    with pytest.raises(ConfigError, match="constant"):
        resize(images, (2, 2), pad_to_aspect_ratio=True, fill_mode="reflect")
    with pytest.raises(ConfigError, match="size must be"):
        resize(images, (2, 2, 2))
    with pytest.raises(ShapeError, match=r"\(4, 4\)"):
        resize(images[0, :, :, 0], (2, 2))


@pytest.mark.parametrize("method", ["linear", "trilinear", "cubic", "lanczos3", "lanczos5"])
@pytest.mark.parametrize("antialias", [False, True])
def test_scale_and_translate(method: str, antialias: bool) -> None:
    images = pictures(2, 9, 11, 3)
    for scale, shape in (([0.5, 0.7], (2, 5, 8, 3)), ([2.0, 1.3], (2, 16, 15, 3))):
        factors, shifts = torch.tensor(scale), torch.tensor([0.3, -1.2])
        agree(
            lambda x, s, t, shape=shape: scale_and_translate(x, shape, s, t, (1, 2), method, antialias),
            lambda x, s, t, shape=shape: keras.ops.image.scale_and_translate(x, shape, s, t, (1, 2), method, antialias),
            images, factors, shifts,
        )  # fmt: skip
    whole = (images * 255).to(torch.uint8)
    want = keras.ops.image.scale_and_translate(whole, (2, 16, 15, 3), factors, shifts, (1, 2), method, antialias)
    got = scale_and_translate(whole, (2, 16, 15, 3), factors, shifts, (1, 2), method, antialias)
    assert got.dtype == want.dtype
    close(got, want, because="whole numbers", tolerance=0)


def test_scale_and_translate_refuses() -> None:
    with pytest.raises(UnknownNameError, match="method"):
        scale_and_translate(pictures(3, 3), (5, 5), [2.0, 2.0], [0.0, 0.0], (0, 1), "area")
    with pytest.raises(ShapeError, match="output_shape"):
        scale_and_translate(pictures(3, 3), (5,), [2.0, 2.0], [0.0, 0.0], (0, 1), "linear")


# ── Cropping, padding, patches ──────────────────────────────────────────────────────────────────────────────────────

SIDES = [(1, 2, 3, 4, None, None), (1, 2, None, None, 4, 5), (None, None, 1, 2, 4, 5), (1, None, 2, 3, None, 5)]


@formats
@pytest.mark.parametrize("sides", SIDES)
def test_crop_and_pad(data_format: str, sides: Any) -> None:
    images = ordered(pictures(2, 9, 11, 3), data_format)
    larger = tuple(None if n is None else n + 10 if i > 3 else n for i, n in enumerate(sides))
    for one in (images, images[0]):
        agree(
            lambda x: crop_images(x, *sides, data_format=data_format),
            lambda x: keras.ops.image.crop_images(x, *sides, data_format=data_format), one,
        )  # fmt: skip
        agree(
            lambda x: pad_images(x, *larger, data_format=data_format),
            lambda x: keras.ops.image.pad_images(x, *larger, data_format=data_format), one,
        )  # fmt: skip


def test_crop_and_pad_refuse() -> None:
    images = pictures(4, 4, 3)
    with pytest.raises(ConfigError, match="exactly two of top_cropping, bottom_cropping, target_height"):
        crop_images(images, 1, 1)
    with pytest.raises(ConfigError, match="left_padding=-1"):
        pad_images(images, 1, -1, 1, 1)
    with pytest.raises(ShapeError, match="pad 4 pixels with top_padding=0, target_height=3"):
        pad_images(images, 0, 0, target_height=3, target_width=4)
    with pytest.raises(ShapeError, match="crop 4 pixels"):
        crop_images(images, 3, 0, 3, 0)


@formats
@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(
    ("size", "strides", "dilation"), [(3, None, 1), ((2, 3), (1, 2), 1), ((3, 2), 1, 2), (2, 3, 1), ((2, 2), (3, 2), 1)]
)
def test_patches(data_format: str, padding: str, size: Any, strides: Any, dilation: Any) -> None:
    images = ordered(pictures(2, 9, 11, 3), data_format)
    rest = {"strides": strides, "dilation_rate": dilation, "padding": padding, "data_format": data_format}
    for one in (images, images[0]):
        agree(
            lambda x: extract_patches(x, size, **rest), lambda x: keras.ops.image.extract_patches(x, size, **rest), one
        )


@formats
@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(("size", "strides"), [(2, None), ((2, 3, 2), 1), ((3, 2, 2), (2, 1, 3))])
def test_patches_of_volumes(data_format: str, padding: str, size: Any, strides: Any) -> None:
    volumes = pictures(2, 6, 7, 5, 2)
    volumes = volumes if data_format == "channels_last" else volumes.movedim(-1, 1).contiguous()
    rest = {"strides": strides, "padding": padding, "data_format": data_format}
    for one in (volumes, volumes[0]):
        theirs = lambda x: keras.ops.image.extract_patches_3d(x, size, **rest)  # noqa: E731
        agree(lambda x: extract_patches_3d(x, size, **rest), theirs, one)
        if not isinstance(size, int):
            agree(lambda x: extract_patches(x, size, **rest), theirs, one)


def test_patches_refuse() -> None:
    with pytest.raises(ShapeError, match="do not fit"):
        extract_patches(pictures(4, 4, 1), 5)
    with pytest.raises(ShapeError, match="received shape"):
        extract_patches(pictures(4, 4), 2)
    with pytest.raises(ConfigError, match="size"):
        extract_patches(pictures(4, 4, 1), (2,))
    whole = torch.arange(16, dtype=torch.uint8).view(4, 4, 1)
    assert extract_patches(whole, 2)[1, 1].tolist() == [10, 11, 14, 15]


# ── Warping ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@fillings
@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize("sizes", [(7,), (6, 5), (5, 4, 3)])
def test_map_coordinates(fill_mode: str, order: int, sizes: tuple[int, ...]) -> None:
    places = torch.stack([pictures(8, 6, seed=9 + n) * 4 * size - 1.5 * size for n, size in enumerate(sizes)])
    agree(
        lambda x, at: map_coordinates(x, at, order, fill_mode, 0.7),
        lambda x, at: keras.ops.image.map_coordinates(x, at, order, fill_mode, 0.7),
        pictures(*sizes), places,
    )  # fmt: skip
    for kind in (torch.uint8, torch.int32, torch.float16, torch.float64):
        inputs = (pictures(*sizes) * 255).to(kind)
        got = map_coordinates(inputs, places, order, fill_mode, 7)
        want = keras.ops.image.map_coordinates(inputs, places, order, fill_mode, 7)
        assert got.dtype == want.dtype == kind
        close(got, want, because=str(kind), tolerance=1e-6)


def test_map_coordinates_takes_what_lies_far_out() -> None:
    line = torch.tensor([1.0, 2.0, 3.0, torch.inf])
    places = torch.tensor([[-1e9, 1e9, -0.5, 1.5]])
    assert map_coordinates(line, places, 1, "constant", 5.0).tolist() == [5.0, 5.0, 3.0, 2.5]
    one = map_coordinates(torch.tensor([4.0]), torch.tensor([[-3.0, 0.4, 2.0]]), 1, "mirror")
    assert one.tolist() == [4.0, 4.0, 4.0]


def test_map_coordinates_refuses() -> None:
    with pytest.raises(ShapeError, match="one row of coordinates for each axis"):
        map_coordinates(pictures(3, 3), [[1.0]], 1)
    with pytest.raises(ConfigError, match="order"):
        map_coordinates(pictures(3), [[1.0]], 2)
    with pytest.raises(UnknownNameError, match="fill_mode"):
        map_coordinates(pictures(3), [[1.0]], 1, "edge")


TRANSFORMS = torch.tensor(
    [
        [1.0, 0.0, 2.5, 0.0, 1.0, -1.25, 0.0, 0.0],
        [0.86, -0.52, 3.1, 0.49, 0.87, -2.2, 0.0, 0.0],
        [1.7, 0.3, -4.0, -0.2, 0.6, 5.0, 0.0, 0.0],
    ]
)


@formats
@fillings
@interpolations
def test_affine_transform(data_format: str, fill_mode: str, interpolation: str) -> None:
    images = ordered(pictures(3, 9, 11, 2), data_format)
    options = (interpolation, fill_mode, 0.4, data_format)
    # Keras swaps entries of the transform that it is given.
    theirs = lambda x, t: keras.ops.image.affine_transform(x, t.clone(), *options)  # noqa: E731
    zeros = torch.zeros(3, 2)  # what Keras takes c0 and c1 for has another gradient
    whole_of = lambda t: torch.cat([t, zeros if t.ndim == 2 else zeros[0]], -1)  # noqa: E731
    for x, t in ((images, TRANSFORMS[:, :6]), (images[1], TRANSFORMS[1, :6])):
        agree(lambda x, t: affine_transform(x, whole_of(t), *options), lambda x, t: theirs(x, whole_of(t)), x, t)
    whole = (images * 255).to(torch.uint8)
    away = affine_transform(whole, TRANSFORMS, *options).int() - theirs(whole, TRANSFORMS).int()
    assert away.abs().max() <= 1 and (away != 0).float().mean() < 0.005  # halves, rounded up or down


def test_affine_transform_leaves_its_arguments_alone_and_divides() -> None:
    transform = TRANSFORMS.clone()
    images = pictures(3, 9, 11, 2)
    affine_transform(images, transform)
    assert torch.equal(transform, TRANSFORMS)
    for_all = affine_transform(images, transform[1])
    close(for_all, torch.stack([affine_transform(one, transform[1]) for one in images]), because="one for all")
    # The projective part, which Keras on torch applies to the channel's number, is that of a perspective transform.
    start, end = (torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 8.0], [10.0, 8.0]]) for _ in range(2))
    end = end * 0.8 + torch.tensor([[0.1, 0.2], [0.7, 0.9], [1.0, -0.4], [0.3, 0.1]])
    matrix = compute_homography_matrix(start, end)
    assert matrix[0, 6:].abs().min() > 1e-4
    close(affine_transform(images, matrix), perspective_transform(images, start, end), because="homography")


@formats
@interpolations
def test_perspective_transform(data_format: str, interpolation: str) -> None:
    images = ordered(pictures(3, 9, 11, 2), data_format)
    start = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 8.0], [10.0, 8.0]]).expand(3, 4, 2).contiguous()
    end = start * (1 + 0.4 * (pictures(3, 4, 2, seed=3) - 0.5)) + 0.3
    options = (interpolation, 0.4, data_format)
    theirs = lambda x, s, e: keras.ops.image.perspective_transform(x, s, e, *options)  # noqa: E731
    agree(lambda x, s, e: perspective_transform(x, s, e, *options), theirs, images, start, end, gradients=False)
    agree(
        lambda x, s, e: perspective_transform(x, s, e, *options), theirs, images[0], start[0], end[0], gradients=False
    )
    mine, keras_own = (images.clone().requires_grad_() for _ in range(2))
    perspective_transform(mine, start, end, *options).square().sum().backward()
    theirs(keras_own, start, end).square().sum().backward()
    close(mine.grad, keras_own.grad, because="gradient", tolerance=1e-4)
    close(
        compute_homography_matrix(start, end),
        keras.src.backend.torch.image.compute_homography_matrix(start, end), because="matrix",
    )  # fmt: skip


@formats
@fillings
@interpolations
def test_elastic_transform(data_format: str, fill_mode: str, interpolation: str) -> None:
    images = ordered(pictures(2, 17, 15, 2), data_format)
    options = (6.0, 1.3, interpolation, fill_mode, 0.4)
    torch.manual_seed(3)
    want = keras.ops.image.elastic_transform(images, *options, data_format=data_format)
    torch.manual_seed(3)
    close(elastic_transform(images, *options, data_format=data_format), want, because="elastic")
    moved = elastic_transform(images, *options, seed=1, data_format=data_format)
    assert torch.equal(moved, elastic_transform(images, *options, seed=1, data_format=data_format))
    assert not torch.equal(moved, elastic_transform(images, *options, seed=2, data_format=data_format))


def test_elastic_moves_neighbours_alike_and_every_picture_its_own_way() -> None:
    images = pictures(1, 32, 32, 1).expand(2, 32, 32, 1)
    one, other = elastic_transform(images, 10.0, 4.0, seed=0)
    assert not torch.equal(one, other)
    shift = torch.ones(2, 2, 32, 32) * 3
    left = displaced(images, shift * torch.tensor([1.0, 0.0]).view(2, 1, 1, 1), "bilinear", "nearest")
    assert torch.equal(left[:, :, :-3], images[:, :, 3:])


def test_gradients_equal_finite_differences() -> None:
    images = pictures(2, 5, 4, 2).double().requires_grad_()
    transform = (TRANSFORMS[1:].double() + 0.0123).requires_grad_()  # on a pixel there is no derivative
    for mode in FILL_MODES:
        assert torch.autograd.gradcheck(lambda x, t, m=mode: affine_transform(x, t, "bilinear", m), (images, transform))
    assert torch.autograd.gradcheck(lambda x: resize(x, (3, 7), "lanczos3", antialias=True), images)


@interpolations
def test_warps_refuse(interpolation: str) -> None:
    images = pictures(3, 9, 11, 2)
    with pytest.raises(ShapeError, match="2 transforms do not fit 3 pictures"):
        affine_transform(images, TRANSFORMS[:2], interpolation)
    with pytest.raises(ShapeError, match="8 numbers"):
        affine_transform(images, TRANSFORMS[:, :6], interpolation)
    with pytest.raises(UnknownNameError, match="did you mean"):
        affine_transform(images, TRANSFORMS, interpolation + "x")
    with pytest.raises(UnknownNameError, match="fill_mode"):
        affine_transform(images, TRANSFORMS, interpolation, "mirrored")
    with pytest.raises(ShapeError, match="end_points are 4 points"):
        perspective_transform(images, torch.zeros(4, 2), torch.zeros(3, 2), interpolation)
    with pytest.raises(ShapeError, match="one shape"):
        perspective_transform(images, torch.zeros(4, 2), torch.zeros(3, 4, 2), interpolation)


def test_symbols_and_arrays() -> None:
    x = Input((None, None, 3))
    assert resize(x, (5, 6)).shape == (None, 5, 6, 3)
    assert pad_images(x, 1, 1, 1, 1).shape == (None, None, None, 3)
    assert crop_images(x, 1, 1, target_height=4, target_width=5).shape == (None, 4, 5, 3)
    assert affine_transform(x, TRANSFORMS[0]).shape == (None, None, None, 3)
    assert elastic_transform(x).shape == (None, None, None, 3)
    assert extract_patches(Input((8, 8, 3)), 2).shape == (None, 4, 4, 12)
    assert resize(np.zeros((4, 4, 3), "uint8"), [2, 2]).dtype == torch.uint8
    empty = affine_transform(torch.zeros(0, 4, 4, 1), TRANSFORMS[:0])
    assert empty.shape == (0, 4, 4, 1)
