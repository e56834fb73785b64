"""Dropouts and noises in inference, activity regularization; which inputs and arguments they refuse."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from properties.case import Case, Draw, examples
from properties.comparison import check
from properties.strategies import ANY_FLOAT, BATCHES, FORMATS, SEEDS, SIZES, mostly

PLAIN = ["Dropout", "AlphaDropout", "GaussianDropout", "GaussianNoise"]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    kind = draw(st.sampled_from([*PLAIN, "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D"]))
    word = "stddev" if kind == "GaussianNoise" else "rate"
    config: dict[str, Any] = {word: draw(st.sampled_from([0.0, 0.3, 0.5, -0.1, 1.5]))}
    if config[word] == 1.5 and kind == "GaussianNoise":
        config[word] = 0.9
    rank = draw(st.integers(1, 3))
    if kind.startswith("Spatial"):
        rank = int(kind[-2]) + 1
        if kind[-2] != "1":
            config["data_format"] = draw(FORMATS)
    elif kind in ("Dropout", "AlphaDropout"):
        config["noise_shape"] = draw(mostly(None, (None, *(1,) * rank)))
    on = Draw((draw(BATCHES), *draw(st.tuples(*[SIZES] * rank))), masked=draw(mostly(0, rank)))
    training = draw(st.sampled_from([None, False]))
    free = tuple(axis for axis in range(1, rank + 1) if draw(st.booleans()))
    return Case(kind, config, (on,), draw(SEEDS), draw(ANY_FLOAT), training, free=free)


@examples(75)
@given(cases())
def test_dropouts_and_noises(case: Case) -> None:
    check(case)


@st.composite
def penalty_cases(draw: st.DrawFn) -> Case:
    config = {"l1": draw(st.sampled_from([0.0, 0.1])), "l2": draw(st.sampled_from([0.0, 0.2]))}
    on = Draw((draw(BATCHES), *draw(st.lists(SIZES, min_size=1, max_size=3))))
    return Case("ActivityRegularization", config, (on,), draw(SEEDS), draw(ANY_FLOAT))


@examples(25)
@given(penalty_cases())
def test_activity_regularization(case: Case) -> None:
    check(case)
