"""The plots of a report, each a matplotlib Figure made from plain arrays.   Shapes: N samples, K classes.

Figures are made with the object interface only, so nothing here touches pyplot's global state or needs a display.
"""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter
from PIL import Image

from dougong.workbench.scores import as_labels, as_probabilities, best_epoch, correlation

__all__ = ["confusion", "fit_of", "learning_curves", "picture_uri", "residuals", "roc", "svg_uri"]

INK, QUIET, GRID = "#22303c", "#6b7a88", "#e3e8ec"
TRAIN, VALIDATION, BEST = "#2b6cb0", "#d9622b", "#2f855a"
# Okabe and Ito's colours, told apart by colour-blind readers too, in an order that reads well on white.
SERIES = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c6bb1", "#7f7f7f", "#a6761d", "#1b1b1b"]
_TITLES = {"mae": "Mean absolute error", "mse": "Mean squared error", "auc": "AUC", "binary_accuracy": "Accuracy"}
MANY_POINTS = 2000  # more than these in one scatter are drawn as pixels, or the SVG would grow by megabytes


def _figure(width: float, height: float) -> Figure:
    return Figure(figsize=(width, height), layout="constrained", facecolor="none")


def _style(axes: Axes, title: str, x_label: str, y_label: str, *, grid: bool = True) -> None:
    axes.set_title(title, loc="left", fontsize=11, fontweight="bold", color=INK, pad=9)
    axes.set_xlabel(x_label, fontsize=9.5, color=QUIET)
    axes.set_ylabel(y_label, fontsize=9.5, color=QUIET)
    axes.tick_params(labelsize=9, colors=QUIET, length=3, color=GRID)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color("#c3ccd4")
    if grid:
        axes.grid(color=GRID, linewidth=0.8)
        axes.set_axisbelow(True)


def _legend(axes: Axes, **options: Any) -> None:
    # A white ground without a frame keeps lines that pass behind from crossing the words.
    look = {"fontsize": 9, "facecolor": "white", "edgecolor": "none", "framealpha": 0.85, "labelcolor": INK}
    axes.legend(**(look | options))


def learning_curves(history: Mapping[str, Sequence[float]], labels: Mapping[str, str] | None = None) -> Figure:
    """Loss and the metrics by epoch, training against validation, the best epoch marked; up to three panels.

    ``labels`` gives a quantity the words and unit of its axis.   Epochs are counted from 1, as the progress bar does.
    """
    labels = labels or {}
    lines = {key: list(values) for key, values in history.items()}
    keys = [key for key in lines if not key.startswith("val_") and key not in ("learning_rate", "lr")][:3]
    figure = _figure(5.0 * max(1, len(keys)) + 0.4, 3.7)
    best = best_epoch(lines)
    for axes, key in zip(figure.subplots(1, max(1, len(keys)), squeeze=False)[0], keys):
        _curve(axes, key, lines, labels.get(key, key), best)
    return figure


def _curve(axes: Axes, key: str, lines: Mapping[str, list[float]], label: str, best: int | None) -> None:
    _style(axes, _TITLES.get(key, key.replace("_", " ").capitalize()), "epoch", label)
    for name, colour, title in ((key, TRAIN, "training"), ("val_" + key, VALIDATION, "validation")):
        if name in lines:
            epochs = np.arange(1, len(lines[name]) + 1)
            marker = "o" if len(epochs) < 3 else None
            axes.plot(epochs, lines[name], color=colour, linewidth=1.8, label=title, marker=marker)
    shown = lines.get("val_" + key, lines[key])
    drawn = [value for name in (key, "val_" + key) for value in lines.get(name, []) if math.isfinite(value)]
    share = "accuracy" in key or key in ("auc", "precision", "recall")
    if share:
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=None, symbol=" %"))
    elif drawn and min(drawn) > 0 and max(drawn) / min(drawn) > 30:
        axes.set_yscale("log")
    if best is not None and best < len(shown):
        axes.axvline(best + 1, color=BEST, linewidth=1, linestyle=(0, (4, 3)))
        value = f"{100 * shown[best]:.1f} %" if share else f"{shown[best]:.4g}"
        axes.plot([best + 1], [shown[best]], "o", color=BEST, markersize=6, label=f"kept: epoch {best + 1}, {value}")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
    _legend(axes, loc="best")


