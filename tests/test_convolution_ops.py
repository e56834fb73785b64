"""Convolution and pooling against the real Keras, JAX and NumPy by hand, over random shapes."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax
from torch.fx.experimental.proxy_tensor import make_fx

from closeness import close
from dougong.core.arithmetic import (
    data_format_of,
    output_length,
    padding_of,
    per_axis,
    same_pads,
    symmetric_pads,
    transposed_length,
    transposed_pads,
)
from dougong.core.errors import ConfigError
from dougong.ops.convolution import convolve, convolve_transposed
from dougong.ops.pooling import average_pool, max_pool

FORMATS = st.sampled_from(["channels_last", "channels_first"])


def normal(rng: np.random.Generator, *shape: int) -> torch.Tensor:
    return torch.from_numpy(rng.standard_normal(shape).astype(np.float32))


def laid_out(x: torch.Tensor, data_format: str) -> torch.Tensor:
    return x if data_format == "channels_last" else x.movedim(-1, 1).contiguous()


@st.composite
def convolutions(draw: st.DrawFn) -> dict:
    rank = draw(st.integers(1, 3))
    axis = {"min_size": rank, "max_size": rank}
    kernel = tuple(draw(st.lists(st.integers(1, 4), **axis)))
    strides = tuple(draw(st.lists(st.integers(1, 3), **axis)))
    dilation = (1,) * rank if max(strides) > 1 else tuple(draw(st.lists(st.integers(1, 3), **axis)))
    extra = draw(st.lists(st.integers(0, 4), **axis))
    return {
        "rank": rank,
        "kernel": kernel,
        "strides": strides,
        "dilation": dilation,
        "space": tuple(d * (k - 1) + 1 + e for d, k, e in zip(dilation, kernel, extra)),
        "padding": draw(st.sampled_from(["valid", "same"])),
        "groups": draw(st.sampled_from([1, 2])),
        "data_format": draw(FORMATS),
        "seed": draw(st.integers(0, 99)),
    }


@settings(max_examples=120, deadline=None)
@given(convolutions())
def test_convolve_is_keras_conv(c: dict) -> None:
    rng = np.random.default_rng(c["seed"])
    x = laid_out(normal(rng, 2, *c["space"], 4), c["data_format"])
    weight = normal(rng, 6, 4 // c["groups"], *c["kernel"])
    kernel = weight.permute(*range(2, weight.ndim), 1, 0)
    want = keras.ops.conv(x, kernel, list(c["strides"]), c["padding"], c["data_format"], c["dilation"])
    options = {name: c[name] for name in ("strides", "dilation", "groups", "data_format")}
    got = convolve(x, weight, padding=c["padding"], **options)
    close(got, want, because=str(c))
    axes = range(1, c["rank"] + 1) if c["data_format"] == "channels_last" else range(2, c["rank"] + 2)
    rows = zip(c["space"], c["kernel"], c["strides"], c["dilation"])
    lengths = [output_length(n, k, s, c["padding"], d) for n, k, s, d in rows]
    assert [got.shape[axis] for axis in axes] == lengths
    pads = symmetric_pads(c["kernel"], c["strides"], c["padding"], c["dilation"])
    if pads is not None:
        close(convolve(x, weight, padding=pads, **options), want, because=f"pads known beforehand, {c}")


@settings(max_examples=120, deadline=None)
@given(convolutions(), st.booleans())
def test_transposed_is_keras_conv_transpose(c: dict, chosen: bool) -> None:
    rng = np.random.default_rng(c["seed"])
    output_padding = tuple(int(rng.integers(0, s)) for s in c["strides"]) if chosen else None
    x = laid_out(normal(rng, 2, *c["space"], 3), c["data_format"])
    weight = normal(rng, 3, 5, *c["kernel"])
    kernel = weight.permute(*range(2, weight.ndim), 1, 0)
    want = keras.ops.conv_transpose(
        x, kernel, c["strides"], c["padding"], output_padding, c["data_format"], dilation_rate=c["dilation"]
    )
    each = output_padding or (None,) * c["rank"]
    rows = zip(c["kernel"], c["strides"], each, c["dilation"])
    cuts = [transposed_pads(k, s, c["padding"], o, d) for k, s, o, d in rows]
    got = convolve_transposed(
        x, weight, strides=c["strides"], cuts=cuts, dilation=c["dilation"], data_format=c["data_format"]
    )
    close(got, want, because=f"{c} output_padding={output_padding}")
    space = got.shape[1:-1] if c["data_format"] == "channels_last" else got.shape[2:]
    assert tuple(space) == tuple(
        transposed_length(n, k, s, c["padding"], o, d)
        for n, k, s, o, d in zip(c["space"], c["kernel"], c["strides"], each, c["dilation"])
    )


def test_bias_causal_and_full() -> None:
    rng = np.random.default_rng(0)
    x, weight, bias = normal(rng, 2, 7, 3), normal(rng, 4, 3, 3), normal(rng, 4)
    got = convolve(x, weight, bias, strides=(2,), padding="causal", dilation=(1,))
    padded = torch.cat([torch.zeros(2, 2, 3), x], 1)
    want = torch.stack([torch.einsum("nkc,ock->no", padded[:, i : i + 3], weight) for i in range(0, 7, 2)], 1) + bias
    close(got, want, because="causal looks back only")
    full = convolve(x, weight, strides=(1,), padding="full", dilation=(2,))
    assert full.shape == (2, 11, 4)
    assert output_length(7, 3, 1, "full", 2) == 11


@st.composite
def poolings(draw: st.DrawFn) -> dict:
    rank = draw(st.integers(1, 3))
    axis = {"min_size": rank, "max_size": rank}
    pool = tuple(draw(st.lists(st.integers(1, 4), **axis)))
    padding = draw(st.sampled_from(["valid", "same"]))
    least = pool if padding == "valid" else (1,) * rank
    return {
        "pool_size": pool,
        "strides": tuple(draw(st.lists(st.integers(1, 4), **axis))),
        "space": tuple(n + draw(st.integers(0, 5)) for n in least),
        "padding": padding,
        "data_format": draw(FORMATS),
        "seed": draw(st.integers(0, 99)),
    }


@settings(max_examples=60, deadline=None)
@given(poolings())
def test_pooling_is_tensorflows(c: dict) -> None:
    """JAX's reduce_window has TensorFlow's "same"; Keras on torch has not, where the pads are unequal."""
    x = normal(np.random.default_rng(c["seed"]), 2, *c["space"], 3) - 5.0
    window, strides = (1, *c["pool_size"], 1), (1, *c["strides"], 1)
    padding = c["padding"].upper()
    array = x.numpy()
    largest = np.asarray(lax.reduce_window(array, -np.inf, lax.max, window, strides, padding))
    total = np.asarray(lax.reduce_window(array, 0.0, lax.add, window, strides, padding))
    count = np.asarray(lax.reduce_window(np.ones_like(array), 0.0, lax.add, window, strides, padding))
    options = {key: c[key] for key in ("pool_size", "strides", "padding", "data_format")}
    given_x = laid_out(x, c["data_format"])
    back = (lambda y: y) if c["data_format"] == "channels_last" else (lambda y: y.movedim(1, -1))
    close(back(max_pool(given_x, **options)), largest, because=f"max {c}")
    close(back(average_pool(given_x, **options)), total / count, because=f"average {c}")


def test_channels_last_is_never_copied() -> None:
    x = torch.randn(2, 8, 8, 16)
    weight = torch.randn(32, 16, 3, 3)
    y = convolve(x, weight, strides=(1, 1), padding="same", dilation=(1, 1))
    assert y.is_contiguous(), "the output is NHWC in memory, so the next layer needs no copy"
    assert max_pool(y, pool_size=(2, 2), strides=(2, 2)).is_contiguous()
    assert average_pool(y, pool_size=(2, 2), strides=(2, 2), padding="same").is_contiguous()


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_operations_can_be_traced(padding: str) -> None:
    def network(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        y = convolve(x, w, strides=(2, 2), padding=padding, dilation=(1, 1))
        y = convolve_transposed(y, w, strides=(2, 2), cuts=[(0, 1)] * 2, dilation=(1, 1))
        return max_pool(y, pool_size=(2, 2), strides=(1, 1), padding=padding) + average_pool(
            y, pool_size=(2, 2), strides=(1, 1), padding=padding
        )

    x, w = torch.randn(2, 9, 9, 3), torch.randn(3, 3, 3, 3)
    close(make_fx(network)(x, w)(x, w), network(x, w), because="the traced network computes the same")


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_gradients_in_float64(rank: int) -> None:
    torch.manual_seed(0)
    x = torch.randn(1, *(5,) * rank, 2, dtype=torch.float64, requires_grad=True)
    w = torch.randn(2, 2, *(2,) * rank, dtype=torch.float64, requires_grad=True)
    one, two = (1,) * rank, (2,) * rank
    assert torch.autograd.gradcheck(lambda x, w: convolve(x, w, strides=two, padding="same", dilation=one), (x, w))
    cuts = [transposed_pads(2, 2, "same", None, 1)] * rank
    transposed = lambda x, w: convolve_transposed(x, w, strides=two, cuts=cuts, dilation=one)  # noqa: E731
    assert torch.autograd.gradcheck(transposed, (x, w))
    assert torch.autograd.gradcheck(lambda x: average_pool(x, pool_size=two, strides=one, padding="same"), (x,))


@given(st.integers(1, 40), st.integers(1, 9), st.integers(1, 5), st.integers(1, 4))
def test_same_pads_give_the_length_that_same_promises(n: int, k: int, s: int, d: int) -> None:
    begin, end = same_pads(n, k, s, d)
    padded = output_length(n + begin + end, k, s, "valid", d)
    assert padded == output_length(n, k, s, "same") == -(-n // s)
    assert 0 <= end - begin <= 1


def test_unknown_lengths_stay_unknown() -> None:
    assert output_length(None, 3) is None
    assert transposed_length(None, 3) is None


@pytest.mark.parametrize("value", ["3", 2.5, (1, 2, 3), (1,), None, 0, (3, -1)])
def test_per_axis_refuses(value: object) -> None:
    with pytest.raises(ConfigError, match="kernel_size must be an int or 2 ints"):
        per_axis(value, 2, "kernel_size")


def test_words_are_checked() -> None:
    assert padding_of("Causal", ("valid", "causal")) == "causal"
    with pytest.raises(ConfigError, match="'valid', 'same'; got 'causal'"):
        padding_of("causal")
    with pytest.raises(ConfigError, match="channels_first"):
        data_format_of("NHWC")
