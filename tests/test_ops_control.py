"""Branches, loops, scans and gradients of one's own: against the real Keras on values, and on symbols."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from closeness import close
from dougong.core.errors import BuildError, ConfigError, ShapeError
from dougong.core.symbol import Input
from dougong.ops.control_flow import cond, fori_loop, switch, while_loop
from dougong.ops.gradients import custom_gradient, stop_gradient
from dougong.ops.scans import associative_scan, scan, vectorized_map
from dougong.ops.scans import map as map_along
from ops_twins import Case, numbers, same_gradients, same_on_symbols, same_values

OURS: dict[str, Callable[..., Any]] = {
    "associative_scan": associative_scan,
    "fori_loop": fori_loop,
    "map": map_along,
    "scan": scan,
    "stop_gradient": stop_gradient,
    "switch": switch,
    "vectorized_map": vectorized_map,
    "while_loop": while_loop,
}
X, Y = numbers(5, 3), numbers(5, 3, seed=1)
ROW = numbers(3)
EVEN = numbers(6, 2)


def _below(total: Any, step: Any) -> Any:
    return total.sum() < 30


def _grow(total: Any, step: Any) -> Any:
    return total * 1.5 + 1, step + 1


def _mean_and_row(carry: Any, x: Any) -> Any:
    return carry * 0.5 + x, (carry.sum(), {"row": x * carry})


def _pair(carry: Any, xs: Any) -> Any:
    return {"sum": carry["sum"] + xs[0], "count": carry["count"] + 1}, xs[0] * xs[1]


def _affine(first: Any, second: Any) -> Any:
    """The composition of two affine functions, which is associative and not commutative."""
    return first[0] * second[0], first[1] * second[0] + second[1]


CASES = [
    Case("while_loop", (_below, _grow, (np.abs(ROW), np.array(0)))),
    Case("while_loop", (_below, _grow, [ROW, np.array(0)], 2)),
    Case("while_loop", (lambda x: x.sum() < 50, lambda x: x + 1, X), batched=(0,)),
    Case("fori_loop", (1, 4, lambda i, x: x * i + 1, X), batched=(0,)),
    Case("fori_loop", (3, 1, lambda i, x: x * i, X), batched=(0,)),
    Case("switch", (1, [lambda x, y: x + y, lambda x, y: x * y], X, Y), batched=(0, 1)),
    Case("switch", (np.array(7), [lambda x: x, lambda x: x * 2], X), batched=(1,)),
    Case("switch", (-3, [lambda x: x, lambda x: x * 2], X), batched=(0,)),
    Case("scan", (_mean_and_row, ROW, X), batched=(1,)),
    Case("scan", (_mean_and_row, ROW, X), {"reverse": True}, batched=(1,)),
    Case("scan", (_pair, {"sum": ROW, "count": np.array(0)}, (X, Y)), batched=(2, 3)),
    Case("scan", (lambda carry, _: (carry * 2, carry + 1), ROW), {"length": 4}),
    Case("scan", (lambda carry, x: (carry + x, None), ROW, X), {"unroll": True}, batched=(1,)),
    Case("map", (lambda x: x.square().sum(), X), batched=(0,)),
    Case("map", (lambda xs: {"a": xs["x"] * 2, "b": xs["y"].sum()}, {"x": X, "y": Y}), batched=(0, 1)),
    Case("vectorized_map", (lambda x: x.square().sum(), X), batched=(0,)),
    Case("vectorized_map", (lambda xs: xs[0] @ xs[1], (X, Y)), batched=(0, 1)),
    Case("associative_scan", (lambda a, b: a + b, X), batched=(0,)),
    Case("associative_scan", (lambda a, b: a + b, X), {"axis": 1, "reverse": True}, batched=(0,)),
    Case("associative_scan", (_affine, (X, Y)), batched=(0, 1)),
    Case("associative_scan", (_affine, (EVEN, EVEN + 1)), {"reverse": True}, batched=(0, 1)),
    Case("stop_gradient", (X,), batched=(0,)),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_function_is_kerass(case: Case) -> None:
    theirs = getattr(keras.ops, case.name)
    same_values(case, OURS[case.name], theirs)
    same_gradients(case, OURS[case.name], theirs)
    same_on_symbols(case, OURS[case.name])


def test_every_function_has_a_case() -> None:
    assert {case.name for case in CASES} == set(OURS)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 12), st.integers(0, 1), st.booleans())
def test_associative_scan_is_a_scan(length: int, axis: int, reverse: bool) -> None:
    shape = (length, 2) if axis == 0 else (2, length)
    a, b = (torch.from_numpy(numbers(*shape, seed=seed, dtype="float64")) for seed in (1, 2))
    got = associative_scan(_affine, (a, b), reverse, axis)
    columns = [(x.movedim(axis, 0).flip(0) if reverse else x.movedim(axis, 0)) for x in (a, b)]
    want, last = [[], []], None
    for one in zip(*columns):
        last = one if last is None else _affine(last, one)
        want[0].append(last[0])
        want[1].append(last[1])
    for have, rows, like in zip(got, want, (a, b)):
        rows = torch.stack(rows[::-1] if reverse else rows).movedim(0, axis) if rows else like
        close(have, rows, because=f"{length} elements, axis {axis}, reverse {reverse}")


def test_cond_takes_one_branch() -> None:
    assert cond(torch.tensor(True), lambda: "yes", lambda: 1 / 0) == "yes"
    assert cond(np.array(False), lambda: 1 / 0, lambda: "no") == "no"


def test_cond_on_a_symbol_chooses_when_it_runs() -> None:
    x, flag = Input((3,)), Input(batch_shape=(), dtype="bool")
    y = cond(flag, lambda: {"a": x + 1, "b": 5}, lambda: {"a": x * 2, "b": 6})
    assert y["a"].shape == (None, 3) and y["b"].shape == ()
    node = y["a"].node
    values = [node.target(torch.tensor(which), *node.args[1:]) for which in (True, False)]
    assert values == [node.args[1], node.args[2]]
    with pytest.raises(ShapeError, match="two branches differ"):
        cond(flag, lambda: x, lambda: x[:, :2])
    with pytest.raises(ShapeError, match="two branches differ"):
        cond(flag, lambda: x, lambda: (x, x))


def test_an_associative_scan_of_booleans() -> None:
    """Keras on torch joins them as floats and raises."""
    assert associative_scan(lambda a, b: a | b, [False, True, False]).tolist() == [False, True, True]


def test_a_scan_over_nothing() -> None:
    carry, y = scan(_mean_and_row, torch.ones(3), torch.empty(0, 3))
    assert carry.tolist() == [1, 1, 1] and y[0].shape == (0,) and y[1]["row"].shape == (0, 3)
    assert map_along(lambda x: x * 2, torch.empty(0, 3)).shape == (0, 3)


def test_random_numbers_differ_along_a_vectorized_map() -> None:
    x = vectorized_map(lambda x: torch.nn.functional.dropout(x, 0.5), torch.ones(2, 50))
    assert not torch.equal(x[0], x[1])


def test_a_body_with_a_symbol_from_outside_is_refused() -> None:
    x, other = Input((3,)), Input((3,))
    for call in (
        lambda: fori_loop(0, 3, lambda i, v: v + other, x),
        lambda: while_loop(lambda v: v.sum() < 3, lambda v: v + other, x),
        lambda: scan(lambda c, v: (c + other[0], c), torch.zeros(3), x),
    ):
        with pytest.raises(BuildError, match="from outside"):
            call()


def test_loops_that_change_shape_are_refused_on_symbols() -> None:
    x = Input(batch_shape=(2, 3))
    with pytest.raises(ShapeError, match="before and after"):
        fori_loop(0, 3, lambda i, v: torch.cat([v, v]), x)
    with pytest.raises(ShapeError, match="before and after"):
        while_loop(lambda v: True, lambda v: v.sum(), x)
    with pytest.raises(ShapeError, match="carry"):
        scan(lambda c, v: (c.sum(), v), torch.zeros(2), x)
    with pytest.raises(ShapeError, match="branches"):
        switch(0, [lambda v: v, lambda v: v.sum()], x)


REFUSALS = [
    (lambda: scan(3, 0, [1]), ConfigError, "function"),
    (lambda: scan(lambda c, x: (c, x), 0), ConfigError, "length"),
    (lambda: scan(lambda c, x: (c, x), 0, [1], unroll=0), ConfigError, "unroll"),
    (lambda: scan(lambda c, x: (c, c), 0, (X, X[:2])), ShapeError, "one length"),
    (lambda: associative_scan(3, X), ConfigError, "function"),
    (lambda: associative_scan(_affine, (X, X[:2])), ShapeError, "one length"),
    (lambda: switch(0, []), ConfigError, "at least one"),
]


@pytest.mark.parametrize(("call", "error", "words"), REFUSALS, ids=[words for _, _, words in REFUSALS])
def test_refusals_say_what_is_wrong(call: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call()


def _log1pexp(x: Any) -> Any:
    """Keras's own example: the plain gradient is NaN for large x."""
    e = torch.exp(x)

    def grad(*args: Any, upstream: Any) -> Any:
        return upstream * (1.0 - 1.0 / (1 + e))

    return torch.log(1 + e), grad


