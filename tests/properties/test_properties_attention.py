"""The four attention layers: heads, widths, masks of every kind, causality, windows, gates, scores."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from properties.case import Case, Draw, examples
from properties.comparison import check
from properties.strategies import BATCHES, SEEDS, SIZES, either, mostly, options

# In float16 Keras's large negative number for what is masked overflows.
FLOATS = st.sampled_from(["float32", "float64", "float32", "float64", "bfloat16"])


@st.composite
def score_cases(draw: st.DrawFn) -> Case:
    """Attention and AdditiveAttention on [query, value] or [query, value, key]."""
    kind = draw(st.sampled_from(["Attention", "Attention", "AdditiveAttention"]))
    batch, width, steps, length = draw(BATCHES), draw(SIZES), draw(SIZES), draw(SIZES)
    three = draw(st.booleans())
    values = draw(SIZES) if three else width
    masked = draw(mostly((0, 0, 0), (2, 2, 0), (0, 2, 0), (2, 0, 0)))
    on = [
        Draw((batch, steps, width), masked=masked[0]),
        Draw((batch, length, values), masked=masked[1]),
        Draw((batch, length, width), masked=masked[2]),
    ][: 3 if three else 2]
    config: dict[str, Any] = {"use_scale": draw(st.booleans())}
    if kind == "Attention":
        config["score_mode"] = draw(mostly("dot", "concat"))
    call: dict[str, Any] = {}
    if draw(st.booleans()):
        call["return_attention_scores"] = True
    if draw(st.booleans()):
        call["use_causal_mask"] = True
    # In float64 Keras's scores are float32, where what is masked loses its digits; ours are float64.
    return Case(kind, config, (on,), draw(SEEDS), draw(mostly("float32", "bfloat16")), call=call)


@examples(100)
@given(score_cases())
def test_attention_by_scores(case: Case) -> None:
    check(case)


@st.composite
def masks(draw: st.DrawFn, batch: int, steps: int, length: int) -> dict[str, Any]:
    call: dict[str, Any] = {}
    if draw(st.integers(0, 3)) == 0:
        call["attention_mask"] = Draw((draw(either(batch, 1)), steps, length), "bool")
    for name in ("value_mask", "key_mask"):  # Keras forgets a query_mask that is given as an argument
        if draw(st.integers(0, 4)) == 0:
            call[name] = Draw((batch, length), "bool")
    if draw(st.booleans()):
        call["use_causal_mask"] = True
    if draw(st.booleans()):
        call["return_attention_scores"] = True
    return call


@st.composite
def head_cases(draw: st.DrawFn) -> Case:
    batch, steps, length = draw(BATCHES), draw(SIZES), draw(SIZES)
    config: dict[str, Any] = {
        "num_heads": draw(st.integers(1, 3)),
        "key_dim": draw(SIZES),
        "value_dim": draw(mostly(None, 1, 3)),
        "use_bias": draw(st.booleans()),
        "output_shape": draw(mostly(None, 3, (2, 3))),
        "use_gate": draw(mostly(False, True)),
    }
    call = draw(masks(batch, steps, length))
    if draw(st.integers(0, 5)) == 0:
        config["sliding_window"] = draw(st.integers(1, 4))
    masked = draw(mostly((0, 0), (2, 2), (0, 2), (2, 0)))
    on: list[Draw] = [Draw((batch, steps, draw(SIZES)), masked=masked[0])]
    on.append(Draw((batch, length, draw(SIZES)), masked=masked[1]))
    if draw(st.booleans()):
        on.append(Draw((batch, length, draw(SIZES))))
    config |= draw(options("kernel", "bias"))
    return Case("MultiHeadAttention", config, tuple(on), draw(SEEDS), draw(FLOATS), call=call)


def has_true_gradient(case: Case) -> bool:
    """A query that may see nothing has K times its gradient in Keras on torch, unless scores are asked for."""
    masked = case.call or any(one.masked for one in case.on) or "sliding_window" in case.config
    return "return_attention_scores" in case.call or not masked


@examples(125)
@given(head_cases())
def test_multi_head_attention(case: Case) -> None:
    check(case, gradients=has_true_gradient(case))


@st.composite
def axes_cases(draw: st.DrawFn) -> Case:
    """Over any axes of inputs with more of them."""
    rank = draw(st.integers(3, 5))
    axes = sorted(draw(st.lists(st.integers(1, rank - 2), min_size=1, max_size=2, unique=True)))
    sides = [draw(BATCHES), *draw(st.tuples(*[st.integers(1, 3)] * (rank - 1)))]
    other = [draw(st.integers(1, 3)) if axis in axes else size for axis, size in enumerate(sides)]
    config: dict[str, Any] = {
        "num_heads": draw(st.integers(1, 2)),
        "key_dim": draw(st.integers(1, 3)),
        "attention_axes": axes[0] if len(axes) == 1 and draw(st.booleans()) else axes,
    }
    on = (Draw(tuple(sides)), Draw((*other[:-1], draw(SIZES))))
    call = {"return_attention_scores": True} if draw(st.booleans()) else {}
    return Case("MultiHeadAttention", config, on, draw(SEEDS), draw(FLOATS), call=call)


@examples(50)
@given(axes_cases())
def test_multi_head_attention_over_axes(case: Case) -> None:
    check(case)


@st.composite
def grouped_cases(draw: st.DrawFn) -> Case:
    batch, steps, length = draw(BATCHES), draw(SIZES), draw(SIZES)
    groups = draw(st.integers(1, 3))
    config: dict[str, Any] = {
        "head_dim": draw(SIZES),
        "num_query_heads": groups * draw(mostly(2, 1, 3)) + (draw(st.integers(0, 9)) == 9),
        "num_key_value_heads": groups,
        "use_bias": draw(st.booleans()),
        "use_gate": draw(mostly(False, True)),
    }
    call = draw(masks(batch, steps, length))
    if draw(st.integers(0, 5)) == 0:
        config["sliding_window"] = draw(st.integers(1, 4))
    masked = draw(mostly((0, 0), (2, 2), (0, 2), (2, 0)))
    on = [Draw((batch, steps, draw(SIZES)), masked=masked[0])]
    on.append(Draw((batch, length, draw(SIZES)), masked=masked[1]))
    if draw(st.booleans()):
        on.append(Draw((batch, length, draw(SIZES))))
    config |= draw(options("kernel", "bias"))
    return Case("GroupQueryAttention", config, tuple(on), draw(SEEDS), draw(FLOATS), call=call)


@examples(75)
@given(grouped_cases())
def test_grouped_query_attention(case: Case) -> None:
    check(case, gradients=has_true_gradient(case))
