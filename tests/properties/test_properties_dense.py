"""Dense, EinsumDense, Embedding and ReversibleEmbedding of any size, rank, equation and dtype."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from properties.case import Case, Draw, examples
from properties.comparison import check
from properties.strategies import ACTIVATIONS, ANY_FLOAT, BATCHES, SEEDS, SIZES, either, mostly, options


@st.composite
def dense_cases(draw: st.DrawFn) -> Case:
    rank = draw(mostly(2, 1, 3, 4))
    shape = (draw(BATCHES), *draw(st.tuples(*[SIZES] * (rank - 1)))) if rank > 1 else (draw(SIZES),)
    config = {"units": draw(mostly(3, 1, 5, 0)), "activation": draw(ACTIVATIONS), "use_bias": draw(st.booleans())}
    kind = draw(mostly("normal", "whole", "bool"))
    masked = draw(mostly(0, max(rank - 1, 0)))
    on = (Draw(shape, kind, masked=masked),)
    free = tuple(range(1, rank - 1)) if draw(st.booleans()) else ()
    return Case("Dense", config | draw(options("kernel", "bias")), on, draw(SEEDS), draw(ANY_FLOAT), free=free)


@examples(60)
@given(dense_cases())
def test_dense(case: Case) -> None:
    check(case)


@st.composite
def einsum_cases(draw: st.DrawFn) -> Case:
    letters = "abcd"[: draw(st.integers(2, 4))]
    sizes = dict(zip("abcdxy", (draw(BATCHES), *draw(st.tuples(*[SIZES] * 5)))))
    summed = draw(st.lists(st.sampled_from(letters[1:]), unique=True, max_size=2))
    kept = [letter for letter in letters[1:] if letter not in summed]
    shared = draw(st.lists(st.sampled_from(kept), unique=True, max_size=1)) if kept else []
    made = list("xy"[: draw(st.integers(0 if shared or summed else 1, 2))])
    kernel = "".join(draw(st.permutations(summed + shared + made)) if draw(st.booleans()) else summed + shared + made)
    rest = kept + made
    outputs = "a" + "".join(draw(st.permutations(rest)) if draw(st.booleans()) else rest)
    dots = draw(mostly("", "left", "right"))
    extra = draw(st.tuples(*[SIZES] * draw(st.integers(0, 2)))) if dots else ()
    inputs, shape = letters, tuple(sizes[letter] for letter in letters)
    if dots == "left":
        inputs, outputs, shape = "..." + inputs, "..." + outputs, (*extra, *shape)
    elif dots == "right":
        inputs, outputs, shape = inputs + "...", outputs + "...", (*shape, *extra)
    plain = outputs.strip(".")
    known = plain if dots == "left" and extra else plain[1:]
    bias = "".join(x for x in known if draw(st.booleans()))
    # Keras wants to be told all sizes of kernel and bias, even those that the input has.
    told = set(kernel + bias + "xy")
    output_shape = [None if x not in told and draw(st.booleans()) else sizes[x] for x in known]
    config: dict[str, Any] = {
        "equation": f"{inputs},{kernel}->{outputs}",
        "output_shape": output_shape,
        "bias_axes": bias or None,
        "activation": draw(either(None, "tanh")),
    }
    on = (Draw(shape, draw(mostly("normal", "whole"))),)
    return Case("EinsumDense", config | draw(options("kernel", "bias")), on, draw(SEEDS), draw(ANY_FLOAT))


@examples(75)
@given(einsum_cases())
def test_einsum_dense(case: Case) -> None:
    check(case, "expected scalar type", "same dtype")  # whole numbers are not cast


@st.composite
def embedding_cases(draw: st.DrawFn) -> Case:
    rows, reversible = draw(SIZES), draw(st.booleans())
    config = {"input_dim": rows, "output_dim": draw(SIZES), "mask_zero": draw(st.booleans())}
    if reversible:
        config |= {"tie_weights": draw(st.booleans()), "logit_soft_cap": draw(either(None, 2.0))}
        config["reverse_dtype"] = draw(mostly(None, "float32", "float64"))
    shape = (draw(BATCHES), *draw(st.lists(SIZES, max_size=2)))
    # Real indices of a reversible table would be taken for vectors to look up backwards.
    kind = draw(mostly("int64", "int32", "uint8", "int16", *(() if reversible else ("float32",))))
    on: Any = Draw(shape, "whole", below=rows, dtype=kind)
    call = {}
    if reversible and draw(st.booleans()):
        on, call = Draw((*shape, config["output_dim"])), {"reverse": True}
    name = "ReversibleEmbedding" if reversible else "Embedding"
    return Case(name, config | draw(options("embeddings")), (on,), draw(SEEDS), draw(ANY_FLOAT), call=call)


@examples(60)
@given(embedding_cases())
def test_embedding(case: Case) -> None:
    check(case)
