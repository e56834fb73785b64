"""Initializers: Keras's configs and fans, the statistics they promise, seeds, and what they refuse."""

from __future__ import annotations

import math

import keras
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from closeness import close
from dougong.core.config import serialize
from dougong.core.errors import ConfigError, ShapeError, UnknownNameError
from dougong.ops import initializers
from dougong.ops.fourier_initializer import STFT

NAMES = sorted(set(initializers._TABLE))
RANDOM = [
    name
    for name, cls in initializers._TABLE.items()
    if name[0].isupper() and issubclass(cls, initializers.RandomInitializer)
]


def test_every_keras_name_is_known() -> None:
    from keras.src.initializers import ALL_OBJECTS_DICT

    left_out = {"STFT", "stft", "STFTInitializer", "Initializer", "initializer"}
    assert set(ALL_OBJECTS_DICT) - left_out <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_configs_are_kerass_and_round_trip(name: str) -> None:
    ours, theirs = initializers.get(name), getattr(keras.initializers, type(initializers.get(name)).__name__)()
    wanted = keras.initializers.serialize(theirs)
    if type(ours) is initializers.Identity:  # Keras forgets the gain
        wanted["config"]["gain"] = 1.0
    assert serialize(ours) == wanted
    again = initializers.get(serialize(ours))
    assert type(again) is type(ours)
    assert again.get_config() == ours.get_config()
    assert initializers.get(type(ours)).get_config() == ours.get_config()


@given(st.lists(st.integers(1, 7), min_size=0, max_size=5))
def test_fans_are_kerass(shape: list[int]) -> None:
    from keras.src.initializers.random_initializers import compute_fans

    assert initializers.fans(shape) == compute_fans(shape)


SHAPE = (3, 3, 40, 60)
FAN_IN, FAN_OUT = 9 * 40, 9 * 60


@pytest.mark.parametrize(
    ("name", "options", "variance", "bound"),
    [
        ("RandomNormal", {"mean": 0.0, "stddev": 0.3}, 0.09, None),
        ("RandomUniform", {"minval": -0.3, "maxval": 0.3}, 0.03, 0.3),
        ("TruncatedNormal", {"stddev": 0.3}, 0.09 * 0.87962566103423978**2, 0.6),
        ("GlorotUniform", {}, 2 / (FAN_IN + FAN_OUT), math.sqrt(6 / (FAN_IN + FAN_OUT))),
        ("GlorotNormal", {}, 2 / (FAN_IN + FAN_OUT), 2 * math.sqrt(2 / (FAN_IN + FAN_OUT)) / 0.8796),
        ("HeUniform", {}, 2 / FAN_IN, math.sqrt(6 / FAN_IN)),
        ("HeNormal", {}, 2 / FAN_IN, 2 * math.sqrt(2 / FAN_IN) / 0.8796),
        ("LecunUniform", {}, 1 / FAN_IN, math.sqrt(3 / FAN_IN)),
        ("LecunNormal", {}, 1 / FAN_IN, 2 * math.sqrt(1 / FAN_IN) / 0.8796),
        ("VarianceScaling", {"scale": 3.0, "mode": "fan_out", "distribution": "untruncated_normal"}, 3 / FAN_OUT, None),
        ("VarianceScaling", {"input_axes": [0], "output_axes": [3], "distribution": "uniform"}, 1 / 3, 1.0),
    ],
)
def test_statistics(name: str, options: dict, variance: float, bound: float | None) -> None:
    values = initializers._TABLE[name](**options, seed=3)(SHAPE).double()
    count = values.numel()
    assert abs(values.mean()) < 5 * math.sqrt(variance / count), "the mean is 0 within five standard errors"
    # The variance of a sample variance is at most 2 sigma^4 / n for these distributions.
    assert abs(values.var() - variance) < 5 * variance * math.sqrt(2 / count)
    if bound is not None:
        assert values.abs().max() <= bound * (1 + 1e-5)
        assert values.abs().max() > 0.98 * bound
    theirs = keras.initializers.deserialize({"class_name": name, "config": {**options, "seed": 1}})(SHAPE)
    close(values.std(), theirs.std(), because="as wide as Keras's", tolerance=0.02)


