"""Bounding boxes and what is drawn into pictures, against the real Keras."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import torch
from PIL import Image

import dougong.keras.visualization as visualization
from closeness import close
from dougong.core.errors import ConfigError, DataError, ShapeError, UnknownNameError
from dougong.keras.utils import bounding_boxes as ours

theirs = keras.utils.bounding_boxes
FORMATS = "xyxy yxyx xywh center_xywh center_yxhw rel_xyxy rel_yxyx rel_xywh rel_center_xywh".split()
SIZE = {"height": 80, "width": 100}
IMAGE = (80, 100, 3)


def boxes(seed: int = 0) -> np.ndarray:
    draw = np.random.default_rng(seed)
    corner = draw.uniform(0, 50, (2, 5, 2))
    return np.concatenate([corner, corner + draw.uniform(1, 40, (2, 5, 2))], -1).astype("float32")


@pytest.mark.parametrize("source", FORMATS)
def test_formats_overlaps_and_offsets_equal_keras(source: str) -> None:
    given = ours.convert_format(boxes(), "xyxy", source, **SIZE)
    other = ours.convert_format(boxes(1), "xyxy", source, **SIZE)
    for target in FORMATS:
        close(
            ours.convert_format(given, source, target.upper(), **SIZE),
            theirs.convert_format(given, source, target, **SIZE),
            because=f"{source} to {target}",
        )
    for one, two in ((given, other), (given[0], other[0]), (given, other[0]), (given[0], other)):
        want = theirs.compute_iou(one, two, source, image_shape=IMAGE)
        close(ours.compute_iou(one, two, source, image_shape=IMAGE), want, because="IoU")
    if not source.startswith("rel"):
        close(ours.compute_ciou(given, other, source), theirs.compute_ciou(given, other, source), because="CIoU")
    for encoding in ("center_xywh", "center_yxhw"):
        for variance in (None, [0.1, 0.1, 0.2, 0.2]):
            rest = (encoding, variance, IMAGE)
            deltas = theirs.encode_box_to_deltas(boxes(2)[0], given, "xyxy", source, *rest)
            got = ours.encode_box_to_deltas(boxes(2)[0], given, "xyxy", source, *rest)
            close(got, deltas, because="offsets")
            back = ours.decode_deltas_to_boxes(boxes(2)[0], got, "xyxy", source, *rest)
            close(back, given, because="and back", tolerance=1e-4)
    levels = ours.decode_deltas_to_boxes({"a": boxes()[0]}, {"a": np.zeros((5, 4), "float32")}, "xyxy", "xyxy")
    close(levels["a"], boxes()[0], because="levels")


def test_padding_boxes_are_masked_as_in_keras() -> None:
    padded = boxes()
    padded[:, 3:] = -1
    for given in (padded, padded[0]):
        options = {"bounding_box_format": "xyxy", "use_masking": True, "mask_val": -2}
        close(ours.compute_iou(given, given, **options), theirs.compute_iou(given, given, **options), because="mask")


def test_cutting_moving_and_turning_equal_keras() -> None:
    given = boxes()
    labels = np.arange(10).reshape(2, 5)
    for name, height, width, some in (("xyxy", 40, 50, given - 10), ("rel_xyxy", None, None, given / 60 - 0.2)):
        pair = {"boxes": torch.from_numpy(some), "labels": torch.from_numpy(labels)}
        got, want = (k.clip_to_image_size(pair, height, width, name) for k in (ours, theirs))
        close(got["boxes"], want["boxes"], because="clipped")
        assert got["labels"].tolist() == want["labels"].tolist()
    close(ours.crop(given, 10, 5, 30, 40), theirs.crop(given, 10, 5, 30, 40), because="crop")
    close(ours.pad(given, 10, 5), theirs.pad(given, 10, 5), because="pad")
    draw = torch.Generator().manual_seed(0)
    for centre in ({}, {"center_x": 0.3, "center_y": 0.1}):
        angle, x, y, scale, lean_x, lean_y = (torch.rand(2, generator=draw) for _ in range(6))
        numbers = (90 * angle - 45, x - 0.5, y - 0.5, scale + 0.5, 20 * lean_x, 20 * lean_y, 80, 100)
        want = theirs.affine_transform(torch.from_numpy(given), *numbers, **centre)
        close(ours.affine_transform(given, *numbers, **centre), want, because="affine", tolerance=1e-4)


def test_wrong_boxes_are_told() -> None:
    with pytest.raises(UnknownNameError, match="or 'xyxy'"):
        ours.convert_format(boxes(), "xyxx", "xywh")
    with pytest.raises(ShapeError, match="a box is four numbers"):
        ours.convert_format(np.zeros((3, 5)), "xyxy", "xywh")
    with pytest.raises(ConfigError, match="give height= and width="):
        ours.convert_format(boxes(), "xyxy", "rel_xyxy")
    with pytest.raises(ConfigError, match="give image_shape="):
        ours.compute_iou(boxes(), boxes(), "rel_xyxy")
    with pytest.raises(ConfigError, match="use convert_format first"):
        ours.crop(boxes(), 1, 1, 2, 2, "xywh")
    with pytest.raises(ConfigError, match="variance is four numbers"):
        ours.encode_box_to_deltas(boxes(), boxes(), "xyxy", "xyxy", variance=[1.0])


# ── Drawing ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("blend", [True, False])
@pytest.mark.parametrize("colors", [None, {0: (1, 2, 3), 1: (255, 0, 0), 2: (0, 0, 255)}])
def test_masks_are_painted_as_keras_paints_them(blend: bool, colors: Any) -> None:
    draw = np.random.default_rng(0)
    images, masks = draw.integers(0, 256, (2, 6, 7, 3)), draw.integers(-1, 3, (2, 6, 7, 1))
    options = {"num_classes": 3, "color_mapping": colors, "alpha": 0.6, "blend": blend}
    # Keras's one-hot refuses negative classes, so that ignore_index is a class here.
    masks = np.where(masks < 0, 2, masks)
    got = visualization.draw_segmentation_masks(images, masks, ignore_index=2, **options)
    want = keras.visualization.draw_segmentation_masks(images, masks, ignore_index=2, **options)
    close(got, want, because="masks", tolerance=0.004 if blend else 0)  # one step of 255, where floats round
    flat = visualization.draw_segmentation_masks(images, masks[..., 0], ignore_index=2, **options)
    close(flat, got, because="masks without channels", tolerance=0)


def test_frames_are_drawn_where_the_boxes_are() -> None:
    images = np.zeros((1, 40, 60, 3), "uint8")
    found = {"boxes": [[[10, 12, 30, 32], [0, 0, 5, 5]]], "labels": [[1, -1]]}
    drawn = visualization.draw_bounding_boxes(images, found, "xyxy", color=(255, 0, 9), line_thickness=1)
    rows, columns = np.nonzero(drawn[0, :, :, 0])
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (12, 32, 10, 30)
    assert drawn[0, 20, 20].tolist() == [0, 0, 0]
    assert drawn[0, 12, 20].tolist() == [255, 0, 9]
    assert not images.any()
    named = visualization.draw_bounding_boxes(images, found, "xyxy", {1: "cat"}, line_thickness=1, font_scale=0.5)
    assert (named > 0).sum() > (drawn[..., 0] > 0).sum()
    grey = visualization.draw_bounding_boxes(images[..., :1] / 255.0, found, "xyxy")
    assert grey.shape == (1, 40, 60, 1)
    first = visualization.draw_bounding_boxes(images.transpose(0, 3, 1, 2), found, "xyxy", data_format="channels_first")
    assert first.shape == (1, 3, 40, 60)


def test_galleries_are_written(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (5, 20, 30, 3))
    frames = {"boxes": np.array([[[2, 2, 9, 9]]] * 5), "labels": np.zeros((5, 1), int)}
    masks = np.random.default_rng(1).integers(0, 3, (5, 20, 30))
    visualization.plot_image_gallery(images / 255, value_range=(0, 1), path=tmp_path / "a.png")
    visualization.plot_image_gallery(
        images[..., :1], y_true=range(5), y_pred=[0] * 5, label_map={0: "zero"}, rows=1, path=tmp_path / "b.png"
    )
    visualization.plot_bounding_box_gallery(
        images, "xyxy", frames, frames, class_mapping={0: "cat"}, legend=True, path=tmp_path / "c.png"
    )
    visualization.plot_segmentation_mask_gallery(images, 3, y_true=masks, y_pred=masks, path=tmp_path / "d.png")
    sizes = {}
    for name in "abcd":
        with Image.open(tmp_path / f"{name}.png") as picture:
            sizes[name] = picture.size
    assert sizes["b"][0] > 4 * sizes["b"][1]  # one row of five
    assert sizes["d"][1] > sizes["d"][0]  # five rows of three


def test_wrong_pictures_are_told() -> None:
    images = np.zeros((2, 4, 4, 3))
    with pytest.raises(ShapeError, match="must be a batch"):
        visualization.plot_image_gallery(images[0])
    with pytest.raises(ConfigError, match="label_map"):
        visualization.plot_image_gallery(images, y_true=[1, 2])
    with pytest.raises(ConfigError, match="not both"):
        visualization.plot_image_gallery(images, path="a.png", show=True)
    with pytest.raises(ConfigError, match="not both"):
        visualization.plot_bounding_box_gallery(images, "xyxy", legend=True, legend_handles=[1])
    with pytest.raises(DataError, match="'boxes' and 'labels'"):
        visualization.draw_bounding_boxes(images, {"boxes": []}, "xyxy")
    with pytest.raises(DataError, match="class numbers"):
        visualization.draw_segmentation_masks(images, np.zeros((2, 4, 4)))
    with pytest.raises(ShapeError, match="do not fit"):
        visualization.draw_segmentation_masks(images, np.zeros((2, 4, 5), int))
    with pytest.raises(ConfigError, match="no colour for class 1"):
        visualization.draw_segmentation_masks(images, np.ones((2, 4, 4), int), color_mapping={0: (0, 0, 0)})
