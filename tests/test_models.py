"""Models: the three ways to make one, their graphs, copies, configs."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

import dougong as dg
from closeness import close
from dougong.core.errors import BuildError, ConfigError, ShapeError, UnknownNameError


def data(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def small() -> dg.Sequential:
    return dg.Sequential([dg.Input((4,)), dg.layers.Dense(5, activation="tanh"), dg.layers.Dense(3)])


def test_sequential_is_built_by_an_input_by_a_declared_shape_or_by_data() -> None:
    by_input = small()
    declared = dg.Sequential([dg.layers.Dense(5, activation="tanh", input_shape=(4,)), dg.layers.Dense(3)])
    deferred = dg.Sequential([dg.layers.Dense(5, activation="tanh"), dg.layers.Dense(3)])
    assert not deferred.built
    deferred(data(2, 4))
    for model in (by_input, declared, deferred):
        assert model.output_shape == (None, 3)
        assert model.count_params() == 43
        assert [layer.count_params() for layer in model.layers] == [25, 18]


def test_sequential_add_and_pop() -> None:
    model = dg.Sequential(name="stack")
    model.add(dg.Input((4,)))
    model.add(dg.layers.Dense(5))
    model.add(dg.layers.Dense(3, name="head"))
    assert model.output_shape == (None, 3)
    assert model.pop().name == "head"
    assert model.output_shape == (None, 5)
    model.add(dg.layers.Dense(2, name="head"))
    assert model(data(1, 4)).shape == (1, 2)
    assert list(model.state_dict()) == [
        f"{model.layers[0].name}.weight",
        f"{model.layers[0].name}.bias",
        "head.weight",
        "head.bias",
    ]


def test_any_torch_module_stands_in_a_sequential() -> None:
    model = dg.Sequential([dg.Input((4,)), nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), dg.layers.Dense(1)])
    model.compile("adam", "mse")
    before = [w.clone() for w in model.trainable_weights]
    model.fit(data(64, 4), data(64, 1), epochs=2, verbose=0)
    assert all(not torch.equal(a, b) for a, b in zip(before, model.trainable_weights))
    assert model.output_shape == (None, 1)


def test_a_functional_model_with_several_inputs_and_outputs() -> None:
    a, b = dg.Input((4,), name="a"), dg.Input((2,), name="b")
    joined = dg.layers.concatenate([dg.layers.Dense(3)(a), b])
    model = dg.Model([a, b], [dg.layers.Dense(1, name="left")(joined), dg.layers.Dense(2, name="right")(joined)])
    x = [data(5, 4), data(5, 2)]
    left, right = model(x)
    assert left.shape == (5, 1)
    assert right.shape == (5, 2)
    assert model.output_names == ["left", "right"]
    by_name = model({"b": x[1], "a": x[0]})
    close(by_name[0], left, because="inputs by name")
    model.compile("sgd", loss={"left": "mse", "right": "mae"}, loss_weights=[1.0, 0.5], metrics={"right": ["mse"]})
    history = model.fit(x, [data(5, 1), data(5, 2)], epochs=2, verbose=0).history
    assert set(history) == {"loss", "left_loss", "right_loss", "right_mse"}
    close(history["loss"][0], history["left_loss"][0] + 0.5 * history["right_loss"][0], because="weighted sum")


def test_dicts_of_inputs_and_outputs() -> None:
    inputs = {"p": dg.Input((3,), name="p"), "q": dg.Input((3,), name="q")}
    total = inputs["p"] + inputs["q"] * 2
    model = dg.Model(inputs, {"sum": total, "mean": torch.mean(total, dim=1, keepdim=True)})
    x = {"p": data(4, 3), "q": data(4, 3)}
    out = model(x)
    close(out["sum"], x["p"] + 2 * x["q"], because="operators on symbols")
    close(out["mean"], out["sum"].mean(1, keepdim=True), because="torch functions on symbols")
    assert set(model.predict({k: v.numpy() for k, v in x.items()}, verbose=0)) == {"sum", "mean"}


def test_shared_layers_are_counted_once_and_run_twice() -> None:
    shared = dg.layers.Dense(3, name="shared")
    a, b = dg.Input((4,)), dg.Input((4,))
    model = dg.Model([a, b], shared(a) - shared(b))
    assert model.count_params() == 15
    x = data(2, 4)
    close(model([x, x]), torch.zeros(2, 3), because="the same layer on the same input")


def test_nested_models() -> None:
    inner = dg.Sequential([dg.Input((4,)), dg.layers.Dense(3)], name="inner")
    x = dg.Input((4,))
    outer = dg.Model(x, dg.layers.Dense(2)(inner(x)))
    assert outer.get_layer("inner") is inner
    again = dg.models.model_from_json(outer.to_json())
    again.set_weights(outer.get_weights())
    close(again(data(3, 4)), outer(data(3, 4)), because="nested models go through JSON")


def test_the_source_of_a_functional_model_is_straight_line_python() -> None:
    x = dg.Input((4,), name="x")
    model = dg.Model(x, torch.relu(dg.layers.Dense(3, name="d")(x)) + 1)
    source = model.source()
    assert "self.d(x)" in source
    assert "torch.relu" in source


def test_masks_flow_through_a_graph_as_in_eager_calls() -> None:
    tokens = dg.Input((5,), dtype="int32")
    embedded = dg.layers.Embedding(7, 3, mask_zero=True)(tokens)
    assert embedded.mask is not None
    model = dg.Model(tokens, dg.layers.LSTM(4)(embedded))
    x = torch.tensor([[1, 2, 0, 0, 0], [3, 4, 5, 6, 1]])
    short = model(torch.tensor([[1, 2, 0, 0, 0]]))
    close(model(x)[:1], short, because="masked steps count for nothing")
    again = dg.models.model_from_json(model.to_json())
    again.set_weights(model.get_weights())
    close(again(x), model(x), because="masks come back with the config")
    stack = dg.Sequential(model.layers[1:])
    close(stack(x), model(x), because="a Sequential passes the same masks")


class Blocks(dg.Model):
    """Layers kept in a list, as Keras users write it."""

    def __init__(self, count: int = 2) -> None:
        super().__init__()
        self.count = count
        self.blocks = []
        for _ in range(count):
            self.blocks.append(dg.layers.Dense(4, activation="relu"))
        self.head = dg.layers.Dense(1)

    def call(self, inputs: torch.Tensor, training: bool = False) -> torch.Tensor:
        for block in self.blocks:
            inputs = block(inputs)
        return self.head(inputs)


def test_a_subclassed_model_finds_layers_in_lists_and_trains() -> None:
    model = Blocks()
    model.compile("adam", "mse", metrics=["mae"])
    x = data(64, 4)
    history = model.fit(x, x.sum(1, keepdim=True), epochs=30, verbose=0).history
    assert len(model.weights) == 6
    assert history["loss"][-1] < history["loss"][0]
    assert next(iter(model.state_dict())) == "blocks.0.weight"
    twin = copy.deepcopy(model)
    close(twin(x), model(x), because="a copy computes the same")
    twin.blocks.append(dg.layers.Dense(4))
    assert len(model.blocks) == 2
    assert Blocks.from_config(model.get_config()).count == 2


def test_build_makes_the_weights_of_a_subclassed_model(tmp_path) -> None:
    model = Blocks()
    model.build((None, 4))
    assert len(model.weights) == 6
    model.save(tmp_path / "blocks.keras")
    again = dg.models.load_model(tmp_path / "blocks.keras", custom_objects={"Blocks": Blocks})
    close(again(data(3, 4)), model(data(3, 4)), because="a built model can be saved and read")
    with pytest.raises(BuildError, match="call build"):
        Blocks().build()


class BuildsItself(Blocks):
    """Keras's other style: a build of its own that ends with its parent's."""

    def build(self, input_shape) -> None:
        self.shift = self.add_weight((input_shape[-1],), "ones", name="shift")
        super().build(input_shape)

    def call(self, inputs: torch.Tensor) -> torch.Tensor:
        return super().call(inputs + self.shift)


def test_a_subclass_with_its_own_build_is_built_by_it_once() -> None:
    model = BuildsItself()
    assert model(data(2, 4)).shape == (2, 1)
    assert len(model.weights) == 7


def test_data_get_the_dtype_of_the_weights() -> None:
    layers = [dg.layers.Dense(2, dtype="float64") for _ in range(2)]
    model = dg.Sequential([dg.Input((3,), dtype="float64"), *layers])
    model.compile("sgd", "mse")
    model.fit(data(8, 3).numpy(), data(8, 2).numpy(), verbose=0)
    assert model.predict(data(8, 3).numpy(), verbose=0).dtype == np.float64


class OwnStep(dg.Model):
    """A custom train_step in Keras's style on torch."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = dg.layers.Dense(1)
        self.seen = dg.metrics.Mean(name="seen")

    def call(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.dense(inputs)

    def train_step(self, data):
        x, y = data
        self.zero_grad()
        y_pred = self(x, training=True)
        loss = self.compute_loss(y=y, y_pred=y_pred)
        loss.backward()
        weights = self.trainable_weights
        with torch.no_grad():
            self.optimizer.apply([w.grad for w in weights], weights)
        self.seen.update_state(loss.detach())
        return {"loss": loss.detach(), "seen": self.seen.result()}


def test_a_custom_train_step_is_used() -> None:
    model = OwnStep()
    model.compile(dg.optimizers.SGD(0.1), "mse")
    x = data(64, 3)
    history = model.fit(x, x.sum(1, keepdim=True), epochs=20, verbose=0)
    assert history.history["loss"][-1] < 0.05
    assert "own train_step" in history.plan
    assert model.metrics[0].name == "loss"
    assert len(model.weights) == 2


def test_trainable_freezes_and_unfreezes() -> None:
    model = small()
    model.layers[0].trainable = False
    assert len(model.trainable_weights) == 2
    assert len(model.non_trainable_weights) == 2
    model.compile("sgd", "mse")
    frozen = model.layers[0].weight.clone()
    model.fit(data(8, 4), data(8, 3), verbose=0)
    assert torch.equal(model.layers[0].weight, frozen)
    model.trainable = True
    model.fit(data(8, 4), data(8, 3), verbose=0)
    assert not torch.equal(model.layers[0].weight, frozen)


def test_clone_has_the_structure_and_fresh_weights() -> None:
    model = small()
    clone = dg.models.clone_model(model)
    assert clone.count_params() == model.count_params()
    assert not torch.equal(clone.layers[0].weight, model.layers[0].weight)
    frozen = dg.models.clone_model(model, clone_function=lambda layer: type(layer).from_config(layer.get_config()))
    assert frozen.output_shape == (None, 3)


def test_names_are_keras_names() -> None:
    from dougong.core.names import reset_names

    reset_names()
    model = dg.Sequential([dg.Input((4,)), dg.layers.Dense(5), dg.layers.Dense(3), dg.layers.LeakyReLU()])
    assert [layer.name for layer in model.layers] == ["dense", "dense_1", "leaky_re_lu"]
    assert model.name == "sequential"


@pytest.mark.parametrize(
    ("act", "error", "words"),
    [
        (lambda: small()(data(2, 5)), ShapeError, "of shape (None, 4) but received (2, 5)"),
        (lambda: small().get_layer("dens"), UnknownNameError, "dense"),
        (lambda: dg.Sequential([3]), ConfigError, "Sequential takes layers"),
        (lambda: dg.Model(dg.Input((2,)), 3), BuildError, "must be symbols"),
        (lambda: dg.Model(dg.Input((2,)), dg.layers.Dense(1)(dg.Input((2,)))), BuildError, "add it to inputs"),
        (lambda: dg.Sequential([dg.layers.Dense(1)]).summary(), None, ""),
        (lambda: dg.Sequential([dg.layers.Dense(1)]).output_shape, BuildError, "no output"),
        (lambda: small().fit(data(2, 4), data(2, 3)), BuildError, "not compiled"),
        (lambda: dg.layers.Conv2d, AttributeError, "did you mean .Conv2D"),
        (lambda: dg.optimizer, AttributeError, "did you mean"),
        (lambda: small().compile("adamm", "mse"), UnknownNameError, "adam"),
    ],
)
def test_wrong_use_says_what_to_do(act, error, words, capsys) -> None:
    if error is None:
        act()
        return
    with pytest.raises(error, match=words.replace("(", r"\(").replace(")", r"\)")):
        act()


def test_the_summary_shows_what_keras_shows(capsys: pytest.CaptureFixture[str]) -> None:
    small().summary()
    text = capsys.readouterr().out
    for part in ("(Dense)", "(None, 5)", "25", "Total params: 43 (172.00 B)", "Non-trainable params: 0 (0.00 B)"):
        assert part in text


def test_branching_on_a_symbol_is_refused_with_the_way_out() -> None:
    x = dg.Input((3,))
    with pytest.raises(BuildError, match=r"torch\.where"):
        bool(x > 0)


def test_weights_are_keras_arrays() -> None:
    model = small()
    kernel, bias = model.get_weights()[:2]
    assert kernel.shape == (4, 5)
    assert bias.shape == (5,)
    assert model.layers[0].weight.shape == (5, 4)
    model.set_weights([np.ones_like(w) for w in model.get_weights()])
    close(model.layers[0].kernel, np.ones((4, 5)), because="set_weights")
    with pytest.raises(ShapeError, match="4 weights but received 1"):
        model.set_weights([kernel])


def test_a_layer_knows_its_input_and_output_and_may_be_called_output() -> None:
    x = dg.Input((4,))
    model = dg.Model(x, dg.layers.Dense(2, name="output")(dg.layers.Dense(3, name="hidden")(x)))
    features = dg.Model(model.inputs, model.get_layer("hidden").output)
    assert features(data(2, 4)).shape == (2, 3)
    assert model.get_layer("output").input is model.get_layer("hidden").output
    assert model(data(2, 4)).shape == (2, 2)
    twin = copy.deepcopy(model)
    inner = dg.Model(twin.inputs, twin.get_layer("hidden").output)
    assert inner.get_layer("hidden") is twin.get_layer("hidden")
    assert inner.get_layer("hidden") is not model.get_layer("hidden")
    stack = dg.Sequential([dg.Input((4,)), dg.layers.Dense(3, name="layers"), dg.layers.Dense(1, name="loss")])
    assert stack(data(2, 4)).shape == (2, 1)
    with pytest.raises(BuildError, match="not been applied"):
        _ = dg.layers.Dense(2).output


def test_losses_count_for_one_pass() -> None:
    shared = dg.layers.Dense(3, activity_regularizer="l2")
    x = dg.Input((4,))
    model = dg.Model(x, shared(x) + shared(x * 2))
    for _ in range(3):
        model(data(2, 4))
        assert len(model.losses) == 2
    alone = dg.layers.Dense(3, activity_regularizer="l2")
    for _ in range(3):
        alone(data(2, 4))
        assert len(alone.losses) == 1


def test_float64_tensors_are_taken_by_float32_layers() -> None:
    model = small()
    close(model(data(2, 4).double()), model(data(2, 4)), because="Keras casts")


def test_no_layer_is_stored_under_a_name_that_the_model_needs() -> None:
    from dougong.models.program import module_key

    taken = [name for name in dir(dg.Model) if not name.startswith("__") and module_key(name) == name]
    assert not taken
