"""The layers that resize, cut and warp pictures beside Keras's: the same draws, the same pictures, masks and dtypes."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import pytest
import torch
from scipy import stats

import dougong.layers.pictures as ours
from closeness import close
from dougong.core.errors import ConfigError, ShapeError, UnknownNameError
from dougong.ops.warping import blurred_noise, displaced

torch.set_num_threads(1)
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

FILLS = ("constant", "nearest", "wrap", "reflect")
DRAWING: Mapping[str, Mapping[str, Any]] = {
    "RandomFlip": {},
    "RandomRotation": {"factor": 0.3},
    "RandomZoom": {"height_factor": (-0.4, 0.7), "width_factor": 0.2},
    "RandomTranslation": {"height_factor": 0.4, "width_factor": (-0.1, 0.6)},
    "RandomShear": {"x_factor": (0.1, 0.6), "y_factor": (0.0, 0.3)},
    "RandomPerspective": {"scale": 0.8},
}
ALL: Mapping[str, Mapping[str, Any]] = {
    "Resizing": {"height": 5, "width": 4},
    "CenterCrop": {"height": 5, "width": 4},
    "RandomCrop": {"height": 5, "width": 4},
    **DRAWING,
    "RandomElasticTransform": {},
}
drawing = pytest.mark.parametrize("kind", DRAWING)
every = pytest.mark.parametrize("kind", ALL)


def pair(kind: str, **config: Any) -> tuple[Any, Any]:
    config = {**ALL[kind], **config}
    return getattr(ours, kind)(**config), getattr(keras.layers, kind)(**config)


def pictures(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


# ── The same draws ──────────────────────────────────────────────────────────────────────────────────────────────────


@drawing
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("batched", [True, False])
def test_the_same_draw_gives_the_same_pictures(kind: str, data_format: str, batched: bool) -> None:
    layer, reference = pair(kind, data_format=data_format)
    images = pictures(4, 9, 11, 3)
    masks = (pictures(4, 9, 11, 1, seed=1) * 5).round()
    if data_format == "channels_first":
        images, masks = images.movedim(-1, 1).contiguous(), masks.movedim(-1, 1).contiguous()
    images, masks = (images, masks) if batched else (images[:1], masks[:1])
    for seed in range(3):
        drawn = reference.get_random_transformation(images if batched else images[0], training=True, seed=seed)
        want = reference.transform_images(images.clone(), copy.deepcopy(drawn), training=True)
        close(layer.transform_images(images, drawn), want, because="pictures")
        want = reference.transform_segmentation_masks(masks.clone(), copy.deepcopy(drawn), training=True)
        close(layer.transform_segmentation_masks(masks, drawn), want, because="masks", tolerance=0)


@pytest.mark.parametrize("kind", ["RandomRotation", "RandomZoom", "RandomTranslation", "RandomShear"])
@pytest.mark.parametrize("fill_mode", FILLS)
@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
def test_every_filling_and_interpolation(kind: str, fill_mode: str, interpolation: str) -> None:
    layer, reference = pair(kind, fill_mode=fill_mode, interpolation=interpolation, fill_value=0.3)
    images = pictures(4, 9, 11, 2)
    drawn = reference.get_random_transformation(images, training=True, seed=5)
    want = reference.transform_images(images, copy.deepcopy(drawn))
    close(layer.transform_images(images, drawn), want, because="pictures")
    whole = (images * 255).to(torch.uint8)  # as masks they keep their dtype
    assert torch.equal(
        layer.transform_segmentation_masks(whole, drawn),
        reference.transform_segmentation_masks(whole, copy.deepcopy(drawn)),
    )


def test_crops_at_the_same_place() -> None:
    layer, reference = pair("RandomCrop")
    images = pictures(3, 9, 11, 2)
    for seed in range(4):
        drawn = reference.get_random_transformation(images, training=True, seed=seed)
        close(layer.transform_images(images, drawn), reference.transform_images(images, drawn), because="cut")
    first, _ = pair("RandomCrop", data_format="channels_first")
    moved = first.transform_images(images.movedim(-1, 1), (2, 3))
    assert torch.equal(moved.movedim(1, -1), images[:, 2:7, 3:7])


@pytest.mark.parametrize("size", [(4, 5), (9, 9), (20, 30), (12, 6)])
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_center_crop(size: tuple[int, int], data_format: str) -> None:
    layer, reference = pair("CenterCrop", height=size[0], width=size[1], data_format=data_format)
    images = pictures(2, 9, 11, 3) if data_format == "channels_last" else pictures(2, 3, 9, 11)
    close(layer(images), reference(images), because="cut")
    close(layer(images[0]), reference(images[0]), because="one")


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic"])
@pytest.mark.parametrize(
    "ratio", [{}, {"crop_to_aspect_ratio": True}, {"pad_to_aspect_ratio": True, "fill_value": 7.0}]
)
@pytest.mark.parametrize("kind", [torch.float32, torch.uint8, torch.int32])
def test_resizing(interpolation: str, ratio: Mapping[str, Any], kind: torch.dtype) -> None:
    layer, reference = pair("Resizing", interpolation=interpolation, antialias=True, **ratio)
    images = (pictures(2, 9, 11, 3) * 255).to(kind)
    masks = (pictures(2, 9, 11, 1) * 5).to(torch.uint8)
    got, want = (one({"images": images, "segmentation_masks": masks}) for one in (layer, reference))
    for key in got:
        assert got[key].dtype == want[key].dtype
        close(got[key], want[key], because=key)
    close(layer(images[0]), reference(images[0]), because="one")


def test_the_same_noise_bends_alike() -> None:
    for data_format in ("channels_last", "channels_first"):
        layer, reference = pair("RandomElasticTransform", data_format=data_format, value_range=(0.1, 0.9))
        images = pictures(3, 17, 15, 2) if data_format == "channels_last" else pictures(3, 2, 17, 15)
        chosen, scale = torch.tensor([True, False, True]), torch.tensor(0.8)
        drawn = {"apply_transform": chosen, "distortion_factor": scale}
        torch.manual_seed(4)
        want = reference.transform_images(images, {**drawn, "seed": None})
        torch.manual_seed(4)
        noise = torch.stack([torch.normal(0.0, 1.0, (3, 17, 15)) for _ in "xy"])
        close(layer.transform_images(images, {**drawn, "noise": noise}), want, because=data_format)


def test_masks_move_like_their_pictures() -> None:
    """In Keras on torch three do not: elastic noise is drawn anew for them, the corners of a perspective are cut to
    bytes where masks are bytes, and a rotation's matrix has been changed in place by the time they come.
    """
    masks = (pictures(4, 32, 32, 1) > 0.5).to(torch.uint8)
    for kind in ("RandomElasticTransform", "RandomPerspective", "RandomRotation", "RandomZoom", "RandomShear"):
        layer, _ = pair(kind, interpolation="nearest", seed=3)
        got = layer({"images": masks.float(), "segmentation_masks": masks})
        assert got["segmentation_masks"].dtype == torch.uint8
        assert torch.equal(got["images"], got["segmentation_masks"].float())
        assert not torch.equal(got["segmentation_masks"], masks)


# ── The draws ───────────────────────────────────────────────────────────────────────────────────────────────────────


def even(values: torch.Tensor, low: float, high: float) -> None:
    """Raise unless the values look drawn evenly from [low, high)."""
    assert values.min() >= low and values.max() <= high
    found = stats.kstest(values.double().numpy().ravel(), "uniform", (low, high - low))
    assert found.pvalue > 1e-4, (low, high, found)


def independent(one: torch.Tensor, other: torch.Tensor) -> None:
    assert abs(np.corrcoef(one.numpy().ravel(), other.numpy().ravel())[0, 1]) < 0.1


def test_draws_are_even_and_one_for_each_picture() -> None:
    images = torch.zeros(4000, 5, 7, 1)

    def drawn(kind: str, **config: Any) -> Any:
        return getattr(ours, kind)(seed=1, **config).get_random_transformation(images)

    assert abs(drawn("RandomFlip")["flips"].float().mean() - 0.5) < 0.03
    even(drawn("RandomRotation", factor=(-0.1, 0.3))["angle"], -36, 108)
    zoom = drawn("RandomZoom", height_factor=(0.1, 0.4), width_factor=0.2)
    even(zoom["height_zoom"], 1.1, 1.4)
    even(zoom["width_zoom"], 0.8, 1.2)
    independent(zoom["height_zoom"], zoom["width_zoom"])
    alike = drawn("RandomZoom", height_factor=0.4)
    assert torch.equal(alike["height_zoom"], alike["width_zoom"])
    right, down = drawn("RandomTranslation", height_factor=(0.1, 0.2), width_factor=0.3)["translations"].unbind(1)
    even(right, -0.3 * 7, 0.3 * 7)
    even(down, 0.1 * 5, 0.2 * 5)
    independent(right, down)
    shear = drawn("RandomShear", x_factor=(0.2, 0.5), y_factor=(0.1, 0.3))["shear_factor"]
    even(shear[:, 0].abs(), 0.2, 0.5)
    even(shear[:, 1].abs(), 0.1, 0.3)
    assert torch.equal(shear[:, 0].sign(), shear[:, 1].sign()) and abs((shear[:, 0] > 0).float().mean() - 0.5) < 0.03
    seen = drawn("RandomPerspective", factor=(0.2, 0.6), scale=0.4)
    assert abs(seen["apply_perspective"].float().mean() - 0.4) < 0.03
    even((seen["end_points"] / seen["start_points"] - 1)[:, 3], -0.2, 0.2)
    bent = drawn("RandomElasticTransform", factor=(0.5, 1.0))
    assert abs(bent["apply_transform"].float().mean() - 0.75) < 0.03
    assert abs(bent["noise"].std() - 1) < 0.02 and bent["noise"].shape == (2, 4000, 5, 7)


def test_crops_fall_everywhere_alike() -> None:
    layer, images = ours.RandomCrop(4, 5, seed=0), torch.zeros(1, 6, 9, 1)
    places = [tuple(int(start) for start in layer.get_random_transformation(images)) for _ in range(3000)]
    counts = np.zeros((3, 5))
    for place in places:
        counts[place] += 1
    assert stats.chisquare(counts.ravel()).pvalue > 1e-4
    whole = ours.RandomCrop(6, 5, seed=0)  # no room above, some at the sides
    assert len({int(whole.get_random_transformation(images)[1]) for _ in range(50)}) == 5


@pytest.mark.parametrize("kind", [*DRAWING, "RandomElasticTransform", "RandomCrop"])
def test_a_seed_decides_and_the_stream_goes_on(kind: str) -> None:
    images = pictures(6, 9, 11, 3)
    one, same, other = (pair(kind, seed=seed)[0] for seed in (7, 7, 8))
    first, second = one(images), one(images)
    assert torch.equal(first, same(images)) and torch.equal(second, same(images))
    assert not torch.equal(first, second)
    assert any(not torch.equal(one(images), other(images)) for _ in range(3))
    free, _ = pair(kind)
    torch.manual_seed(3)
    drawn = free(images)
    torch.manual_seed(3)
    assert torch.equal(free(images), drawn)
    alike = [free.transform_images(images, free.get_random_transformation(images, seed=5)) for _ in range(2)]
    assert torch.equal(*alike)


# ── What comes out ──────────────────────────────────────────────────────────────────────────────────────────────────


@every
@pytest.mark.parametrize("dtype", ["uint8", "int32", "float16", "float32", "float64"])
def test_dtypes_are_keras_s(kind: str, dtype: str) -> None:
    layer, reference = pair(kind)
    images = torch.zeros(2, 8, 8, 3, dtype=getattr(torch, dtype))
    masks = torch.zeros(2, 8, 8, 1, dtype=torch.float32 if kind == "RandomElasticTransform" else torch.uint8)
    data = {"images": images, "labels": torch.zeros(2, dtype=torch.int32), "segmentation_masks": masks}
    for training in (True, False):
        if kind == "RandomCrop" and not training:
            continue  # Keras leaves the pictures whole
        assert layer(images, training=training).dtype == reference(images, training=training).dtype
        got = layer(data, training=training)
        assert {key: value.dtype for key, value in got.items()} == {
            key: value.dtype for key, value in reference(dict(data), training=training).items()
        }


@every
def test_nothing_moves_in_use(kind: str) -> None:
    layer, _ = pair(kind)
    images, masks = pictures(2, 9, 11, 3), torch.ones(2, 9, 11, 1, dtype=torch.uint8)
    got = layer({"images": images, "segmentation_masks": masks}, training=False)
    assert layer.transform_labels(masks, None) is masks
    if kind in ("Resizing", "CenterCrop", "RandomCrop"):
        assert got["images"].shape == (2, 5, 4, 3) and torch.equal(got["images"], layer(images, training=False))
    else:
        assert torch.equal(got["images"], images) and torch.equal(got["segmentation_masks"].to(torch.uint8), masks)


def test_a_crop_in_use_is_the_middle_with_its_proportions() -> None:
    """As Keras documents it; Keras 3.15 gives the picture uncut."""
    images = pictures(2, 8, 20, 3)
    want = keras.layers.Resizing(4, 5, crop_to_aspect_ratio=True)(images)
    close(ours.RandomCrop(4, 5)(images, training=False), want, because="in use")
    small = pictures(2, 4, 10, 3)
    want = keras.layers.Resizing(6, 6, crop_to_aspect_ratio=True)(small)
    close(ours.RandomCrop(6, 6)(small, training=True), want, because="smaller than the window")


@every
def test_configs_are_keras_s(kind: str) -> None:
    layer, reference = pair(kind, name="one")
    own, theirs = layer.get_config(), reference.get_config()
    assert set(own) == set(theirs)
    for key in set(own) - {"dtype", "seed", "x_factor", "y_factor"}:
        assert list(np.ravel(own[key])) == list(np.ravel(theirs[key])), key
    again = type(layer).from_config(theirs)
    assert again.get_config() == own | {"seed": theirs["seed"]} if "seed" in own else own
    type(reference).from_config(own)


def test_a_shear_of_a_number_is_read_back() -> None:
    """Keras writes (-f, f) and then refuses it."""
    theirs = keras.layers.RandomShear(0.2, 0.1)
    with pytest.raises(TypeError, match="factor"):
        keras.layers.RandomShear.from_config(theirs.get_config())
    layer = ours.RandomShear.from_config(theirs.get_config())
    assert layer.x_factor == (-0.2, 0.2) and layer.get_config()["y_factor"] == 0.1
    assert keras.layers.RandomShear.from_config(layer.get_config()).x_factor == (-0.2, 0.2)


# ── By eye and by hand ──────────────────────────────────────────────────────────────────────────────────────────────


def test_directions() -> None:
    corner = torch.zeros(1, 4, 4, 1)
    corner[0, 0, 3] = 1.0  # above, right
    turned = ours.RandomRotation((0.25, 0.25))(corner)
    assert turned[0, 0, 0] > 0.99  # counter-clockwise: above, left
    down = ours.RandomTranslation((0.25, 0.25), 0.0, fill_mode="constant")(corner)
    assert down[0, 1, 3] > 0.99
    assert ours.RandomFlip("vertical").transform_images(corner, {"flips": torch.tensor(True)})[0, 3, 3] == 1
    assert ours.RandomFlip("horizontal").transform_images(corner, {"flips": torch.tensor(True)})[0, 0, 0] == 1
    out = ours.RandomZoom((1.0, 1.0), fill_mode="constant", fill_value=0.0)(torch.ones(1, 8, 8, 1))
    assert out[0, 0].sum() == 0 and out[0, 3:5, 3:5].sum() == 4  # smaller, in the middle


def test_the_blur_is_a_window_cut_at_three_sigma() -> None:
    spot = torch.zeros(1, 31, 31)
    spot[0, 15, 15] = 1.0
    for sigma in (0.4, 1.3, 4.0):
        reach = (int(6 * sigma) | 1) // 2
        line = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / sigma) ** 2)
        line = torch.nn.functional.pad(line / line.sum(), (15 - reach, 15 - reach))
        close(blurred_noise(spot, sigma)[0], sigma * line[:, None] * line, because=str(sigma), tolerance=1e-6)
        close(blurred_noise(spot, torch.tensor(sigma)), blurred_noise(spot, sigma), because="tensor", tolerance=1e-6)
    moved = torch.zeros(2, 1, 31, 31)
    moved[0] += 2
    assert displaced(spot[..., None], moved, "bilinear", "constant")[0, 15, 13] == 1


# ── Refusals ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'horizontal'"):
        ours.RandomFlip("horizontl")
    with pytest.raises(UnknownNameError, match="interpolation"):
        ours.Resizing(3, 3, interpolation="area")
    with pytest.raises(UnknownNameError, match="fill_mode"):
        ours.RandomRotation(0.1, fill_mode="mirror")
    with pytest.raises(UnknownNameError, match="interpolation"):
        ours.RandomZoom(0.1, interpolation="bicubic")
    with pytest.raises(ConfigError, match="not both"):
        ours.Resizing(3, 3, crop_to_aspect_ratio=True, pad_to_aspect_ratio=True)
    for wrong in (0, -3, 2.5, "a"):
        with pytest.raises(ConfigError, match="height and width"):
            ours.CenterCrop(wrong, 3)
    with pytest.raises(ConfigError, match=r"factor must be a number, or a pair of numbers, within \[-1.0, 1.0\]"):
        ours.RandomRotation(1.5)
    with pytest.raises(ConfigError, match="height_factor must be above -1"):
        ours.RandomZoom((-1.0, 0.5))
    with pytest.raises(ConfigError, match="width_factor"):
        ours.RandomTranslation(0.1, (0.2, 1.3))
    with pytest.raises(ConfigError, match="y_factor"):
        ours.RandomShear(0.1, -0.2)
    with pytest.raises(ConfigError, match="scale must be within"):
        ours.RandomPerspective(scale=1.2)
    with pytest.raises(ConfigError, match="value_range"):
        ours.RandomElasticTransform(value_range=(0, 1, 2))
    with pytest.raises(ConfigError, match="RandomPerspective takes no argument 'fill_mode'"):
        ours.RandomPerspective(fill_mode="nearest")
    with pytest.raises(ShapeError, match=r"takes pictures with axes \(height, width, channels\)"):
        ours.RandomFlip()(torch.zeros(4, 4))


def test_zooming_by_everything_is_allowed_as_in_keras() -> None:
    layer = ours.RandomZoom(1.0, seed=0)
    drawn = layer.get_random_transformation(torch.zeros(100, 4, 4, 1))
    assert drawn["height_zoom"].min() >= 0 and drawn["height_zoom"].max() <= 2
