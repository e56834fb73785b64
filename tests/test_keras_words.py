"""Keras's words for layers, models, losses, metrics, variables and symbols, beside the real Keras."""

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
from dougong.core.errors import BuildError, NotOfferedError, ShapeError
from dougong.core.symbol import Symbol

X = np.random.default_rng(0).random((8, 3), dtype=np.float32)
Y = np.random.default_rng(1).integers(0, 2, (8, 1))

# Keras's inside, which it does not hide: how it calls layers, and hooks that only its own files use.
INSIDE = {"call_signature_parameters", "rematerialized_call", "variable_serialization_spec", "backend", "convert_input"}
INSIDE |= {"fn"}


def _built(layer: Any, *shape: int | None) -> Any:
    layer.build((None, *shape))
    return layer


def _model(k: Any) -> Any:
    model = k.Sequential([k.Input((3,)), k.layers.Dense(4, name="h"), k.layers.Dense(1, name="out")])
    model.compile("adam", "mse", metrics=["mae"], steps_per_execution=1)
    model.fit(X, Y, verbose=0)
    return model


OBJECTS: dict[str, Any] = {
    "layer": lambda k: _built(k.layers.Dense(2), 3),
    "normalization": lambda k: _built(k.layers.BatchNormalization(), 3),
    "embedding": lambda k: _built(k.layers.Embedding(3, 2), 4),
    "model": _model,
    "graph": lambda k: k.Model(x := k.Input((3,)), k.layers.Dense(2)(x)),
    "loss": lambda k: k.losses.MeanSquaredError(),
    "metric": lambda k: k.metrics.MeanSquaredError(),
    "callback": lambda k: k.callbacks.Callback(),
    "variable": lambda k: k.Variable(1.0),
    "weight": lambda k: _built(k.layers.Dense(2), 3).kernel,
    "symbol": lambda k: k.Input((3,)),
    "optimizer": lambda k: k.optimizers.Adam(),
    "initializer": lambda k: k.initializers.GlorotUniform(),
    "regularizer": lambda k: k.regularizers.L2(),
    "constraint": lambda k: k.constraints.MaxNorm(),
    "history": lambda k: k.callbacks.History(),
    "schedule": lambda k: k.optimizers.schedules.CosineDecay(1.0, 2),
    "policy": lambda k: k.DTypePolicy("float32"),
    "seeds": lambda k: k.random.SeedGenerator(1),
    "input spec": lambda k: k.InputSpec(shape=(1,)),
}


@pytest.mark.parametrize("kind", OBJECTS)
def test_every_public_word_is_there(kind: str) -> None:
    theirs, ours = ({name for name in dir(OBJECTS[kind](k)) if not name.startswith("_")} for k in (keras, dg_keras))
    assert not theirs - ours - INSIDE


LAYER_WORDS = """name trainable dtype compute_dtype variable_dtype input_dtype built supports_masking supports_jit
autocast path quantization_mode lora_enabled lora_rank metrics losses""".split()


def test_words_of_a_layer_mean_the_same() -> None:
    theirs, ours = (_built(k.layers.Dense(2, name="d", autocast=False), 3) for k in (keras, dg_keras))
    for word in LAYER_WORDS:
        assert getattr(ours, word) == getattr(theirs, word), word
    assert ours.get_build_config() == theirs.get_build_config()
    assert {"kernel", "bias"} <= set(dir(ours))
    for word in ("aggregation", "synchronization", "overwrite_with_gradient", "name", "path", "trainable"):
        assert getattr(ours.kernel, word) == getattr(theirs.kernel, word), word
    assert "autocast" not in ours.get_config()


def test_without_autocast_inputs_are_not_cast() -> None:
    doubles = X.astype(np.float64)
    assert dg.layers.Activation("relu", autocast=False)(doubles).dtype is torch.float64
    assert dg.layers.Activation("relu")(doubles).dtype is torch.float32
    with pytest.raises(RuntimeError, match="dtype"):
        dg.layers.Dense(2, autocast=False)(doubles)


def test_words_of_a_model_mean_the_same() -> None:
    theirs, ours = (_model(k) for k in (keras, dg_keras))
    assert ours.steps_per_execution == theirs.steps_per_execution
    assert [layer.name for layer in ours.operations] == ["h", "out"]
    ours.train_function = None  # what old scripts write to have it made anew
    ours.make_train_function(force=True)
    fresh = dg.Sequential([dg.layers.Dense(1)])
    assert (fresh.steps_per_execution, fresh.predict_function) == (1, None)


