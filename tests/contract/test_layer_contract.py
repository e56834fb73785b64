"""What every layer promises, one test a promise, over the table of cases."""

from __future__ import annotations

import copy
import io
import json
import pickle
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from closeness import close
from contract.cases import CASES, WITHOUT_CASE, LayerCase, built, copy_weights, outputs_of, refill, with_batch
from torch import Tensor

import dougong as dg
from dougong.core.errors import ConfigError, ShapeError
from dougong.core.graph import leaves, map_leaves
from dougong.core.weights import keras_weights
from dougong.training.capture import capture

torch.set_num_threads(1)

ALL = {case.name: case for case in CASES}
CONFIGURED = [name for name, case in ALL.items() if not case.saved]
REFUSING = [name for name, case in ALL.items() if case.wrong is not None]


def each(names: Any = tuple(ALL)) -> Any:
    return pytest.mark.parametrize("case", [pytest.param(ALL[name], id=name) for name in names])


def same(got: list[Tensor], want: list[Tensor], because: str, tolerance: float = 1e-6) -> None:
    assert len(got) == len(want), because
    for index, (a, b) in enumerate(zip(got, want)):
        close(a, b, because=f"{because}, output {index}", tolerance=tolerance)


def test_every_public_layer_has_a_case() -> None:
    public = {getattr(dg.layers, name) for name in dg.layers.__all__}
    classes = {found for found in public if isinstance(found, type)}
    covered = {getattr(dg.layers, case.kind) for case in CASES}
    assert not {cls.__name__ for cls in classes - covered} ^ set(WITHOUT_CASE)
    assert len(ALL) == len(CASES), "two cases of one name"


@pytest.mark.parametrize("name", [name for name in dg.layers.__all__ if name.islower()])
def test_a_function_of_the_same_name_is_the_layer(name: str) -> None:
    pair = [torch.randn(2, 4), torch.randn(2, 4)]
    options = {"axes": 1} if name == "dot" else {}
    layer = getattr(dg.layers, name.capitalize())(**options)
    close(getattr(dg.layers, name)(pair, **options), layer(pair), because=name, tolerance=0)


# ── Config ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@each(CONFIGURED)
def test_config_makes_the_same_layer(case: LayerCase) -> None:
    layer = built(case)
    config = layer.get_config()
    again = type(layer).from_config(json.loads(json.dumps(config)))
    assert again.get_config() == config
    again(*case.inputs(), **case.call)
    copy_weights(layer, again)
    args = case.inputs(seed=4)
    same(outputs_of(again, args, **case.call), outputs_of(layer, args, **case.call), "rebuilt from its config")


@each([name for name in ALL if ALL[name].saved])
def test_what_cannot_be_saved_says_so(case: LayerCase) -> None:
    if case.kind == "TorchModuleWrapper":
        with pytest.raises(ConfigError, match="files hold no code"):
            built(case).get_config()
    else:
        assert dg.Model(x := dg.Input((5,)), x).get_config()


@each()
def test_an_unknown_argument_is_refused_with_the_near_one(case: LayerCase) -> None:
    with pytest.raises((ConfigError, TypeError), match=f"{case.kind}.*'nmae'.*did you mean 'name'"):
        case.make(nmae="x")


@each()
def test_name_and_dtype_are_taken(case: LayerCase) -> None:
    layer = case.make(name="mine")
    assert layer.name == "mine"
    assert not layer.training and not layer.built


# ── Shapes and dtypes ───────────────────────────────────────────────────────────────────────────────────────────────


def shapes_of(args: Any) -> Any:
    return map_leaves(lambda leaf: tuple(leaf.shape), args)


def joined(first: Any, second: Any) -> list[tuple[int | None, ...]]:
    """The shapes of two runs, None where they differ."""
    pairs = zip(first, second, strict=True)
    return [tuple(m if m == n else None for m, n in zip(a.shape, b.shape, strict=True)) for a, b in pairs]


