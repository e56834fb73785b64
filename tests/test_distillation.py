"""Distillation beside the real Keras: the same losses epoch by epoch, the same student, files both ways."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import keras
import numpy as np
import pytest

import dougong as dg
from closeness import close
from dougong import keras as dg_keras
from dougong.core.errors import BuildError, ConfigError, DataError, ShapeError, UnknownNameError
from dougong.models.distillation import Distiller, FeatureDistillation, LogitsDistillation

X = np.random.default_rng(0).random((48, 4), dtype=np.float32)
LABELS = np.random.default_rng(1).integers(0, 3, 48)
REALS = np.random.default_rng(2).random((48, 2), dtype=np.float32)


def _stack(k: Any, name: str, units: int, *inside: Any) -> Any:
    layers = [k.layers.Dense(units, "relu", name=f"{name}_h"), *inside, k.layers.Dense(3, name=f"{name}_out")]
    return k.Sequential([k.Input((4,)), *layers], name=name)


def _branched(k: Any, name: str) -> Any:
    x = k.Input((4,))
    h = k.layers.Dense(6, "tanh", name=f"{name}_h")(x)
    return k.Model(x, [k.layers.Dense(3, name=f"{name}_a")(h), k.layers.Dense(2, name=f"{name}_b")(h)], name=name)


def _by_logits(k: Any) -> Any:
    losses = k.distillation.LogitsDistillation(temperature=2.0, loss=k.losses.KLDivergence())
    return k.distillation.Distiller(_stack(k, "t", 8), _stack(k, "s", 5), losses, student_loss_weight=0.3)


def _by_features(k: Any) -> Any:
    losses = [
        k.distillation.LogitsDistillation(),
        k.distillation.FeatureDistillation("mae", teacher_layer_name="t_h", student_layer_name="s_h"),
    ]
    return k.distillation.Distiller(_stack(k, "t", 5), _stack(k, "s", 5), losses, [1.0, 0.5])


def _normalized(k: Any) -> Any:
    loss = k.distillation.FeatureDistillation(teacher_layer_name="t_h", student_layer_name="s_h")
    student = _stack(k, "s", 5, k.layers.BatchNormalization(momentum=0.8))
    return k.distillation.Distiller(_stack(k, "t", 5, k.layers.BatchNormalization()), student, loss)


def _two_outputs(k: Any) -> Any:
    loss = k.distillation.LogitsDistillation(loss=["mse", "mae"])
    return k.distillation.Distiller(_branched(k, "t"), _branched(k, "s"), loss, student_loss_weight=0.0)


def _teacher_alone(k: Any) -> Any:
    loss = k.distillation.LogitsDistillation(loss="mse")
    return k.distillation.Distiller(_stack(k, "t", 8), _stack(k, "s", 5), loss, student_loss_weight=0.0)


def _classes(k: Any) -> Any:
    return k.losses.SparseCategoricalCrossentropy(from_logits=True)


CASES: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any], Any]] = {
    "logits": (_by_logits, _classes, LABELS),
    "logits and features": (_by_features, _classes, LABELS),
    "loss by name": (_by_logits, lambda k: "mse", np.eye(3, dtype=np.float32)[LABELS]),
    "two outputs": (_two_outputs, _classes, [LABELS, REALS]),
    "the teacher alone": (_teacher_alone, _classes, LABELS),
}


def _fitted(k: ModuleType, case: str, **options: Any) -> tuple[Any, Any]:
    make, loss, y = CASES[case]
    k.utils.set_random_seed(5)
    model = make(k)
    metrics = ["accuracy"] if y is LABELS else None
    model.compile(k.optimizers.Adam(0.01), loss=loss(k), metrics=metrics)
    return model, model.fit(X, y, epochs=3, batch_size=16, shuffle=False, verbose=0, **options)


@pytest.mark.parametrize("case", CASES)
def test_training_is_keras_training(case: str) -> None:
    (theirs, want), (ours, got) = (_fitted(k, case) for k in (keras, dg_keras))
    assert set(got.history) == set(want.history)
    for name, values in want.history.items():
        close(got.history[name], values, because=f"{name} of each epoch")
    for weight, mine, value in zip(ours.weights, ours.get_weights(), theirs.get_weights(), strict=True):
        close(mine, value, because=weight.path)
    logs = theirs.evaluate(X, CASES[case][2], verbose=0, return_dict=True)
    for name, value in ours.evaluate(X, CASES[case][2], verbose=0, return_dict=True).items():
        close(value, logs[name], because=f"{name} of evaluate")


def test_a_student_that_normalizes_sees_each_batch_twice_as_in_keras() -> None:
    pairs = []
    for k in (keras, dg_keras):
        k.utils.set_random_seed(5)
        model = _normalized(k)
        model.compile("sgd", loss=_classes(k))
        model.fit(X, LABELS, batch_size=16, shuffle=False, verbose=0)
        pairs.append(model.student.get_weights())
    for mine, value in zip(pairs[1], pairs[0], strict=True):
        close(mine, value, because="a weight or moving statistic", tolerance=1e-4)
    before = [weight.copy() for weight in model.get_weights()]
    model.evaluate(X, LABELS, verbose=0)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights())), "evaluation changes nothing"


def test_the_step_is_captured() -> None:
    make, loss, y = CASES["logits and features"]
    models = []
    for eager in (False, True):
        dg_keras.utils.set_random_seed(5)
        model = make(dg_keras)
        model.compile("adam", loss=loss(dg_keras), metrics=["accuracy"], run_eagerly=eager)
        history = model.fit(X, y, epochs=30, batch_size=16, verbose=0)
        assert eager is history.plan.startswith("eager"), history.plan
        models.append((model, history.history))
    for name, values in models[0][1].items():
        close(values, models[1][1][name], because=f"{name}, captured and eager")
    for one, other in zip(models[0][0].get_weights(), models[1][0].get_weights()):
        close(one, other, because="weights, captured and eager")


def test_the_teacher_stays_as_it_is() -> None:
    dg_keras.utils.set_random_seed(5)
    model = _normalized(dg_keras)
    before = model.teacher.get_weights()
    model.compile("sgd", loss=_classes(dg_keras))
    model.fit(X, LABELS, verbose=0)
    assert not model.teacher.trainable_weights
    assert all(np.array_equal(a, b) for a, b in zip(before, model.teacher.get_weights()))
    assert np.array_equal(model.predict(X, verbose=0), model.student.predict(X, verbose=0))


def test_files_go_both_ways(tmp_path: Path) -> None:
    (theirs, _), (ours, _) = (_fitted(k, "logits and features") for k in (keras, dg_keras))
    ours.save(tmp_path / "ours.keras")
    theirs.save(tmp_path / "theirs.keras")
    want = ours.predict(X, verbose=0)
    again = dg.models.load_model(tmp_path / "ours.keras")
    close(again.predict(X, verbose=0), want, because="our file, read again", tolerance=0)
    assert again.optimizer.iterations == ours.optimizer.iterations
    rest = [model.fit(X, LABELS, shuffle=False, verbose=0).history["loss"] for model in (again, ours)]
    assert rest[0] == rest[1], "training goes on as if nothing had happened"
    with pytest.warns(UserWarning, match="compile"):
        read: Any = keras.models.load_model(tmp_path / "ours.keras")
    close(read.predict(X, verbose=0), want, because="our file, read by Keras")
    back = dg.models.load_model(tmp_path / "theirs.keras")
    close(back.predict(X, verbose=0), theirs.predict(X, verbose=0), because="Keras's file, read by us")
    assert back.optimizer is None, "Keras's file does not say which loss"
    assert set(ours.get_config()) == set(theirs.get_config())


@pytest.mark.parametrize("name", ["LogitsDistillation", "FeatureDistillation"])
@pytest.mark.parametrize("loss", ["kl_divergence", ["mse", None], {"b": None, "a": "cosine_similarity"}])
def test_values_are_keras_values(name: str, loss: Any) -> None:
    rng = np.random.default_rng(3)
    one, other = ([rng.normal(size=(6, 4)).astype("float32") for _ in range(2)] for _ in range(2))
    if isinstance(loss, dict):
        one, other = dict(zip("ab", one)), dict(zip("ab", other))
    elif isinstance(loss, str):
        one, other = one[0], other[0]
    got, want = (getattr(k.distillation, name)(loss=loss).compute_loss(one, other) for k in (dg_keras, keras))
    close(got, want, because=f"{name} by {loss}")


@pytest.mark.parametrize("loss", ["mse", ["mse", None], {"a": "kl_divergence", "b": None}])
def test_configs_are_keras_configs(loss: Any) -> None:
    for name in ("LogitsDistillation", "FeatureDistillation"):
        made = [getattr(k.distillation, name)(loss=loss) for k in (keras, dg_keras)]
        assert made[1].get_config() == made[0].get_config()
        again = type(made[1]).from_config(made[0].get_config())
        assert again.get_config() == made[0].get_config()
    objects = [k.distillation.LogitsDistillation(loss=k.losses.MeanAbsoluteError()) for k in (keras, dg_keras)]
    assert objects[1].get_config()["loss"]["class_name"] == objects[0].get_config()["loss"]["class_name"]


def test_a_distiller_is_rebuilt_from_its_config() -> None:
    model = _by_features(dg_keras)
    again = Distiller.from_config(model.get_config())
    assert [layer.name for layer in again.layers] == [layer.name for layer in model.layers]
    assert again.distillation_loss_weights == [1.0, 0.5]
    assert not again.teacher.trainable


class _Offset(dg.keras.distillation.DistillationLoss):
    def compute_loss(self, teacher_outputs: Any, student_outputs: Any, **kwargs: Any) -> Any:
        return teacher_outputs - student_outputs


def test_a_loss_of_the_users_own() -> None:
    model = Distiller(_stack(dg_keras, "t", 4), _stack(dg_keras, "s", 4), _Offset())
    model.compile(loss="mse")
    with pytest.raises(ShapeError, match=r"_Offset.compute_loss gave shape .*take the mean"):
        model.fit(X, np.eye(3)[LABELS], verbose=0)


class _Own(dg.Model):
    def __init__(self) -> None:
        super().__init__()
        self.out = dg.layers.Dense(3)

    def call(self, inputs: Any) -> Any:
        return self.out(inputs)


def test_models_of_their_own_call_can_be_teacher_and_student() -> None:
    model = Distiller(_Own(), _Own(), LogitsDistillation(loss="mse"))
    model.compile("sgd", loss="mse")
    first, last = model.fit(X, np.eye(3)[LABELS], epochs=5, verbose=0).history["loss"][::4]
    assert last < first
    with pytest.raises(BuildError, match=r"the teacher '.*own.*' has no graph"):
        Distiller(_Own(), _Own(), FeatureDistillation(teacher_layer_name="out"))


def test_what_does_not_fit_is_refused() -> None:
    teacher, student = _stack(dg_keras, "t", 4), _stack(dg_keras, "s", 4)
    wrong: Any = "small"
    misnamed = FeatureDistillation("mse", "t_g")
    small = dg.Sequential([dg.Input((4,)), dg.layers.Dense(2)])
    for error, match, call in (
        (ShapeError, r"outputs differ: the teacher's .*\(None, 3\)", lambda: Distiller(teacher, small, [])),
        (ConfigError, "the student must be a dg.Model", lambda: Distiller(teacher, wrong, [])),
        (ConfigError, "from 0 to 1, got 2", lambda: Distiller(teacher, student, [], student_loss_weight=2)),
        (ConfigError, "1 distillation_losses but 2", lambda: Distiller(teacher, student, [_Offset()], [1, 2])),
        (ConfigError, "distillation_losses is None", lambda: Distiller(teacher, student, None)),
        (ConfigError, "temperature must be a positive number", lambda: LogitsDistillation(temperature=0)),
        (ConfigError, "a loss for one output at least", lambda: FeatureDistillation(loss=[None, None])),
        (
            UnknownNameError,
            "did you mean 't_h'",
            lambda: Distiller(teacher, student, misnamed),
        ),
        (ConfigError, "loss of its student", lambda: Distiller(teacher, student, _Offset()).compile("adam")),
        (ShapeError, "nest differently", lambda: FeatureDistillation(["mse"]).validate_outputs(X, X)),
    ):
        with pytest.raises(error, match=match):
            call()
    model = Distiller(teacher, student, _Offset(), student_loss_weight=1.0)
    model.compile("sgd", loss="mse")
    with pytest.raises(DataError, match="y is missing"):
        model.fit(X, verbose=0)


@pytest.mark.parametrize("nesting", [list, tuple])
def test_each_output_may_have_its_loss(nesting: type) -> None:
    """Keras on torch cannot: its map over the losses, a TrackedList, refuses a list of targets."""
    model = Distiller(_branched(dg_keras, "t"), _branched(dg_keras, "s"), [], student_loss_weight=1.0)
    model.compile("sgd", loss=nesting([_classes(dg_keras), "mse"]))
    got = model.fit(X, [LABELS, REALS], batch_size=48, verbose=0).history["student_loss"][0]
    assert np.isfinite(got)
    logits, reals = model.predict(X, verbose=0)
    rows = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    want = -rows[range(48), LABELS].mean() + ((reals - REALS) ** 2).mean()
    close(model.evaluate(X, [LABELS, REALS], batch_size=48, verbose=0)[0], want, because="the sum of the means")


def test_a_layer_of_the_student_alone_is_compared_with_the_teachers_output() -> None:
    student = _stack(dg_keras, "s", 3)
    model = Distiller(_stack(dg_keras, "t", 4), student, FeatureDistillation(student_layer_name="s_h"), None, 0.0)
    model.compile("sgd", loss="mse")
    got = model.compute_loss(dg.ops.convert_to_tensor(X))
    hidden = dg.Model(student.inputs, student.get_layer("s_h").output).predict(X, verbose=0)
    close(got, np.mean((hidden - model.teacher.predict(X, verbose=0)) ** 2), because="the mean of squares")
