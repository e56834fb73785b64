"""Regularizers and constraints against the real Keras, with their configs and refusals."""

from __future__ import annotations

import keras
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from closeness import close
from dougong.core.config import serialize
from dougong.core.errors import ConfigError, ShapeError, UnknownNameError
from dougong.ops import constraints, regularizers

FACTORS = st.floats(0, 2, allow_subnormal=False)


@settings(max_examples=30, deadline=None)
@given(FACTORS, FACTORS, st.integers(0, 50))
def test_penalties_are_kerass(l1: float, l2: float, seed: int) -> None:
    x = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(seed))
    for name, arguments in {"L1": (l1,), "L2": (l2,), "L1L2": (l1, l2)}.items():
        got = getattr(regularizers, name)(*arguments)(x)
        close(got, getattr(keras.regularizers, name)(*arguments)(x), because=f"{name}{arguments}")
        assert got.shape == ()


@pytest.mark.parametrize("mode", ["rows", "columns"])
@pytest.mark.parametrize("shape", [(3, 5), (5, 3), (4, 4)])
def test_orthogonal_is_kerass(mode: str, shape: tuple[int, int]) -> None:
    x = torch.randn(*shape, generator=torch.Generator().manual_seed(0))
    want = keras.regularizers.OrthogonalRegularizer(0.3, mode)(x)
    close(regularizers.OrthogonalRegularizer(0.3, mode)(x), want, because=f"{mode} of {shape}")
    close(regularizers.OrthogonalRegularizer()(torch.eye(3)), 0.0, because="an orthogonal matrix costs nothing")


@pytest.mark.parametrize("axis", [0, 1, -1, [0, 1], (0, 1, 2), None])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("MaxNorm", {"max_value": 1.5}),
        ("UnitNorm", {}),
        ("MinMaxNorm", {"min_value": 0.5, "max_value": 1.2}),
        ("MinMaxNorm", {"min_value": 1.0, "max_value": 3.0, "rate": 0.3}),
    ],
)
def test_projections_are_kerass(name: str, options: dict, axis: object) -> None:
    w = torch.randn(3, 3, 4, 5, generator=torch.Generator().manual_seed(1))
    w[..., 0] = 0.0
    want = getattr(keras.constraints, name)(**options, axis=axis)(w)
    close(getattr(constraints, name)(**options, axis=axis)(w), want, because=f"{name} {options} over {axis}")


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 99), st.floats(0.1, 3))
def test_projections_hold_and_are_idempotent(seed: int, limit: float) -> None:
    w = 5 * torch.randn(6, 4, generator=torch.Generator().manual_seed(seed))
    assert (constraints.NonNeg()(w) >= 0).all()
    close(constraints.NonNeg()(w), keras.constraints.NonNeg()(w), because="NonNeg")
    once = constraints.MaxNorm(limit)(w)
    assert (once.norm(dim=0) <= limit * 1.00001).all()
    close(constraints.MaxNorm(limit)(once), once, because="projecting twice changes nothing", tolerance=1e-5)
    close(constraints.UnitNorm()(w).norm(dim=0), torch.ones(4), because="unit norm")


@pytest.mark.parametrize(("ours", "theirs"), [(regularizers, keras.regularizers), (constraints, keras.constraints)])
def test_configs_are_kerass_and_round_trip(ours, theirs) -> None:
    for name in sorted(set(ours._TABLE) - {"l1_l2"}):
        made = ours.get(name)
        written = serialize(made)
        expected = theirs.serialize(theirs.get(name))
        close(
            [v for v in written["config"].values() if isinstance(v, float)],
            [v for v in expected["config"].values() if isinstance(v, float)],
            because=f"{name}'s factors (Keras holds some as float32)",
        )
        assert {**written, "config": sorted(written["config"])} == {**expected, "config": sorted(expected["config"])}
        assert type(ours.get(written)) is type(made)
        assert ours.deserialize(written).get_config() == made.get_config()


def test_zero_weights_stay_finite() -> None:
    zeros = torch.zeros(3, 2)
    for constraint in (constraints.MaxNorm(), constraints.UnitNorm(), constraints.MinMaxNorm(0.5, 1.0)):
        close(constraint(zeros), zeros, because="a zero vector has no direction to take")


@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf"), "0.1", True])
def test_bad_factors(value: object) -> None:
    for make in (regularizers.L1, regularizers.L2, regularizers.L1L2, regularizers.OrthogonalRegularizer):
        with pytest.raises(ConfigError, match="must be a number >= 0"):
            make(value)


def test_refusals() -> None:
    with pytest.raises(ConfigError, match="'rows' or 'columns'"):
        regularizers.OrthogonalRegularizer(mode="both")
    with pytest.raises(ShapeError, match="needs a matrix"):
        regularizers.OrthogonalRegularizer()(torch.ones(2, 2, 2))
    with pytest.raises(UnknownNameError, match="known: L1, L1L2, L2"):
        regularizers.get("l3")
    with pytest.raises(UnknownNameError, match="max_norm"):
        constraints.get("maxnorm")
    assert regularizers.get(None) is None
    assert constraints.get(None) is None


def test_functions_pass_through() -> None:
    assert regularizers.get(torch.sum) is torch.sum
    assert constraints.get(torch.relu) is torch.relu
