"""What a layer says of itself: InputSpec, its serialized form, models within layers, torch modules."""

from __future__ import annotations

import keras
import pytest
import torch
from keras.src.layers.input_spec import assert_input_compatibility

import dougong as dg
from closeness import close
from contract.cases import ALL, each
from dougong.core.errors import ConfigError, ShapeError, UnknownNameError
from dougong.layers.input_spec import InputSpec, unfit
from dougong.layers.layer import Layer
from dougong.layers.serialization import deserialize, layer_classes, serialize
from keras_twins import numbers

SHAPES = [(2,), (2, 3), (2, 3, 1), (2, 4), (2, 3, 4), (2, 28, 28), (2, 28, 28, 1), (2, 28, 28, 3)]
SPECS = [
    {},
    {"ndim": 2},
    {"min_ndim": 3},
    {"max_ndim": 2},
    {"axes": {-1: 3}},
    {"axes": {1: 3, -1: None}},
    {"shape": (None, 28, 28, 1), "allow_last_axis_squeeze": True},
    {"shape": (None, 3), "allow_last_axis_squeeze": True},
    {"shape": (None, 3)},
    {"shape": (2, 3)},
    {"dtype": "float32"},
    {"dtype": "int32"},
]


def refused(check) -> bool:
    try:
        return bool(check())
    except (ValueError, IndexError):  # Keras looks for axis 1 of a vector
        return True


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_input_specs_refuse_what_keras_refuses(spec):
    ours, theirs = InputSpec(**spec), keras.InputSpec(**spec)
    for shape in SHAPES:
        x = torch.zeros(shape)
        wanted = refused(lambda x=x: assert_input_compatibility(theirs, x, "layer"))
        assert refused(lambda x=x: unfit(ours, x)) == wanted, shape
    assert ours.get_config() == theirs.get_config() and repr(ours) == repr(theirs)
    assert InputSpec.from_config(ours.get_config()).get_config() == ours.get_config()


def test_input_specs_of_several_inputs():
    named = [InputSpec(ndim=2, name="a"), InputSpec(ndim=1, name="b", optional=True)]
    assert unfit(named, {"a": torch.zeros(1, 1), "b": None}) is None
    assert "no input 'a'" in unfit(named, {"b": None})
    assert "received None" in unfit(named, {"a": None, "b": None})
    assert "takes 2 inputs" in unfit(named, torch.zeros(1))
    assert "as input 1" in unfit(named, [torch.zeros(1, 1), torch.zeros(1, 1)])
    with pytest.raises(ConfigError, match="axis 3 is beyond"):
        InputSpec(ndim=2, axes={3: 1})
    with pytest.raises(ConfigError, match="axes must map"):
        InputSpec(axes={"last": 1})


class Triples(Layer):
    """A layer that says what it takes."""

    def __init__(self, **options):
        super().__init__(**options)
        self.input_spec = InputSpec(ndim=2, axes={-1: 3})

    def build(self, input_shape):
        self.gain = self.add_weight((3,), "ones", name="gain")

    def call(self, inputs):
        return inputs * self.gain


@pytest.mark.parametrize("first", [False, True])
def test_a_layer_with_a_spec_refuses_by_name(first):
    layer = Triples(name="mine")
    if not first:
        layer(torch.zeros(1, 3))
    for wrong in (torch.zeros(1, 4), torch.zeros(1, 2, 3), dg.Input((4,))):
        with pytest.raises(ShapeError, match="Triples 'mine' expects"):
            layer(wrong)
    assert layer(torch.ones(1, 3)).shape == (1, 3) and layer.input_spec.ndim == 2


# ── Serialized layers ───────────────────────────────────────────────────────────────────────────────────────────────


@each([name for name, case in ALL.items() if not case.saved])
@pytest.mark.filterwarnings("ignore:You passed `rms_scaling=True`:UserWarning")
def test_every_layer_comes_back_from_its_serialized_form(case):
    layer = case.make(name="mine")
    entry = serialize(layer)
    again = deserialize(entry)
    assert type(again) is type(layer) and serialize(again) == entry
    if case.keras is True and case.kind != "Lambda":
        assert entry["class_name"] == keras.layers.serialize(case.make(keras.layers, name="mine"))["class_name"]


def test_only_public_and_given_classes_are_made():
    assert set(layer_classes()) == {n for n in dg.layers.__all__ if isinstance(getattr(dg.layers, n), type)}
    entry = serialize(Triples())
    with pytest.raises(UnknownNameError, match="Triples"):
        deserialize(entry)
    assert type(deserialize(entry, {"Triples": Triples})) is Triples
    for wrong in ("Dense", {"config": {}}):
        with pytest.raises(ConfigError):
            deserialize(wrong)


@pytest.mark.parametrize("package", [dg, keras])
def test_a_model_within_a_wrapper_comes_back_from_a_file(package, tmp_path):
    inner = package.Sequential([package.Input((4,)), package.layers.Dense(2)])
    twice = package.layers.TimeDistributed(package.layers.TimeDistributed(inner))
    model = package.Sequential([package.Input((3, 5, 4)), twice])
    x = torch.tensor(numbers(2, 3, 5, 4))
    model.save(tmp_path / "wrapped.keras")
    again = dg.models.load_model(tmp_path / "wrapped.keras")
    close(again(x).detach(), model(x).detach(), because="from the file")


def test_torch_modules_say_their_shape_or_are_tried():
    wrapped = dg.layers.TorchModuleWrapper(torch.nn.Linear(3, 2), output_shape=(None, 2))
    assert wrapped(dg.Input((3,))).shape == wrapped.compute_output_shape((5, 3)) == (None, 2)
    assert dg.layers.TorchModuleWrapper(torch.nn.Linear(3, 2))(dg.Input((7, 3))).shape == (None, 7, 2)
    with pytest.raises(ConfigError, match="no weights yet"):
        dg.layers.TorchModuleWrapper(torch.nn.LazyLinear(2))
