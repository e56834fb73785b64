"""``keras.ops.nn`` against the real Keras: values, dtypes, gradients and symbols of every function; extremes."""

from __future__ import annotations

import inspect
import warnings
from typing import Any

import keras
import numpy as np
import pytest
import torch

from closeness import close
from dougong.core.errors import ConfigError, ShapeError
from dougong.ops import (
    image_blocks,
    nn_activations,
    nn_attention,
    nn_convolution,
    nn_normalization,
    nn_pooling,
    nn_targets,
)
from ops_twins import Case, numbers, same_gradients, same_on_symbols, same_values

MODULES = (nn_activations, nn_attention, nn_convolution, nn_normalization, nn_pooling, nn_targets, image_blocks)
OURS = {name: getattr(module, name) for module in MODULES for name in module.__all__}
PLAIN = """celu elu gelu hard_shrink hard_sigmoid hard_silu hard_swish hard_tanh leaky_relu log_sigmoid log_softmax relu
relu6 selu sigmoid silu soft_shrink softmax softplus softsign sparse_plus sparse_sigmoid squareplus swish tanh_shrink
glu""".split()

X = numbers(3, 4, low=-4.0, high=7.0)
LINE, IMAGE, VOLUME = numbers(2, 9, 4), numbers(2, 7, 6, 4), numbers(2, 5, 6, 4, 2)
COUNTS = np.array([[0, 2, -1], [1, 1, 2]])
PROBABILITIES = numbers(3, 5, low=0.05, high=0.95)
QUERY, KEY, VALUE = numbers(2, 5, 4, 3, seed=1), numbers(2, 6, 4, 3, seed=2), numbers(2, 6, 4, 3, seed=3)
LOOK = np.random.default_rng(0).random((2, 1, 5, 6)) < 0.6


def _case(name: str, *arguments: Any, batched: tuple[int, ...] = (0,), **options: Any) -> Case:
    return Case(name, arguments, options, batched=batched)


