"""Activations against the real Keras, MATLAB's against their definitions; names, configs and extremes."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn import functional as F

from closeness import close
from dougong.core.config import custom_object_scope, register_serializable
from dougong.core.errors import ConfigError, UnknownNameError
from dougong.core.torch_functions import TORCH_FUNCTIONS, keras_name
from dougong.ops import activations

KERAS_NAMES = sorted(set(keras.src.activations.ALL_OBJECTS_DICT) - {"threshold", "glu", "sparsemax"})
GRID = torch.cat([torch.linspace(-8, 8, 161), torch.tensor([-1.0, 0.0, 1.0, 3.0, -3.0, 0.5, -0.5, 6.0, 30.0, -30.0])])


@pytest.mark.parametrize("name", KERAS_NAMES)
def test_every_keras_name_is_kerass_function(name: str) -> None:
    x = GRID[:165].reshape(5, 33)
    close(activations.get(name)(x), keras.activations.get(name)(x), because=name)


@pytest.mark.parametrize("name", KERAS_NAMES)
def test_gradients_are_kerass(name: str) -> None:
    got_x, want_x = (GRID[3:163].reshape(5, 32).clone().requires_grad_() for _ in range(2))
    weights = torch.arange(160.0).reshape(5, 32).cos()
    (activations.get(name)(got_x) * weights).sum().backward()
    (keras.activations.get(name)(want_x) * weights).sum().backward()
    close(got_x.grad, want_x.grad, because=f"gradient of {name}", tolerance=2e-5)


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_sparsemax_is_the_projection_on_the_simplex(axis: int) -> None:
    """Against bisection for tau.  Keras 3.15's own sums to less than 1 as soon as two outputs are positive."""
    x = torch.randn(6, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    low, high = x.amax(axis, keepdim=True) - 1, x.amax(axis, keepdim=True)
    for _ in range(60):
        middle = (low + high) / 2
        too_low = torch.relu(x - middle).sum(axis, keepdim=True) > 1
        low, high = torch.where(too_low, middle, low), torch.where(too_low, high, middle)
    close(activations.sparsemax(x, axis), torch.relu(x - low), because="the projection")
    assert torch.autograd.gradcheck(lambda t: activations.sparsemax(t, axis), (x.requires_grad_(),))


OPTIONS = [
    ("relu", {"negative_slope": 0.3}),
    ("relu", {"max_value": 5.0}),
    ("relu", {"max_value": 6.0}),
    ("relu", {"threshold": 1.5}),
    ("relu", {"threshold": -1.0}),
    ("relu", {"negative_slope": 0.2, "threshold": 1.0, "max_value": 4.0}),
    ("relu", {"negative_slope": 0.2, "max_value": 4.0}),
    ("leaky_relu", {"negative_slope": 0.01}),
    ("elu", {"alpha": 0.7}),
    ("celu", {"alpha": 0.7}),
    ("gelu", {"approximate": True}),
    ("hard_shrink", {"threshold": 1.0}),
    ("soft_shrink", {"threshold": 1.0}),
    ("squareplus", {"b": 1.0}),
    ("threshold", {"threshold": 1.0, "default_value": -2.0}),
    ("softmax", {"axis": 0}),
    ("log_softmax", {"axis": 1}),
    ("glu", {"axis": 1}),
]


@pytest.mark.parametrize(("name", "options"), OPTIONS)
def test_options_are_kerass(name: str, options: dict) -> None:
    x = GRID[:160].reshape(4, 8, 5)
    close(
        getattr(activations, name)(x, **options), getattr(keras.activations, name)(x, **options), because=str(options)
    )


FLOATS = st.floats(-50, 50, width=32)


@settings(max_examples=50, deadline=None)
@given(arrays(np.float32, array_shapes(min_dims=1, max_dims=3, max_side=6), elements=FLOATS))
def test_properties(array: np.ndarray) -> None:
    x = torch.from_numpy(array)
    for name in ("softmax", "sparsemax"):
        y = activations.get(name)(x)
        assert (y >= 0).all()
        close(y.sum(-1), torch.ones(x.shape[:-1]), because=f"{name} is a distribution")
    close(activations.sparse_plus(x) - activations.sparse_plus(-x), x, because="f(x) - f(-x) = x", tolerance=1e-5)
    close(activations.squareplus(x) - activations.squareplus(-x), x, because="f(x) - f(-x) = x", tolerance=1e-5)
    assert ((activations.hardlims(x) + 1) / 2 == activations.hardlim(x)).all()


def test_matlab_transfer_functions() -> None:
    n = GRID.numpy()
    definitions = {
        "hardlim": np.where(n >= 0, 1, 0),
        "hardlims": np.where(n >= 0, 1, -1),
        "step": np.where(n >= 0, 1, 0),
        "logsig": 1 / (1 + np.exp(-n)),
        "tansig": 2 / (1 + np.exp(-2 * n)) - 1,
        "purelin": n,
        "poslin": np.maximum(n, 0),
        "satlin": np.clip(n, 0, 1),
        "satlins": np.clip(n, -1, 1),
        "radbas": np.exp(-(n**2)),
        "tribas": np.maximum(0, 1 - np.abs(n)),
        "relu5": np.clip(n, 0, 5),
        "relu20": np.clip(n, 0, 20),
    }
    for name, want in definitions.items():
        close(activations.get(name)(GRID), want, because=name)


@pytest.mark.parametrize("name", ["logsig", "tansig", "purelin"])
def test_matlab_derivatives_are_gradients(name: str) -> None:
    n = GRID.clone().requires_grad_()
    a = getattr(activations, name)(n)
    a.sum().backward()
    close(getattr(activations, f"d{name}")(n, a), n.grad, because=f"d{name}")


@pytest.mark.parametrize("name", sorted(activations._TABLE))
def test_every_function_can_be_traced_and_keeps_shape_and_dtype(name: str) -> None:
    function = activations.get(name)
    x = torch.linspace(-2, 2, 8, dtype=torch.float64).reshape(2, 4)
    arguments = (0.0, 1.0) if name == "threshold" else ()

    def wanted(t: torch.Tensor) -> torch.Tensor:
        return function(t, *arguments)

    y = wanted(x)
    assert y.dtype == torch.float64
    assert y.shape == ((2, 2) if name == "glu" else x.shape)
    close(make_fx(wanted)(x)(x + 0.1), wanted(x + 0.1), because=f"traced {name}")


def test_extremes() -> None:
    ends = torch.tensor([-torch.inf, torch.inf])
    for name in ("relu", "sigmoid", "tanh", "softsign", "hard_tanh", "sparse_sigmoid", "satlin", "radbas", "relu5"):
        if name != "softsign":
            assert not activations.get(name)(ends).isnan().any(), name
        assert activations.get(name)(torch.tensor([torch.nan])).isnan().all(), f"{name} must not hide NaN"
        assert activations.get(name)(torch.empty(0, 3)).shape == (0, 3)
    close(activations.log_softmax(torch.tensor([1e4, 0.0])), [0.0, -1e4], because="no overflow")


def test_names_written_to_configs() -> None:
    for name, function in TORCH_FUNCTIONS.items():
        assert activations.serialize(function) == name
        assert activations.get(name) is function
    for function, name in [(F.relu, "relu"), (F.sigmoid, "sigmoid"), (torch.tanh, "tanh"), (F.hardswish, "hard_silu")]:
        assert activations.serialize(function) == name
    for function in (activations.relu, activations.softmax, activations.leaky_relu, activations.linear):
        assert activations.serialize(function) == function.__name__
    assert keras_name(torch.softmax) is None
    with pytest.raises(ConfigError, match="register_keras_serializable"):
        activations.serialize(torch.matmul)


def test_what_an_argument_may_be() -> None:
    assert activations.get(None) is activations.linear
    assert isinstance(activations.get(torch.nn.ReLU), torch.nn.ReLU)
    module = torch.nn.PReLU()
    assert activations.get(module) is module
    with pytest.raises(UnknownNameError, match="did you mean 'sigmoid'"):
        activations.get("sigmoyd")
    with pytest.raises(ConfigError):
        activations.get(3)


def test_functions_of_the_users_own() -> None:
    def doubled(x: torch.Tensor) -> torch.Tensor:
        return 2 * x

    with custom_object_scope({"doubled": doubled}):
        assert activations.get("doubled") is doubled
        written = {"module": "builtins", "class_name": "function", "config": "doubled", "registered_name": "function"}
        assert activations.serialize(doubled) == written  # as Keras writes it
        assert activations.get(written) is doubled
    with custom_object_scope({}):
        register_serializable("Mine")(doubled)
        as_keras_writes_it = {"class_name": "function", "config": "Mine>doubled", "module": "builtins"}
        assert activations.deserialize(as_keras_writes_it) is doubled
    assert activations.deserialize("doubled", {"doubled": doubled}) is doubled
