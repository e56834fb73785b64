"""Optimizers that hold others: loss scaling and several optimizers for one model, alone and in `fit`, against Keras."""

from __future__ import annotations

import copy
import pickle

import keras
import numpy as np
import pytest
import torch
from torch import nn

import dougong as dg
from closeness import close
from dougong import optimizers
from dougong.core.errors import DougongError, NonFiniteError
from dougong.core.variable import Variable

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def twins(seed=0, last=1):
    """A net of ours and Keras's with the same weights, and data for them."""
    random = np.random.default_rng(seed)
    made = []
    for library in (dg, keras):
        x = library.Input((4,))
        hidden = library.layers.Dense(6, activation="tanh", name="hidden")(x)
        made.append(library.Model(x, library.layers.Dense(last, name="head")(hidden), name="net"))
    weights = [random.normal(size=value.shape).astype("float32") for value in made[1].get_weights()]
    for model in made:
        model.set_weights(weights)
    return (*made, random.normal(size=(96, 4)).astype("float32"), random.normal(size=(96, last)).astype("float32"))


def fitted(make, epochs=6, **options):
    """Both nets after `fit`, with their histories; ``make(library)`` gives the optimizer."""
    ours, theirs, x, y = twins()
    histories = []
    for model, library in ((ours, dg), (theirs, keras)):
        model.compile(optimizer=make(library.optimizers), loss="mse", **(options if library is dg else {}))
        histories.append(model.fit(x, y, batch_size=16, epochs=epochs, shuffle=False, verbose=0).history["loss"])
    return ours, theirs, *histories


def same_weights_and_state(ours, theirs, tolerance=2e-5):
    for own, other in zip(ours.get_weights(), theirs.get_weights()):
        close(own, other, because="weights", tolerance=tolerance)
    state = theirs.optimizer.variables
    assert [one.name for one in ours.optimizer.variables] == [one.name for one in state]
    for own, other in zip(ours.optimizer.variables, state):
        close(own.numpy(), keras.ops.convert_to_numpy(other), because=own.path, tolerance=tolerance)


# In fit.


@pytest.mark.parametrize("eager", [False, True], ids=["captured", "eager"])
@pytest.mark.parametrize(
    "make",
    [
        lambda o: o.LossScaleOptimizer(o.Adam(0.01), dynamic_growth_steps=7),
        # 1e38 times the loss overflows: the first steps are skipped.
        lambda o: o.LossScaleOptimizer(o.SGD(0.01, momentum=0.5), initial_scale=1e38, dynamic_growth_steps=4),
        lambda o: o.LossScaleOptimizer(o.MultiOptimizer(o.OptimizerMap(o.Adam(0.01), {"head/.*": o.SGD(0.1)}))),
        lambda o: o.SGD(0.01, loss_scale_factor=1024.0),
        lambda o: o.Adam(0.01, loss_scale_factor=0.125, clipnorm=0.5, gradient_accumulation_steps=2),
        lambda o: o.MultiOptimizer(o.OptimizerMap(o.Adam(0.01), {"head/.*": o.SGD(0.1)}), loss_scale_factor=8.0),
        lambda o: o.MultiOptimizer(o.OptimizerMap(o.Lamb(0.01), {"hidden/kernel": o.Muon(0.01, use_ema=True)})),
        lambda o: o.Adafactor(0.05),
    ],
    ids=[
        "dynamic",
        "overflowing",
        "both",
        "scaled",
        "scaled-accumulating",
        "several",
        "several-averaging",
        "adafactor",
    ],
)
def test_fit_equals_keras(make, eager):
    ours, theirs, losses, keras_losses = fitted(make, run_eagerly=eager)
    close(losses, keras_losses, because="the loss shown is not scaled", tolerance=2e-5)
    same_weights_and_state(ours, theirs)
    assert ours.compiled.step("train", ours).plan.startswith("eager" if eager else "captured")


