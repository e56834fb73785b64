"""Optimizers: flat memory, copies, learning rate, saved state, guards and refusals."""

import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from closeness import close
from dougong import optimizers
from dougong.core.errors import BuildError, ConfigError, DougongError, ShapeError, UnknownNameError
from dougong.optimizers import schedules
from dougong.optimizers.parameters import FlatParameters
from optimizer_cases import PATHS, ours, parameters_of, train, values_and_gradients

# Flat memory.


def test_channels_last_and_transposed_strides_are_kept():
    conv = nn.Conv2d(3, 8, 3).to(memory_format=torch.channels_last)
    transposed = nn.Parameter(torch.arange(6.0).reshape(2, 3).T)
    expanded = nn.Parameter(torch.tensor([1.0, 2.0])[:, None].expand(2, 3))
    before = [parameter.detach().clone() for parameter in (conv.weight, conv.bias, transposed, expanded)]
    optimizer = ours("Adam")
    optimizer.build([conv.weight, conv.bias, transposed, expanded])
    assert conv.weight.is_contiguous(memory_format=torch.channels_last)
    assert transposed.stride() == (1, 3)
    assert [g.stride() for g in optimizer.gradients[:3]] == [conv.weight.stride(), (1,), (1, 3)]
    for parameter, value in zip(optimizer.parameters, before):
        assert torch.equal(parameter, value)
        assert parameter.data_ptr() % 64 == 0
    state = optimizer.state()
    assert [state[f"parameter_{i}_momentum"].shape for i in range(4)] == [(8, 3, 3, 3), (8,), (3, 2), (2, 3)]


@settings(max_examples=30, deadline=None)
@given(
    shapes=st.lists(st.lists(st.integers(0, 4), max_size=4), min_size=1, max_size=5),
    dtypes=st.lists(st.sampled_from([torch.float32, torch.float64]), min_size=5, max_size=5),
    seed=st.integers(0, 100),
)
def test_flattening_changes_no_value_and_overlaps_nothing(shapes, dtypes, seed):
    random = np.random.default_rng(seed)
    values = [torch.tensor(random.normal(size=shape), dtype=dtype) for shape, dtype in zip(shapes, dtypes)]
    values = [value.permute(random.permutation(value.dim()).tolist()) for value in values]
    parameters = [nn.Parameter(value.clone()) for value in values]
    flat = FlatParameters(parameters, {"memory": 0.5})
    assert flat.in_place()
    for i, parameter in enumerate(parameters):
        assert torch.equal(parameter, values[i])
        flat.gradients[i].fill_(i + 1)
        flat.slot("memory", i).fill_(-1 - i)
    for i, gradient in enumerate(flat.gradients):
        assert torch.equal(gradient, torch.full_like(gradient, i + 1))
        assert torch.equal(flat.slot("memory", i), torch.full_like(gradient, -1 - i))


def test_a_copied_module_is_independent():
    model = nn.Linear(3, 2)
    optimizer = ours("SGD", momentum=0.5)
    optimizer.build(model.parameters())
    twin = copy.deepcopy(model)
    before = twin.weight.detach().clone()
    optimizer.apply([torch.ones(2, 3), torch.ones(2)])
    assert torch.equal(twin.weight, before)
    assert not torch.equal(model.weight, before)
    assert set(model.state_dict()) == {"weight", "bias"}
    twin.load_state_dict(model.state_dict())
    assert torch.equal(twin.weight, model.weight)


@pytest.mark.parametrize(
    "clone", [copy.deepcopy, lambda thing: pickle.loads(pickle.dumps(thing))], ids=["copy", "pickle"]
)
def test_a_model_copied_with_its_optimizer_goes_on_by_itself(clone):
    values, gradients = values_and_gradients()
    module = nn.Module()
    module.weights = nn.ParameterList(parameters_of(values))
    module.optimizer = ours("Adam", use_ema=True)
    module.optimizer.build(module.weights)
    train(module.optimizer, gradients[:5])
    twin = clone(module)
    train(module.optimizer, gradients[5:])
    frozen = [parameter.detach().clone() for parameter in module.weights]
    train(twin.optimizer, gradients[5:])
    for parameter, again, value in zip(module.weights, twin.weights, frozen):
        assert torch.equal(parameter, again)
        assert torch.equal(parameter, value)
        assert parameter.data_ptr() != again.data_ptr()


