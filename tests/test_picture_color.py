"""Colour, tone, filter and mixing layers do to pictures what Keras's do, given the same draws."""

from __future__ import annotations

import json
from typing import Any

import keras
import numpy as np
import pytest
import torch
from torch import Tensor

from closeness import close
from dougong.core.errors import ConfigError, DataError, ShapeError
from dougong.core.symbol import Input
from dougong.layers.pictures.color import RandomColorJitter
from dougong.layers.pictures.histograms import Equalization
from picture_color_cases import CASES, RANDOM, PictureCase, kind, moved, pictures

EVERY = pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
EACH_KIND = pytest.mark.parametrize("case", {case.name: case for case in CASES}.values(), ids=lambda case: case.name)
NOT_SMOOTH = ("RandomPosterization", "ContrastLimitedAdaptiveHistogramEqualization")


def drawn(case: PictureCase, images: Tensor) -> tuple[Any, Any]:
    """Keras's layer and what it draws."""
    theirs = case.theirs(**{} if case.name in ("AutoContrast",) or "Equal" in case.name else {"seed": 5})
    return theirs, theirs.get_random_transformation(images, training=True)


@EVERY
@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_equals_keras_given_its_draws(case: PictureCase, dtype: str) -> None:
    if dtype == "uint8" and case.value_range != (0, 255):
        pytest.skip("whole numbers lie in [0, 255]")
    images = pictures(6, dtype, case.value_range)
    theirs, transformation = drawn(case, images)
    before = images.clone()
    got = case.ours().transform_images(images, transformation)
    close(images, before, because="the input is left as it was", tolerance=0)
    given = images.float() if case.floats else images
    want = theirs.transform_images(given.clone(), transformation)
    if not case.floats:
        assert got.dtype is want.dtype
    if got.dtype is torch.uint8:
        close(got, want, because=case.id, tolerance=0)
    else:
        width = case.value_range[1] - case.value_range[0]
        close(got / width, want / width, because=case.id)


@EVERY
def test_gradients_equal_keras(case: PictureCase) -> None:
    if case.name in NOT_SMOOTH:
        pytest.skip("steps have no slope")
    images = pictures(3, "float32", case.value_range)
    low, high = case.value_range
    images = images * 0.9 + (high - low) * 0.03 * torch.rand(images.shape, generator=torch.Generator().manual_seed(1))
    theirs, transformation = drawn(case, images)
    weights, found = torch.linspace(-1, 1, images.numel()).reshape(images.shape), []
    for layer in (case.ours(), theirs):
        places = images.clone().requires_grad_()
        outputs = layer.transform_images(places * 1.0, transformation)
        found.append(torch.autograd.grad((outputs * weights).sum(), places)[0])
    close(found[0], found[1], because=f"gradient of {case.id}", tolerance=1e-4)


@EVERY
def test_configs_go_both_ways(case: PictureCase) -> None:
    ours, theirs = case.ours(name="mine"), case.theirs(name="mine")
    got, want = (json.loads(json.dumps(layer.get_config())) for layer in (ours, theirs))
    want["dtype"] = got["dtype"]  # Keras writes a whole policy
    if case.name == "RandomGrayscale":
        assert got.pop("seed") is None  # which Keras forgets
    assert got == want
    assert type(ours).from_config(want).get_config() == ours.get_config()
    type(theirs).from_config(json.loads(json.dumps(ours.get_config())))


@EVERY
def test_channels_first_is_the_same_turned(case: PictureCase) -> None:
    images = pictures(4, "float32", case.value_range)
    config = {} if "Equal" in case.name or case.name == "AutoContrast" else {"seed": 3}
    if case.name == "RandomErasing" and "fill_value" not in case.config:
        case = case._replace(config={"fill_value": 1.0})  # noise lies elsewhere
    last, first = case.ours(**config), case.ours(data_format="channels_first", **config)
    want = last(images, training=True)
    close(first(moved(images), training=True), moved(want), because=case.id, tolerance=1e-6)


