"""`clone_model` beside the real Keras: structure, outputs for given weights, what is compiled, what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import torch

import dougong as dg
from closeness import close
from dougong import keras as dg_keras
from dougong.core.errors import ConfigError, UnknownNameError

X = np.random.default_rng(0).random((6, 4), dtype=np.float32)
TOKENS = np.array([[3, 1, 0, 0], [2, 0, 0, 0], [1, 2, 3, 4]])


def _stack(k: Any) -> Any:
    return k.Sequential([k.Input((4,)), k.layers.Dense(3, "relu", name="h"), k.layers.Dense(2, name="out")], name="net")


def _branched(k: Any) -> Any:
    """A shared layer, arithmetic on tensors, an inner model, two outputs in a dict."""
    x, z = k.Input((4,), name="x"), k.Input((4,), name="z")
    shared = k.layers.Dense(3, "tanh", name="shared")
    inner = k.Sequential([k.Input((3,)), k.layers.Dense(3, name="deep")], name="inner")
    both = shared(x) * 2.0 + shared(z)
    return k.Model([x, z], {"a": k.layers.Dense(2, name="a")(both), "b": inner(both)}, name="net")


def _masked(k: Any) -> Any:
    x = k.Input((4,), dtype="int32")
    h = k.layers.LSTM(3, name="rec")(k.layers.Embedding(5, 3, mask_zero=True, name="emb")(x))
    return k.Model(x, k.layers.Dense(1, name="out")(h), name="net")


MODELS: dict[str, tuple[Any, Any]] = {
    "stack": (_stack, X),
    "branched": (_branched, [X, X[::-1].copy()]),
    "masked": (_masked, TOKENS),
}


def _fixed(layer: Any) -> Any:
    """A copy of a layer whose config tells that it went through here."""
    return type(layer).from_config({**layer.get_config(), "name": f"{layer.name}_copy"})


def _scaled(layer: Any, *args: Any, **kwargs: Any) -> Any:
    made = layer(*args, **kwargs)
    return made * 0.5 if layer.name.startswith("shared") else made


def _names(model: Any) -> list[str]:
    return [layer.name for layer in model.layers if type(layer).__name__ != "InputLayer"]


def _place(weight: Any) -> tuple[str, ...]:
    """The layer's name and the weight's; Keras's path begins elsewhere where an inner model is made from its config."""
    return tuple(weight.path.split("/")[-2:])


OPTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "a stack": ("stack", {}),
    "a stack through a function": ("stack", {"clone_function": _fixed}),
    "a graph": ("branched", {}),
    "a graph through a function": ("branched", {"clone_function": _fixed}),
    "recursively": ("branched", {"clone_function": _fixed, "recursive": True}),
    "with calls of its own": ("branched", {"call_function": _scaled}),
    "masks": ("masked", {}),
}


@pytest.mark.parametrize("case", OPTIONS)
def test_clones_are_keras_clones(case: str) -> None:
    kind, options = OPTIONS[case]
    make, x = MODELS[kind]
    clones = []
    for k in (keras, dg_keras):
        given = dict(options)
        if k is keras and "clone_function" in given:  # Keras hands over the arithmetic of a graph, too
            given["clone_function"] = lambda layer: _fixed(layer) if isinstance(layer, keras.layers.Layer) else layer
        model = make(k)
        clone = k.models.clone_model(model, **given)
        assert clone.name == model.name
        for one, other in zip(clone.layers, model.layers):
            assert one is not other
        clones.append(clone)
    theirs, ours = clones
    assert sorted(_names(ours)) == sorted(n for n in _names(theirs) if not n.startswith(("multiply", "add")))
    values = {_place(weight): weight.numpy() for weight in theirs.weights}
    assert len(values) == len(theirs.weights)
    assert {_place(weight) for weight in ours.weights} == values.keys()
    for weight in ours.weights:
        weight.assign(values[_place(weight)])
    want, got = theirs.predict(x, verbose=0), ours.predict(x, verbose=0)
    for name in want if isinstance(want, dict) else [...]:
        close(got[name], want[name], because=f"{case}, output {name}")


def test_fresh_weights_are_keras_fresh_weights() -> None:
    weights = []
    for k in (keras, dg_keras):
        model = _stack(k)
        k.utils.set_random_seed(11)
        weights.append(k.models.clone_model(model).get_weights())
    for got, want in zip(weights[1], weights[0], strict=True):
        assert np.array_equal(got, want)


@pytest.mark.parametrize("kind", ["stack", "branched"])
def test_inputs_may_be_given(kind: str) -> None:
    shapes = []
    for k in (keras, dg_keras):
        inputs: Any = k.Input((4,), batch_size=6)
        given = inputs if kind == "stack" else [inputs, k.Input((4,), batch_size=6)]
        clone = k.models.clone_model(MODELS[kind][0](k), input_tensors=given)
        shapes.append([tuple(symbol.shape) for symbol in clone.outputs])
    assert shapes[1] == shapes[0]
    assert shapes[1][0][0] == 6


def test_a_clone_may_stand_upon_a_layer_of_another_model() -> None:
    x = dg.Input((4,))
    hidden = dg.layers.Dense(4)(x)
    clone = dg.models.clone_model(_stack(dg_keras), input_tensors=hidden)
    assert dg.Model(x, clone(hidden)).predict(X, verbose=0).shape == (6, 2)


