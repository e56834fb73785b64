"""The flat functions of ``keras.ops`` (conversion, indexing, segments, Fourier, special) against the real Keras."""

from __future__ import annotations

import inspect
from typing import Any

import keras
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

from closeness import close
from dougong.core.errors import BuildError, ConfigError, ShapeError, UnknownNameError
from dougong.core.symbol import Input
from dougong.ops import (
    control_flow,
    conversion,
    frequency,
    gradients,
    indexed,
    rearranging,
    scans,
    special_functions,
)
from ops_twins import Case, numbers, same_gradients, same_on_symbols, same_values

MODULES = (conversion, frequency, indexed, special_functions, rearranging)
OURS = {name: getattr(module, name) for module in MODULES for name in module.__all__}

X = numbers(3, 4)
SIGNAL = numbers(2, 3, 40, dtype="float64")
SPECTRUM = (numbers(2, 6, 9, dtype="float64"), numbers(2, 6, 9, seed=1, dtype="float64"))
PAIR = (numbers(2, 4, 6), numbers(2, 4, 6, seed=1))
ROWS = np.array([2, 0, 2, -1, 5])
PLACES = np.array([[0, 1], [2, 3], [0, 1], [2, 0]])


def _case(
    name: str, *arguments: Any, batched: tuple[int, ...] = (0,), differentiable: bool = True, **options: Any
) -> Case:
    return Case(name, arguments, options, batched=batched, differentiable=differentiable)


