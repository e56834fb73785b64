"""Rescaling, Normalization, Discretization, CategoryEncoding: numbers of any shape; statistics from data.

Keras's lookups, and bins from data, need TensorFlow.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

import dougong as dg
from closeness import close
from properties.case import Case, Draw, examples
from properties.comparison import check
from properties.strategies import BATCHES, SEEDS, SIZES, either, mostly

FLOATS = mostly("float32", "float64")
OUTPUTS = st.sampled_from(["int", "one_hot", "multi_hot", "count"])


@st.composite
def shapes(draw: st.DrawFn, most: int = 3) -> tuple[int, ...]:
    return (draw(BATCHES), *draw(st.lists(SIZES, min_size=1, max_size=most)))


@st.composite
def rescaling_cases(draw: st.DrawFn) -> Case:
    shape = draw(shapes())
    config: dict[str, Any] = {"scale": draw(st.sampled_from([2.0, 1 / 255, 0]))}
    config["offset"] = draw(st.sampled_from([0.0, -1.0, 1]))
    if draw(st.integers(0, 3)) == 0:
        config = {"scale": [0.5 + i for i in range(shape[-1])], "offset": [1.0] * shape[-1]}
    on = Draw(shape, draw(mostly("normal", "whole", "bool")), masked=draw(mostly(0, len(shape) - 1)))
    return Case("Rescaling", config, (on,), draw(SEEDS), draw(FLOATS))


@examples(40)
@given(rescaling_cases())
def test_rescaling(case: Case) -> None:
    check(case)


@st.composite
def normalization_cases(draw: st.DrawFn) -> Case:
    """With statistics given as numbers or lists."""
    shape = draw(shapes())
    axis = draw(st.one_of(st.none(), st.integers(1, len(shape) - 1).flatmap(lambda a: either(a, a - len(shape)))))
    size = 1 if axis is None else shape[axis]
    config: dict[str, Any] = {"axis": axis, "invert": draw(st.booleans())}
    if axis is None or draw(st.booleans()):
        config |= {"mean": draw(either(0.5, -2)), "variance": draw(either(2.0, 1))}
    else:
        config |= {"mean": [0.5 * i for i in range(size)], "variance": [1.0 + i for i in range(size)]}
    if draw(st.integers(0, 9)) == 0:
        del config["variance"]
    return Case("Normalization", config, (Draw(shape, draw(mostly("normal", "whole"))),), draw(SEEDS), draw(FLOATS))


@examples(60)
@given(normalization_cases())
def test_normalization_with_statistics(case: Case) -> None:
    check(case)


@examples(30)
@given(shapes(), st.data(), SEEDS)
def test_normalization_adapted(shape: tuple[int, ...], data: st.DataObject, seed: int) -> None:
    axes = [axis for axis in range(1, len(shape)) if data.draw(st.booleans())]
    config = {"axis": axes[0] if len(axes) == 1 else tuple(axes) or None, "invert": data.draw(st.booleans())}
    x = (np.random.default_rng(seed).normal(size=(shape[0] + 4, *shape[1:])) * 3 + 1).astype("float32")
    ours, theirs = dg.layers.Normalization(**config), keras.layers.Normalization(**config)
    ours.adapt(x)
    theirs.adapt(x)
    close(ours(x), theirs(x), because="adapted", tolerance=1e-4)
    for a, b in zip(ours.get_weights()[:2], theirs.get_weights()[:2]):  # the count Keras leaves at 0
        close(a, b, because="statistics", tolerance=1e-4)


@st.composite
def binned_cases(draw: st.DrawFn) -> Case:
    bounds = sorted({draw(st.sampled_from([-1.0, -0.5, 0.0, 0.25, 0.5, 1.0])) for _ in range(4)})
    config: dict[str, Any] = {"bin_boundaries": bounds, "output_mode": draw(OUTPUTS)}
    on = Draw(draw(shapes(2)), draw(either("normal", "ties")), dtype="float32")
    return Case("Discretization", config, (on,), draw(SEEDS))


@examples(50)
@given(binned_cases())
def test_discretization(case: Case) -> None:
    check(case)


@st.composite
def encoding_cases(draw: st.DrawFn) -> Case:
    tokens = draw(st.integers(1, 6))
    config: dict[str, Any] = {"num_tokens": tokens, "output_mode": draw(OUTPUTS)}
    shape = draw(st.one_of(shapes(2), st.tuples(BATCHES)))
    on = Draw(shape, "whole", below=tokens, dtype=draw(mostly("int64", "int32")))
    call = {}
    if config["output_mode"] == "count" and draw(st.booleans()):
        call = {"count_weights": Draw(shape, "share", dtype="float32")}
    return Case("CategoryEncoding", config, (on,), draw(SEEDS), call=call)


@examples(60)
@given(encoding_cases())
def test_category_encoding(case: Case) -> None:
    check(case)