def test_a_skipped_step_halves_the_factor_and_trains_nothing():
    ours, _, x, y = twins()
    before = ours.get_weights()
    optimizer = optimizers.LossScaleOptimizer(optimizers.SGD(0.01), initial_scale=3e38, dynamic_growth_steps=50)
    ours.compile(optimizer=optimizer, loss="mse")
    ours.train_on_batch(x * 1e3, y)
    assert float(optimizer.dynamic_scale) == pytest.approx(1.5e38)
    assert (int(optimizer.step_counter), int(optimizer.iterations)) == (0, 0)
    for value, now in zip(before, ours.get_weights()):
        assert np.array_equal(value, now)


def test_the_guard_stops_what_scaling_does_not_explain():
    x, y = np.ones((8, 1), "float32"), np.ones((8, 1), "float32")
    inputs = dg.Input((1,))
    model = dg.Model(inputs, torch.sqrt(dg.layers.Dense(1, kernel_initializer="zeros", name="zero")(inputs)))
    optimizer = optimizers.LossScaleOptimizer(optimizers.SGD(0.01))
    model.compile(optimizer=optimizer, loss="mse")
    with pytest.raises(NonFiniteError, match="a gradient is not finite"):  # however small the factor is
        model.fit(x, y, epochs=200, batch_size=8, verbose=0)
    assert float(optimizer.dynamic_scale) <= 2.0**-24
    with pytest.raises(NonFiniteError, match="the loss is nan"):
        model.fit(x * np.nan, y, verbose=0)


def test_a_factor_changed_between_steps_is_taken_up_by_captured_ones():
    ours, theirs, x, y = twins()
    for model, library in ((ours, dg), (theirs, keras)):
        model.compile(optimizer=library.optimizers.SGD(0.05, loss_scale_factor=16.0), loss="mse")
        model.fit(x, y, batch_size=8, epochs=3, shuffle=False, verbose=0)
        model.optimizer.loss_scale_factor = 2.0
        model.fit(x, y, batch_size=8, epochs=3, shuffle=False, verbose=0)
    same_weights_and_state(ours, theirs)


def test_a_model_with_loss_scaling_is_saved_and_goes_on(tmp_path):
    def make(library):
        inner = library.MultiOptimizer(library.OptimizerMap(library.Adam(0.01), {"head/.*": library.Adafactor(0.1)}))
        return library.LossScaleOptimizer(inner, dynamic_growth_steps=5)

    ours, _, x, y = twins()
    ours.compile(optimizer=make(optimizers), loss="mse")
    ours.fit(x, y, epochs=2, shuffle=False, verbose=0)
    ours.save(tmp_path / "net.keras")
    again = dg.models.load_model(tmp_path / "net.keras")
    for model in (ours, again):
        model.fit(x, y, epochs=2, shuffle=False, verbose=0)
    for own, other in zip(ours.get_weights(), again.get_weights()):
        assert np.array_equal(own, other)
    assert list(again.optimizer.state()) == list(ours.optimizer.state())


# Alone.


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))], ids=["copy", "pickle"])
def test_copies_go_on_by_themselves(clone):
    module = nn.Module()
    module.first, module.second = nn.Parameter(torch.ones(2, 3)), nn.Parameter(torch.ones(3))
    several = optimizers.MultiOptimizer(optimizers.OptimizerMap(optimizers.Adam(0.1), {".*1": optimizers.Lamb(0.1)}))
    module.optimizer = optimizers.LossScaleOptimizer(several, initial_scale=4.0, dynamic_growth_steps=2)

    def steps(one):
        for k in range(3):
            one.optimizer.apply([torch.full((2, 3), k + 1.0), torch.full((3,), -1.0)], list(one.parameters()))
        return [parameter.detach().clone() for parameter in one.parameters()]

    steps(module)
    twin = clone(module)
    assert float(twin.optimizer.dynamic_scale) == float(module.optimizer.dynamic_scale) == 8.0
    wanted = steps(module)
    for own, other in zip(wanted, steps(twin)):
        assert torch.equal(own, other)
    assert torch.equal(module.first, wanted[0])


