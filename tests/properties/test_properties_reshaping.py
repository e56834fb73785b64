"""Padding, cropping, enlarging, reshaping, permuting, repeating and flattening."""

from __future__ import annotations

from math import prod
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from properties.case import Case, Draw, examples
from properties.comparison import check
from properties.strategies import ANY_FLOAT, BATCHES, FORMATS, SEEDS, SIZES, mostly, on_space, per_axis


@st.composite
def pads(draw: st.DrawFn, rank: int, most: int) -> Any:
    """An int, an int for each axis, or a pair for each; for one axis an int or a pair."""
    size = st.integers(0, most)
    if rank == 1:
        return draw(st.one_of(size, st.tuples(size, size)))
    return draw(st.one_of(per_axis(size, rank), st.tuples(*[st.tuples(size, size)] * rank)))


@st.composite
def spatial_cases(draw: st.DrawFn) -> Case:
    rank = draw(st.sampled_from([1, 2, 3]))
    word = draw(st.sampled_from(["padding", "cropping", "size"]))
    config: dict[str, Any] = {"data_format": draw(FORMATS)}
    if word == "size":
        kind = f"UpSampling{rank}D"
        config["size"] = draw(st.integers(1, 3) if rank == 1 else per_axis(st.integers(1, 3), rank))
        if rank == 2:
            config["interpolation"] = draw(mostly("nearest", "bilinear", "bicubic"))
    else:
        kind = f"{'ZeroPadding' if word == 'padding' else 'Cropping'}{rank}D"
        config[word] = draw(pads(rank, 3 if word == "padding" else 2))
    if rank == 1 and word != "padding":
        config["data_format"] = "channels_last"
    on, free = draw(on_space(rank, config["data_format"], draw(st.integers(1, 3)), ("normal", "whole")))
    if rank == 1 and word != "padding":
        del config["data_format"]
    return Case(kind, config, (on,), draw(SEEDS), draw(ANY_FLOAT), free=free)


@examples(100)
@given(spatial_cases())
def test_padding_cropping_and_enlarging(case: Case) -> None:
    check(case)


@st.composite
def shape_cases(draw: st.DrawFn) -> Case:
    kind = draw(st.sampled_from(["Reshape", "Reshape", "Permute", "Flatten", "RepeatVector"]))
    shape = tuple(draw(st.lists(SIZES, min_size=1 if kind != "Flatten" else 0, max_size=4)))
    config: dict[str, Any] = {}
    free: tuple[int, ...] = ()
    if kind == "Reshape":
        config["target_shape"] = draw(targets(shape))
    elif kind == "Permute":
        config["dims"] = tuple(draw(st.permutations(range(1, len(shape) + draw(mostly(1, 0, 2))))))
    elif kind == "Flatten":
        config["data_format"] = draw(st.sampled_from([None, "channels_last", "channels_first"]))
    else:
        config["n"] = draw(st.integers(1, 4))
        shape = draw(mostly(shape[:1], shape))
    if draw(st.booleans()):
        free = tuple(axis for axis in range(1, 1 + len(shape)) if draw(st.booleans()))
    on = Draw((draw(BATCHES), *shape), draw(mostly("normal", "whole", "bool")))
    return Case(kind, config, (on,), draw(SEEDS), draw(ANY_FLOAT), free=free)


@st.composite
def targets(draw: st.DrawFn, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Factors of the shape's product in any order, one of them -1 at times; at times not fitting."""
    rest, found = prod(shape), []
    while rest > 1 and len(found) < 4:
        found.append(draw(st.sampled_from([n for n in range(1, rest + 1) if rest % n == 0])))
        rest //= found[-1]
    found = draw(st.permutations([*found, rest]))
    if draw(st.booleans()):
        found[draw(st.integers(0, len(found) - 1))] = draw(mostly(-1, 2))
    return tuple(found)


@examples(100)
@given(shape_cases())
def test_reshaping(case: Case) -> None:
    check(case)