@EACH_KIND
def test_inference_changes_nothing(case: PictureCase) -> None:
    for dtype in ("float32", "uint8"):
        images = pictures(3, dtype)
        kept = case.ours()(images, training=False)
        if case.name in ("AutoContrast", "ContrastLimitedAdaptiveHistogramEqualization"):
            close(kept, case.ours()(images, training=True), because="acts always", tolerance=0)
        else:
            close(kept, images, because=case.name, tolerance=0)


@EACH_KIND
@pytest.mark.parametrize("dtype", ["float32", "uint8"])
@pytest.mark.parametrize("shape", [(None, None, None, 3), (None, 12, 10, 3), (12, 10, 3)])
def test_symbols_have_the_shape_and_dtype_of_the_result(
    case: PictureCase, shape: tuple[int | None, ...], dtype: str
) -> None:
    symbol = case.ours()(Input(batch_shape=shape, dtype=dtype))
    images = pictures(2, dtype)[0] if len(shape) == 3 else pictures(2, dtype)
    for training in (True, False):
        got = case.ours()(images, training=training)
        assert got.shape == images.shape
        if training or case.name != "RandomGrayscale":
            assert symbol.dtype is got.dtype, training
    assert symbol.shape == shape


@EACH_KIND
def test_one_picture_and_none(case: PictureCase) -> None:
    one = pictures(1)
    layer = case.ours()
    torch.manual_seed(2)
    want = layer(one, training=True)[0]
    torch.manual_seed(2)
    close(layer(one[0], training=True), want, because="without a batch", tolerance=0)
    assert layer(one[:0], training=True).shape == (0, 12, 10, 3)


@EACH_KIND
def test_double_precision_stays(case: PictureCase) -> None:
    layer = case.ours(dtype="float64")
    assert layer(pictures(2, "float64"), training=True).dtype is torch.float64


# ── Seeds ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("case", RANDOM, ids=lambda case: case.id)
def test_one_seed_one_result(case: PictureCase) -> None:
    images = pictures(8, "float32", case.value_range)
    first, second = case.ours(seed=7), case.ours(seed=7)
    runs = [[layer(images, training=True) for _ in range(6)] for layer in (first, second)]
    for a, b in zip(*runs):
        close(a, b, because="two layers of one seed", tolerance=0)
    if case.config.get("factor") != (3, 3) and case.id != "Solarization":
        assert any((runs[0][0] != other).any() for other in runs[0][1:]), "a second call draws anew"
    free = case.ours()
    torch.manual_seed(1)
    a = free(images, training=True)
    torch.manual_seed(1)
    close(free(images, training=True), a, because="torch's seed rules a layer without one", tolerance=0)
    again = [case.ours().get_random_transformation(images, seed=4) for _ in range(2)]
    same_draws(*again)


def same_draws(first: Any, second: Any) -> None:
    if isinstance(first, Tensor):
        close(first, second, because="draws of one seed", tolerance=0)
        return
    for key in first:
        close(first[key], second[key], because=key, tolerance=0)


# ── What differs from Keras, and why ────────────────────────────────────────────────────────────────────────────────


def test_saturation_is_cut_at_1_whatever_the_range() -> None:
    factor = {"factor": torch.tensor([3.0, 9.0])}
    images = pictures(2)
    unit = keras.layers.RandomSaturation(1.0, value_range=(0, 1)).transform_images(images / 255, factor)
    close(kind("RandomSaturation")(1.0).transform_images(images, factor) / 255, unit, because="(0, 255)")
    centred = kind("RandomSaturation")(1.0, value_range=(-1, 1)).transform_images(images / 127.5 - 1, factor)
    close(centred, unit * 2 - 1, because="(-1, 1)")
    assert keras.layers.RandomSaturation(1.0).transform_images(images, factor).min() < -100, "Keras's is still wrong"