def test_a_custom_gradient_is_kerass() -> None:
    for value in (0.3, 100.0):
        found = []
        for decorate in (custom_gradient, keras.ops.custom_gradient):
            x = torch.tensor(value, requires_grad=True)
            y = decorate(_log1pexp)(x)
            y.backward()
            found.append((y.detach(), x.grad))
        close(found[0][0], found[1][0], because="value")
        close(found[0][1], found[1][1], because="gradient")


def test_custom_gradients_go_on_to_second_order() -> None:
    x = torch.tensor([0.3, -1.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(custom_gradient(_log1pexp), (x,))


def test_custom_gradients_of_several_arguments_and_results() -> None:
    @custom_gradient
    def parts(x: Any, power: int, y: Any) -> Any:
        def grad(*args: Any, upstream: Any) -> Any:
            assert len(args) == 3 and args[1] == 2
            return upstream[0] * 10, None, upstream[1] * 100

        return (x**power, y + 1), grad

    x, y = (torch.ones(2, requires_grad=True) for _ in range(2))
    first, second = parts(x, 2, y)
    (first.sum() + 2 * second.sum()).backward()
    assert (x.grad.tolist(), y.grad.tolist()) == ([10, 10], [200, 200])
    symbol = parts(Input((3,)), 2, Input((3,)))
    assert [one.shape for one in symbol] == [(None, 3)] * 2
    assert custom_gradient(_log1pexp)(1.5).item() == pytest.approx(1.7014, abs=1e-4)


def test_what_a_custom_gradient_must_give() -> None:
    with pytest.raises(ConfigError, match="output, grad function"):
        custom_gradient(lambda x: x)(torch.ones(1))
    with pytest.raises(ConfigError, match="2 gradients for 1"):
        x = torch.ones(1, requires_grad=True)
        custom_gradient(lambda x: (x * 1, lambda *args, upstream: (upstream, upstream)))(x).backward()
