"""Convolutions of one to three axes, transposed, depthwise, separable: windows, paddings, formats, small inputs."""

from __future__ import annotations

from math import gcd
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from properties.case import Case, examples
from properties.comparison import check
from properties.strategies import (
    ACTIVATIONS,
    ANY_FLOAT,
    FORMATS,
    SEEDS,
    either,
    mostly,
    on_space,
    options,
    per_axis,
    places,
)

# The gradient of Keras's layer where torch takes its own way for kernels as large as their strides.
TORCH = ("grad_weight needs to be contiguous", "grad_weight must be contiguous")


@st.composite
def windows(draw: st.DrawFn, rank: int) -> dict[str, Any]:
    """The arguments of a sliding window; with dilation the strides are 1, as both Keras and we want it."""
    most = 4 - rank // 3
    kernel = draw(per_axis(st.integers(1, most), rank))
    strides = draw(per_axis(st.integers(1, 3), rank))
    dilation: Any = 1
    if max(places(strides, rank)) == 1:
        dilation = draw(per_axis(st.integers(1, 3), rank))
    return {
        "kernel_size": kernel,
        "strides": strides,
        "padding": draw(st.sampled_from(["valid", "same", "SAME"])),
        "dilation_rate": dilation,
        "data_format": draw(FORMATS),
        "activation": draw(ACTIVATIONS),
        "use_bias": draw(st.booleans()),
    }


@st.composite
def convolution_cases(draw: st.DrawFn) -> Case:
    rank = draw(st.sampled_from([1, 2, 1, 2, 3]))
    config = draw(windows(rank))
    channels, filters = draw(st.integers(1, 6)), draw(st.integers(1, 6))
    both = gcd(channels, filters)
    config |= {"filters": filters, "groups": draw(mostly(1, both, 2))}
    if rank == 1 and draw(st.integers(0, 2)) == 0:
        config["padding"] = "causal"
    on, free = draw(on_space(rank, config["data_format"], channels))
    config |= draw(options("kernel", "bias"))
    return Case(f"Conv{rank}D", config, (on,), draw(SEEDS), draw(ANY_FLOAT), free=free)


@examples(100)
@given(convolution_cases())
def test_convolution(case: Case) -> None:
    check(case, *TORCH)


@st.composite
def transposed_cases(draw: st.DrawFn) -> Case:
    rank = draw(st.sampled_from([1, 2, 1, 2, 3]))
    config = draw(windows(rank)) | {"filters": draw(st.integers(1, 4))}
    if draw(st.booleans()):
        strides = places(config["strides"], rank)
        config["output_padding"] = tuple(draw(st.integers(0, stride - 1)) for stride in strides)
        if draw(st.booleans()):
            config["output_padding"] = min(config["output_padding"])
    on, free = draw(on_space(rank, config["data_format"], draw(st.integers(1, 3))))
    config |= draw(options("kernel", "bias"))
    return Case(f"Conv{rank}DTranspose", config, (on,), draw(SEEDS), draw(ANY_FLOAT), free=free)


@examples(100)
@given(transposed_cases())
def test_transposed_convolution(case: Case) -> None:
    check(case, *TORCH)


@st.composite
def depthwise_cases(draw: st.DrawFn) -> Case:
    rank = draw(st.sampled_from([1, 2]))
    config = draw(windows(rank)) | {"depth_multiplier": draw(st.integers(1, 3))}
    on, free = draw(on_space(rank, config["data_format"], draw(st.integers(1, 4))))
    weights = ["depthwise", "bias"]
    kind = f"DepthwiseConv{rank}D"
    if draw(st.booleans()):
        kind, weights = f"SeparableConv{rank}D", ["depthwise", "pointwise", "bias"]
        config["filters"] = draw(st.integers(1, 4))
    if draw(either(True, False)):
        config |= draw(options(*weights))
    return Case(kind, config, (on,), draw(SEEDS), draw(ANY_FLOAT), free=free)


@examples(100)
@given(depthwise_cases())
def test_depthwise_and_separable_convolution(case: Case) -> None:
    check(case, *TORCH)