def test_a_resumed_run_ends_the_same_to_the_bit():
    def fresh(values):
        several = optimizers.OptimizerMap(optimizers.Adafactor(0.1), {"b": optimizers.Nadam(0.1)})
        made = optimizers.LossScaleOptimizer(optimizers.MultiOptimizer(several), 8.0, 2)
        variables = [Variable(value, name=name) for value, name in zip(values, "ab")]
        made.build(variables)
        return made, variables

    random = np.random.default_rng(0)
    gradients = [[torch.tensor(random.normal(size=s), dtype=torch.float32) for s in ((3, 2), (4,))] for _ in range(6)]
    whole, variables = fresh([np.ones((3, 2), "float32"), np.ones(4, "float32")])
    for step in gradients[:3]:
        whole.apply(step, variables)
    resumed, others = fresh([variable.numpy() for variable in variables])
    resumed.load_state(whole.state())
    for optimizer, trained in ((whole, variables), (resumed, others)):
        for step in gradients[3:]:
            optimizer.apply(step, trained)
    for one, other in zip(variables, others):
        assert torch.equal(one, other)


def bare(config):
    """A config without modules, which for Keras on PyTorch are private ones, and with rates in Keras's float32."""
    if isinstance(config, dict):
        return {key: bare(one) for key, one in config.items() if key not in ("module", "registered_name")}
    return float(np.float32(config)) if isinstance(config, float) else config


@pytest.mark.parametrize("kind", ["scaling", "several", "both"])
def test_configs_are_keras(kind):
    def make(library):
        several = library.MultiOptimizer(
            library.OptimizerMap(library.Adam(0.5, name="a"), {"head/.*": library.SGD(0.25, name="b")}), name="m"
        )
        if kind == "several":
            return several
        return library.LossScaleOptimizer(several if kind == "both" else library.SGD(name="s"), 4.0, 9, name="l")

    ours, theirs = make(optimizers), make(keras.optimizers)
    assert bare(ours.get_config()) == bare(theirs.get_config())
    for written in (optimizers.serialize(ours), keras.optimizers.serialize(theirs)):
        again = optimizers.deserialize(copy.deepcopy(written))
        assert type(again) is type(ours)
        assert bare(again.get_config()) == bare(ours.get_config())
    assert type(keras.optimizers.deserialize(optimizers.serialize(ours))) is type(theirs)


def test_a_map_is_a_mapping_with_expressions():
    first, second, rest = optimizers.SGD(), optimizers.Adam(), optimizers.Lion()
    chosen = optimizers.OptimizerMap(rest)
    chosen["encoder/layer_0/dense"] = second
    chosen["encoder/.*"] = first
    assert chosen["encoder/layer_0/dense"] is second, "a key that is the path comes first"
    assert chosen["encoder/layer_1"] is first
    assert chosen["encoder"] is chosen["decoder/encoder/x"] is rest
    assert (len(chosen), list(chosen)) == (2, ["encoder/layer_0/dense", "encoder/.*"])
    del chosen["encoder/.*"]
    assert chosen["encoder/layer_1"] is rest


def test_several_optimizers_are_reached_and_averages_end_training():
    averaging = optimizers.SGD(0.5, use_ema=True, ema_momentum=0.5)
    optimizer = optimizers.MultiOptimizer(lambda variable: averaging if variable.name == "a" else plain)
    plain = optimizers.SGD(0.5)
    first, second = Variable([1.0], name="a"), Variable([1.0], name="b")
    for _ in range(2):
        optimizer.apply([torch.ones(1), torch.ones(1)], [first, second])
    assert optimizer.optimizers == [averaging, plain]
    assert optimizer.use_ema
    assert (int(optimizer.iterations), int(plain.iterations)) == (2, 2)
    with pytest.raises(AttributeError, match="no learning rate of its own"):
        _ = optimizer.learning_rate
    with pytest.raises(AttributeError, match="no learning rate of its own"):
        optimizer.learning_rate = 1.0
    with optimizer.averaged():
        assert (first.item(), second.item()) == (0.25, 0.0)
    optimizer.finalize_variable_values([first, second])
    assert (first.item(), second.item()) == (0.25, 0.0)
    assert repr(optimizer).startswith("MultiOptimizer(SGD(learning_rate=0.5")


