"""Learning rate schedules against the real Keras, step by step, and their own arithmetic."""

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from closeness import close
from dougong.core.errors import ConfigError, UnknownNameError
from dougong.optimizers import schedules

CASES = [
    ("ExponentialDecay", {"initial_learning_rate": 0.5, "decay_steps": 30, "decay_rate": 0.7}),
    ("ExponentialDecay", {"initial_learning_rate": 0.5, "decay_steps": 30, "decay_rate": 0.7, "staircase": True}),
    ("InverseTimeDecay", {"initial_learning_rate": 0.5, "decay_steps": 7, "decay_rate": 0.3}),
    ("InverseTimeDecay", {"initial_learning_rate": 0.5, "decay_steps": 7, "decay_rate": 0.3, "staircase": True}),
    ("PiecewiseConstantDecay", {"boundaries": [10, 20, 90], "values": [0.9, 0.7, 0.2, 0.05]}),
    ("PolynomialDecay", {"initial_learning_rate": 0.5, "decay_steps": 64}),
    ("PolynomialDecay", {"initial_learning_rate": 0.5, "decay_steps": 64, "end_learning_rate": 0.1, "power": 2.0}),
    ("PolynomialDecay", {"initial_learning_rate": 0.5, "decay_steps": 32, "end_learning_rate": 0.1, "cycle": True}),
    ("CosineDecay", {"initial_learning_rate": 0.5, "decay_steps": 100}),
    ("CosineDecay", {"initial_learning_rate": 0.5, "decay_steps": 100, "alpha": 0.2}),
    (
        "CosineDecay",
        {"initial_learning_rate": 0.1, "decay_steps": 100, "alpha": 0.1, "warmup_target": 0.6, "warmup_steps": 25},
    ),
    ("CosineDecay", {"initial_learning_rate": 0.0, "decay_steps": 9, "warmup_target": 0.6, "warmup_steps": 0}),
    ("CosineDecayRestarts", {"initial_learning_rate": 0.5, "first_decay_steps": 16}),
    (
        "CosineDecayRestarts",
        {"initial_learning_rate": 0.5, "first_decay_steps": 16, "t_mul": 1.0, "m_mul": 0.8, "alpha": 0.1},
    ),
    (
        "CosineDecayRestarts",
        {"initial_learning_rate": 0.5, "first_decay_steps": 16, "t_mul": 1.7, "m_mul": 0.9, "alpha": 0.1},
    ),
]
NAMES = [f"{name}-{i}" for i, (name, _) in enumerate(CASES)]


@pytest.mark.parametrize(("name", "arguments"), CASES, ids=NAMES)
def test_equals_keras_over_many_steps(name, arguments):
    ours, theirs = getattr(schedules, name)(**arguments), getattr(keras.optimizers.schedules, name)(**arguments)
    steps = [*range(130), 1000, 12345]
    want = np.array([float(theirs(step)) for step in steps])
    got = np.array([ours(step) for step in steps])
    close(got, want, because=f"{name} is Keras's", tolerance=1e-6)


@pytest.mark.parametrize(("name", "arguments"), CASES, ids=NAMES)
def test_config_is_keras_config_and_rebuilds(name, arguments):
    ours, theirs = getattr(schedules, name)(**arguments), getattr(keras.optimizers.schedules, name)(**arguments)
    assert ours.get_config() == theirs.get_config()
    written = keras.optimizers.schedules.serialize(theirs)
    assert schedules.serialize(ours) == written
    assert schedules.deserialize(written)(77) == ours(77)


def test_positional_arguments_are_keras_order():
    assert schedules.PolynomialDecay(1.0, 10, 0.5, 2.0, True, "p").get_config() == {
        "initial_learning_rate": 1.0,
        "decay_steps": 10,
        "end_learning_rate": 0.5,
        "power": 2.0,
        "cycle": True,
        "name": "p",
    }


@given(
    growth=st.floats(1.0, 3.0),
    first=st.integers(1, 50),
    restart=st.integers(0, 8),
)
def test_restarts_start_at_the_top(growth, first, restart):
    schedule = schedules.CosineDecayRestarts(1.0, first, t_mul=growth, m_mul=0.5)
    begin = first * sum(growth**i for i in range(restart))
    step = int(np.ceil(begin))
    length = first * growth**restart
    expected = 0.5**restart * 0.5 * (1 + np.cos(np.pi * (step - begin) / length))
    if step - begin < length * (1 - 1e-9) and step - begin > 1e-9:
        close(schedule(step), expected, because="the n-th period begins where those before it end", tolerance=1e-6)


def test_restart_falls_on_its_step_where_keras_rounds_it_away():
    arguments = {"initial_learning_rate": 0.5, "first_decay_steps": 16, "t_mul": 1.5}
    assert schedules.CosineDecayRestarts(**arguments)(16 + 24) == 0.5
    assert float(keras.optimizers.schedules.CosineDecayRestarts(**arguments)(16 + 24)) < 1e-6


@given(step=st.integers(0, 10**9))
def test_rates_stay_between_end_and_start(step):
    for schedule in (
        schedules.CosineDecay(1.0, 1000, alpha=0.25),
        schedules.PolynomialDecay(1.0, 1000, 0.25, power=0.5),
        schedules.PiecewiseConstantDecay([5, 10], [1.0, 0.5, 0.25]),
    ):
        assert 0.25 <= schedule(step) <= 1.0


def test_refusals_name_the_argument():
    with pytest.raises(ConfigError, match="decay_steps must be positive, got 0"):
        schedules.CosineDecay(0.1, 0)
    with pytest.raises(ConfigError, match="first_decay_steps"):
        schedules.CosineDecayRestarts(0.1, float("nan"))
    with pytest.raises(ConfigError, match="one value more than boundaries"):
        schedules.PiecewiseConstantDecay([1, 2], [0.1, 0.2])
    with pytest.raises(ConfigError, match="ends after 2 first periods"):
        schedules.CosineDecayRestarts(0.1, 10, t_mul=0.5)(20)
    with pytest.raises(UnknownNameError, match="CosineDecay"):
        schedules.deserialize({"class_name": "CosineDecy", "config": {}})


def test_no_boundary_means_a_constant():
    assert schedules.PiecewiseConstantDecay([], [0.3])(10**6) == 0.3


class Sawtooth(schedules.LearningRateSchedule):
    def __init__(self, top: float) -> None:
        self.top = top

    def __call__(self, step: int) -> float:
        return self.top * (1 - step % 10 / 10)


def test_own_schedule_is_found_by_name_when_given():
    config = schedules.serialize(Sawtooth(2.0))
    with pytest.raises(UnknownNameError, match="Sawtooth"):
        schedules.deserialize(config)
    assert schedules.deserialize(config, custom_objects={"Sawtooth": Sawtooth})(5) == 1.0
