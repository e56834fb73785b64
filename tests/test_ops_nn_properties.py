"""Convolution, pooling, normalization and attention of ``keras.ops`` with random arguments, against the real Keras."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from closeness import close
from dougong.core.symbol import Input
from dougong.ops.image_blocks import fold, unfold
from dougong.ops.nn_attention import dot_product_attention
from dougong.ops.nn_convolution import conv, conv_transpose, depthwise_conv, separable_conv
from dougong.ops.nn_normalization import batch_normalization, layer_normalization, moments, normalize, rms_normalization
from dougong.ops.nn_pooling import adaptive_average_pool, adaptive_max_pool, average_pool, max_pool
from ops_twins import Case, numbers, same_gradients, same_on_symbols, same_values

FORMATS = st.sampled_from(["channels_last", "channels_first"])
PADDINGS = st.sampled_from(["valid", "same"])


def _compare(case: Case, function: Any) -> None:
    theirs = getattr(keras.ops.nn, case.name)
    same_values(case, function, theirs)
    same_gradients(case, function, theirs)
    same_on_symbols(case, function)


@st.composite
def _geometry(draw: st.DrawFn) -> dict[str, Any]:
    """One to three axes of space, a kernel, and strides or a dilation."""
    rank = draw(st.integers(1, 3))
    kernel = tuple(draw(st.integers(1, 3)) for _ in range(rank))
    strides, dilation = draw(st.sampled_from([(1, 1), (2, 1), (3, 1), (1, 2)]))
    space = tuple(draw(st.integers(dilation * (k - 1) + 1, 7)) for k in kernel)
    return {"rank": rank, "kernel": kernel, "space": space, "strides": strides, "dilation": dilation}


def _data(space: tuple[int, ...], channels: int, form: str) -> np.ndarray:
    shape = (2, *space, channels) if form == "channels_last" else (2, channels, *space)
    return numbers(*shape)


@settings(max_examples=60, deadline=None)
@given(_geometry(), PADDINGS, FORMATS, st.sampled_from([(4, 4), (4, 2), (4, 1), (3, 3)]), st.integers(1, 2))
def test_conv(place: dict[str, Any], padding: str, form: str, channels: tuple[int, int], each: int) -> None:
    given_, taken = channels
    kernel = numbers(*place["kernel"], taken, given_ // taken * each)
    arguments = (_data(place["space"], given_, form), kernel, place["strides"], padding, form, place["dilation"])
    _compare(Case("conv", arguments, batched=(0,)), conv)


@settings(max_examples=40, deadline=None)
@given(_geometry(), PADDINGS, FORMATS, st.integers(1, 3), st.integers(1, 2))
def test_depthwise_and_separable_conv(place: dict[str, Any], padding: str, form: str, channels: int, each: int) -> None:
    x, kernel = _data(place["space"], channels, form), numbers(*place["kernel"], channels, each)
    options = (place["strides"], padding, form, place["dilation"])
    _compare(Case("depthwise_conv", (x, kernel, *options), batched=(0,)), depthwise_conv)
    point = numbers(*[1] * place["rank"], channels * each, 3)
    _compare(Case("separable_conv", (x, kernel, point, *options), batched=(0,)), separable_conv)


@settings(max_examples=60, deadline=None)
@given(_geometry(), PADDINGS, FORMATS, st.sampled_from([None, 0, 1]))
def test_conv_transpose(place: dict[str, Any], padding: str, form: str, extra: int | None) -> None:
    assume(extra is None or extra < place["strides"])
    kernel = numbers(*place["kernel"], 2, 3)
    arguments = (_data(place["space"], 3, form), kernel, place["strides"], padding, extra, form, place["dilation"])
    ours = conv_transpose(*arguments)
    if 0 in ours.shape:  # cut away: Keras on torch refuses or slices differently
        return
    _compare(Case("conv_transpose", arguments, batched=(0,)), conv_transpose)


@settings(max_examples=60, deadline=None)
@given(_geometry(), PADDINGS, FORMATS)
def test_pools(place: dict[str, Any], padding: str, form: str) -> None:
    assume(place["dilation"] == 1)
    arguments = (_data(place["space"], 3, form), place["kernel"], place["strides"], padding, form)
    _compare(Case("max_pool", arguments, batched=(0,)), max_pool)
    if padding == "valid":
        _compare(Case("average_pool", arguments, batched=(0,)), average_pool)
    else:  # Keras on torch repeats the last value: the mean of ones must be 1
        close(average_pool(np.ones_like(arguments[0]), *arguments[1:]), 1.0 + 0 * max_pool(*arguments), because="ones")


@settings(max_examples=40, deadline=None)
@given(st.data(), FORMATS)
def test_adaptive_pools(data: st.DataObject, form: str) -> None:
    rank = data.draw(st.integers(1, 3))
    space = tuple(data.draw(st.integers(1, 7)) for _ in range(rank))
    sizes = tuple(data.draw(st.integers(1, 4)) for _ in range(rank))
    arguments = (_data(space, 2, form), sizes, form)
    _compare(Case("adaptive_average_pool", arguments, batched=(0,)), adaptive_average_pool)
    _compare(Case("adaptive_max_pool", arguments, batched=(0,)), adaptive_max_pool)


@settings(max_examples=40, deadline=None)
@given(st.data(), st.booleans(), st.booleans(), st.sampled_from([1e-3, 1e-1]))
def test_normalizations(data: st.DataObject, scaled: bool, shifted: bool, epsilon: float) -> None:
    rank = data.draw(st.integers(2, 4))
    x = numbers(*(data.draw(st.integers(2, 5)) for _ in range(rank)))
    last = data.draw(st.integers(1, rank - 1))
    axes = tuple(range(rank - last, rank))
    gamma, beta = (numbers(*x.shape[-last:], seed=seed) for seed in (1, 2))
    given_ = {"gamma": gamma if scaled else None, "beta": beta if shifted else None, "axis": axes, "epsilon": epsilon}
    _compare(Case("layer_normalization", (x,), given_, batched=(0,)), layer_normalization)
    given_ = {"scale": gamma if scaled else None, "axis": axes, "epsilon": epsilon}
    _compare(Case("rms_normalization", (x,), given_, batched=(0,)), rms_normalization)
    channel = data.draw(st.integers(-rank, rank - 1))
    mean, variance = numbers(x.shape[channel]), numbers(x.shape[channel], low=0.5)
    options = {"scale": mean + 3 if scaled else None, "offset": mean if shifted else None, "epsilon": epsilon}
    _compare(Case("batch_normalization", (x, mean, variance, channel), options), batch_normalization)
    _compare(Case("moments", (x, axes), {"keepdims": scaled}, batched=(0,)), moments)
    _compare(Case("normalize", (x + 3, channel), {"order": 2}), normalize)


@settings(max_examples=40, deadline=None)
@given(
    st.tuples(*[st.integers(1, 5)] * 3),
    st.sampled_from([(1, 1), (4, 4), (4, 2), (4, 1)]),
    st.sampled_from(["nothing", "bias", "mask"]),
    st.booleans(),
    st.sampled_from([None, 0.7]),
)
def test_attention(
    sizes: tuple[int, int, int], heads: tuple[int, int], added: str, causal: bool, scale: float | None
) -> None:
    asked, found, features = sizes
    query, key = numbers(2, asked, heads[0], features), numbers(2, found, heads[1], features)
    value = numbers(2, found, heads[1], 3)
    options: dict[str, Any] = {"scale": scale, "is_causal": causal and added != "bias"}
    if added == "bias":
        options["bias"] = numbers(2, 1, asked, found)
    elif added == "mask":
        options["mask"] = numbers(2, heads[0], asked, found) > 0
    _compare(Case("dot_product_attention", (query, key, value), options), dot_product_attention)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_fold_is_the_adjoint_of_unfold(data: st.DataObject) -> None:
    def pair(low: int, high: int) -> tuple[int, int]:
        return data.draw(st.integers(low, high)), data.draw(st.integers(low, high))

    kernel, dilation, padding, stride = pair(1, 3), pair(1, 2), pair(0, 1), pair(1, 2)
    size = tuple(data.draw(st.integers(d * (k - 1) + 1, 7)) for k, d in zip(kernel, dilation))
    x = numbers(2, 3, *size)
    options = (kernel, dilation, padding, stride)
    _compare(Case("unfold", (x, *options), batched=(0,)), unfold)
    columns = numbers(*unfold(x, *options).shape, seed=1)
    _compare(Case("fold", (columns, size, *options), batched=(0,)), fold)
    taken, put = unfold(x, *options).numpy(), fold(columns, size, *options).numpy()
    inner = (taken * columns).sum(), (put * x).sum()
    close(inner[0], inner[1], because="<unfold x, c> = <x, fold c>", tolerance=1e-4)


@settings(max_examples=30, deadline=None)
@given(_geometry(), PADDINGS)
def test_symbols_of_unknown_space(place: dict[str, Any], padding: str) -> None:
    """Unknown lengths stay unknown, and what is found on symbols fits every length."""
    rank = place["rank"]
    x, kernel = Input((*[None] * rank, 3)), numbers(*place["kernel"], 3, 2)
    y = conv(x, kernel, place["strides"], padding, None, place["dilation"])
    assert tuple(y.shape) == (None,) * (rank + 1) + (2,)