def test_weights_excluded_from_decay_are_so_within():
    optimizer = optimizers.LossScaleOptimizer(optimizers.AdamW(0.1, weight_decay=0.5), initial_scale=1.0)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    kernel, bias = Variable([1.0], name="kernel"), Variable([1.0], name="bias")
    optimizer.apply([torch.zeros(1), torch.zeros(1)], [kernel, bias])
    close(kernel, [0.95], because="decayed")
    close(bias, [1.0], because="spared")


def test_autograd_writes_into_the_gradients_of_all():
    model = nn.Linear(3, 2)
    inner = optimizers.OptimizerMap(optimizers.SGD(0.5), {"parameter_1": optimizers.SGD(0.25)})
    optimizer = optimizers.LossScaleOptimizer(optimizers.MultiOptimizer(inner), 4.0)
    optimizer.build(model.parameters())
    before = [parameter.detach().clone() for parameter in model.parameters()]
    optimizer.zero_gradients()
    optimizer.scale_loss(model(torch.ones(1, 3)).sum()).backward()
    optimizer.step()
    close(model.weight, before[0] - 0.5, because="the gradient is 1")
    close(model.bias, before[1] - 0.25, because="the gradient is 1")
    model.double()
    optimizer.zero_gradients()
    optimizer.scale_loss(model(torch.ones(1, 3, dtype=torch.float64)).sum()).backward()
    optimizer.step()
    close(model.weight, before[0] - 1.0, because="built again in float64")


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (lambda o: o.LossScaleOptimizer("adam"), "inner_optimizer must be an optimizer such as"),
        (lambda o: o.LossScaleOptimizer(o.SGD(), dynamic=False), "always dynamic; set loss_scale_factor"),
        (lambda o: o.LossScaleOptimizer(o.SGD(), clipnorm=1.0), "takes no 'clipnorm'; set it on the inner"),
        (lambda o: o.LossScaleOptimizer(o.SGD(), rho=1.0), "takes no 'rho'"),
        (lambda o: o.OptimizerMap("adam"), "an optimizer such as"),
        (lambda o: o.OptimizerMap(o.SGD(), [o.SGD()]), "must be a dict of optimizers by path"),
        (lambda o: o.OptimizerMap(o.SGD()).__setitem__("a", o.LossScaleOptimizer(o.SGD())), "holds no others"),
        (lambda o: o.OptimizerMap(o.SGD()).__setitem__(3, o.SGD()), "a key must be a path"),
        (lambda o: o.OptimizerMap(o.SGD(), {"a": o.SGD()}).__setitem__("a", o.SGD()), "has 'a' already"),
        (lambda o: o.OptimizerMap(o.SGD(), {"a.*": o.SGD(), ".*b": o.SGD()})["ab"], "several keys match"),
        (lambda o: o.MultiOptimizer(lambda _: "adam").build([Variable([1.0])]), "an optimizer such as"),
        (lambda o: o.MultiOptimizer(lambda _: o.SGD()).step(), "has no parameters yet"),
        (lambda o: o.LossScaleOptimizer(o.SGD()).step(), "has no parameters yet"),
        (lambda o: o.get("LossScaleOptimizer"), "needs arguments"),
    ],
)
def test_refusals_say_what_to_do(action, message):
    with pytest.raises(DougongError, match=message):
        action(optimizers)


def test_defaults_that_old_configs_carry_are_accepted():
    old = {"weight_decay": None, "use_ema": False, "ema_momentum": 0.99, "loss_scale_factor": None, "dynamic": True}
    assert optimizers.LossScaleOptimizer(optimizers.SGD(), **old).initial_scale == 2.0**15
