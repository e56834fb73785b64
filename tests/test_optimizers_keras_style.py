"""Optimizers in Keras's words: state names, layers' variables, a user's own `update_step`, stateless steps."""

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
from dougong.core.errors import BuildError, ConfigError
from dougong.core.variable import Variable, stored
from dougong.optimizers.table import PLAIN
from optimizer_golden_cases import own_optimizer

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

OPTIONS = [
    {},
    {"use_ema": True, "gradient_accumulation_steps": 2},
    {"learning_rate": "schedule", "use_ema": True},
]
Own = own_optimizer(optimizers.Optimizer)


def net(library):
    x = library.Input((4,))
    hidden = library.layers.Dense(3, name="one")(x)
    return library.Model(x, library.layers.Dense(2, name="two")(hidden), name="net")


def seen(variables):
    """Paths, names and shapes; Keras numbers the anonymous product of Nadam."""
    return [
        ("variable" if one.path.startswith("variable") else one.path, one.name.rstrip("_0123456789"), tuple(one.shape))
        for one in variables
    ]


@pytest.mark.parametrize("options", OPTIONS, ids=["plain", "accumulating", "schedule"])
@pytest.mark.parametrize("name", PLAIN)
def test_state_names_shapes_and_order_are_keras(name, options):
    extra = {"SGD": {"momentum": 0.5}, "Adam": {"amsgrad": True}, "RMSprop": {"centered": True, "momentum": 0.5}}
    variables = []
    for library in (dg, keras):
        chosen = {**options, **extra.get(name, {}), "name": "opt"}
        if chosen.get("learning_rate") == "schedule":
            chosen["learning_rate"] = library.optimizers.schedules.ExponentialDecay(0.1, 2, 0.5)
        optimizer = getattr(library.optimizers, name)(**chosen)
        assert [one.name for one in optimizer.variables][:1] == ["iteration"], "there before it is built"
        optimizer.build(net(library).trainable_variables)
        variables.append(seen(optimizer.variables))
    assert variables[0] == variables[1]


@pytest.mark.parametrize(
    "make",
    [
        lambda o: o.LossScaleOptimizer(o.Adam(name="in"), name="out"),
        lambda o: o.MultiOptimizer(o.OptimizerMap(o.Adam(name="a"), {"one/.*": o.Lamb(name="b")}), name="out"),
        lambda o: o.MultiOptimizer(o.OptimizerMap(o.Adam(name="a"), {"none": o.Lamb(name="b")}), name="out"),
        lambda o: own_optimizer(o.Optimizer)(name="own", use_ema=True),
    ],
    ids=["scaling", "several", "idle", "own"],
)
def test_state_names_of_those_that_hold_others_are_keras(make):
    found = []
    for library in (dg, keras):
        optimizer = make(library.optimizers)
        optimizer.build(net(library).trainable_variables)
        found.append(seen(optimizer.variables))
    assert found[0] == found[1]


# A user's own.


def test_an_optimizer_written_for_keras_trains_captured_as_in_keras():
    random = np.random.default_rng(0)
    x, y = random.normal(size=(64, 4)).astype("float32"), random.normal(size=(64, 2)).astype("float32")
    ours, theirs = net(dg), net(keras)
    ours.set_weights(theirs.get_weights())
    for model, library in ((ours, dg), (theirs, keras)):
        optimizer = own_optimizer(library.optimizers.Optimizer)(0.01, weight_decay=0.1, global_clipnorm=1.0)
        model.compile(optimizer=optimizer, loss="mse")
        model.fit(x, y, batch_size=8, epochs=5, shuffle=False, verbose=0)
    for own, other in zip(ours.get_weights(), theirs.get_weights()):
        close(own, other, because="weights", tolerance=1e-5)
    for own, other in zip(ours.optimizer.variables, theirs.optimizer.variables):
        close(own, keras.ops.convert_to_numpy(other), because=own.path, tolerance=1e-5)
    assert ours.compiled.step("train", ours).plan.startswith("captured")


