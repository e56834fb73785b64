"""Random shapes, axes, dtypes and keys, new ones in each run: Keras's results, or NumPy's where Keras is narrower."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, basic_indices, mutually_broadcastable_shapes

from closeness import close
from numpy_twins import check, check_symbol, ours, values

fresh = settings(max_examples=60, deadline=None, print_blob=True, database=None, derandomize=False)

KINDS = [torch.float32, torch.float16, torch.bfloat16, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool]
SEEDS = st.integers(0, 2**31)
SHAPES = array_shapes(min_dims=0, max_dims=4, max_side=4)
WITH_AXES = array_shapes(min_dims=1, max_dims=4, max_side=4)
PAIRS = mutually_broadcastable_shapes(num_shapes=2, max_dims=4, max_side=4)
ARITHMETIC = "add multiply maximum minimum fmax fmin arctan2 logaddexp hypot divide_no_nan true_divide".split()
COMPARING = "equal not_equal less less_equal greater greater_equal logical_and logical_or logical_xor isclose".split()


def draw_values(seed: int, shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    low = 0.0 if dtype in (torch.uint8, torch.bool) else -9.0
    return values(seed, *shape, dtype=dtype, low=low, high=9.0)


@fresh
@given(PAIRS, st.sampled_from(KINDS), st.sampled_from(KINDS), SEEDS, st.sampled_from(ARITHMETIC + COMPARING))
def test_two_operands_broadcast_and_promote(shapes: Any, one: Any, other: Any, seed: int, name: str) -> None:
    a, b = (
        draw_values(seed + i, shape, kind) for i, (shape, kind) in enumerate(zip(shapes.input_shapes, (one, other)))
    )
    if name == "hypot" and one is other is torch.bool:
        return  # which Keras refuses
    if name == "isclose" and not (one.is_floating_point or other.is_floating_point):
        return  # whose tolerances Keras ignores
    assert check(name, (a, b)).shape == shapes.result_shape
    check_symbol(name, (a, b), batch=False)


@fresh
@given(PAIRS, SEEDS, st.sampled_from(["add", "multiply", "subtract", "true_divide", "maximum", "power"]))
def test_gradients_have_the_operands_shapes(shapes: Any, seed: int, name: str) -> None:
    a, b = (values(seed + i, *shape, low=0.5).requires_grad_() for i, shape in enumerate(shapes.input_shapes))
    gradients = torch.autograd.grad(ours(name)(a, b).sum(), (a, b))
    assert [one.shape for one in gradients] == [a.shape, b.shape]


@st.composite
def shapes_and_axes(draw: Any) -> tuple[tuple[int, ...], Any]:
    shape = draw(WITH_AXES)
    axes = draw(st.lists(st.integers(0, len(shape) - 1), min_size=1, unique=True))
    axes = [axis - len(shape) if draw(st.booleans()) else axis for axis in axes]
    return shape, axes[0] if len(axes) == 1 and draw(st.booleans()) else tuple(axes)


REDUCTIONS = "all any amax amin max mean median min nanmax nanmean nanmin nanprod nansum prod std sum var".split()


@fresh
@given(shapes_and_axes(), st.sampled_from(KINDS), st.booleans(), SEEDS, st.sampled_from(REDUCTIONS))
def test_reductions(shape_axis: Any, kind: Any, keepdims: bool, seed: int, name: str) -> None:
    shape, axis = shape_axis
    x = draw_values(seed, shape, kind)
    if "prod" in name and kind.is_floating_point:
        x = x.sign() * x.abs().clamp(0.5, 1.5)
    check(name, (x,), {"axis": axis, "keepdims": keepdims})
    check_symbol(name, (x,), {"axis": axis, "keepdims": keepdims}, batch=True)


FRACTIONS = st.lists(st.floats(0, 1), max_size=3)
METHODS = ["linear", "lower", "higher", "midpoint", "nearest"]


@fresh
@given(
    shapes_and_axes(),
    st.lists(st.floats(0, 1), max_size=3),
    st.sampled_from(METHODS),
    st.booleans(),
    SEEDS,
    st.booleans(),
)
def test_quantiles_are_numpys(shape_axis: Any, q: list[float], method: str, keep: bool, seed: int, holes: bool) -> None:
    shape, axis = shape_axis
    x = values(seed, *shape).double()
    name = "nanquantile" if holes else "quantile"
    if holes:
        x = torch.where(values(seed + 1, *shape) > 1.5, torch.nan, x)
        if x.isnan().all(dim=None if axis is None else axis).any():
            return  # of which NumPy warns
    want: Any = getattr(np, name)(x.numpy(), q, axis=axis, method=method, keepdims=keep)
    close(ours(name)(x, q, axis, method, keep), want, because=f"{name} {q} {method} of {shape} over {axis}")


PADS = ["constant", "edge", "reflect", "symmetric", "wrap"]


@fresh
@given(
    array_shapes(min_dims=1, max_dims=4, max_side=4), st.data(), st.sampled_from(PADS), st.sampled_from(KINDS), SEEDS
)
def test_pads_are_numpys(shape: Any, data: Any, mode: Any, kind: Any, seed: int) -> None:
    widths = data.draw(st.lists(st.tuples(*[st.integers(0, 9)] * 2), min_size=len(shape), max_size=len(shape)))
    x = draw_values(seed, shape, torch.float32 if kind is torch.bfloat16 else kind)
    close(ours("pad")(x, widths, mode), np.pad(x.numpy(), widths, mode), because=f"{mode} {widths} of {shape}")


@fresh
@given(array_shapes(min_dims=1, max_dims=4, max_side=5), st.data(), SEEDS)
def test_keys_are_numpys(shape: Any, data: Any, seed: int) -> None:
    key = data.draw(basic_indices(shape, allow_newaxis=True, allow_ellipsis=True))
    x = values(seed, *shape)
    close(ours("get_item")(x, key), x.numpy()[key], because=f"{key} of {shape}")


@fresh
@given(WITH_AXES, array_shapes(min_dims=0, max_dims=2), st.data(), SEEDS)
def test_places_are_taken_as_in_numpy(shape: Any, places: Any, data: Any, seed: int) -> None:
    axis = data.draw(st.one_of(st.none(), st.integers(-len(shape), len(shape) - 1)))
    x = values(seed, *shape)
    length = x.numel() if axis is None else shape[axis]
    indices = values(seed + 1, *places, dtype=torch.int32, low=-length, high=length - 1)
    close(ours("take")(x, indices, axis), np.take(x.numpy(), indices.numpy(), axis), because=f"{indices} of {shape}")
    along = ours("argsort")(x, axis)
    assert torch.equal(ours("take_along_axis")(x, along, axis), ours("sort")(x, axis))


@fresh
@given(SHAPES, st.data(), SEEDS)
def test_shapes_are_numpys(shape: Any, data: Any, seed: int) -> None:
    x = values(seed, *shape)
    rank = len(shape)
    order = data.draw(st.permutations(range(rank)))
    shift = data.draw(st.integers(-5, 5))
    times = data.draw(st.lists(st.integers(0, 3), min_size=1, max_size=5))
    close(ours("transpose")(x, order), np.transpose(x.numpy(), order), because=f"{shape} in order {order}")
    close(ours("roll")(x, shift), np.roll(x.numpy(), shift), because=f"{shape} rolled by {shift}")
    close(ours("tile")(x, times), np.tile(x.numpy(), times), because=f"{shape} tiled {times}")
    close(ours("ravel")(ours("reshape")(x, -1)), x.numpy().ravel(), because="flattened")
    new = data.draw(st.integers(-rank - 1, rank))
    grown = ours("expand_dims")(x, new)
    close(grown, np.expand_dims(x.numpy(), new), because=f"{shape} with axis {new}")
    assert torch.equal(ours("squeeze")(grown, new), x)
    if rank:
        axis = data.draw(st.integers(-rank, rank - 1))
        close(ours("flip")(x, axis), np.flip(x.numpy(), axis), because=f"{shape} flipped at {axis}")
        close(ours("repeat")(x, 2, axis), np.repeat(x.numpy(), 2, axis), because=f"{shape} repeated at {axis}")
        other = data.draw(st.integers(-rank, rank - 1))
        close(ours("moveaxis")(x, axis, other), np.moveaxis(x.numpy(), axis, other), because=f"{axis} to {other}")


@fresh
@given(array_shapes(min_dims=1, max_dims=4, max_side=6), st.data(), SEEDS)
def test_parts_make_the_whole(shape: Any, data: Any, seed: int) -> None:
    x = values(seed, *shape)
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    cuts = sorted(data.draw(st.lists(st.integers(0, 7), max_size=3)))
    for parts in (ours("split")(x, cuts, axis), ours("array_split")(x, data.draw(st.integers(1, 8)), axis)):
        assert torch.equal(ours("concatenate")(parts, axis), x)
    rows = ours("split")(x, shape[axis], axis)
    assert torch.equal(ours("stack")([ours("squeeze")(row, axis) for row in rows], axis), x)


@fresh
@given(st.integers(1, 9), st.integers(1, 9), st.sampled_from(["full", "same", "valid"]), SEEDS)
def test_correlations_are_numpys(one: int, other: int, mode: Any, seed: int) -> None:
    a, b = values(seed, one).double(), values(seed + 1, other).double()
    close(
        ours("correlate")(a, b, mode), np.correlate(a.numpy(), b.numpy(), mode), because=f"{one} with {other}, {mode}"
    )


@fresh
@given(PAIRS, SEEDS)
def test_vectorized_functions_broadcast(shapes: Any, seed: int) -> None:
    a, b = (values(seed + i, *shape) for i, shape in enumerate(shapes.input_shapes))
    close(ours("vectorize")(lambda x, y: x * y + 1)(a, b), a * b + 1, because=f"{a.shape}, {b.shape}")


@pytest.mark.parametrize("dtype", [torch.float32, torch.int32, torch.uint8, torch.int8])
@fresh
@given(st.integers(1, 5), st.integers(0, 5), st.integers(1, 5), SEEDS)
def test_products(dtype: Any, rows: int, inner: int, columns: int, seed: int) -> None:
    a, b = draw_values(seed, (rows, inner), dtype), draw_values(seed + 1, (inner, columns), dtype)
    check("matmul", (a, b))
    check("einsum", ("ij,jk->ik", a, b))
    if dtype in (torch.float32, torch.int32):  # Keras takes small whole numbers through float32, which does not wrap
        check("dot", (a, b))
        check("tensordot", (a, b, 1))