def _short(name: str, most: int = 18) -> str:
    return name if len(name) <= most else name[: most - 1] + "…"


def confusion(matrix: np.ndarray, names: Sequence[str]) -> Figure:
    """The confusion matrix ``[K, K]``: coloured by the share of the true class, with counts where they can be read."""
    size = len(names)
    # Up to 12 classes stand beside the ROC curves; more get the page's whole width.
    side = 4.9 if size <= 12 else 8.4
    figure = _figure(side + 0.7, side)
    axes = figure.subplots()
    totals = matrix.sum(axis=1, keepdims=True)
    shares = matrix / np.maximum(totals, 1)
    image = axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0)
    _style(axes, "Confusion matrix", "predicted class", "true class", grid=False)
    step = max(1, math.ceil(size / 30))
    shown = range(0, size, step)
    short = [_short(names[k]) for k in shown]
    turned = size * max(map(len, short)) > 36
    angle, side_of = (40, "right") if turned else (0, "center")
    axes.set_xticks(list(shown), short, rotation=angle, ha=side_of, rotation_mode="anchor" if turned else None)
    axes.set_yticks(list(shown), short)
    for spine in axes.spines.values():
        spine.set_visible(False)
    if size <= 25:
        font = 10 if size <= 12 else 7
        for row, column in zip(*np.nonzero(matrix)):
            colour = "white" if shares[row, column] > 0.55 else INK
            axes.text(column, row, str(matrix[row, column]), ha="center", va="center", fontsize=font, color=colour)
    bar = figure.colorbar(image, ax=axes, shrink=0.75, format=PercentFormatter(1.0, decimals=0, symbol=" %"))
    bar.set_label("share of the true class", fontsize=9, color=QUIET)
    bar.ax.tick_params(labelsize=8.5, colors=QUIET, color=GRID)
    bar.outline.set_visible(False)  # type: ignore[operator]
    return figure


def roc(y_true: np.ndarray, y_pred: np.ndarray, names: Sequence[str]) -> Figure:
    """Each class against all others: true positives over false positives, with the area under the curve (AUC).

    Two classes give one curve, that of the second; of more than ten classes the ten with the least area are drawn.
    """
    from sklearn.metrics import auc, roc_curve  # lazy: half a second, and not every report has classes

    labels, probabilities = as_labels(y_true), as_probabilities(y_pred)
    figure = _figure(5.6, 5.2)
    axes = figure.subplots()
    classes = [1] if len(names) == 2 else list(range(len(names)))
    curves: list[tuple[float, int, np.ndarray, np.ndarray]] = []
    for k in classes:
        own = labels == k
        if own.any() and not own.all():
            false_share, true_share, _ = roc_curve(own, probabilities[:, k])
            curves.append((float(auc(false_share, true_share)), k, false_share, true_share))
    curves.sort(key=lambda curve: curve[0])
    title = "ROC, each class against the rest" if len(names) > 2 else "ROC"
    if len(curves) > len(SERIES):
        title = f"ROC, the {len(SERIES)} hardest of {len(curves)} classes"
    _style(axes, title, "false positive rate", "true positive rate")
    axes.plot([0, 1], [0, 1], color="#c3ccd4", linewidth=1, linestyle=(0, (4, 3)))
    for (area, k, false_share, true_share), colour in zip(curves, SERIES):
        axes.plot(false_share, true_share, color=colour, linewidth=1.7, label=f"{_short(names[k])}: AUC {area:.3f}")
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.02), aspect="equal")
    if curves:
        _legend(axes, loc="lower right")
    return figure