def test_moved_parameters_are_noticed_and_keep_their_slots():
    values, gradients = values_and_gradients()
    straight, moved = ours("Adam"), ours("Adam")
    parameters, others = parameters_of(values), parameters_of(values)
    straight.build(parameters)
    assert moved.ensure_built(others)
    assert not moved.ensure_built(others)
    train(straight, gradients)
    train(moved, gradients[:5])
    for parameter in others:
        parameter.data = parameter.data.clone()
    with pytest.raises(BuildError, match="moved or replaced; call ensure_built"):
        moved.step()
    assert moved.ensure_built(others)
    train(moved, gradients[5:])
    for parameter, other in zip(parameters, others):
        assert torch.equal(parameter, other)


def test_replaced_parameters_take_over_slots_by_position():
    values, gradients = values_and_gradients()
    straight, replaced = ours("Nadam"), ours("Nadam")
    parameters, others = parameters_of(values), parameters_of(values)
    straight.build(parameters)
    replaced.build(others)
    train(straight, gradients)
    train(replaced, gradients[:5])
    others = [nn.Parameter(parameter.detach().clone()) for parameter in others]
    assert replaced.ensure_built(others)
    train(replaced, gradients[5:])
    for parameter, other in zip(parameters, others):
        assert torch.equal(parameter, other)


def test_slots_of_parameters_that_stay_survive_freezing_and_unfreezing():
    values, gradients = values_and_gradients()
    optimizer, parameters = ours("SGD", momentum=0.5), parameters_of(values)
    optimizer.build(parameters, names=PATHS)
    train(optimizer, gradients[:3])
    before = optimizer.state()
    assert optimizer.ensure_built(parameters[1:], names=PATHS[1:])
    after = optimizer.state()
    assert list(after) == [name for name in before if "dense_kernel" not in name]
    assert all(np.array_equal(after[name], before[name]) for name in after)
    assert optimizer.ensure_built(parameters, names=PATHS)
    again = optimizer.state()
    assert not again["net_dense_kernel_momentum"].any()
    assert np.array_equal(again["net_conv_kernel_momentum"], before["net_conv_kernel_momentum"])


def test_a_new_parameter_does_not_take_the_slots_of_one_that_only_changed_its_place():
    first, second, new = (nn.Parameter(torch.zeros(2)) for _ in range(3))
    optimizer = ours("SGD", momentum=0.5)
    optimizer.apply([torch.ones(2), torch.ones(2)], [first, second])
    optimizer.ensure_built([second, new])
    momenta = [variable for variable in optimizer.variables if variable.name.endswith("_momentum")]
    close(momenta[0], [-0.125, -0.125], because="second keeps its own")
    close(momenta[1], [0.0, 0.0], because="new begins afresh")


def test_eager_training_survives_a_moved_model_and_a_foreign_zero_grad():
    model = nn.Linear(3, 2)
    optimizer = ours("SGD")
    optimizer.build(model.parameters())
    model.double()
    optimizer.zero_gradients()
    model(torch.ones(1, 3, dtype=torch.float64)).sum().backward()
    before = model.bias.detach().clone()
    optimizer.step()
    close(model.bias, before - 0.125, because="built again in float64")

    model.zero_grad(set_to_none=True)
    model(torch.ones(1, 3, dtype=torch.float64)).sum().backward()
    optimizer.read_gradients()
    optimizer.step()
    close(model.bias, before - 0.25, because="read_gradients copies what autograd made")


def test_several_dtypes_clip_by_one_norm():
    parameters = [nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(3, dtype=torch.float64))]
    optimizer = ours("SGD", learning_rate=1.0, global_clipnorm=1.0)
    optimizer.apply([torch.full((2,), 2.0), torch.full((3,), 2.0, dtype=torch.float64)], parameters)
    for parameter in parameters:
        close(parameter, torch.full(parameter.shape, -(0.2**0.5)), because="norm of five twos is 2 sqrt 5")


def test_it_works_inside_inference_mode():
    values, gradients = values_and_gradients()
    straight, inference = ours("Nadam", clipnorm=1.0), ours("Nadam", clipnorm=1.0)
    parameters, others = parameters_of(values), parameters_of(values)
    straight.build(parameters)
    inference.build(others)
    train(straight, gradients)
    with torch.inference_mode():
        train(inference, gradients[:5])
    train(inference, gradients[5:])
    for parameter, other in zip(parameters, others):
        assert torch.equal(parameter, other)


# Learning rate, state, guards.


def test_learning_rate_is_read_as_a_float_and_assigned():
    optimizer = ours("SGD")
    optimizer.learning_rate = 0.5
    assert optimizer.get_config()["learning_rate"] == 0.5
    optimizer.learning_rate = schedules.ExponentialDecay(0.5, 1, 0.5)
    optimizer.apply([torch.tensor([1.0])], [nn.Parameter(torch.tensor([0.0]))])
    assert optimizer.learning_rate == 0.25
    assert "learning_rate" not in optimizer.state()
    assert optimizer.get_config()["learning_rate"]["class_name"] == "ExponentialDecay"
    with pytest.raises(ConfigError, match="set by its ExponentialDecay"):
        optimizer.learning_rate = 0.1
    assert ours("SGD", learning_rate=lambda: 0.75).learning_rate == 0.75