def test_its_state_survives_moving_copying_and_saving():
    def steps(optimizer, variables, count=3):
        for k in range(count):
            optimizer.apply([torch.full(tuple(v.shape), k + 1.0) for v in variables], variables)
        return [variable.detach().clone() for variable in variables]

    variables = [Variable(np.ones((3, 2), "float32"), name="a"), Variable([1.0], name="b")]
    straight, moved = Own(0.1), Own(0.1)
    others = [copy.deepcopy(variable) for variable in variables]
    steps(straight, variables)
    steps(moved, others)
    for variable in others:
        variable.data = variable.data.clone()
    module = nn.Module()
    module.a, module.b = others
    module.optimizer = moved
    twin = copy.deepcopy(module)
    resumed, fresh = Own(0.1), [Variable(variable.numpy(), name=variable.name) for variable in variables]
    resumed.build(fresh)
    resumed.load_state(straight.state())
    wanted = steps(straight, variables)
    for got in (steps(moved, others), steps(twin.optimizer, [twin.a, twin.b]), steps(resumed, fresh)):
        for one, other in zip(wanted, got):
            assert torch.equal(one, other)


def test_its_config_rebuilds_it():
    optimizer = Own(0.25, momentum=0.5, clipnorm=1.0)
    again = optimizers.deserialize(optimizers.serialize(optimizer), custom_objects={"Own": Own})
    assert (again.momentum, again.learning_rate, again.clipnorm) == (0.5, 0.25, 1.0)


def test_one_without_a_rule_says_so():
    with pytest.raises(NotImplementedError, match=r"write update_step\(gradient, variable, learning_rate\)"):
        optimizers.Optimizer(0.1).apply([torch.ones(1)], [Variable([1.0])])


def test_plain_parameters_may_be_given_too():
    linear = nn.Linear(3, 2)
    before = linear.bias.detach().clone()
    optimizer = Own(0.5, momentum=0.0)
    optimizer.apply([torch.ones(2, 3), torch.ones(2)], list(linear.parameters()))
    close(linear.bias, before - 0.5 - 0.005, because="momentum's step and that of the sum")
    assert [one.name for one in optimizer.variables][2:4] == ["parameter_0_momentum", "parameter_0_sum"]


def test_absent_gradients_leave_variables_alone():
    first, second = Variable([1.0], name="a"), Variable([1.0], name="b")
    optimizer = Own(0.5)
    optimizer.build([first, second])
    with pytest.warns(UserWarning, match="no gradient for b"):
        optimizer.apply([torch.ones(1), None])
    assert (first.item() < 1.0, second.item()) == (True, 1.0)
    with pytest.raises(ConfigError, match="was not built on 'c'"):
        optimizer._get_variable_index(Variable([1.0], name="c"))


# Layers' variables.


def test_variables_and_their_parameters_are_the_same_to_an_optimizer():
    layer = dg.layers.Dense(3, name="dense")
    layer.build((None, 2))
    layer.set_weights([np.ones((2, 3)), np.ones(3)])
    optimizer = optimizers.SGD(1.0, weight_decay=0.5)
    optimizer.exclude_from_weight_decay(var_list=[layer.kernel])
    optimizer.build(layer.trainable_variables)
    gradient = torch.arange(6.0).reshape(2, 3)
    optimizer.apply([gradient], [layer.kernel])
    close(layer.kernel, 1 - gradient, because="in Keras's layout, not decayed")
    optimizer.apply([gradient.mT], [stored(layer.kernel)[0]])
    close(layer.kernel, 1 - 2 * gradient, because="the parameter's own layout")
    close(layer.bias, np.ones(3), because="not listed")


def test_averages_of_listed_variables_end_training():
    layer = dg.layers.Dense(1, name="dense")
    layer.build((None, 2))
    layer.set_weights([np.ones((2, 1)), np.ones(1)])
    optimizer = optimizers.SGD(0.5, use_ema=True, ema_momentum=0.5)
    for _ in range(2):
        optimizer.apply([torch.ones(2, 1), torch.ones(1)], layer.trainable_variables)
    optimizer.finalize_variable_values([layer.kernel])
    close(layer.kernel, [[0.25], [0.25]], because="the average")
    close(layer.bias, [0.0], because="not listed")


# Numbers and state.


def test_learning_rate_and_iterations_are_read_and_assigned_as_in_keras():
    optimizer = optimizers.Adam(0.5, gradient_accumulation_steps=2)
    optimizer.learning_rate.assign(0.25)
    assert (optimizer.learning_rate, optimizer.learning_rate.numpy(), optimizer.learning_rate.value) == (0.25,) * 3
    optimizer.learning_rate.assign(np.float32(0.1))
    assert optimizer.learning_rate == 0.1, "the decimal that was meant"
    optimizer.variables[1].assign(0.75)
    assert float(optimizer.learning_rate) == 0.75
    optimizer.iterations.assign(3)
    assert (optimizer.iterations, int(optimizer.variables[0]), optimizer.iterations.numpy()) == (3, 6, 3)
    assert pickle.loads(pickle.dumps([optimizer.learning_rate, optimizer.iterations])) == [0.75, 3]


