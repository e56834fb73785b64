"""Pooling over windows, over everything, and to a given size: one to three axes, both formats, masks."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from properties.case import Case, Draw, examples
from properties.comparison import check
from properties.strategies import ANY_FLOAT, FORMATS, SEEDS, mostly, on_space, per_axis


@st.composite
def pooling_cases(draw: st.DrawFn) -> Case:
    rank = draw(st.sampled_from([1, 2, 1, 2, 3]))
    kind = draw(st.sampled_from(["Max", "Average"]))
    config: dict[str, Any] = {
        "pool_size": draw(per_axis(st.integers(1, 4), rank)),
        "strides": draw(st.one_of(st.none(), per_axis(st.integers(1, 4), rank))),
        # Keras on torch counts the zeros of "same" padding in a mean; test_convolution_ops compares with JAX.
        "padding": draw(st.sampled_from(["valid", "same"] if kind == "Max" else ["valid"])),
        "data_format": draw(FORMATS),
    }
    on, free = draw(on_space(rank, config["data_format"], draw(st.integers(1, 3)), ("normal", "ties", "whole")))
    return Case(f"{kind}Pooling{rank}D", config, (on,), draw(SEEDS), draw(ANY_FLOAT), free=free)


@examples(100)
@given(pooling_cases())
def test_pooling(case: Case) -> None:
    check(case, "not implemented for")  # whole numbers


@st.composite
def global_cases(draw: st.DrawFn) -> Case:
    rank = draw(st.sampled_from([1, 2, 3]))
    kind = draw(st.sampled_from(["Max", "Average"]))
    config: dict[str, Any] = {"data_format": draw(FORMATS), "keepdims": draw(st.booleans())}
    on, free = draw(on_space(rank, config["data_format"], draw(st.integers(1, 3)), ("normal", "ties", "whole")))
    call = {}
    if (rank, kind) == (1, "Average") and draw(st.booleans()) and len(on.shape) == 3:
        steps = on.shape[1] if config["data_format"] == "channels_last" else on.shape[2]
        free, call = (), {"mask": Draw((on.shape[0], steps), draw(mostly("bool", "ties")))}
    return Case(f"Global{kind}Pooling{rank}D", config, (on,), draw(SEEDS), draw(ANY_FLOAT), call=call, free=free)


@examples(75)
@given(global_cases())
def test_global_pooling(case: Case) -> None:
    check(case, "not implemented for")  # whole numbers


@st.composite
def adaptive_cases(draw: st.DrawFn) -> Case:
    rank = draw(st.sampled_from([1, 2, 3]))
    kind = draw(st.sampled_from(["Max", "Average"]))
    config: dict[str, Any] = {
        "output_size": draw(per_axis(st.integers(1, 4), rank)),
        "data_format": draw(FORMATS),
    }
    on, free = draw(on_space(rank, config["data_format"], draw(st.integers(1, 3))))
    return Case(f"Adaptive{kind}Pooling{rank}D", config, (on,), draw(SEEDS), draw(ANY_FLOAT), free=free)


@examples(75)
@given(adaptive_cases())
def test_adaptive_pooling(case: Case) -> None:
    check(case, "not implemented for")  # whole numbers