def test_iterations_count_updates():
    optimizer, parameter = ours("SGD", gradient_accumulation_steps=2), nn.Parameter(torch.zeros(1))
    seen = []
    for _ in range(5):
        optimizer.apply_gradients([(torch.ones(1), parameter)])
        seen.append((optimizer.iterations, parameter.item()))
    assert seen == [(0, 0.0), (1, -0.125), (1, -0.125), (2, -0.25), (2, -0.25)]


def test_a_float32_learning_rate_of_a_file_is_the_decimal_it_was():
    optimizer = ours("SGD")
    optimizer.build([nn.Parameter(torch.zeros(1))])
    optimizer.load_state({"iteration": np.int32(7), "learning_rate": np.float32(0.001)})
    assert (optimizer.iterations, optimizer.learning_rate) == (7, 0.001)


def test_a_state_that_does_not_fit_changes_nothing():
    optimizer = ours("SGD", momentum=0.5)
    with pytest.raises(BuildError, match=r"call build\(module.parameters\(\)\) first"):
        optimizer.state()
    optimizer.build([nn.Parameter(torch.zeros(2))], names=["dense/bias"])
    state = optimizer.state()
    with pytest.raises(ConfigError, match="is 'dense_bias_momentum' stored as 'dense_1_bias_momentum'"):
        optimizer.load_state(
            {"iteration": np.array(3), "learning_rate": np.array(0.5), "dense_1_bias_momentum": np.zeros(2)}
        )
    with pytest.raises(ShapeError, match=r"has shape \(2,\) but received \(3,\)"):
        optimizer.load_state({**state, "iteration": np.array(3), "dense_bias_momentum": np.zeros(3)})
    assert optimizer.iterations == 0


def test_equal_paths_get_names_of_their_own():
    optimizer = ours("SGD", momentum=0.5)
    optimizer.build([nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(2))], names=["kernel", "kernel"])
    assert list(optimizer.state()) == ["iteration", "learning_rate", "kernel_momentum", "kernel_1_momentum"]


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_gradients_that_are_not_finite_are_found_and_named(bad):
    values, gradients = values_and_gradients()
    optimizer = ours("SGD", global_clipnorm=1.0)
    optimizer.build(parameters_of(values), names=PATHS)
    train(optimizer, gradients[:1])
    assert optimizer.gradients_finite()
    assert optimizer.nonfinite_gradient() is None
    optimizer.gradients[2][1, 0, 0] = bad
    assert not optimizer.gradients_finite()
    assert optimizer.nonfinite_gradient() == "net/conv/kernel"
    optimizer.step()
    train(optimizer, gradients[1:2])
    assert optimizer.gradients_finite(), "a step with a bad gradient leaves nothing behind in the padding"


def test_huge_finite_gradients_are_finite():
    optimizer = ours("SGD")
    optimizer.build([nn.Parameter(torch.zeros(8))])
    optimizer.gradients[0].fill_(3e38)
    assert optimizer.gradients_finite()


def test_averages_do_nothing_before_the_first_step_and_without_ema():
    for options in ({}, {"use_ema": True}):
        optimizer, parameter = ours("SGD", **options), nn.Parameter(torch.ones(2))
        optimizer.build([parameter])
        with optimizer.averaged():
            assert torch.equal(parameter, torch.ones(2))
        optimizer.finalize_variable_values()
        assert torch.equal(parameter, torch.ones(2))


def test_averaged_comes_back_after_an_error():
    optimizer, parameter = ours("SGD", use_ema=True, ema_momentum=0.5), nn.Parameter(torch.zeros(1))
    for _ in range(2):
        optimizer.apply([torch.ones(1)], [parameter])
    with pytest.raises(KeyError), optimizer.averaged():
        assert parameter.item() == -0.1875
        raise KeyError
    assert parameter.item() == -0.25