def flat_shapes(shape: Any) -> list[tuple[int | None, ...]]:
    """The shapes in what `compute_output_shape` gives: one shape, or a list of them."""
    if shape and isinstance(shape[0], list | tuple):
        return [one for part in shape for one in flat_shapes(part)]
    return [tuple(shape)]


@each()
@pytest.mark.parametrize("free", [False, True], ids=["batch", "free axes"])
def test_shapes_are_those_of_the_call(case: LayerCase, free: bool) -> None:
    if free and not case.free:
        return
    layer = built(case)
    grow = 4 if free else 0
    runs = [outputs_of(layer, case.inputs(n, grow=g), **case.call) for n, g in ((2, 0), (3, grow))]
    want = joined(*runs)
    recorded = list(leaves(layer(*case.symbols(free=free), **case.call)))
    assert [symbol.shape for symbol in recorded if symbol is not None] == want, "the symbol's shape"
    assert [symbol.dtype for symbol in recorded] == [one.dtype for one in runs[0]], "the symbol's dtype"
    if not case.call:
        stated = layer.compute_output_shape(*shapes_of(case.symbols(free=free)))
        assert flat_shapes(stated) == want, "compute_output_shape"


@each()
def test_a_new_layer_records_and_builds_on_symbols(case: LayerCase) -> None:
    layer = case.make()
    recorded = [leaf for leaf in leaves(layer(*case.symbols(), **case.call)) if leaf is not None]
    assert layer.built
    outputs = outputs_of(layer, case.inputs(2), **case.call)
    assert [symbol.shape[1:] for symbol in recorded] == [tuple(one.shape[1:]) for one in outputs]


@each()
def test_float32_stays_and_float64_is_float64(case: LayerCase) -> None:
    for kind in (torch.float32, torch.float64):
        layer = built(case, **({} if case.kind == "InputLayer" else {"dtype": str(kind).removeprefix("torch.")}))
        if case.kind == "TorchModuleWrapper":
            layer.to(kind)
        for one in outputs_of(layer, case.inputs(dtype=kind), **case.call):
            assert one.dtype is kind
        for symbol in leaves(layer(*case.symbols(dtype=str(kind).removeprefix("torch.")), **case.call)):
            assert symbol.dtype is kind, "the symbol's dtype"


@each(REFUSING)
def test_a_wrong_shape_is_refused_by_name(case: LayerCase) -> None:
    wrong = case.wrong if isinstance(case.wrong, list) else [case.wrong]
    args = map_leaves_of_shapes(wrong, torch.zeros)
    layer = case.make(name="mine")
    layer(*case.inputs(), **case.call)
    with pytest.raises(ShapeError) as caught:
        layer(*args, **case.call)
    message = str(caught.value)
    received = str(wrong[-1][-1] if isinstance(wrong[-1], list) else wrong[-1])
    assert "'mine'" in message and case.expected in message and received in message, message
    with pytest.raises(ShapeError, match="'mine'"):
        layer(*map_leaves_of_shapes(wrong, lambda shape: dg.Input(shape[1:])), **case.call)


def map_leaves_of_shapes(shapes: Any, make: Any) -> tuple[Any, ...]:
    return with_batch(tuple(shapes), make)


@each()
@pytest.mark.parametrize("batch", [0, 1])
def test_empty_batch_and_batch_of_one(case: LayerCase, batch: int) -> None:
    layer = built(case)
    three = outputs_of(layer, case.inputs(3), **case.call)
    few = outputs_of(layer, case.inputs(batch), **case.call)
    assert [tuple(one.shape) for one in few] == [(batch, *one.shape[1:]) for one in three]


# ── Numbers ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@each([name for name, case in ALL.items() if case.smooth])
def test_gradients_equal_finite_differences(case: LayerCase) -> None:
    layer = built(case, **({} if case.kind == "InputLayer" else {"dtype": "float64"}))
    layer.to(torch.float64)
    args = case.inputs(2, torch.float64, seed=5)
    flat = [leaf for leaf in leaves(args)]
    places = [leaf.requires_grad_() for leaf in flat if leaf.is_floating_point()]
    parameters = dict(layer.named_parameters())

    def run(*values: Tensor) -> tuple[Tensor, ...]:
        given, weights = iter(values), values[len(places) :]
        inputs = map_leaves(lambda leaf: next(given) if leaf.is_floating_point() else leaf, args)
        found = torch.func.functional_call(layer, dict(zip(parameters, weights)), inputs, dict(case.call))
        return tuple(leaf for leaf in leaves(found) if leaf is not None)

    assert torch.autograd.gradcheck(run, (*places, *parameters.values()), fast_mode=True)


