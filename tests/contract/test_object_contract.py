"""What every loss, metric, optimizer, schedule, initializer, regularizer, constraint and activation promises."""

from __future__ import annotations

import copy
import importlib
import inspect
import json
import pickle
from typing import Any

import keras
import numpy as np
import pytest
import torch
from torch import Tensor

import dougong as dg
from closeness import close
from contract import object_cases
from contract.object_cases import DATA, ObjectCase
from dougong.core.errors import ConfigError, UnknownNameError
from dougong.training.capture import capture

torch.set_num_threads(1)
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

PACKAGES = {
    "losses": (dg.losses, keras.losses, object_cases.LOSSES),
    "metrics": (dg.metrics, keras.metrics, object_cases.METRICS),
    "optimizers": (dg.optimizers, keras.optimizers, object_cases.OPTIMIZERS),
    "schedules": (dg.optimizers.schedules, keras.optimizers.schedules, object_cases.SCHEDULES),
    "initializers": (dg.initializers, keras.initializers, object_cases.INITIALIZERS),
    "regularizers": (dg.regularizers, keras.regularizers, object_cases.REGULARIZERS),
    "constraints": (dg.constraints, keras.constraints, object_cases.CONSTRAINTS),
}
# Public classes that are no cases, and why.
WITHOUT_CASE = {
    *("Loss", "PointwiseLoss", "Metric", "Optimizer", "LearningRateSchedule", "Initializer", "RandomInitializer"),
    *("Regularizer", "Constraint"),  # base classes
    *("LossScaleOptimizer", "MultiOptimizer", "OptimizerMap"),  # hold others: test_optimizers_wrapping
}
EVERY = [
    pytest.param(package, case, id=f"{package}-{case.name}")
    for package, (_, _, cases) in PACKAGES.items()
    for case in cases
]
every = pytest.mark.parametrize(("package", "case"), EVERY)


def each(cases: tuple[ObjectCase, ...]) -> Any:
    return pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in cases])


def data(case: ObjectCase, n: int = 4, seed: int = 0, kind: torch.dtype | None = None) -> tuple[Tensor, Tensor]:
    found = DATA[case.data](torch.Generator().manual_seed(seed), n)
    if kind is not None:
        return tuple(one.to(kind) if one.is_floating_point() else one for one in found)  # type: ignore[return-value]
    return found


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_class_has_a_case(package: str) -> None:
    ours, _, cases = PACKAGES[package]
    public = {name for name in ours.__all__ if isinstance(getattr(ours, name), type)}
    assert public - {case.kind for case in cases} - WITHOUT_CASE == set()
    assert len({case.name for case in cases}) == len(cases)


# ── Configs and names ───────────────────────────────────────────────────────────────────────────────────────────────


@every
def test_config_makes_the_same_object(package: str, case: ObjectCase) -> None:
    ours = PACKAGES[package][0]
    made = case.make(ours)
    config = json.loads(json.dumps(made.get_config()))
    again = type(made).from_config(config)
    assert json.loads(json.dumps(again.get_config())) == config
    written = json.loads(json.dumps(ours.serialize(made)))
    assert ours.deserialize(written).get_config() == made.get_config()


@every
def test_keras_reads_our_config_and_we_keras_s(package: str, case: ObjectCase) -> None:
    ours, theirs, _ = PACKAGES[package]
    if not case.keras:
        pytest.skip("Keras has no such class, or holds a function in it")
    config, wanted = case.make(ours).get_config(), case.make(theirs).get_config()
    assert set(wanted) <= set(config), "a word of Keras's config is missing"
    back = getattr(ours, case.kind).from_config(json.loads(json.dumps(wanted)))
    ahead = getattr(theirs, case.kind).from_config(json.loads(json.dumps(config)))
    assert comparable(ahead.get_config()) == comparable(wanted)
    kept = comparable(wanted)  # Keras's configs leave some words out, such as Huber's delta
    assert {key: value for key, value in comparable(back.get_config()).items() if key in kept} == kept


def comparable(config: Any) -> dict[str, Any]:
    """A config without names and with numbers as plain floats: Keras keeps rates as float32."""
    plain = json.loads(json.dumps(config, default=float))
    return {key: np.float32(v) if type(v) is float else v for key, v in plain.items() if key not in ("name", "dtype")}