@pytest.mark.parametrize("kind", ["stack", "branched"])
def test_a_clone_is_compiled_as_the_model_is(kind: str) -> None:
    make, _ = MODELS[kind]
    for k in (keras, dg_keras):
        model = make(k)
        loss = k.losses.Huber(delta=0.3)
        model.compile(k.optimizers.SGD(0.3, momentum=0.5), loss, metrics=["mae"])
        clone = k.models.clone_model(model)
        assert clone.optimizer is not model.optimizer
        assert float(np.asarray(clone.optimizer.learning_rate)) == pytest.approx(0.3)
        assert clone.loss is not loss
        assert clone.loss.name == loss.name
        assert clone.optimizer.get_config() == {**model.optimizer.get_config(), "name": clone.optimizer.name}
        assert getattr(k.models.clone_model(make(k)), "optimizer", None) is None


def test_functions_that_have_no_name_are_compiled_too() -> None:
    model = _stack(dg_keras)
    model.compile("adam", lambda y, p: (y - p).abs().mean(-1), metrics=[dg.metrics.MeanSquaredError()])
    model.fit(X, X[:, :2], verbose=0)
    clone = dg.models.clone_model(model)
    assert set(clone.fit(X, X[:, :2], verbose=0).history) == {"loss", "mean_squared_error"}
    assert model.metrics[1] is not clone.metrics[1]


def test_constants_of_a_graph_are_copied() -> None:
    x = dg.Input((4,))
    factor = torch.nn.Parameter(torch.full((4,), 2.0))
    model = dg.Model(x, torch.mul(x, factor))  # type: ignore[call-overload]
    clone = dg.models.clone_model(model)
    (own,) = clone.parameters()
    assert own is not factor
    close(own, factor, because="the value is the same")


class _Logged(dg.Model):
    """A class of the user's own that is made from inputs and outputs."""

    def train_step(self, data: Any) -> Any:
        return {**super().train_step(data), "seen": 1.0}


class _WithTracker(dg.Model):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.tracker = dg.metrics.Mean(name="tracked")


class _Stacked(dg.Sequential):
    pass


@pytest.mark.parametrize("cls", [_Logged, _WithTracker])
def test_the_users_class_is_kept(cls: type, tmp_path: Path) -> None:
    x = dg.Input((4,))
    model = cls(x, dg.layers.Dense(2)(x))
    model.compile("sgd", "mse")
    clone = dg.models.clone_model(model)
    assert type(clone) is cls
    assert clone.fit(X, X[:, :2], verbose=0).history.keys() == model.fit(X, X[:, :2], verbose=0).history.keys()
    assert type(cls.from_config(model.get_config())) is cls
    model.save(tmp_path / "own.keras")
    again = dg.models.load_model(tmp_path / "own.keras", custom_objects={cls.__name__: cls})
    assert type(again) is cls
    close(again.predict(X, verbose=0), model.predict(X, verbose=0), because="read again", tolerance=0)


def test_a_stack_of_the_users_class_is_rebuilt_from_its_config() -> None:
    model = _Stacked([dg.Input((4,)), dg.layers.Dense(2)])
    again = _Stacked.from_config(model.get_config())
    assert type(again) is _Stacked
    assert again.output_shape == (None, 2)
    assert type(dg.Sequential.from_config(_stack(dg_keras).get_config())) is dg.Sequential
    assert dg.Model.from_config(_branched(dg_keras).get_config()).output_names == ["a", "b"]


class _Own(dg.Model):
    def __init__(self, units: int = 2) -> None:
        super().__init__()
        self.units = units
        self.dense = dg.layers.Dense(units)

    def call(self, inputs: Any) -> Any:
        return self.dense(inputs)


def test_a_model_of_its_own_call_is_made_from_its_config() -> None:
    model = _Own(3)
    model(torch.from_numpy(X))
    model.compile("sgd", "mse")
    clone: Any = dg.models.clone_model(model)
    assert (clone.units, clone.built, clone.count_params()) == (3, True, 15)
    assert clone.optimizer is not model.optimizer
    options: tuple[dict[str, Any], ...] = (
        {"clone_function": _fixed},
        {"input_tensors": dg.Input((4,))},
        {"call_function": _scaled},
    )
    for option in options:
        with pytest.raises(ConfigError, match="is for Sequential and functional models"):
            dg.models.clone_model(model, **option)


def test_what_is_refused() -> None:
    stack, graph = _stack(dg_keras), _branched(dg_keras)
    number: Any = 3
    for match, call in (
        ("call_function is for graphs", lambda: dg.models.clone_model(stack, call_function=_scaled)),
        ("built upon one symbol", lambda: dg.models.clone_model(stack, input_tensors=[dg.Input((4,))] * 2)),
        ("built upon one symbol", lambda: dg.models.clone_model(stack, input_tensors=X)),
        ("must be symbols", lambda: dg.models.clone_model(graph, input_tensors=[X, X])),
        ("nested as model.input", lambda: dg.models.clone_model(graph, input_tensors=dg.Input((4,)))),
        ("copies models, got 3", lambda: dg.models.clone_model(number)),
    ):
        with pytest.raises(ConfigError, match=match):
            call()
    with pytest.raises(UnknownNameError):
        dg.Sequential.from_config({"name": "x", "layers": [{"class_name": "Densely", "config": {}}]})