@each()
def test_a_row_of_the_output_depends_on_its_row_of_the_input(case: LayerCase) -> None:
    layer = built(case)
    one, other = case.inputs(3), case.inputs(3, seed=9)
    mixed = tuple(map_two(one, other))
    for a, b in zip(outputs_of(layer, mixed, **case.call), outputs_of(layer, one, **case.call)):
        close(a[0], b[0], because="row 0 while the others change", tolerance=1e-6)


def map_two(one: Any, other: Any) -> Iterator[Any]:
    """The first row of ``one`` with the other rows of ``other``, through nested lists."""
    for a, b in zip(one, other):
        yield list(map_two(a, b)) if isinstance(a, list) else torch.cat([a[:1], b[1:]])


@each()
def test_training_says_itself(case: LayerCase) -> None:
    layer, args = built(case), case.inputs(4)
    calm = outputs_of(layer, args, **case.call)
    same(outputs_of(layer, args, training=False, **case.call), calm, "training=False is what a new layer does")
    moved = outputs_of(layer, args, training=True, **case.call)
    assert not any(module.training for module in layer.modules()), "the flag is put back"
    if case.random or case.trains:
        assert any((a != b).any() for a, b in zip(moved, calm)), "training=True changes nothing"
    else:
        same(moved, calm, "training=True")
    layer.train()
    if case.random:
        assert any((a != b).any() for a, b in zip(outputs_of(layer, args, **case.call), calm)), "layer.train()"


# ── Weights ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@each()
def test_weights_go_out_and_in(case: LayerCase) -> None:
    layer, other = built(case), built(case)
    refill(other, seed=8)
    given = layer.get_weights()
    other.set_weights(given)
    for a, b in zip(other.get_weights(), given, strict=True):
        close(a, b, because="set_weights(get_weights())", tolerance=0)
    args = case.inputs(seed=2)
    same(outputs_of(other, args, **case.call), outputs_of(layer, args, **case.call), "with the weights of the other", 0)
    if given:
        with pytest.raises(ShapeError, match=f"has {len(given)} weights but received {len(given) + 1}"):
            layer.set_weights([*given, given[0]])


@each()
def test_state_dict_goes_out_and_in(case: LayerCase) -> None:
    layer, other = built(case), built(case)
    refill(other, seed=8)
    file = io.BytesIO()
    torch.save(layer.state_dict(), file)
    file.seek(0)
    other.load_state_dict(torch.load(file, weights_only=True))
    args = case.inputs(seed=2)
    same(outputs_of(other, args, **case.call), outputs_of(layer, args, **case.call), "state_dict of the other", 0)


@each()
def test_frozen_layers_have_no_trainable_weights(case: LayerCase) -> None:
    frozen = built(case) if case.kind == "InputLayer" else built(case, trainable=False)
    assert not frozen.trainable_weights
    free = built(case)
    assert len(frozen.weights) == len(free.weights)
    free.trainable = False
    assert not free.trainable_weights
    free.trainable = True
    assert all(weight.tensor.requires_grad for weight in keras_weights(free) if weight.trainable)


# ── Copies, torch, files ────────────────────────────────────────────────────────────────────────────────────────────


