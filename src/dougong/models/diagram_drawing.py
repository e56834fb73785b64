"""A diagram drawn with matplotlib, for machines without Graphviz.   Lengths in points, y down."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from typing import Any

from dougong.models.diagram import Box, Diagram, Group
from dougong.models.diagram_layout import Placed, laid_out

__all__ = ["draw"]

Point = tuple[float, float]
_HEAD, _TEXT = 11.0, 10.0  # font sizes
_PAD, _ROW = 10.0, 26.0  # beside the text of a cell, and the height of a row
_INSET = 16.0  # of a group's boxes from its frame
_MARGIN = 12.0
_MOST_PIXELS = 60_000  # along a side; matplotlib draws no more than 65 535
_TOO_SHORT = 0.01  # for an arrow head
_GREEN, _RED = "#228b22", "#b22222"


def draw(diagram: Diagram, path: str | os.PathLike[str], *, format: str, rankdir: str, dpi: int, splines: str) -> None:
    """Write the picture of ``diagram``; ``format`` is one of matplotlib's: png, pdf, svg, jpg."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # lazy: 0.3 s that only drawing needs
    from matplotlib.figure import Figure  # lazy: as above

    drawing = _Drawing(diagram, rankdir, splines)
    width, height = (length + 2 * _MARGIN for length in drawing.size)
    dpi = min(dpi, int(_MOST_PIXELS * 72 / max(width, height)))
    figure = Figure(figsize=(width / 72, height / 72), dpi=dpi)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_xlim(-_MARGIN, width - _MARGIN)
    axes.set_ylim(height - _MARGIN, -_MARGIN)
    axes.axis("off")
    drawing.paint(axes)
    figure.savefig(path, format=format, dpi=dpi, facecolor="white")


class _Drawing:
    """Places first, then paint."""

    def __init__(self, diagram: Diagram, rankdir: str, splines: str) -> None:
        self._arrows, self._bent = list(diagram.arrows), splines == "ortho"
        self._sideways, self._backwards = rankdir in ("LR", "RL"), rankdir in ("BT", "RL")
        self._boxes = dict(diagram.whole.all_boxes())
        self._sizes = {key: _size(box) for key, box in self._boxes.items()}
        self._centres: dict[Any, Point] = {}
        self._ways: dict[tuple[int, int], list[Point]] = {}
        self._layouts: dict[int, tuple[Placed, dict[Any, Point], dict[int, Any]]] = {}
        self._frames: list[tuple[str, Point, Point]] = []
        self.size = self._place(diagram.whole)
        self._shift(diagram.whole, (0.0, 0.0))

    # ── Places ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _turned(self, pair: Point) -> Point:
        return (pair[1], pair[0]) if self._sideways else pair

    def _place(self, group: Group) -> Point:
        """Lay out a group, those within first; gives its size.  Places are kept relative to the group."""
        sizes: dict[Any, Point] = {}
        holder: dict[int, Any] = {}
        for key in group.boxes:
            sizes[key], holder[key] = self._sizes[key], key
        for key, inner in group.groups.items():
            width, height = self._place(inner)
            head = _ROW * (2 if self._sideways else 1)  # arrows from the side meet the boxes in the middle
            sizes["group", key] = max(width, _width(inner.label, _TEXT)) + 2 * _INSET, height + 2 * _INSET + head
            holder |= {box: ("group", key) for box, _ in inner.all_boxes()}
        arrows = dict.fromkeys((holder[a], holder[b]) for a, b in self._arrows if a in holder and b in holder)
        inner_arrows = [(a, b) for a, b in arrows if a != b]
        if self._backwards:
            inner_arrows = [(b, a) for a, b in inner_arrows]
        placed = laid_out({key: self._turned(size) for key, size in sizes.items()}, inner_arrows)
        self._layouts[id(group)] = placed, sizes, holder
        return self._turned(placed.size)

    def _shift(self, group: Group, corner: Point) -> None:
        """From places relative to the group to places in the picture; the group's upper left corner is ``corner``."""
        placed, sizes, holder = self._layouts[id(group)]
        centres = {key: _added(self._turned(centre), corner) for key, centre in placed.centres.items()}
        self._centres |= {key: centres[key] for key in group.boxes}
        for a, b in self._arrows:
            pair = (holder.get(b), holder.get(a)) if self._backwards else (holder.get(a), holder.get(b))
            if pair in placed.ways:  # the innermost group that holds both ends
                way = [_added(self._turned(point), corner) for point in placed.ways[pair]]
                self._ways[a, b] = way[::-1] if self._backwards else way
        for key, inner in group.groups.items():
            (x, y), (width, height) = centres["group", key], sizes["group", key]
            upper_left = (x - width / 2, y - height / 2)
            self._frames.append((inner.label, upper_left, (width, height)))
            inside = self._turned(self._layouts[id(inner)][0].size)
            free = (width - inside[0]) / 2
            self._shift(inner, (upper_left[0] + free, upper_left[1] + _INSET + _ROW))

    # ── Paint ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def paint(self, axes: Any) -> None:
        from matplotlib.patches import FancyArrowPatch, Rectangle  # lazy: as in draw
        from matplotlib.path import Path  # lazy: as in draw

        for label, corner, (width, height) in self._frames:
            axes.add_patch(
                Rectangle(corner, width, height, fill=False, linestyle="--", linewidth=1, edgecolor="#666666")
            )
            axes.text(corner[0] + _PAD, corner[1] + _ROW / 2, label, fontsize=_TEXT, va="center", color="#444444")
        for arrow in self._arrows:
            points = list(self._way(arrow))
            style = {"arrowstyle": "-|>,head_width=3,head_length=6", "linewidth": 1.4, "color": "black"}
            axes.add_patch(FancyArrowPatch(path=Path(points), shrinkA=0, shrinkB=0, joinstyle="miter", **style))
        for key, box in self._boxes.items():
            for text, place, size, colours, bold in _cells(box, self._sizes[key], self._centres[key]):
                axes.add_patch(Rectangle(place, *size, facecolor=colours[0], edgecolor="black", linewidth=1))
                middle = (place[0] + size[0] / 2, place[1] + size[1] / 2)
                font = {"fontsize": _HEAD if bold else _TEXT, "weight": "bold" if bold else "normal"}
                axes.text(*middle, text, color=colours[1], ha="center", va="center_baseline", parse_math=False, **font)

    def _way(self, arrow: tuple[int, int]) -> Iterator[Point]:
        """The corners of an arrow, from the side of one box to that of the other."""
        (start, end), along = (self._centres[key] for key in arrow), 0 if self._sideways else 1
        sign = 1 if end[along] >= start[along] else -1
        halves = [self._sizes[key][along] / 2 for key in arrow]
        start, end = _moved(start, along, sign * halves[0]), _moved(end, along, -sign * halves[1])
        points = [start, *self._ways.get(arrow, ()), end]
        yield points[0]
        for one, other in pairwise(points):
            if max(abs(one[0] - other[0]), abs(one[1] - other[1])) < _TOO_SHORT:
                continue
            if self._bent and abs(one[1 - along] - other[1 - along]) > 1:
                half = (one[along] + other[along]) / 2
                yield from (_at(one, along, half), _at(other, along, half))
            yield other


