"""Places for boxes and ways for arrows, in ranks from top to bottom.   Ref: Sugiyama et al. 1981.

Lengths are in points; x runs to the right and y down.  A group is laid out by itself first, then placed as one box.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

__all__ = ["Placed", "laid_out"]

Size = tuple[float, float]
Point = tuple[float, float]
Key = Hashable

_GAP = 28.0  # between neighbours in a rank
_RANK_GAP = 40.0  # between ranks
_SWEEPS = 12


@dataclass
class Placed:
    """Centres of what was placed, the way of each arrow between the ranks of its ends, and the size of the whole.

    A way turns only from its second to its third point, from its fourth to its fifth and so on: between ranks.
    """

    centres: dict[Key, Point] = field(default_factory=dict)
    ways: dict[tuple[Key, Key], list[Point]] = field(default_factory=dict)
    size: Size = (0.0, 0.0)


def laid_out(sizes: Mapping[Key, Size], arrows: Sequence[tuple[Key, Key]]) -> Placed:
    """Places for boxes of these sizes, and ways for arrows that pass between the boxes.

    >>> placed = laid_out({"a": (40, 20), "b": (60, 20)}, [("a", "b")])
    >>> placed.centres, placed.size
    ({'a': (30.0, 10.0), 'b': (30.0, 70.0)}, (60.0, 80.0))
    """
    ranks = _ranks(sizes, arrows)
    chains = {arrow: _chain(arrow, ranks) for arrow in arrows}
    rows: dict[int, list[Key]] = defaultdict(list)
    for key in sizes:
        rows[ranks[key]].append(key)
    above: dict[Key, list[Key]] = defaultdict(list)
    below: dict[Key, list[Key]] = defaultdict(list)
    for chain in chains.values():
        for offset, bend in enumerate(chain[1:-1], 1):
            rows[ranks[chain[0]] + offset].append(bend)
        for one, other in pairwise(chain):
            below[one].append(other)
            above[other].append(one)
    ordered = [rows[rank] for rank in sorted(rows)]
    widths = defaultdict(lambda: 6.0, {key: size[0] for key, size in sizes.items()})
    _sort(ordered, above, below)
    across = _across(ordered, widths, above, below)
    return _finished(ordered, across, sizes, widths, chains)


def _ranks(sizes: Mapping[Key, Size], arrows: Sequence[tuple[Key, Key]]) -> dict[Key, int]:
    """How many arrows, at most, lead to each box; what nothing leads to stands just above what it leads to."""
    ranks = dict.fromkeys(sizes, 0)
    for _ in sizes:  # arrows have no circles, so this ends early
        changed = False
        for source, target in arrows:
            if ranks[target] <= ranks[source]:
                ranks[target], changed = ranks[source] + 1, True
        if not changed:
            break
    targets = {target for _, target in arrows}
    for key in sizes:
        following = [ranks[target] for source, target in arrows if source == key]
        if key not in targets and following:
            ranks[key] = min(following) - 1
    return ranks


def _chain(arrow: tuple[Key, Key], ranks: Mapping[Key, int]) -> list[Key]:
    """The arrow's ends with a bend in every rank between."""
    source, target = arrow
    return [source, *(("bend", arrow, rank) for rank in range(ranks[source] + 1, ranks[target])), target]


def _sort(rows: list[list[Key]], above: Mapping[Key, list[Key]], below: Mapping[Key, list[Key]]) -> None:
    """Order each rank by the mean place of its neighbours, down and up in turn, which avoids crossings."""
    for sweep in range(_SWEEPS):
        neighbours = below if sweep % 2 else above
        places = {key: place for row in rows for place, key in enumerate(row)}
        for row in reversed(rows) if sweep % 2 else rows:
            row.sort(key=lambda key: _mean([places[k] for k in neighbours[key]], places[key]))
            places |= {key: place for place, key in enumerate(row)}


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


def _across(
    rows: list[list[Key]], widths: Mapping[Key, float], above: Mapping[Key, list[Key]], below: Mapping[Key, list[Key]]
) -> dict[Key, float]:
    """The centre of each box along its rank: near the mean of its neighbours, as far as the order leaves room."""
    across: dict[Key, float] = {}
    for row in rows:
        total = sum(widths[key] + _GAP for key in row)
        left = -total / 2
        for key in row:
            across[key] = left + (widths[key] + _GAP) / 2
            left += widths[key] + _GAP
    for sweep in range(2 * _SWEEPS + 1):
        for row in reversed(rows) if sweep % 2 else rows:
            # Both sides pull, or the whole would wander; at last, from above alone, so that chains become straight.
            near = {key: above[key] if sweep == 2 * _SWEEPS else above[key] + below[key] for key in row}
            wanted = {key: _mean([across[k] for k in near[key]], across[key]) for key in row}
            across |= _apart(row, wanted, widths)
    return across


def _apart(row: Sequence[Key], wanted: Mapping[Key, float], widths: Mapping[Key, float]) -> dict[Key, float]:
    """Places near the wanted ones that do not overlap: the mean of pushing to the right and pushing to the left."""
    pushed = [_pushed(row, wanted, widths, 1.0), _pushed(list(reversed(row)), wanted, widths, -1.0)]
    return {key: (pushed[0][key] + pushed[1][key]) / 2 for key in row}


def _pushed(
    row: Sequence[Key], wanted: Mapping[Key, float], widths: Mapping[Key, float], sign: float
) -> dict[Key, float]:
    places: dict[Key, float] = {}
    edge = -float("inf")
    for key in row:
        half = (widths[key] + _GAP) / 2
        place = max(sign * wanted[key], edge + half)
        places[key], edge = sign * place, place + half
    return places


def _finished(
    rows: list[list[Key]],
    across: Mapping[Key, float],
    sizes: Mapping[Key, Size],
    widths: Mapping[Key, float],
    chains: Mapping[tuple[Key, Key], list[Key]],
) -> Placed:
    """Everything moved so that the whole begins at (0, 0)."""
    shift = -min((across[key] - widths[key] / 2 for row in rows for key in row), default=0.0)
    height: Callable[[Key], float] = lambda key: sizes[key][1] if key in sizes else 0.0  # noqa: E731
    centres: dict[Key, Point] = {}
    spans: dict[Key, tuple[Point, Point]] = {}  # where an arrow enters and leaves the rank
    top = 0.0
    for row in rows:
        bottom = top + max(map(height, row))
        for key in row:
            x = across[key] + shift
            centres[key], spans[key] = (x, (top + bottom) / 2), ((x, top), (x, bottom))
        top = bottom + _RANK_GAP
    width = max((centres[key][0] + widths[key] / 2 for row in rows for key in row), default=0.0)
    return Placed(
        {key: centres[key] for key in sizes},
        {arrow: [point for key in chain for point in spans[key]][1:-1] for arrow, chain in chains.items()},
        (width, max(0.0, top - _RANK_GAP)),
    )