def fit_of(truth: np.ndarray, guess: np.ndarray, name: str) -> Figure:
    """Predicted over true values ``[N]`` of one target, with the line of perfect prediction and the fitted one."""
    figure = _figure(5.2, 4.9)
    axes = figure.subplots()
    r = correlation(truth, guess)
    _style(axes, f"Fit of {_short(name, 28)}   (R = {r:.4f})", f"true {_short(name)}", f"predicted {_short(name)}")
    both = np.concatenate([truth, guess])
    low, high = float(both.min()), float(both.max())
    margin = 0.04 * (high - low) or 1.0
    ends = np.array([low - margin, high + margin])
    axes.plot(ends, ends, color="#9aa7b2", linewidth=1, linestyle=(0, (4, 3)), label="predicted = true")
    _points(axes, truth, guess)
    if math.isfinite(r):
        slope, offset = np.polyfit(truth, guess, 1)
        sign = "+" if offset >= 0 else "−"
        words = f"fit: {slope:.3g}·true {sign} {abs(offset):.3g}"
        axes.plot(ends, slope * ends + offset, color=VALIDATION, linewidth=1.6, label=words)
    axes.set(xlim=ends, ylim=ends, aspect="equal")
    _legend(axes, loc="upper left")
    return figure


def _points(axes: Axes, x: np.ndarray, y: np.ndarray) -> None:
    size, opacity = (16, 0.65) if len(x) <= 500 else (8, 0.4)
    axes.scatter(x, y, s=size, color=TRAIN, alpha=opacity, linewidths=0, rasterized=len(x) > MANY_POINTS)


def residuals(truth: np.ndarray, guess: np.ndarray, name: str) -> Figure:
    """The errors of one target: over the prediction, where a trend would show, and as a histogram."""
    error = guess - truth
    figure = _figure(5.2, 4.9)
    above, below = figure.subplots(2, 1)
    _style(above, f"Errors of {_short(name, 28)}", f"predicted {_short(name)}", "predicted − true")
    above.axhline(0.0, color="#9aa7b2", linewidth=1, linestyle=(0, (4, 3)))
    _points(above, guess, error)
    _style(below, f"Mean error {error.mean():.3g}, standard deviation {error.std():.3g}", "predicted − true", "samples")
    counts, edges = _histogram(error)
    below.stairs(counts, edges, fill=True, color=TRAIN, alpha=0.85)
    below.axvline(0.0, color=INK, linewidth=1)
    below.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))
    return figure


def _histogram(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Counts and edges of 8 to 40 bins; values that are all but alike get one bin around them."""
    middle, width = float(values.mean()), float(np.ptp(values))
    if width <= 1e-6 * abs(middle) or width == 0.0:
        margin = 0.5 * abs(middle) or 0.5
        return np.array([len(values)]), np.array([middle - margin, middle + margin])
    return np.histogram(values, bins=min(40, max(8, round(math.sqrt(len(values))))))


def svg_uri(figure: Figure) -> str:
    """The figure as a ``data:`` address for an ``<img>``; the same figure gives the same bytes."""
    buffer = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "dougong"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None}, dpi=160)
    return "data:image/svg+xml;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def picture_uri(pixels: np.ndarray) -> str:
    """One picture ``[H, W]`` or ``[H, W, 1 | 3 | 4]`` of any range as a PNG ``data:`` address, stretched to 0…255."""
    pixels = np.asarray(pixels, dtype=np.float64)
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    low, high = float(np.nanmin(pixels)), float(np.nanmax(pixels))
    # Pictures already in bytes keep their darkness; others are stretched.
    if not (low >= 0 and 32 < high <= 255):
        pixels = (pixels - low) / ((high - low) or 1.0) * 255.0
    buffer = io.BytesIO()
    Image.fromarray(np.nan_to_num(pixels).round().clip(0, 255).astype(np.uint8)).save(buffer, format="png")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