def test_what_is_elsewhere_is_refused_by_name(tmp_path: Path) -> None:
    layer, model = _built(dg.layers.Dense(2), 3), _model(dg_keras)
    for call in (
        lambda: layer.quantize("int8"),
        lambda: layer.quantized_build((None, 3), "int8"),
        lambda: layer.quantized_call(X),
        lambda: layer.enable_lora(2),
        lambda: model.get_quantization_layer_structure("gptq"),
        lambda: model.save(tmp_path / "net.keras", zipped=False),
        lambda: model.save_weights(tmp_path / "net.weights.h5", max_shard_size=1.0),
        lambda: dg.Input((3,), sparse=True),
        lambda: dg.Input((3,), ragged=True),
        lambda: dg.Input((3,), optional=True),
    ):
        with pytest.raises(NotOfferedError):
            call()


# ── Metrics and losses ──────────────────────────────────────────────────────────────────────────────────────────────

SCORES = np.random.default_rng(2).random((2, 8, 1), dtype=np.float32)
METRICS: dict[str, Any] = {
    "mean": (lambda k: k.metrics.Mean(), (SCORES[0],), (SCORES[1],)),
    "accuracy": (lambda k: k.metrics.BinaryAccuracy(), (Y, SCORES[0]), (Y, SCORES[1])),
    "weighted": (lambda k: k.metrics.MeanSquaredError(), (Y, SCORES[0], SCORES[1, :, 0]), (Y, SCORES[1])),
    "area": (lambda k: k.metrics.AUC(num_thresholds=20), (Y, SCORES[0]), (Y, SCORES[1])),
    "overlap": (lambda k: k.metrics.MeanIoU(num_classes=2), (Y, SCORES[0] > 0.5), (Y, SCORES[1] > 0.5)),
    "f-score": (lambda k: k.metrics.F1Score(threshold=0.5), (Y, SCORES[0]), (Y, SCORES[1])),
    "spread": (lambda k: k.metrics.R2Score(), (Y, SCORES[0]), (Y, SCORES[1])),
}


@pytest.mark.parametrize("case", METRICS)
def test_metrics_without_effects(case: str) -> None:
    make, *batches = METRICS[case]
    results = []
    for k in (keras, dg_keras):
        metric, seen = make(k), make(k)
        for batch in batches:
            seen.update_state(*batch)
        own = [np.asarray(variable.numpy()) for variable in seen.variables]
        states = metric.stateless_reset_state()
        for batch in batches:
            states = metric.stateless_update_state(states, *batch)
        results.append(seen.stateless_result(states))
        for before, variable in zip(own, seen.variables):
            assert np.array_equal(before, variable.numpy()), "the metric's own states stay"
        close(np.asarray(seen.result()), np.asarray(results[-1]), because=f"{case} with and without effects")
    close(results[1], results[0], because=case)


def test_a_metric_that_has_seen_nothing_stays_so() -> None:
    metric = dg.metrics.MeanSquaredError()
    metric.stateless_update_state(metric.stateless_reset_state(), Y, SCORES[0])
    assert float(metric.result()) == 0.0
    with pytest.raises(ShapeError, match=r"states of shapes \[\(\), \(\)\] but received \[\(\)\]"):
        metric.stateless_result([0.0])


@pytest.mark.parametrize("dtype", [None, "float16", "mixed_float16", "mixed_bfloat16", "policy", "config"])
def test_dtypes_of_losses_and_metrics_are_those_of_the_arithmetic(dtype: str | None) -> None:
    for kind, name in (("losses", "MeanSquaredError"), ("metrics", "MeanAbsoluteError")):
        found = []
        for k in (keras, dg_keras):
            policy = k.DTypePolicy("mixed_bfloat16") if k is keras else dg.keras.DTypePolicy("mixed_bfloat16")
            config = {"class_name": "DTypePolicy", "config": {"name": "bfloat16"}}
            given = {"policy": policy, "config": {"module": "keras", "registered_name": None, **config}}
            made = getattr(getattr(k, kind), name)(dtype=given.get(dtype or "", dtype))
            found.append(str(made.dtype).removeprefix("torch."))
        assert found[1] == found[0], kind