def test_brightness_of_whole_numbers_does_not_wrap() -> None:
    whole, delta = torch.full((1, 2, 2, 3), 250, dtype=torch.uint8), {"rgb_delta": torch.full((1, 1, 1, 1), 20.0)}
    assert kind("RandomBrightness")(0.5).transform_images(whole, delta).unique().tolist() == [255.0]


def test_negatives_stay_within_the_range() -> None:
    turned = kind("RandomInvert")((1, 1), value_range=(-1, 1))(torch.tensor([[[[-1.0, 0.5]]]]))
    assert turned.flatten().tolist() == [1.0, -0.5]


def test_solarization_s_lower_bound_is_in_the_pictures_unit() -> None:
    layer = kind("Solarization")(addition_factor=(0.5, 0.5), threshold_factor=(0.25, 0.5))
    draws = layer.get_random_transformation(torch.zeros(500, 1, 1, 3))
    assert draws["additions"].unique().tolist() == [127.5]
    assert 63.75 <= draws["thresholds"].min() < 68 and 120 < draws["thresholds"].max() <= 127.5


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.filterwarnings("ignore:Tensor.T is deprecated")
@pytest.mark.parametrize("config", [{}, {"bins": 16}, {"value_range": (0.0, 1.0)}, {"bins": 300}])
def test_equalization_equals_keras_picture_by_picture(config: dict[str, Any], data_format: str) -> None:
    images = pictures(3, scale=config.get("value_range", (0, 255)))
    images = moved(images) if data_format == "channels_first" else images
    layer = Equalization(**config, data_format=data_format)
    theirs = keras.layers.Equalization(**config, data_format=data_format)
    want = torch.cat([theirs(images[i : i + 1], training=True) for i in range(3)])
    close(layer(images, training=True), want, because="equalized")
    close(layer(images, training=False), images, because="inference", tolerance=0)
    if data_format == "channels_last" and "value_range" not in config:
        whole = pictures(1, "uint8")
        close(layer(whole, training=True), theirs(whole, training=True), because="whole numbers")


def test_jitter_is_its_four_steps() -> None:
    factors: dict[str, Any] = {
        "brightness_factor": 0.3,
        "contrast_factor": 0.6,
        "saturation_factor": 0.9,
        "hue_factor": 0.4,
    }
    layer = RandomColorJitter(value_range=(0.0, 1.0), **factors)
    images = pictures(5, scale=(0, 1))
    draws = layer.get_random_transformation(images)
    want = images.clone()
    for name, factor in factors.items():
        word = name.removesuffix("_factor")
        step = getattr(keras.layers, f"Random{word.capitalize()}")(factor, value_range=(0, 1))
        want = step.transform_images(want, draws[f"random_{word}"])
    close(layer.transform_images(images, draws), want, because="jitter")
    config = layer.get_config()
    assert RandomColorJitter.from_config(config).get_config() == config
    keras.layers.RandomColorJitter.from_config(config)
    first = RandomColorJitter(value_range=(0.0, 1.0), data_format="channels_first", **factors)
    close(first.transform_images(moved(images), draws), moved(want), because="channels first")


# ── Mixing labels and masks ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["MixUp", "CutMix"])
def test_labels_are_mixed_as_keras_mixes_them(name: str) -> None:
    images, labels = pictures(6), torch.eye(6)
    theirs = getattr(keras.layers, name)(seed=2)
    transformation = theirs.get_random_transformation({"images": images, "labels": labels}, training=True)
    layer = kind(name)()
    want = theirs.transform_labels(labels, transformation)
    close(layer.transform_labels(labels, transformation), want, because="one-hot")
    close(layer.transform_labels(labels.int(), transformation), want, because="whole one-hot")
    close(layer.transform_labels(labels[:, 0], transformation), want[:, 0], because="one number each")
    maps = labels[:, None, None].expand(-1, 2, 3, -1)
    close(layer.transform_labels(maps, transformation)[:, 1, 2], want, because="maps")
    assert layer.transform_labels(labels, transformation, training=False) is labels
    with pytest.raises(DataError, match="to_categorical"):
        layer.transform_labels(torch.arange(6), transformation)