def test_no_parameters_and_no_gradients_are_no_work():
    optimizer = ours("Adam", global_clipnorm=1.0)
    optimizer.build([])
    optimizer.zero_gradients()
    optimizer.step()
    optimizer.apply([])
    assert optimizer.iterations == 1
    assert optimizer.gradients_finite()


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (lambda: optimizers.SGD(lr=0.1), r"SGD takes no 'lr': write learning_rate=0.1"),
        (lambda: optimizers.Adam(0.1, decay=0.5), r"'decay': write learning_rate=schedules.InverseTimeDecay"),
        (lambda: optimizers.SGD("fast"), "learning_rate must be a finite number"),
        (lambda: optimizers.SGD(float("nan")), "learning_rate must be a finite number"),
        (lambda: optimizers.SGD(momentum=1.5), r"momentum must lie in \[0, 1\], got 1.5"),
        (lambda: optimizers.Adam(beta_2=1.0), r"beta_2 must lie in \[0, 1\), got 1.0"),
        (lambda: optimizers.AdamW(weight_decay=None), "AdamW needs a weight_decay"),
        (lambda: optimizers.Lion(beta_1=0), "beta_1 of Lion"),
        (lambda: optimizers.Adagrad(initial_accumulator_value=-1), "initial_accumulator_value must not be negative"),
        (lambda: optimizers.Ftrl(learning_rate_power=1), "learning_rate_power must be negative or zero"),
        (lambda: optimizers.Ftrl(l1_regularization_strength=-1), "l1_regularization_strength must not be negative"),
        (lambda: optimizers.SGD(clipnorm=1.0, clipvalue=1.0), "only one of clipnorm, clipvalue, global_clipnorm"),
        (lambda: optimizers.SGD(clipvalue=-1.0), "clipvalue must not be negative"),
        (lambda: optimizers.SGD(use_ema=True, ema_momentum=2), r"ema_momentum must lie in \[0, 1\]"),
        (lambda: optimizers.SGD(use_ema=True, ema_overwrite_frequency=0.5), "ema_overwrite_frequency must be"),
        (lambda: optimizers.SGD(gradient_accumulation_steps=1), "gradient_accumulation_steps must be"),
        (lambda: optimizers.SGD(loss_scale_factor=0.0), "loss_scale_factor must be a positive number"),
        (lambda: optimizers.get("rmsprob"), "did you mean 'RMSprop'"),
        (lambda: optimizers.get(3), "3 is no optimizer"),
        (lambda: optimizers.deserialize({"class_name": "Adan", "config": {}}), "did you mean 'Adam'"),
        (lambda: optimizers.SGD().build([torch.zeros(1, dtype=torch.int64)]), "only real floating dtypes"),
        (
            lambda: optimizers.SGD().build([nn.Parameter(torch.zeros(1))], names=[]),
            "needs a name, a layout and a constraint",
        ),
        (lambda: optimizers.SGD().apply([torch.ones(1)]), "has no parameters yet"),
        (lambda: optimizers.SGD().apply([None], [nn.Parameter(torch.ones(1))]), "no gradient for any"),
        (lambda: optimizers.SGD().apply([torch.ones(1)], parameters_of([1.0, 2.0])), "1 gradients for 2 parameters"),
    ],
)
def test_refusals_say_what_to_do(action, message):
    with pytest.raises(DougongError, match=message):
        action()


def test_unknown_twice_listed_and_tied_parameters_are_refused():
    first, second = nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(2))
    optimizer = ours("SGD")
    with pytest.raises(ConfigError, match="listed twice"):
        optimizer.build([first, first])
    with pytest.raises(ConfigError, match="share their memory"):
        optimizer.build([first, nn.Parameter(first.data)])
    optimizer.build([first])
    with pytest.raises(ConfigError, match="not built on the parameter at position 1"):
        optimizer.apply([torch.zeros(2)] * 2, [first, second])


def test_names_are_taken_in_any_case_and_objects_as_they_are():
    for name in ("adam", "Adam", "ADAM", "rmsprop", "RMSprop", "adamw"):
        assert type(optimizers.get(name)).__name__.lower() == name.lower()
    optimizer = ours("SGD")
    assert optimizers.get(optimizer) is optimizer
    assert optimizers.get(None) is None
    with pytest.raises(UnknownNameError):
        optimizers.get("")


def test_training_does_not_load_the_compiler():
    code = (
        "import sys, torch, dougong.optimizers as o; p = torch.nn.Parameter(torch.zeros(3));"
        "a = o.Adam(); a.apply([torch.ones(3)], [p]); assert 'torch._dynamo' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_backward_through_a_graph_from_before_the_step_is_refused():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
    optimizer = ours("SGD")
    optimizer.build(model.parameters())
    optimizer.zero_gradients()
    loss = model(torch.ones(1, 2)).sum()
    loss.backward(retain_graph=True)
    optimizer.step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_a_parameter_that_joins_late_is_averaged_from_its_present_value():
    optimizer, first, late = ours("SGD", use_ema=True), nn.Parameter(torch.zeros(1)), nn.Parameter(torch.ones(1))
    optimizer.apply([torch.ones(1)], [first])
    optimizer.ensure_built([first, late])
    optimizer.apply([torch.zeros(1), torch.zeros(1)])
    with optimizer.averaged():
        assert late.item() == 1.0
