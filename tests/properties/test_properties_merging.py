"""Add, Subtract, Multiply, Average, Maximum, Minimum, Concatenate and Dot: broadcasting, ranks, masks, axes."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from properties.case import Case, Draw, examples
from properties.comparison import check
from properties.strategies import ANY_FLOAT, BATCHES, KINDS, SEEDS, SIZES, mostly

ELEMENTWISE = st.sampled_from(["Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum"])


@st.composite
def elementwise_cases(draw: st.DrawFn) -> Case:
    """Shapes that broadcast, of one rank or several; at times they do not fit."""
    kind = draw(ELEMENTWISE)
    whole = draw(st.lists(st.integers(1, 4), min_size=1, max_size=3))
    batch, equal, masks = draw(BATCHES), draw(st.booleans()), draw(mostly("none", "all", "some"))
    inputs = []
    for _ in range(2 if kind == "Subtract" else draw(st.integers(1, 4))):
        kept = whole if equal else whole[draw(st.integers(0, len(whole) - 1)) :]
        sides = tuple(draw(mostly(size, 1, 5 if not equal and draw(st.booleans()) else 1)) for size in kept)
        masked = masks == "all" or (masks == "some" and draw(st.booleans()))
        number = draw(KINDS)
        inputs.append(Draw((batch, *sides), number, masked=len(sides) if masked else 0))
    return Case(kind, {}, (inputs,), draw(SEEDS), draw(ANY_FLOAT))


@examples(150)
@given(elementwise_cases())
def test_elementwise_merging(case: Case) -> None:
    check(case)


@st.composite
def concatenate_cases(draw: st.DrawFn) -> Case:
    rank = draw(st.integers(2, 4))
    axis = draw(st.integers(0, rank - 1))
    sides = [draw(BATCHES), *draw(st.tuples(*[SIZES] * (rank - 1)))]
    masks = draw(mostly("none", "all", "some"))
    inputs = []
    for _ in range(draw(st.integers(1, 3))):
        shape = [*sides]
        shape[axis] = draw(st.integers(1, 4))
        if draw(st.integers(0, 15)) == 0:
            shape[-1] = draw(SIZES)
        masked = masks == "all" or (masks == "some" and draw(st.booleans()))
        inputs.append(Draw(tuple(shape), draw(KINDS), masked=rank - 1 if masked else 0))
    config = {"axis": draw(st.sampled_from([axis, axis - rank]))}
    return Case("Concatenate", config, (inputs,), draw(SEEDS), draw(ANY_FLOAT))


@examples(100)
@given(concatenate_cases())
def test_concatenate(case: Case) -> None:
    check(case)


@st.composite
def dot_cases(draw: st.DrawFn) -> Case:
    batch, summed = draw(BATCHES), draw(SIZES)
    shapes, axes = [], []
    for _ in range(2):
        sides = draw(st.lists(SIZES, max_size=2))
        place = draw(st.integers(0, len(sides)))
        sides.insert(place, summed)
        shapes.append((batch, *sides))
        axes.append(draw(st.sampled_from([place + 1, place - len(sides)])))
    config: dict[str, Any] = {"axes": tuple(axes), "normalize": draw(st.booleans())}
    if axes[0] == axes[1] and draw(st.booleans()):
        config["axes"] = axes[0]
    masked = draw(mostly(0, 1))
    on = [Draw(shape, masked=masked and len(shape) - 1) for shape in shapes]
    return Case("Dot", config, (on,), draw(SEEDS), draw(ANY_FLOAT))


@examples(100)
@given(dot_cases())
def test_dot(case: Case) -> None:
    check(case)
