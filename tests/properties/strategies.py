"""What the families draw from: seeds, dtypes, activations, inputs over space, and what every layer with weights has."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from properties.case import Draw

__all__ = [
    "ACTIVATIONS",
    "ANY_FLOAT",
    "BATCHES",
    "FORMATS",
    "KINDS",
    "SEEDS",
    "SIZES",
    "SMOOTH",
    "either",
    "mostly",
    "on_space",
    "options",
    "per_axis",
    "places",
]

SEEDS = st.integers(0, 2**31)
SIZES = st.integers(1, 5)
BATCHES = st.sampled_from([2, 1, 3])
FORMATS = st.sampled_from(["channels_last", "channels_first"])
ANY_FLOAT = st.sampled_from(["float32", "float64", "float32", "float64", "float16", "bfloat16"])
KINDS = st.sampled_from(["normal", "normal", "ties"])
SMOOTH = st.sampled_from([None, "tanh", "sigmoid", "elu", "gelu"])
ACTIVATIONS = st.sampled_from(
    [None, "tanh", "relu", "softmax", "gelu", "selu", "silu", "mish", "hard_sigmoid", "softplus", "leaky_relu", "elu"]
)


def mostly(usual: Any, *others: Any) -> st.SearchStrategy[Any]:
    """``usual`` three times of four, else one of ``others``."""
    return st.sampled_from([usual] * 3 * len(others) + list(others))


def either(first: Any, second: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from([first, second])


def per_axis(values: st.SearchStrategy[int], rank: int) -> st.SearchStrategy[Any]:
    """One value for each axis, or one for all of them."""
    return st.one_of(st.tuples(*[values] * rank), values)


def places(value: Any, rank: int) -> tuple[Any, ...]:
    """`per_axis`'s value as one for each axis."""
    return tuple(value) if isinstance(value, list | tuple) else (value,) * rank


@st.composite
def options(draw: st.DrawFn, *weights: str) -> dict[str, Any]:
    """Initializers, regularizers and constraints of ``weights``, few at a time, and the activity's regularizer."""
    found: dict[str, Any] = {}
    if draw(st.integers(0, 3)):
        return found
    for weight in weights:
        found[f"{weight}_initializer"] = draw(st.sampled_from(["ones", "he_normal", "random_uniform"]))
        found[f"{weight}_regularizer"] = draw(st.sampled_from([None, "l2", "l1"]))
        found[f"{weight}_constraint"] = draw(st.sampled_from([None, "non_neg", "max_norm"]))
    found["activity_regularizer"] = draw(st.sampled_from([None, "l2", "l1"]))
    return found


@st.composite
def on_space(
    draw: st.DrawFn, rank: int, data_format: str, channels: int, kinds: tuple[str, ...] = ("normal", "ties")
) -> tuple[Draw, tuple[int, ...]]:
    """An input of any small size, at times too small or with too few axes, and the axes that may be unknown."""
    sides = draw(st.tuples(*[st.integers(1, 9 if rank < 3 else 5)] * rank))
    last = data_format == "channels_last"
    shape = (draw(BATCHES), *sides, channels) if last else (draw(BATCHES), channels, *sides)
    if draw(st.integers(0, 30)) == 30:
        shape = shape[:-1]
    space = range(1, 1 + rank) if last else range(2, 2 + rank)
    return Draw(shape, draw(st.sampled_from(kinds))), tuple(axis for axis in space if draw(st.booleans()))
