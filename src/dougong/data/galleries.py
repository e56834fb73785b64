"""Many pictures side by side, with labels, boxes or masks.   Letters: N pictures, H height, W width, C channels."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dougong.core.errors import ConfigError
from dougong.data.drawing import as_numpy, draw_bounding_boxes, draw_segmentation_masks, last_axis_channels

__all__ = ["plot_bounding_box_gallery", "plot_image_gallery", "plot_segmentation_mask_gallery"]

_TITLE = 0.3  # inches


def plot_image_gallery(
    images: Any,
    y_true: Any = None,
    y_pred: Any = None,
    label_map: Mapping[int, str] | None = None,
    rows: int | None = None,
    cols: int | None = None,
    value_range: Sequence[float] = (0, 255),
    scale: float = 2,
    path: str | os.PathLike[str] | None = None,
    show: bool | None = None,
    transparent: bool = True,
    dpi: int = 60,
    legend_handles: Any = None,
    data_format: str | None = None,
) -> None:
    """Show pictures in ``rows`` and ``cols``, or write them to ``path``; titles tell labels by ``label_map``.

    ``value_range`` is what black and white are; ``scale`` is a picture's size in inches.
    Raises: ShapeError; ConfigError for labels without their names, or a path and ``show=True``.
    Keras: as ``keras.visualization.plot_image_gallery``; there, without ``cols``, a last row half full is left out.
    """
    if path is not None and show:
        raise ConfigError("give path= to write the gallery, or show=True to see it, not both")
    if (y_true is not None or y_pred is not None) and label_map is None:
        raise ConfigError("y_true and y_pred need label_map=, which gives class numbers their names")
    pictures = _in_bytes(images, value_range, data_format)
    rows = rows or math.ceil(math.sqrt(len(pictures)))
    cols = cols or math.ceil(len(pictures) / rows)
    titles = _titles(len(pictures), y_true, y_pred, label_map or {})
    high = scale * pictures.shape[1] / pictures.shape[2] + (_TITLE if any(titles) else 0)
    figure, seen = _figure(path is None, (cols * scale, rows * high))
    for number in range(min(rows * cols, len(pictures))):
        axes = figure.add_subplot(rows, cols, number + 1)
        axes.imshow(pictures[number].squeeze(), cmap="gray", vmin=0, vmax=255)
        axes.axis("off")
        if titles[number]:
            axes.set_title(titles[number], fontsize=8)
    if legend_handles is not None:
        figure.legend(handles=legend_handles, loc="lower center")
    if path is not None:
        figure.savefig(path, pad_inches=0, bbox_inches="tight", transparent=transparent, dpi=dpi)
    elif show is not False:
        seen.show()
        seen.close(figure)


def _in_bytes(images: Any, value_range: Sequence[float], data_format: str | None) -> np.ndarray:
    """Pictures ``[N, H, W, C]`` with ``value_range`` spread over 0 to 255."""
    black, white = value_range
    pictures = last_axis_channels(images, data_format).astype("float64")
    return np.clip((pictures - black) / (white - black) * 255, 0, 255).astype("uint8")


def _figure(on_screen: bool, size: tuple[float, float]) -> tuple[Any, Any]:
    """A figure, and what shows it; one that is only written needs no screen."""
    if on_screen:
        import matplotlib.pyplot as plt  # lazy: 0.5 s that only drawing needs

        return plt.figure(figsize=size, frameon=False, layout="tight"), plt
    from matplotlib.figure import Figure  # lazy: as above

    return Figure(figsize=size, frameon=False, layout="tight"), None


def _titles(count: int, y_true: Any, y_pred: Any, label_map: Mapping[int, str]) -> list[str]:
    parts: list[list[str]] = [[] for _ in range(count)]
    for head, labels in (("Label", y_true), ("Pred", y_pred)):
        for title, label in zip(parts, () if labels is None else as_numpy(labels).ravel()):
            title.append(f"{head}: {label_map.get(int(label), 'Unknown')}")
    return ["  ".join(title) for title in parts]


def _hex(color: Sequence[int]) -> str:
    return "#" + "".join(f"{part:02x}" for part in color)


def plot_bounding_box_gallery(
    images: Any,
    bounding_box_format: str,
    y_true: Mapping[str, Any] | None = None,
    y_pred: Mapping[str, Any] | None = None,
    value_range: Sequence[float] = (0, 255),
    true_color: Sequence[int] = (0, 188, 212),
    pred_color: Sequence[int] = (255, 235, 59),
    line_thickness: int = 2,
    font_scale: float = 1.0,
    text_thickness: int | None = None,
    class_mapping: Mapping[int, str] | None = None,
    ground_truth_mapping: Mapping[int, str] | None = None,
    prediction_mapping: Mapping[int, str] | None = None,
    legend: bool = False,
    legend_handles: Any = None,
    rows: int | None = None,
    cols: int | None = None,
    data_format: str | None = None,
    **kwargs: Any,
) -> None:
    """Show pictures with true and predicted boxes, each in its colour; see `draw_bounding_boxes`.

    ``kwargs`` go to `plot_image_gallery`.   Raises: as these; ConfigError for ``legend`` beside ``legend_handles``.
    Keras: as ``keras.visualization.plot_bounding_box_gallery``.
    """
    if legend and legend_handles:
        raise ConfigError("give legend=True or legend_handles=, not both")
    pictures = _in_bytes(images, value_range, data_format)
    for boxes, color, names in (
        (y_true, true_color, ground_truth_mapping or class_mapping),
        (y_pred, pred_color, prediction_mapping or class_mapping),
    ):
        if boxes is not None:
            pictures = draw_bounding_boxes(
                pictures, boxes, bounding_box_format, names, color, line_thickness, text_thickness or line_thickness,
                font_scale, "channels_last",
            )  # fmt: skip
    if legend:
        from matplotlib.patches import Patch  # lazy: as above

        colors = {"Ground Truth": true_color, "Prediction": pred_color}
        legend_handles = [Patch(color=_hex(color), label=label) for label, color in colors.items()]
    plot_image_gallery(
        pictures, rows=rows, cols=cols, legend_handles=legend_handles, data_format="channels_last", **kwargs
    )


def plot_segmentation_mask_gallery(
    images: Any,
    num_classes: int,
    value_range: Sequence[float] = (0, 255),
    y_true: Any = None,
    y_pred: Any = None,
    color_mapping: Mapping[int, Sequence[int]] | None = None,
    blend: bool = True,
    alpha: float = 0.8,
    ignore_index: int = -1,
    data_format: str | None = None,
    **kwargs: Any,
) -> None:
    """Show each picture in a row of its own, beside it true and predicted classes; see `draw_segmentation_masks`.

    ``kwargs`` go to `plot_image_gallery`.   Raises: as these.
    Keras: as ``keras.visualization.plot_segmentation_mask_gallery``.
    """
    pictures = _in_bytes(images, value_range, data_format)
    columns = [pictures]
    for masks in (y_true, y_pred):
        if masks is None:
            continue
        numbers = as_numpy(masks).astype("int32")
        numbers = numbers[:, 0] if numbers.ndim == 4 and data_format == "channels_first" else numbers
        columns.append(
            draw_segmentation_masks(
                pictures, numbers, num_classes, color_mapping, alpha, blend, ignore_index, "channels_last"
            ).astype("uint8")
        )
    in_rows = np.stack(columns, axis=1).reshape(-1, *pictures.shape[1:])
    plot_image_gallery(in_rows, rows=len(pictures), cols=len(columns), data_format="channels_last", **kwargs)