def _added(one: Point, other: Point) -> Point:
    return one[0] + other[0], one[1] + other[1]


def _moved(point: Point, along: int, by: float) -> Point:
    return _at(point, along, point[along] + by)


def _at(point: Point, along: int, value: float) -> Point:
    return (value, point[1]) if along == 0 else (point[0], value)


@cache
def _width(text: str, size: float, bold: bool = False) -> float:
    from matplotlib.font_manager import FontProperties  # lazy: as in draw
    from matplotlib.textpath import TextPath  # lazy: as in draw

    if not text:
        return 0.0
    font = FontProperties(weight="bold" if bold else "normal")
    return float(TextPath((0, 0), text.replace("$", "S"), size=size, prop=font).get_extents().width)


def _bottom(box: Box) -> list[tuple[str, tuple[str, str]]]:
    """The cells of the last row, with background and colour."""
    cells = [(text, ("white", "black")) for text in box.cells]
    if box.trainable is not None:
        cells.append(("Trainable", (_GREEN, "white")) if box.trainable else ("Non-trainable", (_RED, "white")))
    return cells


def _size(box: Box) -> Point:
    rows = 1 + bool(box.activation) + bool(_bottom(box))
    widths = [_width(box.head, _HEAD, True), _width(f"Activation: {box.activation}" * bool(box.activation), _TEXT)]
    last = sum(_width(text, _TEXT) + 2 * _PAD for text, _ in _bottom(box))
    return max(max(widths) + 2 * _PAD, last), rows * _ROW


def _cells(box: Box, size: Point, centre: Point) -> Iterator[tuple[str, Point, Point, tuple[str, str], bool]]:
    """Text, corner, size, colours and weight of each cell of a box."""
    left, top = centre[0] - size[0] / 2, centre[1] - size[1] / 2
    yield box.head, (left, top), (size[0], _ROW), ("black", "white"), True
    top += _ROW
    if box.activation:
        yield f"Activation: {box.activation}", (left, top), (size[0], _ROW), ("white", "black"), False
        top += _ROW
    cells = _bottom(box)
    spare = size[0] - sum(_width(text, _TEXT) + 2 * _PAD for text, _ in cells)
    for text, colours in cells:
        width = _width(text, _TEXT) + 2 * _PAD + spare / len(cells)
        yield text, (left, top), (width, _ROW), colours, False
        left += width