# ── Symbols ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "change",
    [
        lambda x: x.reshape((-1, 6)),
        lambda x: x.squeeze(),
        lambda x: x.squeeze(2),
        lambda x: x.squeeze(axis=2),
        round,
        lambda x: x + np.ones((6, 1), "float32"),
        lambda x: x / np.sqrt(3.0),
    ],
)
def test_words_of_a_symbol_mean_the_same(change: Any) -> None:
    data, results = np.linspace(-3, 3, 24, dtype="float32").reshape(4, 6, 1), []
    for k in (keras, dg_keras):
        x = k.Input((6, 1))
        made = change(x)
        results.append((tuple(made.shape), k.Model(x, made).predict(data, verbose=0)))
    assert results[1][0] == results[0][0]
    close(results[1][1], results[0][1], because="values")


def test_a_symbol_is_made_as_keras_makes_one() -> None:
    cases: list[Any] = [((2, None), "int32"), ((3,), "bool", False, False, True, "flag")]
    for given in cases:
        theirs, ours = keras.KerasTensor(*given), dg.keras.KerasTensor(*given)
        assert ours.shape == theirs.shape
        assert str(ours.dtype) == f"torch.{theirs.dtype}"
        for word in ("sparse", "ragged", "ragged_rank", "row_splits_dtype", "record_history", "ndim"):
            assert getattr(ours, word) == getattr(theirs, word), word
    assert Symbol((3,), name="x").name == "x"
    x = dg.Input((3,), None, "float32", False, False, None, "x")
    assert dg.Input(tensor=x) is x
    wrong: Any = X
    with pytest.raises(BuildError, match="takes a symbol"):
        dg.Input(tensor=wrong)


def test_arrays_may_come_first() -> None:
    """Keras refuses to: NumPy asks its tensors for their values."""
    x: Any = dg.Input((3,))
    model = dg.Model(x, np.arange(3, dtype="float32") * x + (np.float32(2.0) - x))
    close(model.predict(X, verbose=0), np.arange(3) * X + (2.0 - X), because="values")


@pytest.mark.parametrize("convert", [float, int, np.asarray])
def test_a_symbol_has_no_number(convert: Any) -> None:
    with pytest.raises(BuildError, match="has no value yet, so it cannot become a number or an array"):
        convert(dg.Input((3,)))


# ── Files ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _wider(k: Any) -> Any:
    return k.Sequential([k.Input((3,)), k.layers.Dense(4, name="h"), k.layers.Dense(5, name="top")])


@pytest.mark.parametrize("ending", [".keras", ".weights.h5"])
def test_layers_that_do_not_fit_may_be_left_out(ending: str, tmp_path: Path) -> None:
    source = _model(keras)
    (source.save if ending == ".keras" else source.save_weights)(tmp_path / f"net{ending}")
    for k in (keras, dg_keras):
        model = _wider(k)
        before = model.get_weights()
        with pytest.warns(UserWarning):
            model.load_weights(tmp_path / f"net{ending}", skip_mismatch=True)
        for got, want in zip(model.get_weights(), [*source.get_weights()[:2], *before[2:]], strict=True):
            assert np.array_equal(got, want)
    with pytest.warns(UserWarning, match="1 layers do not fit and stay as they are; the first is 'layers/dense_1'"):
        _wider(dg_keras).load_weights(tmp_path / f"net{ending}", True)


class _Pair(dg.Model):
    """A model with its own `compile`, as of a generator and its critic."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = dg.layers.Dense(1)

    def call(self, inputs: Any) -> Any:
        return self.dense(inputs)

    def compile(self, first_optimizer: Any, second_optimizer: Any) -> None:  # type: ignore[override]
        super().compile(first_optimizer, "mse")
        self.second = second_optimizer


def test_a_model_with_its_own_compile_is_read_uncompiled(tmp_path: Path) -> None:
    model = _Pair()
    model.compile("sgd", "adam")
    model.fit(X, Y, verbose=0)
    model.save(tmp_path / "pair.keras")
    with pytest.warns(UserWarning, match=r"_Pair has its own compile\(\); call it"):
        again = dg.models.load_model(tmp_path / "pair.keras", custom_objects={"_Pair": _Pair})
    assert again.optimizer is None
    close(again.predict(X, verbose=0), model.predict(X, verbose=0), because="weights are read", tolerance=0)
