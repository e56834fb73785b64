"""What every layer promises, one test a promise, over the table of cases."""

from __future__ import annotations

import copy
import io
import json
import pickle
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import dougong as dg
from closeness import close
from contract.cases import (
    ALL,
    CASES,
    WITHOUT_CASE,
    LayerCase,
    built,
    copy_weights,
    each,
    outputs_of,
    refill,
    same,
    with_batch,
)
from dougong.core.errors import ConfigError, ShapeError
from dougong.core.nested import leaves, map_leaves
from dougong.core.weights import keras_weights
from dougong.training.capture import capture

torch.set_num_threads(1)

CONFIGURED = [name for name, case in ALL.items() if not case.saved]
REFUSING = [name for name, case in ALL.items() if case.wrong is not None]


def test_every_public_layer_has_a_case() -> None:
    public = {getattr(dg.layers, name) for name in dg.layers.__all__}
    classes = {found for found in public if isinstance(found, type)}
    covered = {getattr(dg.layers, case.kind) for case in CASES}
    assert not {cls.__name__ for cls in classes - covered} ^ set(WITHOUT_CASE)
    assert len(ALL) == len(CASES), "two cases of one name"


@pytest.mark.parametrize("name", [name for name in dg.layers.__all__ if name.islower() and "serialize" not in name])
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
    own = case.config if isinstance(case.config, Mapping) else {}
    for word in sorted({"name", *own} - {"n"}):
        message = f"^{getattr(dg.layers, case.kind).__name__} takes no argument '{word}s'; did you mean '{word}'"
        with pytest.raises(ConfigError, match=message):
            case.make(**{f"{word}s": "x"})


@each()
def test_a_new_layer_is_named_unbuilt_and_in_inference(case: LayerCase) -> None:
    layer = case.make(name="mine")
    assert layer.name == "mine" and not layer.built
    assert not any(module.training for module in layer.modules())


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


@pytest.mark.parametrize(
    ("case", "free"),
    [
        pytest.param(case, free, id=f"{case.name}-{'free axes' if free else 'batch'}")
        for case in CASES
        for free in (False, True)
        if case.free or not free
    ],
)
def test_shapes_are_those_of_the_call(case: LayerCase, free: bool) -> None:
    layer = built(case)
    grow = 4 if free else 0
    runs = [outputs_of(layer, case.inputs(n, grow=g), **case.call) for n, g in ((2, 0), (3, grow))]
    want = joined(*runs)
    recorded = list(leaves(layer(*case.symbols(free=free), **case.call)))
    assert [symbol.shape for symbol in recorded if symbol is not None] == want, "the symbol's shape"
    assert [symbol.dtype for symbol in recorded] == [one.dtype for one in runs[0]], "the symbol's dtype"
    if not case.call:
        shapes = shapes_of(case.symbols(free=free))
        states = case.kind.endswith(("Cell", "Cells"))  # known to a cell without being told
        stated = layer.compute_output_shape(*shapes[:1] if states else shapes)
        assert flat_shapes(stated) == want, "compute_output_shape"


@each()
def test_a_new_layer_records_and_builds_on_symbols(case: LayerCase) -> None:
    layer = case.make()
    recorded = [leaf for leaf in leaves(layer(*case.symbols(), **case.call)) if leaf is not None]
    assert layer.built
    outputs = outputs_of(layer, case.inputs(2), **case.call)
    assert [symbol.shape[1:] for symbol in recorded] == [tuple(one.shape[1:]) for one in outputs]


@pytest.fixture
def float64() -> Iterator[None]:
    """Layers made within have float64 weights, those within other layers too."""
    before = dg.config.dtype_policy()
    dg.config.set_dtype_policy("float64")
    yield
    dg.config.set_dtype_policy(before)


def doubled_layer(case: LayerCase) -> Any:
    """The case's layer made under the float64 policy; a torch module has no policy."""
    layer = case.make()
    if case.kind == "TorchModuleWrapper":
        layer.to(torch.float64)
    layer(*case.inputs(dtype=torch.float64), **case.call)
    refill(layer)
    return layer


@each()
def test_float32_stays_float32(case: LayerCase) -> None:
    outputs = outputs_of(built(case), case.inputs(), **case.call)
    assert {one.dtype for one in outputs} == {torch.float32}