ACTIVATIONS = [
    *(_case(name, X) for name in PLAIN),
    *(Case(name, (numbers(2, 3, dtype="float64"),)) for name in PLAIN if name != "glu"),
    _case("leaky_relu", X, negative_slope=0.5),
    _case("elu", X, alpha=0.3),
    _case("celu", X, 0.3),
    _case("gelu", X, False),
    _case("glu", numbers(4, 3), axis=0, batched=()),
    _case("squareplus", X, b=1),
    _case("hard_shrink", X, threshold=1.5),
    _case("soft_shrink", X, 1.5),
    _case("threshold", X, 1.0, -3.0),
    _case("softmax", IMAGE, axis=(1, 3)),
    _case("softmax", IMAGE, axis=(3, 1)),
    _case("softmax", X, axis=None, batched=()),
    _case("softmax", X, axis=0),
    _case("log_softmax", IMAGE, axis=(1, 2)),
    _case("log_softmax", X, axis=None, batched=()),
]
CONVOLUTIONS = [
    _case("conv", LINE, numbers(3, 4, 5)),
    _case("conv", LINE, numbers(2, 4, 5), 2, "same"),
    _case("conv", IMAGE, numbers(3, 2, 4, 5), (2, 1), "SAME"),
    _case("conv", IMAGE, numbers(3, 3, 4, 5), padding="same", dilation_rate=2),
    _case("conv", IMAGE, numbers(3, 3, 2, 6), padding="same"),
    _case("conv", numbers(2, 4, 7, 6), numbers(3, 3, 4, 5), data_format="channels_first"),
    _case("conv", VOLUME, numbers(2, 3, 2, 2, 3), padding="same"),
    _case("depthwise_conv", LINE, numbers(3, 4, 2), padding="same"),
    _case("depthwise_conv", IMAGE, numbers(3, 2, 4, 2), 2),
    _case("depthwise_conv", numbers(2, 4, 7, 6), numbers(3, 2, 4, 1), data_format="channels_first"),
    _case("separable_conv", LINE, numbers(3, 4, 2), numbers(1, 8, 3), 1, "same"),
    _case("separable_conv", IMAGE, numbers(3, 3, 4, 2), numbers(1, 1, 8, 3), 2, "same"),
    _case("separable_conv", IMAGE, numbers(3, 3, 4, 2), numbers(1, 1, 8, 3), dilation_rate=2),
    _case("conv_transpose", LINE, numbers(3, 5, 4), 2),
    _case("conv_transpose", LINE, numbers(3, 5, 4), 2, "same", 0),
    _case("conv_transpose", IMAGE, numbers(3, 2, 5, 4), (2, 3), "same"),
    _case("conv_transpose", IMAGE, numbers(3, 2, 5, 4), 2, "valid", (1, 0)),
    _case("conv_transpose", IMAGE, numbers(3, 3, 5, 4), padding="same", dilation_rate=2),
    _case("conv_transpose", numbers(2, 4, 7, 6), numbers(3, 3, 5, 4), 2, data_format="channels_first"),
    _case("conv_transpose", VOLUME, numbers(2, 2, 2, 3, 2), 2),
]
POOLS = [
    _case(name, x, size, **options)
    for name in ("max_pool", "average_pool")
    for x, size, options in (
        (LINE, 2, {}),
        (LINE, 3, {"strides": 2}),
        (IMAGE, (3, 2), {"strides": 1}),
        (IMAGE, 2, {"data_format": "channels_first"}),
        (IMAGE, 3, {"strides": 1, "padding": "same"}),
        (VOLUME, 2, {}),
    )
] + [
    _case("max_pool", IMAGE, 2, None, "same"),
    _case("max_pool", LINE, 4, 3, "same"),
    *(
        _case(name, x, size, **options)
        for name in ("adaptive_average_pool", "adaptive_max_pool")
        for x, size, options in (
            (LINE, 4, {}),
            (IMAGE, (3, 4), {}),
            (IMAGE, 2, {"data_format": "channels_first"}),
            (VOLUME, (2, 3, 1), {}),
        )
    ),
]
NORMALIZATIONS = [
    _case("moments", X, 1),
    _case("moments", IMAGE, (0, 2), keepdims=True, batched=()),
    _case("moments", X.astype("float64"), [0, 1], batched=()),
    _case("batch_normalization", IMAGE, numbers(4), numbers(4, low=0.1), -1),
    _case(
        "batch_normalization", IMAGE, numbers(7), numbers(7, low=0.1), 1, numbers(7, seed=1), numbers(7, seed=2), 0.1
    ),
    _case("layer_normalization", X),
    _case("layer_normalization", IMAGE, numbers(4), numbers(4, seed=1), epsilon=0.01),
    _case("layer_normalization", IMAGE, numbers(6, 4), numbers(6, 4, seed=1), axis=(-2, -1)),
    _case("layer_normalization", IMAGE, numbers(7, 4), numbers(7, 4, seed=1), axis=(1, 3)),
    _case("rms_normalization", X, epsilon=0.01),
    _case("rms_normalization", IMAGE, numbers(4)),
    _case("rms_normalization", IMAGE, numbers(6, 4), axis=[-2, -1]),
    _case("rms_normalization", IMAGE, axis=(1, 3)),
    _case("normalize", X),
    _case("normalize", IMAGE, axis=(1, 2)),
    _case("normalize", X, axis=0, order=1, batched=()),
    _case("normalize", IMAGE, axis=1, order=3),
    _case("normalize", X.astype("float64"), order=2, epsilon=30.0),
]
TARGETS = [
    _case("one_hot", COUNTS, 3),
    _case("one_hot", COUNTS, 3, axis=0, dtype="int32", batched=()),
    _case("one_hot", COUNTS, 4, axis=1, dtype="bool"),
    _case("one_hot", COUNTS.astype("float32"), 3),
    _case("multi_hot", COUNTS, 4),
    _case("multi_hot", COUNTS[0], 4, dtype="int64", batched=()),
    _case("multi_hot", COUNTS, num_tokens=4),
    _case("binary_crossentropy", PROBABILITIES[::-1].copy(), PROBABILITIES, batched=(0, 1)),
    _case("binary_crossentropy", PROBABILITIES, X[:, :1] * np.ones((1, 5), "float32"), True, batched=(0, 1)),
    _case("categorical_crossentropy", PROBABILITIES[::-1].copy(), PROBABILITIES, batched=(0, 1)),
    _case("categorical_crossentropy", numbers(3, 5, 2), numbers(3, 5, 2, seed=4), True, 1, batched=(0, 1)),
    _case("sparse_categorical_crossentropy", np.array([0, 4, 2]), PROBABILITIES, batched=(0, 1)),
    _case("sparse_categorical_crossentropy", np.array([[0], [4], [2]]), PROBABILITIES, batched=(0, 1)),
    _case("sparse_categorical_crossentropy", COUNTS.clip(0), numbers(2, 4, 3), True, axis=1, batched=(0, 1)),
    _case("sparse_categorical_crossentropy", np.array(2), PROBABILITIES[0], batched=()),
]
ATTENTION = [
    _case("dot_product_attention", QUERY, KEY, VALUE, batched=(0, 1, 2)),
    _case("dot_product_attention", QUERY, KEY, VALUE, scale=0.3, is_causal=True, batched=(0, 1, 2)),
    _case("dot_product_attention", QUERY, KEY, VALUE, numbers(2, 4, 5, 6), batched=(0, 1, 2, 3)),
    _case("dot_product_attention", QUERY, KEY, VALUE, mask=LOOK, batched=(0, 1, 2, 3)),
    _case("dot_product_attention", QUERY, KEY, VALUE, mask=LOOK, is_causal=True, batched=(0, 1, 2, 3)),
    _case("dot_product_attention", QUERY, KEY, VALUE, mask=np.zeros((5, 6), bool), batched=()),
    _case("dot_product_attention", QUERY, KEY[:, :, :2], VALUE[:, :, :2], batched=()),
    _case("dot_product_attention", QUERY, KEY[:, :, :1], VALUE[:, :, :1], batched=()),
    _case("dot_product_attention", QUERY, KEY, VALUE, flash_attention=False, batched=()),
]
BLOCKS = [
    _case("unfold", numbers(2, 3, 6, 7), 2),
    _case("unfold", numbers(2, 3, 6, 7), (2, 3), 2, 1, (2, 1)),
    _case("fold", numbers(2, 12, 30), (6, 7), 2),
    _case("fold", numbers(2, 12, 12), (6, 7), 2, stride=2, padding=(0, 1)),
    _case("depth_to_space", numbers(2, 3, 4, 12), 2),
    _case("depth_to_space", numbers(2, 18, 3, 4), 3, "channels_first"),
    _case("space_to_depth", numbers(2, 6, 4, 3), 2),
    _case("space_to_depth", numbers(2, 3, 6, 9), 3, "channels_first"),
]
CASES = [*ACTIVATIONS, *CONVOLUTIONS, *POOLS, *NORMALIZATIONS, *TARGETS, *ATTENTION, *BLOCKS]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_function_is_kerass(case: Case) -> None:
    theirs = getattr(keras.ops.nn, case.name)
    same_values(case, OURS[case.name], theirs)
    same_gradients(case, OURS[case.name], theirs)
    same_on_symbols(case, OURS[case.name])


