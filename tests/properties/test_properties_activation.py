"""Activation layers, Masking, and layers that pass everything on."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from properties.case import Case, Draw, examples
from properties.comparison import check
from properties.strategies import ANY_FLOAT, BATCHES, KINDS, SEEDS, SIZES, mostly, options

FUNCTIONS = (
    "celu elu exponential gelu glu hard_shrink hard_sigmoid hard_silu hard_swish hard_tanh leaky_relu linear"
    " log_sigmoid log_softmax mish relu relu6 selu sigmoid silu soft_shrink softmax softplus softsign sparse_plus"
    " sparse_sigmoid squareplus swish tanh tanh_shrink"
).split()


@st.composite
def inputs(draw: st.DrawFn, least: int = 1) -> Draw:
    shape = (draw(BATCHES), *draw(st.lists(SIZES, min_size=least, max_size=3)))
    return Draw(shape, draw(KINDS), masked=draw(mostly(0, len(shape) - 1)))


@st.composite
def function_cases(draw: st.DrawFn) -> Case:
    name = draw(st.sampled_from(FUNCTIONS))
    on = draw(inputs())
    if name == "glu":
        on = Draw((*on.shape[:-1], on.shape[-1] * 2), on.kind, masked=on.masked)
    return Case("Activation", {"activation": name}, (on,), draw(SEEDS), draw(ANY_FLOAT))


@examples(100)
@given(function_cases())
def test_activation_functions(case: Case) -> None:
    check(case)


@st.composite
def layer_cases(draw: st.DrawFn) -> Case:
    on = draw(inputs())
    rank = len(on.shape)
    slope = st.sampled_from([0.0, 0.3, 1.0, 2.5])
    kind = draw(st.sampled_from(["ReLU", "LeakyReLU", "ELU", "PReLU", "Softmax", "Identity"]))
    config: dict[str, Any] = {}
    call: dict[str, Any] = {}
    if kind == "ReLU":
        config = {"max_value": draw(st.sampled_from([None, 0.7, 6.0])), "negative_slope": draw(slope)}
        config["threshold"] = draw(st.sampled_from([0.0, 0.5, 1.0]))
    elif kind == "LeakyReLU":
        config = {"negative_slope": draw(slope)}
    elif kind == "ELU":
        config = {"alpha": draw(slope)}
    elif kind == "PReLU":
        shared = [axis for axis in range(1, rank) if draw(st.booleans())]
        config = {"shared_axes": draw(st.sampled_from([shared, None]))} | draw(options("alpha"))
    elif kind == "Softmax":
        axes = draw(st.lists(st.integers(1, rank - 1), min_size=1, max_size=2, unique=True))
        config = {"axis": axes if len(axes) > 1 or draw(st.booleans()) else axes[0] - draw(st.sampled_from([0, rank]))}
        if draw(st.booleans()):
            on = Draw(on.shape, on.kind)
            call = {"mask": Draw(on.shape, "bool")}
    return Case(kind, config, (on,), draw(SEEDS), draw(ANY_FLOAT), call=call)


@examples(125)
@given(layer_cases())
def test_activation_layers(case: Case) -> None:
    check(case)


@st.composite
def masking_cases(draw: st.DrawFn) -> Case:
    on = draw(inputs(2))
    value = draw(st.sampled_from([0.0, 0.5, -1.0]))
    config = {"mask_value": value}
    return Case("Masking", config, (Draw(on.shape, "ties"),), draw(SEEDS), draw(ANY_FLOAT))


@examples(30)
@given(masking_cases())
def test_masking(case: Case) -> None:
    check(case)