@pytest.mark.parametrize("name", ["MixUp", "CutMix"])
def test_labels_and_masks_follow_their_pictures(name: str) -> None:
    images = torch.arange(5.0)[:, None, None, None].expand(5, 20, 20, 3).contiguous()
    masks = images[..., :1].to(torch.int32)
    found = kind(name)(seed=8)({"images": images, "labels": torch.eye(5), "segmentation_masks": masks, "id": [1]})
    assert found["id"] == [1]
    close(found["segmentation_masks"], found["images"][..., :1], because="masks", tolerance=1e-5)
    expected = (found["labels"] * torch.arange(5.0)).sum(1)
    # The share of a rectangle is that of its size before it met the grid of pixels.
    close(expected, found["images"].mean((1, 2, 3)), because="labels", tolerance=1e-5 if name == "MixUp" else 0.1)
    assert (found["images"] != images).any()
    flat = kind(name)(seed=8)({"images": images, "segmentation_masks": masks[..., 0]})
    close(flat["segmentation_masks"], found["segmentation_masks"][..., 0], because="flat masks", tolerance=0)
    spec = kind(name)()({"images": Input((20, 20, 3)), "labels": Input((5,), dtype="int32")})
    assert spec["labels"].dtype is torch.float32 and spec["images"].shape == (None, 20, 20, 3)


# ── Refusals ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("name", "config", "word"),
    [
        ("RandomBrightness", {"factor": 1.5}, "factor"),
        ("RandomContrast", {"factor": -0.1}, "factor"),
        ("RandomHue", {"factor": (0.1, 0.2, 0.3)}, "factor"),
        ("RandomSaturation", {"factor": 0.1, "value_range": 255}, "value_range"),
        ("RandomGaussianBlur", {"kernel_size": 4}, "odd"),
        ("RandomGaussianBlur", {"sigma": 2.0}, "sigma"),
        ("RandomGrayscale", {"factor": 1.1}, "factor"),
        ("RandomPosterization", {"factor": 9}, "factor"),
        ("Solarization", {"addition_factor": (0.5, 1.5)}, "addition_factor"),
        ("MixUp", {"alpha": 0}, "alpha"),
        ("CutMix", {"bounding_box_format": "xyxy"}, "bounding"),
    ],
)
def test_wrong_arguments_are_refused_by_name(name: str, config: dict[str, Any], word: str) -> None:
    with pytest.raises(ConfigError, match=word):
        kind(name)(**config)
    if name not in ("MixUp", "CutMix"):
        with pytest.raises(ValueError):
            getattr(keras.layers, name)(**config)
    with pytest.raises(ConfigError, match="fill_value"):
        kind("RandomErasing")(fill_value=(1, 2))


@pytest.mark.parametrize("name", ["RandomHue", "RandomSaturation", "RandomColorDegeneration", "RandomGrayscale"])
def test_colours_need_three_channels(name: str) -> None:
    layer = kind(name)(0.5, name="mine")
    for wrong in (torch.rand(2, 4, 4, 2), Input((4, 4, 2)), {"images": torch.rand(2, 3, 4, 4)}):
        with pytest.raises(ShapeError, match=r"'mine'.*red, green and blue"):
            layer(wrong)
    if name in ("RandomColorDegeneration", "RandomGrayscale"):
        gray = torch.rand(2, 4, 4, 1)
        close(layer(gray, training=True), gray, because="grey stays")


def test_numpy_arrays_are_taken() -> None:
    got = kind("RandomInvert")((1, 1))(np.zeros((1, 2, 2, 3), "uint8"), training=True)
    assert got.unique().tolist() == [255.0]