@each()
def test_float64_layers_give_float64(case: LayerCase, float64: None) -> None:
    layer = doubled_layer(case)
    assert all(w.dtype is torch.float64 for w in layer.weights if w.is_floating_point())
    outputs = outputs_of(layer, case.inputs(dtype=torch.float64), **case.call)
    symbols = [leaf for leaf in leaves(layer(*case.symbols(dtype="float64"), **case.call)) if leaf is not None]
    assert {one.dtype for one in (*outputs, *symbols)} == {torch.float64}
    assert case.kind in ("InputLayer", "TorchModuleWrapper") or layer.get_config()["dtype"] == "float64"


MOVERS = ("Concatenate", "Cropping1D", "Flatten", "Identity", "Permute", "RepeatVector", "Reshape", "ZeroPadding1D")


@each(MOVERS)
def test_symbols_of_whole_numbers_stay_whole(case: LayerCase) -> None:
    whole = replace(case, classes=9)
    outputs = outputs_of(layer := case.make(), whole.inputs())
    assert {one.dtype for one in (*outputs, *leaves(layer(*whole.symbols())))} == {torch.int64}


@each(REFUSING)
def test_a_wrong_shape_is_refused_by_name(case: LayerCase) -> None:
    wrong = case.wrong if isinstance(case.wrong, list) else [case.wrong]
    args = map_leaves_of_shapes(wrong, torch.zeros)
    layer = case.make(name="mine")
    layer(*case.inputs(), **case.call)
    call = {**case.call, **({"training": True} if case.random else {})}  # in inference dropout touches nothing
    with pytest.raises(ShapeError) as caught:
        layer(*args, **call)
    message = str(caught.value)
    assert "'mine'" in message and case.expected in message, message
    assert any(str(shape) in message for shape in flat_shapes(wrong)), message
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
def test_gradients_equal_finite_differences(case: LayerCase, float64: None) -> None:
    layer = doubled_layer(case)
    args = case.inputs(2, torch.float64, seed=5)
    flat = list(leaves(args))
    places = [leaf.requires_grad_() for leaf in flat if leaf.is_floating_point()]

    def run(*values: Tensor) -> tuple[Tensor, ...]:
        given = iter(values)  # the weights that follow are the layer's own, changed in place
        inputs = map_leaves(lambda leaf: next(given) if leaf.is_floating_point() else leaf, args)
        return tuple(outputs_of(layer, inputs, **case.call))

    assert torch.autograd.gradcheck(run, (*places, *layer.parameters()), fast_mode=True)


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
    call = {key: value for key, value in case.call.items() if key != "training"}
    calm = outputs_of(layer, args, **case.call)
    same(outputs_of(layer, args, training=False, **call), calm, "training=False is what a new layer does")
    moved = outputs_of(layer, args, training=True, **call)
    assert not any(module.training for module in layer.modules()), "the flag is put back"
    if case.random or case.trains:
        assert any((a != b).any() for a, b in zip(moved, calm)), "training=True changes nothing"
    else:
        same(moved, calm, "training=True")
    layer.train()
    if case.random:
        assert any((a != b).any() for a, b in zip(outputs_of(layer, args, **call), calm)), "layer.train()"


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
    frozen = built(case, trainable=False)
    assert not frozen.trainable_weights and not frozen.trainable
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
    layer(*args, **{**case.call, "training": True})
    want = [one.detach().clone() for one in outputs_of(layer, args, **case.call)]
    twin = copy.deepcopy(layer) if how == "deepcopy" else pickle.loads(pickle.dumps(layer))
    same(outputs_of(twin, args, **case.call), want, how, 0)
    refill(twin, seed=8)
    same(outputs_of(layer, args, **case.call), want, "the original after its copy was changed", 0)
    if not case.saved:
        assert twin.get_config() == layer.get_config()


def differentiable(case: LayerCase, layer: Any, args: Any) -> Any:
    """The loss and what it is differentiated by; the structure of the arguments is filled from flat tensors."""
    flat, parameters = list(leaves(args)), [p for p in layer.parameters() if p.requires_grad]

    def loss(*values: Tensor) -> Any:
        given = iter(values)
        found = outputs_of(layer, map_leaves(lambda _: next(given), args), **case.call)
        return sum((one * one).sum() for one in found), *(one + 0 for one in found)

    return loss, flat, parameters


@pytest.mark.parametrize(
    ("case", "training"),
    [
        pytest.param(case, training, id=f"{case.name}-{'training' if training else 'inference'}")
        for case in CASES
        for training in (False, True)
        if case.smooth and (case.random or case.trains or not training)
    ],
)
def test_captured_is_eager(case: LayerCase, training: bool) -> None:
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