def test_arguments_and_defaults_are_kerass() -> None:
    for name, function in OURS.items():
        theirs = getattr(keras.ops, name)
        got, want = (inspect.signature(one).parameters.values() for one in (function, theirs))
        words = [(p.name, p.default) for p in want if p.kind is not p.VAR_KEYWORD]  # words of other versions
        assert [(p.name, p.default) for p in got][: len(words)] == words, name


def test_every_name_is_there_and_has_a_case() -> None:
    elsewhere = {"psnr", "ctc_decode", "ctc_loss", "polar"}
    names = {name for name in dir(keras.ops.nn) if not name.startswith("_")} - elsewhere
    assert names == set(OURS)
    assert names - {case.name for case in CASES} == {"sparsemax"}  # where Keras is wrong, see below


@pytest.mark.parametrize("name", PLAIN)
def test_whole_numbers_and_lists(name: str) -> None:
    got = OURS[name]([[1, 2], [-3, 0]])
    want = OURS[name](torch.tensor([[1.0, 2.0], [-3.0, 0.0]]))
    close(got, want, because=name)
    kept = name in ("relu", "relu6", "hard_tanh")
    assert got.dtype is (torch.int32 if kept else torch.float32)


@pytest.mark.parametrize("name", PLAIN)
def test_extremes_of_activations(name: str) -> None:
    function = OURS[name]
    assert function(torch.empty(0, 2)).shape == ((0, 1) if name == "glu" else (0, 2))
    assert function(torch.full((1, 2), torch.nan)).isnan().all()
    if name != "glu":
        assert function(1.5).shape == ()
        large = function(torch.tensor([1e4, 3.0]))
        assert not large.isnan().any(), large


