"""``keras.random``: Keras's numbers for an int seed, the distributions against SciPy's, streams and their saving."""

from __future__ import annotations

import copy
import inspect
import io
import pickle
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import torch
from scipy import stats

import dougong as dg
from closeness import close
from dougong.core.config import serialize
from dougong.core.errors import ConfigError, ShapeError
from dougong.core.seeds import set_random_seed
from dougong.core.symbol import Input
from dougong.layers.layer import Layer
from dougong.layers.regularization import Dropout, GaussianNoise
from dougong.ops import initializers
from dougong.ops import random_numbers as ours
from dougong.ops.random_numbers import SeedGenerator
from dougong.ops.seed_generator import generator_of

LOGITS = np.log(np.array([[0.1, 0.2, 0.7], [0.5, 0.25, 0.25]], "float32"))
CALLS: dict[str, tuple[Any, ...]] = {
    "normal": ((4, 3), 1.0, 2.0),
    "uniform": ((4, 3), -1.0, 3.0),
    "randint": ((4, 3), -5, 9),
    "categorical": (LOGITS, 6),
    "dropout": (torch.ones(4, 5), 0.4, (None, 1)),
    "gamma": ((4, 3), 2.5),
    "beta": ((4, 3), 2.5, 0.5),
    "binomial": ((4, 3), 9.0, 0.3),
    "truncated_normal": ((4, 3), 1.0, 2.0),
    "shuffle": (np.arange(12).reshape(4, 3),),
}


def test_every_name_is_there_with_kerass_arguments() -> None:
    assert set(ours.__all__) == {name for name in dir(keras.random) if not name.startswith("_")}
    for name in CALLS:
        got, want = (inspect.signature(getattr(module, name)).parameters for module in (ours, keras.random))
        assert [(p.name, p.default) for p in got.values()] == [(p.name, p.default) for p in want.values()]


@pytest.mark.parametrize("name", sorted(CALLS))
def test_dtype_and_shape_are_kerass(name: str) -> None:
    got, want = (getattr(module, name)(*CALLS[name], seed=7) for module in (ours, keras.random))
    assert (got.dtype, got.shape) == (want.dtype, want.shape)
    if name in ("normal", "uniform", "randint", "gamma", "binomial"):
        half = {"dtype": "int64" if name == "randint" else "float64"}
        assert str(getattr(ours, name)(*CALLS[name], **half).dtype) == f"torch.{half['dtype']}"


@pytest.mark.parametrize("name", sorted(CALLS))
def test_an_int_seed_gives_kerass_numbers_every_time(name: str) -> None:
    first, second, want = (getattr(module, name)(*CALLS[name], seed=7) for module in (ours, ours, keras.random))
    close(second, first, because="the same at every call")
    close(first, want, because=f"Keras's {name}", tolerance=1e-6)


@pytest.mark.parametrize("name", sorted(CALLS))
def test_without_a_seed_torchs_generator_is_drawn_from(name: str) -> None:
    def draw() -> torch.Tensor:
        return getattr(ours, name)(*CALLS[name])

    set_random_seed(3)
    first, second = draw(), draw()
    set_random_seed(3)
    close(draw(), first, because="set_random_seed governs")
    large = tuple(np.repeat(np.asarray(CALLS[name][0]), 50, 0) if i == 0 and not isinstance(v, tuple) else v
                  for i, v in enumerate(CALLS[name]))  # fmt: skip
    assert not torch.equal(first, second) or not torch.equal(*(getattr(ours, name)(*large) for _ in range(2)))


@pytest.mark.parametrize("name", sorted(CALLS))
def test_a_seed_generator_gives_the_next_numbers(name: str) -> None:
    one, other = SeedGenerator(7), SeedGenerator(7)

    def four(seed: SeedGenerator) -> torch.Tensor:
        return torch.cat([getattr(ours, name)(*CALLS[name], seed=seed).float() for _ in range(4)])

    first, second, again = four(one), four(one), four(other)
    close(again, first, because="one seed, one stream")
    assert not torch.equal(first, second)


