"""Every layer beside Keras's of the same config: arguments, weights, numbers, configs and files, both ways."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import keras
import pytest
import torch

import dougong as dg
from closeness import close
from contract.cases import CASES, LayerCase, built, outputs_of, refill, same
from dougong.core.config import constructor_names
from dougong.core.nested import leaves
from dougong.core.weights import named_weights

torch.set_num_threads(1)

# Keras hands its variables to NumPy in a way that NumPy 2 warns of.
pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*structure of `inputs`:UserWarning"),
    pytest.mark.filterwarnings("ignore:You passed `rms_scaling=True`:UserWarning"),
]

TWINS = {case.name: case for case in CASES if case.twin}
KINDS = sorted({case.kind for case in TWINS.values()})
each = pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in TWINS.items()])


def twins(case: LayerCase) -> tuple[Any, Any]:
    """Our layer and Keras's, built, with the same weights."""
    ours, theirs = built(case), case.make(keras.layers)
    theirs(*case.inputs(), **case.call)
    give(ours, theirs)
    return ours, theirs


def give(ours: Any, theirs: Any) -> None:
    theirs.set_weights(ours.get_weights())
    if hasattr(theirs, "finalize_state"):
        theirs.finalize_state()


@each
def test_outputs_are_keras_s(case: LayerCase) -> None:
    ours, theirs = twins(case)
    args = case.inputs(seed=4)
    same(outputs_of(ours, args, **case.call), outputs_of(theirs, args, **case.call), "inference", 1e-5)
    if case.trains:
        got = outputs_of(ours, args, training=True, **case.call)
        same(got, outputs_of(theirs, args, training=True, **case.call), "training", 1e-5)
        for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
            close(a, b, because="statistics after training")


@each
def test_weights_are_keras_s_in_name_shape_and_order(case: LayerCase) -> None:
    ours, theirs = twins(case)
    found = [(path.rpartition("/")[2], tuple(w.value().shape), w.trainable) for path, w in named_weights(ours)]
    assert found == [(w.name, tuple(w.shape), w.trainable) for w in theirs.weights]
    assert len(ours.trainable_weights) == len(theirs.trainable_weights)


@pytest.mark.parametrize("kind", KINDS)
def test_arguments_are_keras_s_in_name_order_and_default(kind: str) -> None:
    found, wanted = (arguments(getattr(layers, kind)) for layers in (dg.layers, keras.layers))
    order = [name for name in wanted if name not in ABSENT]
    if kind == "Conv3DTranspose":  # the one whose order is its own; the rest goes on by keyword
        assert set(order) <= constructor_names(dg.layers.Conv3DTranspose)
        order = order[: len(found)]
    assert list(found)[: len(order)] == order
    for name in order:
        if wanted[name].default is not inspect.Parameter.empty:  # where Keras wants a word, we may have a default
            assert plain(found[name].default) == plain(wanted[name].default), f"the default of {name}"


# Keras's fine-tuning and quantization, which are not offered.
ABSENT = {"lora_rank", "lora_alpha", "quantization_config", "gptq_unpacked_column_size"}


def arguments(cls: type) -> dict[str, inspect.Parameter]:
    """What a constructor takes by name, base options left out."""
    base = {"self", "name", "trainable", "dtype", "activity_regularizer", "autocast", "kwargs", "options"}
    return {name: p for name, p in inspect.signature(cls.__init__).parameters.items() if name not in base}


def plain(default: Any) -> Any:
    """Defaults in one spelling: a tuple of equal things is that thing, since a number counts for every axis."""
    while isinstance(default, tuple) and len(set(default)) == 1:
        default = default[0]
    return default.lower() if isinstance(default, str) else default


@each
def test_configs_go_both_ways(case: LayerCase) -> None:
    ours, theirs = twins(case)
    args = case.inputs(seed=4)
    want = outputs_of(ours, args, **case.call)
    ahead = type(theirs).from_config(json.loads(json.dumps(ours.get_config())))
    ahead(*args, **case.call)
    give(ours, ahead)
    same(want, outputs_of(ahead, args, **case.call), "Keras reads our config", 1e-5)
    back = type(ours).from_config(json.loads(json.dumps(theirs.get_config())))
    back(*args, **case.call)
    back.set_weights(ours.get_weights())
    same(outputs_of(back, args, **case.call), want, "we read Keras's config", 1e-5)


@each
def test_files_go_both_ways(case: LayerCase, tmp_path: Path) -> None:
    ours = model_of(dg, case.make(), case)
    refill(ours)
    flat = list(leaves(case.inputs(seed=4)))
    want = list(leaves(ours(flat)))
    ours.save(tmp_path / "ours.keras")
    theirs = keras.saving.load_model(tmp_path / "ours.keras")
    same(want, list(leaves(theirs(flat))), "Keras reads our file")
    theirs.save(tmp_path / "theirs.keras")
    again = dg.models.load_model(tmp_path / "theirs.keras")
    same(list(leaves(again(flat))), want, "we read Keras's file")


def model_of(package: Any, layer: Any, case: LayerCase) -> Any:
    inputs = case.symbols()
    outputs = [leaf for leaf in leaves(layer(*inputs, **case.call)) if leaf is not None]
    return package.Model(list(leaves(inputs)), outputs)