@pytest.mark.parametrize("name", RANDOM)
def test_seeds(name: str) -> None:
    cls = initializers._TABLE[name]
    seeded = cls(seed=7)
    assert torch.equal(seeded((8, 4)), seeded((8, 4))), "an int seed gives the same values each call"
    assert torch.equal(seeded((8, 4)), cls(seed=7)((8, 4)))
    assert not torch.equal(seeded((8, 4)), cls(seed=8)((8, 4)))
    torch.manual_seed(5)
    first, second = cls()((8, 4)), cls()((8, 4))
    torch.manual_seed(5)
    assert torch.equal(first, cls()((8, 4)))
    assert not torch.equal(first, second)
    state = torch.get_rng_state()
    seeded((8, 4))
    assert torch.equal(state, torch.get_rng_state()), "a seeded draw leaves torch's generator alone"
    moving = cls(seed=torch.Generator().manual_seed(1))
    assert not torch.equal(moving((8, 4)), moving((8, 4)))
    from_file = cls(seed={"class_name": "SeedGenerator", "config": {"seed": 7}})
    assert torch.equal(from_file((8, 4)), seeded((8, 4)))


@pytest.mark.parametrize("name", [n for n in NAMES if n[0].isupper()])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_dtype_shape_and_meta(name: str, dtype: torch.dtype) -> None:
    made = initializers.get(name)((4, 6), dtype=dtype)
    assert made.shape == (4, 6)
    assert made.dtype == dtype
    assert initializers.get(name)((4, 6), dtype=dtype, device="meta").device.type == "meta"


@pytest.mark.parametrize("shape", [(5, 5), (7, 3), (3, 7), (3, 3, 2, 4)])
def test_orthogonal(shape: tuple[int, ...]) -> None:
    w = initializers.Orthogonal(gain=2.0, seed=1)(shape, dtype=torch.float64).reshape(-1, shape[-1])
    product = w.T @ w if w.shape[0] >= w.shape[1] else w @ w.T
    close(product, 4 * np.eye(min(w.shape)), because="orthogonal up to the gain")


def test_orthogonal_is_uniform() -> None:
    corners = torch.stack([initializers.Orthogonal(seed=s)((2, 2))[0, 0] for s in range(400)])
    close((corners > 0).float().mean(), 0.5, because="no sign is preferred", tolerance=0.08)


def test_constants_and_arrays() -> None:
    close(initializers.Constant(3)((2, 2)), np.full((2, 2), 3.0), because="scalar")
    for array in (np.arange(3.0), torch.arange(3.0)):
        own = initializers.get(array)
        close(own((3,)), np.arange(3.0), because="values given")
        close(initializers.get(serialize(own))((3,)), np.arange(3.0), because="values through a config")
        with pytest.raises(ShapeError, match=r"a constant of shape \(3,\) cannot fill a weight of \(4,\)"):
            own((4,))
    close(initializers.Identity(0.5)((2, 3)), 0.5 * np.eye(2, 3), because="identity")
    first = initializers.Constant([1.0])((2,))
    first += 1
    close(initializers.Constant([1.0])((2,)), [1.0, 1.0], because="each weight has its own memory")


def test_refusals() -> None:
    with pytest.raises(UnknownNameError, match="glorot_uniform"):
        initializers.get("glorot_unifrom")
    with pytest.raises(ShapeError, match="use Orthogonal"):
        initializers.Identity()((2, 2, 2))
    with pytest.raises(ShapeError, match="two axes"):
        initializers.Orthogonal()((3,))
    for options in ({"scale": 0.0}, {"mode": "fan"}, {"distribution": "cauchy"}):
        with pytest.raises(ConfigError, match=next(iter(options))):
            initializers.VarianceScaling(**options)
    with pytest.raises(ConfigError, match="seed must be"):
        initializers.RandomNormal(seed="abc")((2,))


def test_functions_pass_through() -> None:
    assert initializers.get(torch.ones) is torch.ones
    assert initializers.get(None) is None


@pytest.mark.parametrize("window", [None, "hann", "hamming", np.arange(1.0, 9.0)])
@pytest.mark.parametrize("scaling", [None, "density", "spectrum"])
@pytest.mark.parametrize("side", ["real", "imag"])
def test_stft_kernels_are_keras_s(side: str, scaling: str | None, window: object) -> None:
    for periodic in (False, True):
        ours = STFT(side, window, scaling, periodic)((8, 1, 5))
        theirs = keras.initializers.STFT(side, window, scaling, periodic)((8, 1, 5))
        close(ours, theirs, because="kernel", tolerance=1e-6)
    with pytest.raises(ConfigError, match="side"):
        STFT("left")
    with pytest.raises(ShapeError, match="8 samples"):
        STFT("real", [1.0, 2.0])((8, 1, 5))