@pytest.mark.parametrize("name", PLAIN)
def test_a_stateless_step_equals_a_real_one_and_changes_nothing(name):
    layer = dg.layers.Dense(3, name="dense")
    layer.build((None, 2))
    optimizer = getattr(optimizers, name)(0.1)
    optimizer.build(layer.trainable_variables)
    gradients = [torch.tensor([[1.0, -2.0, 3.0], [0.5, 0.25, -1.0]]), torch.ones(3)]
    optimizer.apply(gradients, layer.trainable_variables)
    weights, state = [v.numpy() for v in layer.trainable_variables], [v.numpy() for v in optimizer.variables]
    after, new_state = optimizer.stateless_apply(state, gradients, weights)
    for value, now in zip(weights, layer.trainable_variables):
        assert np.array_equal(value, now.numpy())
    assert int(optimizer.iterations) == 1
    optimizer.apply(gradients, layer.trainable_variables)
    for value, now in zip((*after, *new_state), (*layer.trainable_variables, *optimizer.variables)):
        close(value, now.numpy(), because=name, tolerance=1e-6)


def test_stateless_steps_need_building():
    with pytest.raises(BuildError, match=r"call build\(trainable_variables\)"):
        optimizers.SGD().stateless_apply([], [], [])


@pytest.mark.parametrize("name", ["Adam", "Adafactor", "Muon", "Nadam"])
def test_state_goes_to_keras_and_back_by_number(name):
    ours, theirs = net(dg), net(keras)
    ours.set_weights(theirs.get_weights())
    mine, other = getattr(optimizers, name)(0.01), getattr(keras.optimizers, name)(0.01)
    random = np.random.default_rng(0)
    gradients = [[random.normal(size=w.shape).astype("float32") for w in ours.get_weights()] for _ in range(6)]
    for step in gradients[:3]:
        mine.apply([torch.tensor(one) for one in step], ours.trainable_variables)
    theirs.set_weights(ours.get_weights())
    other.build(theirs.trainable_variables)
    written = {}
    mine.save_own_variables(written)
    other.load_own_variables(written)
    for step in gradients[3:]:
        mine.apply([torch.tensor(one) for one in step], ours.trainable_variables)
        other.apply([torch.tensor(one) for one in step], theirs.trainable_variables)
    for own, one in zip(ours.get_weights(), theirs.get_weights()):
        close(own, one, because="Keras goes on where we were", tolerance=1e-5)
    store = {}
    other.save_own_variables(store)
    mine.load_own_variables(store)
    for own, one in zip(mine.variables, other.variables):
        close(own, keras.ops.convert_to_numpy(one), because=own.path, tolerance=1e-6)
    with pytest.warns(UserWarning, match="is left as it is"):
        optimizers.Adam().load_own_variables(store)
    with pytest.raises(ConfigError, match="variables but received 1"):
        mine.set_weights([1])


@pytest.mark.filterwarnings("ignore:Skipping variable loading:UserWarning")  # Keras's, for what stands elsewhere
@pytest.mark.parametrize(
    "make", [lambda o: o.Adafactor(0.05), lambda o: o.LossScaleOptimizer(o.Adam(0.01))], ids=["plain", "scaling"]
)
def test_whole_files_go_to_keras_and_back_with_the_state(make, tmp_path):
    random = np.random.default_rng(0)
    x, y = random.normal(size=(64, 4)).astype("float32"), random.normal(size=(64, 2)).astype("float32")
    how = {"epochs": 2, "batch_size": 16, "shuffle": False, "verbose": 0}
    theirs = net(keras)
    theirs.compile(optimizer=make(keras.optimizers), loss="mse")
    theirs.fit(x, y, **how)
    theirs.save(tmp_path / "theirs.keras")
    ours = dg.models.load_model(tmp_path / "theirs.keras")
    close(ours.fit(x, y, **how).history["loss"], theirs.fit(x, y, **how).history["loss"], because="we go on")
    ours.save(tmp_path / "ours.keras")
    again = keras.models.load_model(tmp_path / "ours.keras")
    close(again.fit(x, y, **how).history["loss"], ours.fit(x, y, **how).history["loss"], because="Keras goes on")