N = 20000
DISTRIBUTIONS: list[tuple[str, Callable[[], torch.Tensor], Any]] = [
    ("normal", lambda: ours.normal((N,), 1.0, 2.0, seed=1), stats.norm(1, 2)),
    ("uniform", lambda: ours.uniform((N,), -1.0, 3.0, seed=1), stats.uniform(-1, 4)),
    ("truncated_normal", lambda: ours.truncated_normal((N,), 1.0, 2.0, seed=1), stats.truncnorm(-2, 2, 1, 2)),
    ("gamma", lambda: ours.gamma((N,), 2.5, seed=1), stats.gamma(2.5)),
    ("gamma below 1", lambda: ours.gamma((N,), 0.5, seed=1), stats.gamma(0.5)),
    ("beta", lambda: ours.beta((N,), 2.5, 0.5, seed=1), stats.beta(2.5, 0.5)),
    ("normal by a stream", lambda: ours.normal((N,), seed=SeedGenerator(5)), stats.norm()),
]


@pytest.mark.parametrize(("name", "draw", "law"), DISTRIBUTIONS, ids=[name for name, _, _ in DISTRIBUTIONS])
def test_distributions(name: str, draw: Callable[[], torch.Tensor], law: Any) -> None:
    x = draw().double().numpy()
    assert stats.kstest(x, law.cdf).pvalue > 1e-3
    spread = law.std()
    assert abs(x.mean() - law.mean()) < 5 * spread / N**0.5
    assert abs(x.var() / law.var() - 1) < 0.1


def test_whole_numbers_are_spread_as_they_should() -> None:
    counts = torch.bincount(ours.randint((N,), 0, 8, seed=1), minlength=8)
    assert stats.chisquare(counts.numpy()).pvalue > 1e-3
    law = stats.binom(9, 0.3)
    counts = torch.bincount(ours.binomial((N,), 9.0, 0.3, seed=1).int(), minlength=10)
    assert abs(counts.numpy() / N - law.pmf(np.arange(10))).max() < 0.02
    for row, odds in zip(ours.categorical(LOGITS, N, seed=1), np.exp(LOGITS)):
        assert (
            stats.chisquare(
                torch.bincount(row, minlength=3).numpy(), N * odds.astype(float) / odds.astype(float).sum()
            ).pvalue
            > 1e-3
        )


def test_dropout() -> None:
    x = torch.ones(100, 200, requires_grad=True)
    for seed in (None, 3, SeedGenerator(3)):
        y = ours.dropout(x, 0.3, seed=seed)
        assert set(y.detach().unique().tolist()) == {0.0, float(np.float32(1 / np.float32(0.7)))}
        assert abs(float((y == 0).float().mean()) - 0.3) < 0.02
        (gradient,) = torch.autograd.grad(y.sum(), x)
        close(gradient, y, because="the gradient is the factor")
    rows = ours.dropout(x, 0.5, noise_shape=(None, 1), seed=1)
    assert (rows == rows[:, :1]).all() and len(rows.detach().unique()) == 2
    assert ours.dropout(x, 0.0) is x and not ours.dropout(x, 1.0).any()
    with pytest.raises(ConfigError, match="rate"):
        ours.dropout(x, 1.5)


def test_shuffle_moves_whole_parts() -> None:
    """Along another axis than 0 Keras on torch shuffles each row for itself, TensorFlow and JAX move columns."""
    x = torch.arange(60).reshape(3, 20)
    y = ours.shuffle(x, 1, seed=2)
    close(y[:, y[0].argsort()], x, because="the same columns in another order")
    assert not torch.equal(x, y)
    assert ours.shuffle(torch.empty(0, 2)).shape == (0, 2)


def test_symbols_and_refusals() -> None:
    x = Input((3,))
    assert ours.dropout(x, 0.5, seed=1).shape == (None, 3)
    assert ours.dropout(x, 0.5, seed=SeedGenerator(1)).shape == (None, 3)
    assert ours.shuffle(x).shape == (None, 3)
    drawn = ours.categorical(x, 4)
    assert (drawn.shape, drawn.dtype) == ((None, 4), torch.int32)
    with pytest.raises(ShapeError, match="logits"):
        ours.categorical([0.0, 1.0], 2)
    with pytest.raises(ConfigError, match="floating"):
        ours.normal((2,), dtype="int32")
    with pytest.raises(ConfigError, match="whole numbers"):
        ours.randint((2,), 0, 3, dtype="float32")
    with pytest.raises(ConfigError, match="SeedGenerator"):
        ours.normal((2,), seed="a")
    assert ours.normal(()).shape == () and ours.uniform((0, 2)).shape == (0, 2)