@every
def test_constructor_arguments_are_keras_s(package: str, case: ObjectCase) -> None:
    ours, theirs, _ = PACKAGES[package]
    if not case.keras:
        pytest.skip("Keras has no such class")
    found, wanted = (inspect.signature(getattr(one, case.kind).__init__).parameters for one in (ours, theirs))
    order = [name for name, p in wanted.items() if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
    assert [name for name in found if name in order] == order
    for name in order:
        a, b = found[name].default, wanted[name].default
        assert a == b or name in ("name", "dtype") or b is inspect.Parameter.empty, f"{name}: {a!r}, Keras {b!r}"


@every
def test_an_unknown_argument_is_refused(package: str, case: ObjectCase) -> None:
    if "fn" in case.config:
        pytest.skip("what it does not know is the function's")
    with pytest.raises((TypeError, ConfigError), match="nmae"):
        getattr(PACKAGES[package][0], case.kind)(**case.config, nmae=1)


TABLES = [name for name in PACKAGES if name != "schedules"] + ["activations"]
# What Keras has by name and Dougong does not offer.
NOT_OFFERED = {
    "optimizermap",  # no optimizer
    *("stft", "stftinitializer"),
    *("constraint", "initializer", "loss", "metric", "optimizer", "regularizer"),  # base classes
}


@pytest.mark.parametrize("package", TABLES)
def test_every_name_of_keras_s_is_known(package: str) -> None:
    ours = getattr(dg, package)
    names = importlib.import_module(f"keras.src.{package}").ALL_OBJECTS_DICT
    unknown = set()
    for name in names:
        try:
            assert ours.get(name) is not None
        except UnknownNameError:
            unknown.add(name.lower())
        except ConfigError as error:
            assert "needs arguments" in str(error)  # such as MeanIoU's number of classes
    assert unknown <= NOT_OFFERED


@pytest.mark.parametrize("package", TABLES)
def test_an_unknown_name_lists_near_ones(package: str) -> None:
    wrong, near = {
        "losses": ("mean_squared_eror", "mean_squared_error"),
        "metrics": ("MeanSquaredEror", "MeanSquaredError"),
        "optimizers": ("adamm", "Adam"),
        "initializers": ("he_norml", "he_normal"),
        "regularizers": ("orthogonal_regulariser", "orthogonal_regularizer"),
        "constraints": ("non_negg", "non_neg"),
        "activations": ("rellu", "relu"),
    }[package]
    with pytest.raises(UnknownNameError, match=f"{wrong}.*did you mean.*'{near}'"):
        getattr(dg, package).get(wrong)


@pytest.mark.parametrize("package", TABLES)
def test_objects_pass_through_and_nonsense_does_not(package: str) -> None:
    ours = getattr(dg, package)
    made = torch.tanh if package == "activations" else PACKAGES[package][2][0].make(ours)
    assert ours.get(made) is made
    assert ours.get(None) is (dg.activations.linear if package == "activations" else None)
    with pytest.raises(ConfigError):
        ours.get(3.5)


@every
def test_copies_are_equal(package: str, case: ObjectCase) -> None:
    made = case.make(PACKAGES[package][0])
    for twin in (copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
        assert type(twin) is type(made) and twin.get_config() == made.get_config()


# ── Losses ──────────────────────────────────────────────────────────────────────────────────────────────────────────

losses = each(object_cases.LOSSES)


@losses
def test_loss_gradients_equal_finite_differences(case: ObjectCase) -> None:
    y_true, y_pred = data(case, kind=torch.float64)
    loss = type(case.make(dg.losses))(**case.config, dtype="float64")
    assert torch.autograd.gradcheck(lambda y: loss(y_true, y), (y_pred.requires_grad_(),))


@losses
def test_losses_of_single_samples_are_the_loss_of_the_batch(case: ObjectCase) -> None:
    if case.kind in ("Circle", "Dice", "Tversky") and case.note != "each":
        pytest.skip("compares the samples of a batch with each other, or sums over them")
    loss = type(case.make(dg.losses))(**{**case.config, "reduction": "none"})
    y_true, y_pred = data(case)
    rows = [loss(y_true[i : i + 1], y_pred[i : i + 1]) for i in range(4)]
    close(loss(y_true, y_pred), torch.cat(rows), because="one by one", tolerance=1e-6)


@losses
def test_weights_of_one_change_nothing_and_of_zero_leave_nothing(case: ObjectCase) -> None:
    if case.data == "picture" and not case.note:
        pytest.skip("one number for the batch: no weights")
    loss = case.make(dg.losses)
    y_true, y_pred = data(case)
    close(loss(y_true, y_pred, torch.ones(4)), loss(y_true, y_pred), because="ones", tolerance=1e-6)
    assert not loss(y_true, y_pred, torch.zeros(4)).any()


@losses
def test_captured_losses_are_eager(case: ObjectCase) -> None:
    loss = case.make(dg.losses)
    y_true, y_pred = data(case)
    weight = torch.nn.Parameter(torch.ones_like(y_pred[0]))

    def total(true: Tensor, pred: Tensor) -> Tensor:
        return loss(true, pred * weight).sum()

    gradient = torch.zeros_like(weight)
    captured = capture(total, [y_true, y_pred], gradients_of=[weight], gradients=[gradient])
    for seed in (0, 1):
        batch = data(case, seed=seed)
        eager = total(*batch)
        close(captured(*batch), eager, because="captured", tolerance=1e-6)
        close(gradient, torch.autograd.grad(eager, [weight])[0], because="its gradient", tolerance=1e-5)


@losses
def test_losses_are_keras_s(case: ObjectCase) -> None:
    if not case.keras:
        pytest.skip("Keras has no such class")
    ours, theirs = case.make(dg.losses), case.make(keras.losses)
    y_true, y_pred = data(case)
    close(ours(y_true, y_pred), theirs(y_true, y_pred), because="loss")


# ── Metrics ─────────────────────────────────────────────────────────────────────────────────────────────────────────

metrics = each(object_cases.METRICS)


def shown(case: ObjectCase, metric: Any, seeds: tuple[int, ...] = (0, 1)) -> Any:
    for seed in seeds:
        y_true, y_pred = data(case, seed=seed)
        metric.update_state(*((y_pred,) if case.data == "values" else (y_true, y_pred)))
    return metric


@metrics
def test_captured_metrics_are_eager(case: ObjectCase) -> None:
    y_true, y_pred = data(case)
    one = case.data == "values"
    metric = case.make(dg.metrics)
    metric.build(tuple(y_true.shape), tuple(y_pred.shape))

    def update(true: Tensor, pred: Tensor) -> Tensor:
        metric.update_state(*((pred,) if one else (true, pred)))
        return pred + 0

    captured = capture(update, [y_true, y_pred])
    for seed in (0, 1):
        captured(*data(case, seed=seed))
    close(metric.result(), shown(case, case.make(dg.metrics)).result(), because="captured", tolerance=1e-6)


@metrics
def test_metrics_forget_and_merge(case: ObjectCase) -> None:
    metric, first, second = (case.make(dg.metrics) for _ in range(3))
    want = shown(case, metric).result().clone()
    metric.reset_state()
    shown(case, metric)
    close(metric.result(), want, because="once more after reset_state", tolerance=1e-6)
    shown(case, first, (0,)).merge_state([shown(case, second, (1,))])
    close(first.result(), want, because="merged", tolerance=1e-5)


@metrics
def test_metrics_are_keras_s(case: ObjectCase) -> None:
    if not case.keras:
        pytest.skip("Keras has no such class")
    close(shown(case, case.make(dg.metrics)).result(), shown(case, case.make(keras.metrics)).result(), because="result")


@metrics
def test_metrics_hold_no_weights(case: ObjectCase) -> None:
    metric = shown(case, case.make(dg.metrics))
    assert not metric.state_dict() and not list(metric.parameters())
    assert not any(state.requires_grad for state in metric.variables)


# ── Optimizers and schedules ────────────────────────────────────────────────────────────────────────────────────────

optimizers = each(object_cases.OPTIMIZERS)


def descend(optimizer: Any, weight: torch.nn.Parameter, steps: int) -> float:
    for _ in range(steps):
        optimizer.zero_gradients()
        (weight**2).sum().backward()
        optimizer.step()
    return float((weight**2).sum().detach())


@optimizers
def test_optimizers_descend_a_quadratic(case: ObjectCase) -> None:
    weight = torch.nn.Parameter(torch.tensor([1.0, -2.0, 3.0]))
    optimizer = case.make(dg.optimizers)
    optimizer.build([weight])
    assert descend(optimizer, weight, 60) < 2.0


@optimizers
def test_optimizer_state_goes_out_and_in(case: ObjectCase) -> None:
    weights = [torch.nn.Parameter(torch.tensor([1.0, -2.0, 3.0])) for _ in range(2)]
    pair = [case.make(dg.optimizers) for _ in range(2)]
    for optimizer, weight in zip(pair, weights):
        optimizer.build([weight])
    descend(pair[0], weights[0], 4)
    with torch.no_grad():
        weights[1].copy_(weights[0])
    pair[1].load_state(pair[0].state())
    for optimizer, weight in zip(pair, weights):
        descend(optimizer, weight, 4)
    close(weights[1], weights[0], because="going on from a loaded state", tolerance=1e-6)
    assert pair[0].iterations == pair[1].iterations


@optimizers
@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
def test_optimizers_keep_the_dtype(case: ObjectCase, kind: torch.dtype) -> None:
    weight = torch.nn.Parameter(torch.ones(3, dtype=kind))
    optimizer = case.make(dg.optimizers)
    optimizer.build([weight])
    descend(optimizer, weight, 2)
    assert weight.dtype is kind
    assert all(slot.value.dtype is kind for slot in optimizer.variables if slot.shape == weight.shape)


@each(object_cases.SCHEDULES)
def test_schedules_are_keras_s(case: ObjectCase) -> None:
    ours, theirs = case.make(dg.optimizers.schedules), case.make(keras.optimizers.schedules)
    close([ours(step) for step in range(12)], [float(theirs(step)) for step in range(12)], because="rates")
    optimizer = dg.optimizers.deserialize(dg.optimizers.serialize(dg.optimizers.SGD(ours)))
    assert optimizer.learning_rate == pytest.approx(ours(0))


# ── Initializers, regularizers, constraints, activations ────────────────────────────────────────────────────────────


@each(object_cases.INITIALIZERS)
@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
def test_initializers_give_the_shape_and_the_same_numbers_for_a_seed(case: ObjectCase, kind: torch.dtype) -> None:
    shape = (6, 6) if case.kind == "Identity" else (3, 3, 4, 5)
    first, again = (case.make(dg.initializers)(shape, dtype=kind) for _ in range(2))
    assert first.shape == shape and first.dtype is kind and not first.requires_grad
    close(first, again, because="the same seed", tolerance=0)
    if not case.config.get("seed"):
        close(first, case.make(keras.initializers)(shape), because="no random numbers", tolerance=1e-6)


@each(object_cases.REGULARIZERS)
def test_regularizers_are_keras_s_and_differentiable(case: ObjectCase) -> None:
    weight = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    penalty = case.make(dg.regularizers)
    close(penalty(weight), case.make(keras.regularizers)(weight), because="penalty")
    assert torch.autograd.gradcheck(penalty, (weight.double().requires_grad_(),))


@each(object_cases.CONSTRAINTS)
def test_constraints_are_keras_s_and_projections(case: ObjectCase) -> None:
    weight = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    project = case.make(dg.constraints)
    once = project(weight)
    close(once, case.make(keras.constraints)(weight), because="projected")
    close(project(once), once, because="projected twice", tolerance=1e-5)
    assert project(weight.double()).dtype is torch.float64


ACTIVATIONS = [
    name
    for name in dg.activations.__all__
    if name not in ("get", "serialize", "deserialize", "threshold") and not name.startswith("d")  # MATLAB's derivatives
]


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations(name: str) -> None:
    function = dg.activations.get(name)
    written = json.loads(json.dumps(dg.activations.serialize(function)))
    assert dg.activations.get(written) is function
    x = torch.randn(3, 6, generator=torch.Generator().manual_seed(0))
    y = function(x)
    assert y.dtype is x.dtype and function(x.double()).dtype is torch.float64
    close(capture(lambda one: function(one) + 0, [x])(x), y, because="captured", tolerance=1e-6)
    if hasattr(keras.activations, name) and name != "sparsemax":  # Keras's, on torch, does not sum to 1
        close(y, getattr(keras.activations, name)(x), because="Keras")
    if name not in ("hardlim", "hardlims"):
        assert torch.autograd.gradcheck(function, (x.double().requires_grad_(),))