@each()
@pytest.mark.parametrize("how", ["deepcopy", "pickle"])
def test_copies_are_equal_and_independent(case: LayerCase, how: str) -> None:
    layer, args = built(case), case.inputs(seed=3)
    layer(*args, training=True, **case.call)
    want = [one.detach().clone() for one in outputs_of(layer, args, **case.call)]
    twin = copy.deepcopy(layer) if how == "deepcopy" else pickle.loads(pickle.dumps(layer))
    same(outputs_of(twin, args, **case.call), want, how, 0)
    refill(twin, seed=8)
    same(outputs_of(layer, args, **case.call), want, "the original after its copy was changed", 0)
    if not case.saved:
        assert twin.get_config() == layer.get_config()


@each([name for name, case in ALL.items() if len(case.on) == 1 and not isinstance(case.on[0], list)])
def test_it_is_a_torch_module(case: LayerCase) -> None:
    layer, args = built(case), case.inputs(seed=3)
    chain = torch.nn.Sequential(torch.nn.Identity(), layer)
    same([leaf for leaf in leaves(chain(*args))], outputs_of(layer, args), "within torch.nn.Sequential", 0)
    assert len(list(chain.parameters())) == len(layer.trainable_weights)


def differentiable(case: LayerCase, layer: Any, args: Any) -> Any:
    """The loss and what it is differentiated by; the structure of the arguments is filled from flat tensors."""
    flat, parameters = list(leaves(args)), [p for p in layer.parameters() if p.requires_grad]

    def loss(*values: Tensor) -> Any:
        given = iter(values)
        found = outputs_of(layer, map_leaves(lambda _: next(given), args), **case.call)
        return sum((one * one).sum() for one in found), *(one + 0 for one in found)

    return loss, flat, parameters


@each([name for name, case in ALL.items() if case.smooth])
@pytest.mark.parametrize("training", [False, True], ids=["inference", "training"])
def test_captured_is_eager(case: LayerCase, training: bool) -> None:
    if training and not (case.random or case.trains):
        return
    layer, args = built(case).train(training), case.inputs(seed=3)
    twin = copy.deepcopy(layer)
    loss, flat, parameters = differentiable(case, layer, args)
    gradients = [torch.zeros_like(parameter) for parameter in parameters]
    captured = capture(loss, flat, gradients_of=parameters or None, gradients=gradients or None)
    eager, _, others = differentiable(case, twin, args)
    for _ in range(2):
        torch.manual_seed(11)
        got = [one.clone() for one in captured(*flat)]
        torch.manual_seed(11)
        want = eager(*flat)
        same(got, list(want), "captured", 1e-5)
        for place, gradient in zip(gradients, torch.autograd.grad(want[0], others) if others else ()):
            close(place, gradient, because="captured gradient", tolerance=1e-5)
        same(list(layer.buffers()), list(twin.buffers()), "states after the call", 1e-5)


@each(CONFIGURED)
def test_a_model_file_holds_it(case: LayerCase, tmp_path: Path) -> None:
    layer = case.make()
    inputs = case.symbols()
    outputs = [leaf for leaf in leaves(layer(*inputs, **case.call)) if leaf is not None]
    refill(layer)
    model = dg.Model(list(leaves(inputs)), outputs)
    model.save(tmp_path / "one.keras")
    again = dg.models.load_model(tmp_path / "one.keras")
    flat = list(leaves(case.inputs(seed=6)))
    same(list(leaves(again(flat))), list(leaves(model(flat))), "from the file", 0)


# ── The way to the kernel ───────────────────────────────────────────────────────────────────────────────────────────


def deepest_frame(layer: Any, args: tuple[Any, ...], call: Any) -> int:
    depth = deepest = 0

    def profile(frame: object, event: str, argument: object) -> None:
        nonlocal depth, deepest
        if event == "call":
            depth += 1
            deepest = max(deepest, depth)
        elif event == "return":
            depth -= 1

    sys.setprofile(profile)
    try:
        layer(*args, **call)
    finally:
        sys.setprofile(None)
    return deepest


@each()
def test_few_frames_to_the_kernel(case: LayerCase) -> None:
    layer, args = built(case), case.inputs()
    found = deepest_frame(layer, args, case.call)
    assert found <= case.frames, f"{found} Python frames between the user's call and the kernel"
    assert case.frames <= 5 or case.frames_because, "an exception needs its reason"