def test_the_state_of_a_seed_generator_is_kerass() -> None:
    got, want = SeedGenerator(2**31 + 5), keras.random.SeedGenerator(2**31 - 5)
    assert got.state.dtype == want.state.value.dtype == torch.int32
    got, want = SeedGenerator(11, name="mine"), keras.random.SeedGenerator(11, name="mine")
    for ordered in (True, True, False, True):
        close(got.next(ordered), want.next(ordered), because="next")
    close(got.state, want.state.value, because="state")
    assert got.get_config() == want.get_config() == {"seed": 11, "name": "mine"}
    again = SeedGenerator.from_config(got.get_config())
    assert again.state.tolist() == [11, 0]
    assert serialize(got)["class_name"] == "SeedGenerator" and serialize(got)["module"] == "keras.random"
    set_random_seed(1)
    first = SeedGenerator().state.tolist()
    set_random_seed(1)
    assert SeedGenerator().state.tolist() == first
    with pytest.raises(ConfigError, match="seed"):
        SeedGenerator("a")  # type: ignore[arg-type]


class Noisy(Layer):
    """A layer as a Keras user writes it."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.seeds = SeedGenerator(3)

    def call(self, inputs: torch.Tensor) -> torch.Tensor:
        return inputs + ours.normal(inputs.shape, seed=self.seeds)


def test_a_layers_stream_is_saved_with_it_and_is_no_weight() -> None:
    layer, x = Noisy(), torch.zeros(2, 3)
    layer(x)
    file = io.BytesIO()
    torch.save(layer.state_dict(), file)
    want = layer(x)
    restored = Noisy()
    file.seek(0)
    restored.load_state_dict(torch.load(file, weights_only=True))
    close(restored(x), want, because="it goes on where it was saved")
    assert layer.get_weights() == [] and layer.count_params() == 0 and list(layer.parameters()) == []
    for twin in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        close(twin(x), copy.deepcopy(layer)(x), because="copies go on from the same place")


def test_layers_and_initializers_take_a_seed_generator() -> None:
    x = torch.ones(20, 20)
    for make in (lambda seed: Dropout(0.5, seed=seed), lambda seed: GaussianNoise(1.0, seed=seed)):
        layer, twin = make(SeedGenerator(4)), make(SeedGenerator(4))
        first, second = layer(x, training=True), layer(x, training=True)
        assert not torch.equal(first, second)
        close(twin(x, training=True), first, because="one seed, one stream")
        rebuilt = type(layer).from_config(layer.get_config())
        assert isinstance(rebuilt.seed, SeedGenerator)
        close(rebuilt(x, training=True), first, because="from its config")
    initializer = initializers.RandomNormal(seed=SeedGenerator(4))
    first, second = initializer((3, 3)), initializer((3, 3))
    assert not torch.equal(first, second)
    close(initializers.RandomNormal(seed=SeedGenerator(4))((3, 3)), first, because="one seed, one stream")
    close(initializers.RandomNormal(seed=4)((3, 3)), first, because="the int's numbers come first")


def test_a_captured_step_draws_what_an_eager_one_draws() -> None:
    def losses(eagerly: bool) -> list[float]:
        set_random_seed(0)
        model = dg.Sequential([dg.Input((6,)), dg.layers.Dropout(0.5, seed=SeedGenerator(3)), dg.layers.Dense(2)])
        model.compile(optimizer="sgd", loss="mse", run_eagerly=eagerly)
        x, y = np.ones((320, 6), "float32"), np.ones((320, 2), "float32")
        return model.fit(x, y, batch_size=4, epochs=2, verbose=0).history["loss"]

    assert losses(eagerly=False) == losses(eagerly=True)


def test_what_a_seed_may_be() -> None:
    own = torch.Generator().manual_seed(1)
    assert generator_of(own, "cpu") is own and generator_of(None, "cpu") is None and generator_of(1, "meta") is None
    from_file = {"class_name": "SeedGenerator", "config": {"seed": 5, "name": "s"}}
    close(ours.normal((2,), seed=from_file), ours.normal((2,), seed=5), because="as a file has it")