def test_sparsemax_is_a_distribution() -> None:
    """Keras 3.15 sums to less than 1 as soon as two outputs are positive; the projection itself is tested elsewhere."""
    got = OURS["sparsemax"]([[1.0, 0.8, -1.0], [0.0, 0.1, 0.2]])
    close(got.sum(-1), [1.0, 1.0], because="sum")
    assert abs(float(keras.ops.sparsemax(np.array([1.0, 0.8, -1.0], "float32")).sum()) - 1) > 0.1


def test_softmax_over_one_value_warns_as_keras() -> None:
    for softmax in (OURS["softmax"], keras.ops.softmax):
        with pytest.warns(UserWarning, match="sigmoid"):
            softmax(np.zeros((2, 1), "float32"))


def test_average_pool_leaves_the_padding_out() -> None:
    """Keras on torch repeats the last value instead; the reference is the mean of what is there."""
    got = OURS["average_pool"](np.array([[[1.0], [2.0], [6.0]]], "float32"), 2, 2, "same")
    close(got.flatten(), [1.5, 6.0], because="mean of what is there")
    x = numbers(1, 4, 1)
    padded = np.pad(x, ((0, 0), (1, 2), (0, 0)), constant_values=np.nan)
    want = np.stack([np.nanmean(padded[:, i : i + 4], 1) for i in range(4)], 1)
    close(OURS["average_pool"](x, 4, 1, "same"), want, because="windows of 4")


@pytest.mark.parametrize("axis", [0, 1, (0, 1), (0, 2), [2, 0]])
def test_normalization_over_any_axes(axis: Any) -> None:
    """Keras on torch takes the last axes whatever single axis, or run of axes, it is given."""
    x = numbers(2, 3, 4, dtype="float64")
    axes = (axis,) if isinstance(axis, int) else tuple(sorted(axis))
    sizes = [x.shape[a] for a in axes]
    gamma, beta = numbers(*sizes, seed=1), numbers(*sizes, seed=2)
    spread = [x.shape[a] if a in axes else 1 for a in range(3)]
    mean, variance = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
    want = (x - mean) / np.sqrt(variance + 0.1) * gamma.reshape(spread) + beta.reshape(spread)
    close(OURS["layer_normalization"](x, gamma, beta, axis, 0.1), want, because="layer")
    want = x / np.sqrt((x**2).mean(axes, keepdims=True) + 0.1) * gamma.reshape(spread)
    close(OURS["rms_normalization"](x, gamma, axis, 0.1), want, because="rms")


def test_moments_keep_the_digits_of_a_small_variance() -> None:
    x = 1e4 + numbers(1000, low=-0.01, high=0.01, dtype="float64")
    close(OURS["moments"](x.astype("float32"), 0)[1], x.astype("float32").astype("float64").var(), because="variance")
    half = OURS["moments"](torch.full((4, 2), 300.0, dtype=torch.float16), 0)
    assert half[0].dtype is torch.float16 and float(half[1].max()) == 0.0


def test_half_precision_is_normalized_in_float32() -> None:
    x = torch.from_numpy(numbers(3, 8) * 100).half()
    for name in ("layer_normalization", "rms_normalization"):
        got, want = OURS[name](x), getattr(keras.ops.nn, name)(x)
        assert got.dtype is torch.float16
        close(got, want, because=name, tolerance=1e-3)


def test_rms_scaling_as_keras() -> None:
    case = Case("layer_normalization", (X, numbers(4)), {"rms_scaling": True})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        same_values(case, OURS[case.name], keras.ops.nn.layer_normalization)
    with pytest.warns(DeprecationWarning, match="rms_normalization"):
        OURS[case.name](X, rms_scaling=True)


def test_zeros_are_normalized_without_nan() -> None:
    x = torch.zeros(2, 3, requires_grad=True)
    OURS["normalize"](x).sum().backward()
    assert x.grad is not None and x.grad.isfinite().all()  # Keras: NaN


