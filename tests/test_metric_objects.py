"""Metrics as objects: state, the user's own, names, configs, and what `compile` makes of its arguments."""

from __future__ import annotations

import copy
import inspect
import json
import pickle
import re

import keras
import numpy as np
import pytest
import torch

from closeness import close
from dougong import losses, metrics
from dougong.core.errors import ConfigError, ShapeError, UnknownNameError
from dougong.core.names import reset_names

N, T, C = 8, 3, 4


def data(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Targets 0 and 1, and probabilities."""
    random = np.random.default_rng(seed)
    return random.integers(0, 2, (N, C)).astype("float32"), random.random((N, C), "float32")


class TestState:
    def test_a_metric_of_the_user_in_keras_words(self):
        class Hits(metrics.Metric):
            def __init__(self, name="hits", **kwargs):
                super().__init__(name=name, **kwargs)
                self.hits = self.add_weight(name="h", initializer="zeros")
                self.seen = self.add_variable(shape=(), initializer="zeros", name="s")

            def update_state(self, y_true, y_pred, sample_weight=None):
                self.hits.assign_add((y_true == y_pred).sum())
                self.seen.assign(self.seen + y_true.numel())

            def result(self):
                return self.hits / self.seen

        metric = Hits()
        close(metric(torch.tensor([1, 2]), torch.tensor([1, 3])), 0.5, because="assign_add and assign")
        assert [*metric._buffers] == ["hits", "seen"] and len(metric.variables) == 2 and not metric.state_dict()
        for moved in (copy.deepcopy(metric).to("cpu", torch.float64), copy.deepcopy(metric).half()):
            assert moved.hits.dtype == torch.float32, "counts keep their dtype"
            moved.update_state(torch.tensor([1]), torch.tensor([1]))
            close(moved.result(), 2 / 3, because="moved")
        metric.reset_states()
        assert metric.seen == 0

    def test_metrics_within_metrics_are_reset_and_listed(self):
        class Both(metrics.Metric):
            def __init__(self):
                super().__init__()
                self.mean, self.sum = metrics.Mean(), metrics.Sum()

            def update_state(self, values, sample_weight=None):
                self.mean.update_state(values)
                self.sum.update_state(values)

            def result(self):
                return self.mean.result() + self.sum.result()

        both = Both()
        assert both([1.0, 3.0]) == 6 and len(both.variables) == 3
        both.reset_state()
        assert both.result() == 0

    def test_pickle_and_copy(self):
        metric = metrics.AUC()
        metric.update_state(*data())
        for again in (copy.deepcopy(metric), pickle.loads(pickle.dumps(metric))):
            close(again.result(), metric.result(), because="copied")
            again.update_state(*data(seed=1))
            assert again.histogram.sum() == 2 * metric.histogram.sum()

    def test_gradients_do_not_leak_in(self):
        metric = metrics.MeanSquaredError()
        metric.update_state(torch.zeros(2, 1), torch.ones(2, 1, requires_grad=True))
        assert not metric.total.requires_grad

    def test_another_kind_cannot_be_merged(self):
        with pytest.raises(ConfigError):
            metrics.Mean().merge_state([metrics.Sum()])
        with pytest.raises(ConfigError):
            metrics.AUC(10).merge_state([metrics.AUC(20)])


NAMED = [name for name in metrics.__all__ if name[0].isupper() and name != "Metric"]
REQUIRED = {
    "ConfusionMatrix": {"num_classes": 3},
    "IoU": {"num_classes": 3, "target_class_ids": [1]},
    "MeanIoU": {"num_classes": 3},
    "OneHotIoU": {"num_classes": 3, "target_class_ids": [1]},
    "OneHotMeanIoU": {"num_classes": 3},
    "MeanMetricWrapper": {"fn": metrics.mean_squared_error},
    "PrecisionAtRecall": {"recall": 0.5},
    "RecallAtPrecision": {"precision": 0.5},
    "SensitivityAtSpecificity": {"specificity": 0.5},
    "SpecificityAtSensitivity": {"sensitivity": 0.5},
}


def test_every_keras_name_is_known():
    theirs = [name for name in dir(keras.metrics) if not name.startswith("_")]
    missing = [name for name in theirs if not hasattr(metrics, name)]
    assert missing == ["binary_focal_crossentropy", "categorical_focal_crossentropy"], "these two stand in losses"


@pytest.mark.parametrize("name", NAMED)
def test_config_round_trip_and_signature(name):
    args = REQUIRED.get(name, {})
    metric = getattr(metrics, name)(**args)
    again = metrics.deserialize(json.loads(json.dumps(metrics.serialize(metric))))
    assert type(again) is type(metric) and again.get_config() == metric.get_config()
    if hasattr(keras.metrics, name) and name != "MeanMetricWrapper":
        theirs = getattr(keras.metrics, name)
        assert re.sub(r"_\d+$", "", metric.name) == re.sub(r"_\d+$", "", theirs(**args).name)
        ours = inspect.signature(getattr(metrics, name)).parameters
        assert list(ours) == list(inspect.signature(theirs).parameters)
        assert set(theirs(**args).get_config()) <= set(metric.get_config())
        keras.metrics.deserialize(metrics.serialize(metric))


def test_names_are_made_unique_as_in_keras():
    reset_names()
    keras.backend.clear_session()
    assert [metrics.AUC().name for _ in range(3)] == [keras.metrics.AUC().name for _ in range(3)]
    assert [metrics.Mean().name for _ in range(2)] == ["mean", "mean"]


@pytest.mark.parametrize("name", ["mse", "MAE", "bce", "auc", "top_k_categorical_accuracy", "f1_score", "Precision"])
def test_names_mean_the_metrics_of_keras(name):
    assert type(metrics.get(name)).__name__ == type(keras.metrics.get(name)).__name__


def test_unknown_names_and_values_are_refused():
    with pytest.raises(UnknownNameError, match="categorical_accuracy"):
        metrics.get("categorical_acuracy")
    with pytest.raises(UnknownNameError, match="ROC"):
        metrics.AUC(curve="ROK")
    for wrong in (lambda: metrics.Precision(1.5), lambda: metrics.AUC(1), lambda: metrics.AUC(num_labels=3)):
        with pytest.raises(ConfigError):
            wrong()
    with pytest.raises(ShapeError, match=r"\(8,\).*\(8, 4\)"):
        metrics.CategoricalAccuracy()(np.zeros(8), np.zeros((8, 4)))
    with pytest.raises(ShapeError, match=r"\(3,\)"):
        metrics.AUC()(np.zeros(8), np.zeros(8), np.zeros(3))


@pytest.mark.parametrize(
    "true_shape, pred_shape, want",
    [
        ((N, 1), (N, 1), "Binary"),
        ((N,), (N, 1), "Binary"),
        ((N,), (N, C), "SparseCategorical"),
        ((N, 1), (N, C), "SparseCategorical"),
        ((N, C), (N, C), "Categorical"),
        ((N, T), (N, T, C), "SparseCategorical"),
    ],
)
def test_accuracy_and_crossentropy_are_chosen_as_in_keras(true_shape, pred_shape, want):
    from keras.src.trainers.compile_utils import get_metric

    y_true, y_pred = np.zeros(true_shape), np.zeros(pred_shape)
    theirs = get_metric("accuracy", y_true, y_pred)
    ours = metrics.for_output("accuracy", None, true_shape, pred_shape)
    assert type(ours).__name__ == type(theirs).__name__ == f"{want}Accuracy"
    assert ours.name == theirs.name == "accuracy"
    loss = losses.BinaryCrossentropy(from_logits=True)
    ours = metrics.for_output("ce", loss, true_shape, pred_shape)
    assert type(ours).__name__ == f"{want}Crossentropy" and ours.name == "ce" and ours.from_logits


def test_what_compile_takes_becomes_a_metric():
    def mine(y_true, y_pred):
        return (y_true - y_pred).abs().amax(-1)

    shapes = ((N, C), (N, C))
    assert metrics.for_output("mse", None, *shapes).name == "mse"
    assert metrics.for_output(mine, None, *shapes).name == "mine"
    assert metrics.for_output(losses.Huber(), None, *shapes).name == "huber_loss"
    given = metrics.R2Score()
    assert metrics.for_output(given, None, *shapes) is given and len(given.variables) == 5, "built for the shapes"
    y_true, y_pred = data()
    want = np.abs(y_true - y_pred).max(-1).mean()
    close(metrics.for_output(mine, None, *shapes)(y_true, y_pred), want, because="a function of the user")
    with pytest.raises(ConfigError):
        metrics.for_output(None, None, *shapes)