CASES = [
    _case("convert_to_tensor", X),
    _case("convert_to_tensor", X, "float64"),
    _case("cast", X * 3, "int32"),
    _case("cast", np.arange(6).reshape(2, 3), "float32"),
    _case("cast", X, dtype="bool"),
    _case("saturate_cast", X * 200, "uint8"),
    _case("saturate_cast", X * 1e5, "int16"),
    _case("saturate_cast", X * 1e5, "float16"),
    _case("saturate_cast", np.array([-5, 300, 70000]), "int16"),
    _case("saturate_cast", np.array([True, False]), "float32"),
    _case("view_as_complex", numbers(3, 4, 2)),
    _case("view_as_complex", np.arange(6).reshape(3, 2)),
    _case("view_as_real", numbers(3, 4).astype("complex64")),
    _case("polar", numbers(3, 4, low=0.1), X, batched=(0, 1)),
    _case("rearrange", numbers(2, 4, 6, 3), pattern="b (h1 h) (w1 w) c -> (b h1 w1) h w c", h1=2, w1=2),
    _case("rearrange", numbers(2, 4, 6, 3), "b h w c -> c (w h) b"),
    _case("rearrange", numbers(2, 12), "b (c d e) -> e b (d c)", c=2, d=3),
    _case("scatter", PLACES, numbers(4), (3, 4), batched=()),
    _case("scatter", np.array([[1], [1]]), numbers(2, 3), (4, 3), batched=()),
    _case("scatter", np.array([[[1, 0], [2, 2]]]), numbers(1, 2, 3), (3, 3, 3), batched=()),
    *(_case("scatter_update", X, PLACES[:2], numbers(2), reduction, batched=()) for reduction in (None, "add")),
    *(
        _case("scatter_update", X, PLACES, numbers(4), word, batched=(), differentiable=word == "add")
        for word in ("add", "max", "min", "mul", "MAX")
    ),
    *(
        _case(
            "scatter_update",
            numbers(4, 2, 3),
            np.array([[1], [1], [-1]]),
            numbers(3, 2, 3),
            word,
            batched=(),
            differentiable=word == "add",
        )
        for word in ("add", "max", "min", "mul")
    ),
    _case("scatter_update", np.arange(4), np.array([[1], [1]]), np.array([7, 5]), "max", batched=()),
    _case("slice", numbers(4, 5, 3), (1, 0, 2), (2, 4, 1), batched=()),
    _case("slice", numbers(4, 5), np.array([1, 2]), (2, 2), batched=()),
    _case("slice_update", numbers(4, 5), (1, 2), numbers(2, 3), batched=()),
    _case("slice_update", numbers(4, 5), np.array([1, 2]), numbers(2, 3), batched=()),
    _case("unstack", numbers(2, 3, 4), axis=1),
    _case("unstack", numbers(3, 4), 3, batched=()),
    *(
        _case(f"segment_{word}", numbers(5, 2, dtype="float32"), ROWS, 4, batched=())
        for word in ("sum", "max", "min", "prod")
    ),
    *(Case(f"segment_{word}", (numbers(5), ROWS.clip(0)), symbolic=False) for word in ("sum", "max", "min", "prod")),
    _case("segment_sum", np.arange(5), ROWS, 3, sorted=False, batched=()),
    _case("extract_sequences", SIGNAL, 7, 3),
    _case("fft", PAIR, batched=(0, 1)),
    _case("fft2", PAIR, batched=(0, 1)),
    _case("ifft2", PAIR, batched=(0, 1)),
    _case("rfft", SIGNAL),
    _case("rfft", SIGNAL.astype("float32"), 33),
    _case("rfft", SIGNAL, fft_length=64),
    _case("irfft", SPECTRUM, batched=(0, 1)),
    _case("irfft", SPECTRUM, 15, batched=(0, 1)),
    _case("stft", SIGNAL, 8, 3, 16),
    _case("stft", SIGNAL[0, 0].astype("float32"), 8, 4, 8, "hamming", batched=()),
    _case("stft", SIGNAL, 8, 3, 10, None, False),
    _case("stft", SIGNAL, 5, 3, 8, window=np.hamming(5), center=False),
    _case("istft", SPECTRUM, 16, 4, 16, batched=(0, 1)),
    _case("istft", SPECTRUM, 16, 4, 16, length=20, batched=(0, 1)),
    _case("istft", SPECTRUM, 16, 6, 16, window="hamming", center=False, batched=(0, 1)),
    _case("istft", SPECTRUM, 12, 5, 16, batched=(0, 1)),
    _case("istft", SPECTRUM, 12, 5, 16, 25, None, batched=(0, 1)),
    _case("istft", (SPECTRUM[0][:, None], SPECTRUM[1][:, None]), 12, 4, 16, window=np.hamming(12), batched=(0, 1)),
    _case("rsqrt", numbers(3, 4, low=0.1)),
    _case("rsqrt", np.arange(1, 5)),
    _case("erf", X),
    _case("erfc", X),
    _case("erfinv", X / 2.1),
    _case("logsumexp", X, batched=()),
    _case("logsumexp", numbers(2, 3, 4), axis=(1, 2), keepdims=True),
    _case("logsumexp", X * 1000, 1),
    _case("top_k", X, 2),
    _case("top_k", np.arange(12).reshape(3, 4), 3, sorted=True),
    _case("in_top_k", np.array([0, 3, 1]), X, 2, batched=(0, 1)),
    _case("in_top_k", np.array([0, 3, 1]), np.ones((3, 4), "float32"), 1, batched=(0, 1)),
    _case("cdist", X, numbers(5, 4), batched=()),
    _case("cdist", numbers(2, 1, 3, 4), numbers(6, 5, 4), batched=(0,)),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_function_is_kerass(case: Case) -> None:
    theirs = getattr(keras.ops, case.name)
    same_values(case, OURS[case.name], theirs)
    same_gradients(case, OURS[case.name], theirs)
    same_on_symbols(case, OURS[case.name])


def test_every_name_is_there() -> None:
    """What is flat in ``keras.ops`` and in none of its three other modules, but for its submodules."""

    def public(module: Any) -> set[str]:
        return {name for name in dir(module) if not name.startswith("_")}

    modules = (keras.ops.numpy, keras.ops.image, keras.ops.nn, keras.ops.linalg)
    names = public(keras.ops).difference(*map(public, modules)) - {"image", "linalg", "nn", "numpy"}
    ours = set(OURS)
    for module in (control_flow, scans, gradients):
        ours |= set(module.__all__)
    assert names - ours == {"logdet"}  # in test_ops_linalg
    without_cases = {"convert_to_numpy", "dtype", "is_tensor", "shape"}
    assert set(OURS) - {case.name for case in CASES} == without_cases


@pytest.mark.parametrize("module", [*MODULES, control_flow, scans, gradients], ids=lambda module: module.__name__)
def test_arguments_and_defaults_are_kerass(module: Any) -> None:
    for name in set(module.__all__) & set(dir(keras.ops)):
        got, want = (inspect.signature(getattr(place, name)).parameters for place in (module, keras.ops))
        assert [(p.name, p.default) for p in got.values()] == [(p.name, p.default) for p in want.values()], name


def test_what_a_value_is() -> None:
    values = [np.zeros((2, 3)), torch.zeros(2, dtype=torch.bfloat16), torch.tensor(1), np.float32(2.0)]
    for value in values:
        assert OURS["shape"](value) == tuple(keras.ops.shape(value))
        assert OURS["dtype"](value) == keras.ops.dtype(value)
        assert OURS["is_tensor"](value) == keras.ops.is_tensor(value)
    symbol = Input((3,), dtype="int32")
    assert (OURS["shape"](symbol), OURS["dtype"](symbol), OURS["is_tensor"](symbol)) == ((None, 3), "int32", False)


@pytest.mark.parametrize("value", [1, 2**40, 1.5, True, [1, 2], [1.0, 2], [[True], [False]], (1, 2.5), np.arange(3)])
def test_conversion_of_python_values_is_kerass(value: Any) -> None:
    got, want = OURS["convert_to_tensor"](value), keras.ops.convert_to_tensor(value)
    assert got.dtype == want.dtype
    close(got, want, because=repr(value))
    close(OURS["convert_to_numpy"](got), keras.ops.convert_to_numpy(want), because="and back")


def test_conversion_to_numpy() -> None:
    tensor = torch.ones(2, requires_grad=True)
    got = OURS["convert_to_numpy"]([tensor, tensor])
    assert isinstance(got, np.ndarray) and got.shape == (2, 2)
    close(OURS["convert_to_numpy"](torch.ones(2, dtype=torch.bfloat16)), [1, 1], because="bfloat16")
    with pytest.raises(BuildError, match="symbol"):
        OURS["convert_to_numpy"](Input((2,)))
    copied = OURS["convert_to_numpy"](tensor)
    copied[0] = 5
    assert float(tensor.detach()[0]) == 1.0


@pytest.mark.parametrize("word", ["max", "min", "mul"])
def test_joined_updates_have_gradients(word: str) -> None:
    """Keras on torch writes in place and cannot be differentiated."""
    x, updates = (torch.from_numpy(numbers(*shape, dtype="float64")) for shape in ((3, 4), (4,)))
    inputs = (x.requires_grad_(), (updates + 0.05).requires_grad_())
    assert torch.autograd.gradcheck(lambda x, u: OURS["scatter_update"](x, PLACES, u, word), inputs)


def test_real_numbers_have_no_imaginary_part() -> None:
    """Keras on torch raises."""
    close(OURS["view_as_real"]([1.0, 2.0]), [[1, 0], [2, 0]], because="real")


def test_saturation_at_the_ends() -> None:
    """Keras lets 2**31 as float32 pass for int32, where it becomes the least number."""
    for kind, low, high in (("int32", -(2**31), 2147483520), ("uint8", 0, 255), ("int8", -128, 127)):
        got = OURS["saturate_cast"](torch.tensor([-1e30, 1e30]), kind)
        assert got.tolist() == [low, high]
    assert OURS["saturate_cast"](torch.tensor([-1e30, 1e30], dtype=torch.float64), "int64").tolist()[0] == -(2**63)
    assert OURS["saturate_cast"]([2, -3], "bool").tolist() == [True, False]
    assert OURS["saturate_cast"](torch.tensor([2**40]), "int32").tolist() == [2**31 - 1]


def test_segments_keep_their_precision_and_their_empty_ones() -> None:
    """Keras on torch goes through float32, where 2**24 + 1 is not a number."""
    data, ids = torch.tensor([2**24, 1]), torch.tensor([0, 0])
    assert OURS["segment_sum"](data, ids).tolist() == [2**24 + 1]
    assert OURS["segment_max"](data.to(torch.int32), ids, 2).tolist() == [2**24, -(2**31)]
    assert OURS["segment_min"](data.to(torch.int32), ids, 2).tolist() == [1, 2**31 - 1]
    assert OURS["segment_sum"](data.double(), ids).dtype is torch.float64
    assert OURS["segment_sum"](torch.empty(0, 3), torch.empty(0, dtype=torch.int64)).shape == (0, 3)
    unknown = OURS["segment_sum"](Input(batch_shape=(5, 2)), Input(batch_shape=(5,), dtype="int32"))
    known = OURS["segment_max"](Input((2,)), Input((), dtype="int32"), 4)
    assert (unknown.shape, known.shape) == ((None, 2), (4, 2))


def test_a_distance_of_zero_has_a_gradient() -> None:
    x = torch.ones(2, 3, requires_grad=True)
    OURS["cdist"](x, x.detach()).sum().backward()
    assert x.grad is not None and x.grad.abs().sum() == 0  # Keras: NaN


def test_extremes() -> None:
    assert OURS["erf"](torch.empty(0, 2)).shape == (0, 2)
    assert OURS["rsqrt"](0.0) == torch.inf and OURS["rsqrt"](-1.0).isnan()
    assert OURS["erfinv"]([1.0, -1.0]).tolist() == [torch.inf, -torch.inf] and OURS["erfinv"](2.0).isnan()
    close(OURS["erfc"](10.0), special.erfc(10.0), because="small, yet not 0", tolerance=1e-44)
    assert OURS["logsumexp"](1.5) == 1.5
    assert OURS["logsumexp"]([-torch.inf, -torch.inf]) == -torch.inf
    assert OURS["unstack"](torch.empty(0, 2)) == ()
    assert not OURS["in_top_k"]([0], [[torch.nan, 1.0]], 1).any()
    assert OURS["cdist"](torch.empty(0, 3), torch.empty(2, 3)).shape == (0, 2)
    assert OURS["scatter"](torch.empty(0, 1, dtype=torch.int64), torch.empty(0), (3,)).tolist() == [0, 0, 0]


def test_symbols_as_places() -> None:
    part = OURS["slice"](Input(batch_shape=(4, 5)), Input(batch_shape=(2,), dtype="int32"), (2, 3))
    assert part.shape == (2, 3)


@settings(max_examples=30, deadline=None)
@given(st.integers(8, 16), st.integers(1, 4), st.integers(20, 60), st.sampled_from(["hann", "hamming"]))
def test_istft_undoes_stft(length: int, part: int, samples: int, window: str) -> None:
    stride = max(1, length // (2 * part))
    x = numbers(2, samples, dtype="float64")
    spectra = OURS["stft"](x, length, stride, length, window)
    got = OURS["istft"](spectra, length, stride, length, window=window)
    close(got, x[:, : got.shape[1]], because="round trip")


REFUSALS = [
    (lambda: OURS["convert_to_tensor"](X, sparse=True), ConfigError, "sparse"),
    (lambda: OURS["convert_to_tensor"](X, "flaot32"), UnknownNameError, "float32"),
    (lambda: OURS["view_as_complex"](X), ShapeError, "real and imaginary"),
    (lambda: OURS["rearrange"](X, "a b"), ConfigError, "one '->'"),
    (lambda: OURS["rearrange"](X, "a b -> a"), ConfigError, "each axis once"),
    (lambda: OURS["rearrange"](X, "a b -> b a", c=2), ConfigError, "c"),
    (lambda: OURS["rearrange"](X, "a (b c) -> a b c"), ConfigError, "length of b or c"),
    (lambda: OURS["rearrange"](X, "a (b c) -> a b c", b=3), ShapeError, "cannot be split"),
    (lambda: OURS["rearrange"](X, "a b c -> a b c"), ShapeError, "3 axes"),
    (lambda: OURS["rearrange"](X, "a ... -> ... a"), ConfigError, "names and single parentheses"),
    (lambda: OURS["scatter_update"](X, PLACES, numbers(4), "sum"), UnknownNameError, "reduction"),
    (lambda: OURS["scatter_update"](X, ROWS, numbers(5)), ShapeError, "places"),
    (lambda: OURS["slice"](X, (2, 0), (2, 2)), ShapeError, "not within"),
    (lambda: OURS["slice_update"](X, (2,), numbers(2)), ShapeError, "one start"),
    (lambda: OURS["slice_update"](X, (2, 3), numbers(2, 2)), ShapeError, "not within"),
    (lambda: OURS["unstack"](X, 4), ConfigError, "num=4"),
    (lambda: OURS["segment_sum"](X, ROWS), ShapeError, "one id"),
    (lambda: OURS["fft"](X), ShapeError, "pair"),
    (lambda: OURS["fft"]((X, X[:1])), ShapeError, "differ"),
    (lambda: OURS["stft"](SIGNAL, 8, 0, 8), ConfigError, "stride"),
    (lambda: OURS["stft"](SIGNAL, 8, 2, 4), ConfigError, "fft_length"),
    (lambda: OURS["stft"](SIGNAL, 8, 2, 8, "han"), ConfigError, "window"),
    (lambda: OURS["istft"](SPECTRUM, 8, 2, 16, window=[1.0]), ShapeError, "window"),
    (lambda: OURS["cdist"](X, X[:, :2]), ShapeError, "points"),
    (lambda: OURS["in_top_k"](X, X, 1), ShapeError, "targets"),
]


@pytest.mark.parametrize(("call", "error", "words"), REFUSALS, ids=[words for _, _, words in REFUSALS])
def test_refusals_say_what_is_wrong(call: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call()
