"""``keras.ops.linalg`` against the real Keras: values, dtypes, gradients and symbols of every function; extremes."""

from __future__ import annotations

import inspect
from typing import Any

import keras
import numpy as np
import pytest
import torch

from closeness import close
from dougong.core.errors import ConfigError, DataError, ShapeError
from dougong.core.symbol import Input
from dougong.ops import linear_algebra
from dougong.ops.gradients import jvp
from ops_twins import Case, numbers, same_gradients, same_on_symbols, same_values

OURS = {name: getattr(linear_algebra, name) for name in linear_algebra.__all__}

SQUARE = numbers(2, 3, 3, dtype="float64") + 3 * np.eye(3)
POSITIVE = SQUARE @ SQUARE.swapaxes(-1, -2)
TALL, WIDE = numbers(2, 4, 3, dtype="float64"), numbers(2, 3, 4, dtype="float64")
SINGLE = TALL.astype("float32")
SINGULAR = np.array([[1.0, 2.0], [2.0, 4.0]])


def _case(
    name: str, *arguments: Any, batched: tuple[int, ...] = (0,), differentiable: bool = True, **options: Any
) -> Case:
    return Case(name, arguments, options, batched=batched, differentiable=differentiable)


CASES = [
    _case("cholesky", POSITIVE),
    _case("cholesky", POSITIVE.astype("float32"), upper=True),
    _case("cholesky_inverse", np.linalg.cholesky(POSITIVE)),
    _case("cholesky_inverse", np.linalg.cholesky(POSITIVE).swapaxes(-1, -2).copy(), True),
    _case("det", SQUARE),
    _case("eigh", POSITIVE, differentiable=False),
    _case("eig", SQUARE, differentiable=False),
    _case("inv", SQUARE),
    _case("lu_factor", SQUARE),
    _case("lu_factor", TALL),
    *(_case("norm", SINGLE, axis=(-2, -1), ord=order) for order in (None, "fro", "nuc", 2, -2, 1, np.inf)),
    *(_case("norm", SINGLE, order, 1) for order in (None, 2, 1, 3, np.inf, -np.inf, 0)),
    _case("norm", SINGLE, keepdims=True, batched=()),
    _case("norm", np.arange(6).reshape(2, 3), axis=1),
    _case("qr", TALL),
    _case("qr", TALL, mode="complete", differentiable=False),
    _case("qr", WIDE, differentiable=False),
    _case("solve", SQUARE, numbers(2, 3, 2, dtype="float64"), batched=(0, 1)),
    _case("solve", SQUARE, numbers(2, 3, dtype="float64"), batched=(0, 1)),
    _case("solve_triangular", SQUARE, numbers(2, 3, 2, dtype="float64"), batched=(0, 1)),
    _case("solve_triangular", SQUARE, numbers(2, 3, dtype="float64"), True, batched=(0, 1)),
    _case("svd", TALL, differentiable=False),
    _case("svd", TALL, full_matrices=False, differentiable=False),
    _case("svd", TALL, compute_uv=False),
    _case("lstsq", TALL[0], numbers(4, 2, dtype="float64"), batched=()),
    _case("lstsq", TALL, numbers(2, 4, 2, dtype="float64"), batched=(0, 1)),
    _case("lstsq", SINGULAR, numbers(2, 1, dtype="float64"), 1e-6, batched=(), differentiable=False),
    _case("matrix_rank", TALL),
    _case("matrix_rank", SINGULAR, tol=10.0, batched=()),
    _case("pinv", TALL),
    _case("pinv", SINGULAR, 1e-6, batched=(), differentiable=False),
    _case("logdet", POSITIVE),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_function_is_kerass(case: Case) -> None:
    theirs = keras.ops.logdet if case.name == "logdet" else getattr(keras.ops.linalg, case.name)
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
    names = {name for name in dir(keras.ops.linalg) if not name.startswith("_")} - {"jvp"}
    assert names | {"logdet"} == set(OURS) == {case.name for case in CASES}


def test_factors_make_the_matrix() -> None:
    q, r = OURS["qr"](WIDE)
    close(q @ r, WIDE, because="Q R")
    u, s, vh = OURS["svd"](TALL, full_matrices=False)
    close(u @ torch.diag_embed(s) @ vh, TALL, because="U diag(s) V'")
    values, vectors = OURS["eig"](SQUARE)
    close((vectors @ torch.diag_embed(values) @ OURS["inv"](vectors)).real, SQUARE, because="V diag(e) V^-1")
    values, vectors = OURS["eigh"](POSITIVE)
    close(vectors @ torch.diag_embed(values) @ vectors.mT, POSITIVE, because="V diag(e) V'")
    lower = OURS["cholesky"](POSITIVE)
    close(lower @ lower.mT, POSITIVE, because="L L'")


@pytest.mark.parametrize("name", ["eigh", "svd"])
def test_gradients_of_what_has_a_sign_of_its_own(name: str) -> None:
    """Eigenvectors are known up to a sign, so a function without it is differentiated."""

    def fixed(x: torch.Tensor) -> torch.Tensor:
        first, second = OURS[name](x, *((False,) if name == "svd" else ()))[:2]
        vectors, values = (second, first) if name == "eigh" else (first, second)
        return (vectors.square() * values[..., None, :]).sum(-1)

    x = torch.from_numpy(POSITIVE).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: fixed((x + x.mT) / 2), (x,))