def test_one_hot_of_numbers_beyond_the_classes_is_zero() -> None:
    close(OURS["one_hot"]([0, 2, 7, -7], 3), [[1, 0, 0], [0, 0, 1], [0, 0, 0], [0, 0, 0]], because="one_hot")
    assert OURS["one_hot"](torch.empty(0, 2), 3).shape == (0, 2, 3)
    close(OURS["one_hot"](1, 3), [0, 1, 0], because="a single number")


def test_space_to_depth_undoes_depth_to_space() -> None:
    for form in ("channels_last", "channels_first"):
        x = numbers(2, 12, 8, 12)
        close(OURS["space_to_depth"](OURS["depth_to_space"](x, 2, form), 2, form), x, because=form)


def test_causal_bias_is_both() -> None:
    """Keras on torch hands both to the kernel, which refuses."""
    bias = numbers(2, 4, 5, 6)
    hidden = np.where(np.tril(np.ones((5, 6), bool)), bias, np.float32(-1e30))
    got = OURS["dot_product_attention"](QUERY, KEY, VALUE, bias, is_causal=True)
    close(got, OURS["dot_product_attention"](QUERY, KEY, VALUE, hidden), because="causal with a bias")


def test_attention_of_nothing() -> None:
    empty = OURS["dot_product_attention"](torch.empty(0, 5, 4, 3), torch.empty(0, 6, 4, 3), torch.empty(0, 6, 4, 3))
    assert empty.shape == (0, 5, 4, 3)


REFUSALS = [
    (lambda: OURS["conv"](LINE, numbers(3, 3, 5)), ShapeError, "divide"),
    (lambda: OURS["conv"](X, numbers(3, 3, 5)), ShapeError, "axes of space"),
    (lambda: OURS["conv"](LINE, numbers(3, 4, 5), padding="sane"), ConfigError, "padding"),
    (lambda: OURS["conv"](LINE, numbers(3, 4, 5), 0), ConfigError, "strides"),
    (lambda: OURS["depthwise_conv"](LINE, numbers(3, 3, 5)), ShapeError, "3 channels"),
    (lambda: OURS["conv_transpose"](LINE, numbers(3, 5, 3)), ShapeError, "3 channels"),
    (lambda: OURS["max_pool"](X, 2), ShapeError, "axes of space"),
    (lambda: OURS["moments"](X, 0, synchronized=True), ConfigError, "synchronized"),
    (lambda: OURS["normalize"](X, order=0), ConfigError, "order"),
    (lambda: OURS["layer_normalization"](X, numbers(3)), ShapeError, "gamma"),
    (lambda: OURS["layer_normalization"](X, axis=5), ShapeError, "axis 5"),
    (lambda: OURS["one_hot"](COUNTS, 3, sparse=True), ConfigError, "sparse"),
    (lambda: OURS["one_hot"](COUNTS, 3, axis=5), ShapeError, "axis 5"),
    (lambda: OURS["multi_hot"](COUNTS), ConfigError, "num_classes"),
    (lambda: OURS["binary_crossentropy"](X, X[:1]), ShapeError, r"\(1, 4\)"),
    (lambda: OURS["categorical_crossentropy"](1.0, 1.0), ShapeError, "class axis"),
    (lambda: OURS["dot_product_attention"](X, X, X), ShapeError, "heads"),
    (lambda: OURS["dot_product_attention"](QUERY, KEY, VALUE, 1.0, True), ConfigError, "not both"),
    (lambda: OURS["dot_product_attention"](QUERY, KEY, VALUE, attn_logits_soft_cap=1.0), ConfigError, "TPU"),
    (lambda: OURS["unfold"](X, 2), ShapeError, "images"),
    (lambda: OURS["fold"](X, 2, 2), ShapeError, "columns"),
    (lambda: OURS["depth_to_space"](IMAGE, 1), ConfigError, "block_size"),
    (lambda: OURS["depth_to_space"](IMAGE, 3), ShapeError, "multiple"),
    (lambda: OURS["space_to_depth"](IMAGE, 2), ShapeError, "7 by 6"),
]


@pytest.mark.parametrize(("call", "error", "words"), REFUSALS, ids=[words for _, _, words in REFUSALS])
def test_refusals_say_what_is_wrong(call: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call()
