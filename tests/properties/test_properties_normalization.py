"""Batch, layer, group, RMS, unit and spectral normalization: axes, masks, modes, momentum, statistics."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from properties.case import Block, Case, Draw, examples
from properties.comparison import check
from properties.strategies import ANY_FLOAT, BATCHES, FORMATS, SEEDS, SIZES, either, mostly, options

EPSILONS = st.sampled_from([1e-3, 1e-2, 0.1])


@st.composite
def shapes(draw: st.DrawFn, least: int = 1, most: int = 4) -> tuple[int, ...]:
    return (draw(BATCHES), *draw(st.lists(SIZES, min_size=least, max_size=most)))


@st.composite
def axes_of(draw: st.DrawFn, rank: int) -> Any:
    """One axis that is not the batch's, counted from either end, or several."""
    axis = st.integers(1, rank - 1).flatmap(lambda a: st.sampled_from([a, a - rank]))
    return draw(st.one_of(axis, st.lists(axis, min_size=1, max_size=2, unique_by=lambda a: a % rank)))


@st.composite
def batch_cases(draw: st.DrawFn) -> Case:
    shape = draw(shapes())
    axis = draw(st.integers(1, len(shape) - 1))
    config: dict[str, Any] = {
        "axis": draw(st.sampled_from([axis - len(shape), -1, axis, -1])),
        "momentum": draw(st.sampled_from([0.99, 0.5, 0.0, 1.0])),
        "epsilon": draw(EPSILONS),
        "center": draw(st.booleans()),
        "scale": draw(st.booleans()),
    }
    if draw(st.integers(0, 3)) == 0:
        config |= {"renorm": True, "renorm_momentum": draw(either(0.9, 0.5))}
        config["renorm_clipping"] = draw(either(None, {"rmin": 0.5, "rmax": 2.0, "dmax": 1.0}))
    masked = 0
    if draw(st.booleans()):
        masked = draw(st.integers(1, len(shape) - 1))
    training = draw(st.sampled_from([True, False, None]))
    on = (Draw(shape, draw(mostly("normal", "ties")), masked=masked),)
    config |= draw(options("gamma", "beta"))
    twice = draw(st.booleans())
    return Case("BatchNormalization", config, on, draw(SEEDS), draw(ANY_FLOAT), training=training, twice=twice)


@examples(125)
@given(batch_cases())
def test_batch_normalization(case: Case) -> None:
    check(case, "tuple index out of range")  # Keras squeezes the statistics of one masked channel


@st.composite
def layer_axes(draw: st.DrawFn, rank: int) -> Any:
    """The last axes, or axes with others between: Keras on torch is wrong for one that is neither."""
    chosen = list(range(draw(st.integers(1, rank - 1)), rank))
    if rank > 3 and draw(st.booleans()):
        chosen = [1, 3]
    if draw(st.booleans()):
        chosen = [axis - rank for axis in chosen]
    return chosen[0] if len(chosen) == 1 and draw(st.booleans()) else draw(st.permutations(chosen))


@st.composite
def layer_cases(draw: st.DrawFn) -> Case:
    shape = draw(shapes())
    config: dict[str, Any] = {
        "axis": draw(layer_axes(len(shape))),
        "epsilon": draw(EPSILONS),
        "center": draw(st.booleans()),
        "scale": draw(st.booleans()),
    }
    config["rms_scaling"] = draw(mostly(False, True))
    on = (Draw(shape, masked=draw(mostly(0, len(shape) - 1))),)
    return Case("LayerNormalization", config | draw(options("gamma", "beta")), on, draw(SEEDS), draw(ANY_FLOAT))


@examples(100)
@given(layer_cases())
def test_layer_normalization(case: Case) -> None:
    check(case)


@st.composite
def group_cases(draw: st.DrawFn) -> Case:
    shape = list(draw(shapes()))
    axis = draw(st.integers(1, len(shape) - 1))
    shape[axis] = draw(st.integers(1, 8))
    divisors = [n for n in range(1, shape[axis] + 1) if shape[axis] % n == 0]
    config: dict[str, Any] = {
        "groups": draw(st.sampled_from([*divisors, *divisors, -1, 3])),
        "axis": draw(either(axis, axis - len(shape))),
        "epsilon": draw(EPSILONS),
        "center": draw(st.booleans()),
        "scale": draw(st.booleans()),
    }
    on = (Draw(tuple(shape), masked=draw(mostly(0, len(shape) - 1))),)
    return Case("GroupNormalization", config | draw(options("gamma", "beta")), on, draw(SEEDS), draw(ANY_FLOAT))


@examples(100)
@given(group_cases())
def test_group_normalization(case: Case) -> None:
    check(case)


@st.composite
def norm_cases(draw: st.DrawFn) -> Case:
    kind = draw(st.sampled_from(["RMSNormalization", "UnitNormalization"]))
    shape = draw(shapes())
    rank = len(shape)
    config: dict[str, Any] = {"axis": draw(st.one_of(st.just(-1), axes_of(rank)))}
    if kind == "RMSNormalization":
        last = draw(st.integers(1, rank - 1))
        config = {"axis": draw(either(-1, list(range(last, rank)))), "epsilon": draw(EPSILONS)}
    on = (Draw(shape, masked=draw(mostly(0, rank - 1))),)
    # Half precision is Keras's for the sum of squares of a unit vector, ours is float32.
    return Case(kind, config, on, draw(SEEDS), draw(ANY_FLOAT if kind[0] == "R" else either("float32", "float64")))


@examples(100)
@given(norm_cases())
def test_rms_and_unit_normalization(case: Case) -> None:
    check(case)


@st.composite
def spectral_cases(draw: st.DrawFn) -> Case:
    last = draw(FORMATS)
    inner, shape = draw(
        st.sampled_from(
            [
                (Block("Dense", {"units": 3, "use_bias": draw(st.booleans())}), (3, 4)),
                (Block("Conv2D", {"filters": 2, "kernel_size": (2, 1), "data_format": last}), (2, 3, 4, 5)),
                (Block("Conv1D", {"filters": 4, "kernel_size": 2, "groups": 2}), (2, 5, 4)),
                (Block("Embedding", {"input_dim": 5, "output_dim": 3}), (2, 4)),
                (Block("Flatten", {}), (2, 4)),
            ]
        )
    )
    config = {"layer": inner, "power_iterations": draw(mostly(1, 2, 0))}
    # Keras casts the outputs to the inputs' dtype, so whole numbers are given as floats.
    on = Draw(shape, "whole", dtype="float32") if inner.kind == "Embedding" else Draw(shape)
    training = draw(st.sampled_from([True, False, None]))
    seed, dtype = draw(SEEDS), draw(st.sampled_from(["float32", "float64"]))
    return Case("SpectralNormalization", config, (on,), seed, dtype, training=training)


@examples(30)
@given(spectral_cases())
def test_spectral_normalization(case: Case) -> None:
    check(case)