def test_whole_numbers_lists_and_the_empty() -> None:
    close(OURS["det"]([[1, 2], [3, 4]]), -2.0, because="det of integers")
    close(OURS["norm"]([3, 4]), 5.0, because="norm of integers")
    close(OURS["lstsq"]([[1, 0], [0, 2]], [1, 4]), [1.0, 2.0], because="a vector for b")
    assert OURS["inv"](torch.empty(0, 3, 3)).shape == (0, 3, 3)
    assert float(OURS["det"](torch.empty(0, 0))) == 1.0
    assert OURS["norm"](torch.tensor([float("nan"), 1.0])).isnan()
    assert OURS["logdet"]([[-1.0]]).isnan()
    assert OURS["norm"](TALL).dtype is torch.float64  # Keras goes down to float32


def test_jvp_is_kerass() -> None:
    def function(x: torch.Tensor, y: torch.Tensor) -> Any:
        return torch.sin(x) * y

    x, v = numbers(2, 3), numbers(2, 3, seed=1)
    arguments = [(torch.from_numpy(x), torch.from_numpy(v)), (torch.from_numpy(v), torch.from_numpy(x))]
    for got, want in zip(jvp(function, *arguments), keras.ops.jvp(function, *arguments)):
        close(got, want, because="jvp")
    got = jvp(lambda x: (x * x, x + 1), (3.0,), (1.0,), has_aux=True)
    close(got[0], 9.0, because="value")
    close(got[1], 6.0, because="derivative")
    close(got[2], 4.0, because="the other result")
    value, slope = jvp(torch.square, (Input((3,)),), (Input((3,)),))
    assert value.shape == slope.shape == (None, 3)


REFUSALS = [
    (lambda: OURS["det"](TALL), ShapeError, "square"),
    (lambda: OURS["inv"](1.0), ShapeError, "matrix"),
    (lambda: OURS["cholesky"](-np.eye(2)), DataError, "positive-definite"),
    (lambda: OURS["inv"](SINGULAR), torch.linalg.LinAlgError, "singular"),
    (lambda: OURS["qr"](TALL, mode="raw"), ConfigError, "mode"),
    (lambda: OURS["solve"](SQUARE, numbers(2, 4, 1)), ShapeError, "3 rows"),
    (lambda: OURS["solve"](SQUARE, 1.0), ShapeError, "3 rows"),
    (lambda: OURS["det"](Input((4, 3))), ShapeError, "square"),
]


@pytest.mark.parametrize(("call", "error", "words"), REFUSALS, ids=[words for _, _, words in REFUSALS])
def test_refusals_say_what_is_wrong(call: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call()
