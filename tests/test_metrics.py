"""Metrics against the real Keras on torch: batches, weights, masks, traces, merging, extremes."""

from __future__ import annotations

import json

import keras
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix
from torch.fx.experimental.proxy_tensor import make_fx

from closeness import close
from dougong import metrics
from dougong.core.errors import ShapeError

N, T, C = 8, 3, 4

#: Metric class, arguments, kind of data.
CASES = [
    ("Accuracy", {}, "labels"),
    ("BinaryAccuracy", {}, "bits"),
    ("BinaryAccuracy", {"threshold": 0.3}, "bits"),
    ("CategoricalAccuracy", {}, "one_hot"),
    ("SparseCategoricalAccuracy", {}, "classes"),
    ("SparseCategoricalAccuracy", {}, "class_column"),
    ("TopKCategoricalAccuracy", {"k": 2}, "one_hot"),
    ("SparseTopKCategoricalAccuracy", {"k": 2}, "classes"),
    ("SparseTopKCategoricalAccuracy", {"k": 2, "from_sorted_ids": True}, "sorted_ids"),
    ("MeanSquaredError", {}, "numbers"),
    ("RootMeanSquaredError", {}, "numbers"),
    ("MeanAbsoluteError", {}, "numbers"),
    ("MeanAbsolutePercentageError", {}, "numbers"),
    ("MeanSquaredLogarithmicError", {}, "numbers"),
    ("LogCoshError", {}, "numbers"),
    ("CosineSimilarity", {}, "numbers"),
    ("PearsonCorrelation", {}, "numbers"),
    ("ConcordanceCorrelation", {}, "numbers"),
    ("R2Score", {}, "numbers"),
    ("R2Score", {"class_aggregation": None}, "numbers"),
    ("R2Score", {"class_aggregation": "variance_weighted_average", "num_regressors": 2}, "numbers"),
    ("KLDivergence", {}, "one_hot"),
    ("Poisson", {}, "bits"),
    ("Hinge", {}, "bits"),
    ("SquaredHinge", {}, "bits"),
    ("CategoricalHinge", {}, "one_hot"),
    ("BinaryCrossentropy", {"label_smoothing": 0.1}, "bits"),
    ("BinaryCrossentropy", {"from_logits": True}, "bits"),
    ("CategoricalCrossentropy", {"label_smoothing": 0.1}, "one_hot"),
    ("SparseCategoricalCrossentropy", {"from_logits": True}, "classes"),
    ("SparseCategoricalCrossentropy", {"ignore_class": 1}, "classes"),
    ("TruePositives", {}, "bits"),
    ("TrueNegatives", {"thresholds": 0.3}, "bits"),
    ("FalsePositives", {"thresholds": [0.2, 0.7]}, "bits"),
    ("FalseNegatives", {"thresholds": [0.0, 0.5, 1.0]}, "bits"),
    ("FalseNegatives", {"thresholds": [0.9, 0.1, 0.5]}, "bits"),
    ("Precision", {}, "bits"),
    ("Precision", {"thresholds": [0.1, 0.5, 0.9]}, "bits"),
    ("Precision", {"top_k": 2}, "bits"),
    ("Precision", {"class_id": 1, "top_k": 2, "thresholds": 0.2}, "bits"),
    ("Recall", {}, "bits"),
    ("Recall", {"thresholds": [0.1, 0.5, 0.9], "class_id": 2}, "bits"),
    ("Recall", {"top_k": 2, "class_id": 0}, "bits"),
    ("AUC", {}, "bits"),
    ("AUC", {"curve": "PR"}, "bits"),
    ("AUC", {"curve": "PRGAIN", "num_thresholds": 17}, "bits"),
    ("AUC", {"curve": "PR", "summation_method": "minoring", "num_thresholds": 11}, "bits"),
    ("AUC", {"summation_method": "majoring", "thresholds": [0.1, 0.35, 0.8]}, "bits"),
    ("AUC", {"from_logits": True}, "bits"),
    ("AUC", {"label_weights": [1.0, 0.0, 2.0, 0.5]}, "bits"),
    ("AUC", {"multi_label": True, "num_labels": C}, "bits"),
    ("AUC", {"multi_label": True, "label_weights": [1.0, 0.0, 2.0, 0.5], "curve": "PR"}, "bits"),
    ("AUC", {"multi_label": True, "thresholds": [0.2, 0.6]}, "bits"),
    ("SensitivityAtSpecificity", {"specificity": 0.6}, "bits"),
    ("SpecificityAtSensitivity", {"sensitivity": 0.6, "num_thresholds": 1}, "bits"),
    ("PrecisionAtRecall", {"recall": 0.6, "class_id": 1}, "bits"),
    ("RecallAtPrecision", {"precision": 0.6}, "bits"),
    ("F1Score", {}, "one_hot"),
    ("F1Score", {"average": "macro", "threshold": 0.3}, "bits"),
    ("FBetaScore", {"average": "micro", "beta": 2.0}, "one_hot"),
    ("FBetaScore", {"average": "weighted", "beta": 0.5, "threshold": 0.4}, "bits"),
    ("IoU", {"num_classes": C, "target_class_ids": [0, 2]}, "labels"),
    ("MeanIoU", {"num_classes": C}, "labels"),
    ("MeanIoU", {"num_classes": C, "ignore_class": 1, "sparse_y_pred": False}, "classes"),
    ("BinaryIoU", {"threshold": 0.4}, "bits"),
    ("OneHotIoU", {"num_classes": C, "target_class_ids": [1]}, "one_hot"),
    ("OneHotMeanIoU", {"num_classes": C}, "one_hot"),
]
IDS = [f"{name}-{'-'.join(f'{k}={v}' for k, v in args.items())}-{kind}" for name, args, kind in CASES]
MEANS = [case for case in CASES if issubclass(getattr(metrics, case[0]), metrics.MeanMetricWrapper)]


def data(kind: str, shape: tuple[int, ...] = (N, C), seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    scores = random.random(shape, "float32")
    bits = random.integers(0, 2, shape).astype("float32")
    classes = random.integers(0, shape[-1], shape[:-1])
    return {
        "numbers": (random.normal(size=shape).astype("float32"), random.normal(size=shape).astype("float32")),
        "labels": (classes, random.integers(0, shape[-1], shape[:-1])),
        "bits": (bits, scores),
        "one_hot": (np.eye(shape[-1], dtype="float32")[classes], scores),
        "classes": (classes, scores),
        "class_column": (classes[..., None], scores),
        "sorted_ids": (classes, np.argsort(-scores, -1)),
    }[kind]


def pair(name: str, args: dict) -> tuple[metrics.Metric, keras.metrics.Metric]:
    theirs = {**args, "dtype": "float32"} if "IoU" in name else args  # Keras's own default there truncates weights
    return getattr(metrics, name)(**args), getattr(keras.metrics, name)(**theirs)


def feed(metric, y_true, y_pred, weight=None, mask=None):
    y_pred = torch.tensor(y_pred)
    if mask is not None:
        y_pred._keras_mask = torch.tensor(mask)
    weight = None if weight is None else torch.tensor(weight)
    metric.update_state(torch.tensor(y_true), y_pred, sample_weight=weight)


def weights(seed: int, shape: tuple[int, ...] = (N,)) -> np.ndarray:
    random = np.random.default_rng(seed + 100)
    return (random.random(shape) * random.integers(0, 2, shape)).astype("float32")


@pytest.mark.parametrize("weighted", ["no", "some", "zeros"])
@pytest.mark.parametrize("name, args, kind", CASES, ids=IDS)
def test_three_batches_equal_keras(name, args, kind, weighted):
    if weighted == "zeros" and name in ("R2Score",):
        pytest.skip("0 / 0, NaN in both")
    ours, theirs = pair(name, args)
    for seed in range(3):
        weight = {"no": None, "some": weights(seed), "zeros": np.zeros(N, "float32")}[weighted]
        if weight is not None and kind in ("one_hot", "bits") and "IoU" in name and "One" not in name:
            weight = weight[:, None].repeat(C, 1)
        for metric in (ours, theirs):
            feed(metric, *data(kind, seed=seed), weight)
        close(ours.result(), theirs.result(), because=f"{name}{args} after batch {seed}", tolerance=3e-6)
    ours.reset_state()
    assert all((state == 0).all() for state in ours.variables)


@pytest.mark.parametrize("name, args, kind", MEANS)
def test_sequences_with_masks_equal_keras(name, args, kind):
    mask = np.random.default_rng(5).integers(0, 2, (N, T)).astype(bool)
    step_weights = weights(1, (N, T))
    given = [(None, None), (None, mask), (step_weights, None), (step_weights, mask), (weights(2), None)]
    if name == "BinaryAccuracy":
        given = (
            given[:1] + given[2:3]
        )  # one value for each output there, which a mask for each step does not fit in Keras
    if args.get("ignore_class") is not None:
        given = given[:4]  # nor does a weight a sample fit a step's mask there
    for weight, masked in given:
        ours, theirs = pair(name, args)
        for metric in (ours, theirs):
            feed(metric, *data(kind, (N, T, C)), weight, masked)
        close(ours.result(), theirs.result(), because=f"{name} weights {weight is not None} mask {masked is not None}")


@pytest.mark.parametrize("shape", [(), (5,), (5, 3), (5, 3, 2)])
@pytest.mark.parametrize("name", ["Mean", "Sum"])
def test_mean_and_sum_equal_keras(name, shape):
    values = np.random.default_rng(0).random(shape, "float32")
    options = [None, 2.0, np.float32(3.0)]
    options += [np.random.default_rng(1).random(shape[:axis], "float32") for axis in range(1, len(shape) + 1)]
    options += [options[-1][..., None]] if len(shape) == 1 else []
    for weight in options:
        ours, theirs = getattr(metrics, name)(), getattr(keras.metrics, name)()
        for metric in (ours, theirs):
            metric.update_state(values, sample_weight=weight)
            metric.update_state(values * 2)
        close(ours.result(), theirs.result(), because=f"{name} of {shape}, weights {np.shape(weight)}")


@pytest.mark.parametrize("shapes", [((N,), (N, 1)), ((N, 1), (N,)), ((N,), (N,)), ((N, 1), (N, 1))])
@pytest.mark.parametrize(
    "name", ["BinaryAccuracy", "AUC", "Precision", "MeanSquaredError", "TruePositives", "Accuracy"]
)
def test_a_last_axis_of_one_is_as_in_keras(name, shapes):
    random = np.random.default_rng(0)
    y_true, y_pred = random.integers(0, 2, shapes[0]), random.random(shapes[1], "float32")
    for weight in (None, weights(0)):
        if weight is not None and name == "MeanSquaredError" and shapes == ((N,), (N,)):
            continue  # Keras fails there: one sample with N weights
        ours, theirs = pair(name, {})
        for metric in (ours, theirs):
            feed(metric, y_true, y_pred, weight)
        close(ours.result(), theirs.result(), because=f"{name} {shapes}")


@pytest.mark.parametrize("name, args, kind", CASES, ids=IDS)
def test_arrays_lists_and_tensors_are_alike(name, args, kind):
    y_true, y_pred = data(kind)
    want = getattr(metrics, name)(**args)(torch.tensor(y_true), torch.tensor(y_pred, requires_grad=kind == "numbers"))
    close(getattr(metrics, name)(**args)(y_true, y_pred), want, because="arrays")
    close(getattr(metrics, name)(**args)(y_true.tolist(), y_pred.tolist()), want, because="lists")


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name, args, kind", CASES, ids=IDS)
def test_a_trace_replays_into_the_same_state(name, args, kind, weighted):
    if weighted and "IoU" in name:
        pytest.skip("weights have another shape")
    traced_one, plain_one = (getattr(metrics, name)(**args) for _ in range(2))

    def step(metric, y_true, y_pred, weight):
        metric.update_state(y_true, y_pred, weight if weighted else None)
        return y_pred

    def inputs(seed):
        return (*map(torch.tensor, data(kind, seed=seed)), torch.tensor(weights(seed)))

    traced_one.build(inputs(0)[0].shape, inputs(0)[1].shape)
    traced = make_fx(lambda *batch: step(traced_one, *batch))(*inputs(0))
    addresses = [state.data_ptr() for state in traced_one.variables]
    traced_one.reset_state()
    with torch.inference_mode():
        for seed in (1, 2):
            traced(*inputs(seed))
    for seed in (1, 2):
        step(plain_one, *inputs(seed))
    assert [state.data_ptr() for state in traced_one.variables] == addresses, "state must be changed in place"
    close(traced_one.result(), plain_one.result(), because=f"{name} replayed")


@settings(max_examples=60, deadline=None)
@given(case=st.sampled_from(CASES), cut=st.integers(1, N - 1), seed=st.integers(0, 5))
def test_merged_halves_are_the_whole(case, cut, seed):
    name, args, kind = case
    if name in ("Hinge", "SquaredHinge"):
        return  # whether labels are 0 and 1 is asked of a batch
    y_true, y_pred = data(kind, seed=seed)
    whole, first, second = (getattr(metrics, name)(**args) for _ in range(3))
    whole.update_state(y_true, y_pred)
    first.update_state(y_true[:cut], y_pred[:cut])
    second.update_state(y_true[cut:], y_pred[cut:])
    first.merge_state([second])
    close(first.result(), whole.result(), because=f"{name} merged")


@settings(max_examples=40, deadline=None)
@given(case=st.sampled_from(CASES), order=st.permutations(range(N)))
def test_the_order_of_samples_does_not_matter(case, order):
    name, args, kind = case
    y_true, y_pred = data(kind)
    close(
        getattr(metrics, name)(**args)(y_true[order], y_pred[order]),
        getattr(metrics, name)(**args)(y_true, y_pred),
        because=f"{name} permuted",
    )


@pytest.mark.parametrize("name, args, kind", CASES, ids=IDS)
def test_an_empty_batch_changes_nothing(name, args, kind):
    y_true, y_pred = data(kind)
    metric = getattr(metrics, name)(**args)
    want = metric(y_true, y_pred).clone()
    metric.update_state(y_true[:0], y_pred[:0])
    close(metric.result(), want, because="after an empty batch")


def test_nothing_seen_is_0_or_nan_and_no_error():
    for name, args, _ in CASES:
        value = getattr(metrics, name)(**args).result()
        assert ((value == 0) | value.isnan()).all() or name == "AUC", name


def test_counts_stay_exact_far_beyond_float32():
    mean = metrics.Mean()
    mean.update_state(1.0, sample_weight=2**40)
    for _ in range(3):
        mean.update_state([1.0])
    assert mean.count == 2**40 + 3
    correct = metrics.SparseCategoricalAccuracy()
    correct.total.add_(2**24)
    correct.count.add_(2**24)
    correct.update_state([0], [[1.0, 0.0]])
    assert correct.total == 2**24 + 1


@pytest.mark.parametrize("labels", [np.zeros(N), np.ones(N)])
@pytest.mark.parametrize("name", ["AUC", "Precision", "Recall", "BinaryAccuracy"])
def test_targets_of_one_class_only_equal_keras(name, labels):
    ours, theirs = pair(name, {})
    for metric in (ours, theirs):
        feed(metric, labels, np.linspace(0, 1, N, dtype="float32"))
    close(ours.result(), theirs.result(), because=f"{name} of one class")


def test_predictions_outside_0_and_1_count_as_the_ends():
    ours, theirs = pair("AUC", {})
    for metric in (ours, theirs):
        feed(metric, np.array([0.0, 1, 0, 1]), np.array([-3.0, 0.2, 1.5, 7.0], "float32"))
    close(ours.result(), theirs.result(), because="clipped")


class TestConfusionMatrix:
    def test_equals_scikit_learn(self):
        y_true, scores = data("classes", (50, C))
        metric = metrics.ConfusionMatrix(C)
        want = confusion_matrix(y_true, scores.argmax(1), labels=range(C))
        close(metric(y_true, scores), want, because="rows true, columns predicted")
        metric.reset_state()
        weight = weights(0, (50,))
        want = confusion_matrix(y_true, scores.argmax(1), labels=range(C), sample_weight=weight)
        close(metric(y_true[:, None], scores.argmax(1), weight), want, because="class numbers and weights")

    def test_one_hot_and_one_output(self):
        assert metrics.ConfusionMatrix(2)([[1, 0], [0, 1]], [[0.2, 0.8], [0.1, 0.9]]).tolist() == [[0, 1], [0, 1]]
        assert metrics.ConfusionMatrix(2)([[0], [1]], [[0.2], [0.8]]).tolist() == [[1, 0], [0, 1]]
        with pytest.raises(ShapeError, match="3 classes"):
            metrics.ConfusionMatrix(3)([0, 1], [[0.2, 0.8], [0.1, 0.9]])

    def test_classes_outside_are_left_out(self):
        assert metrics.ConfusionMatrix(2)([0, -1, 5], [0, 0, 1]).sum() == 1


@pytest.mark.parametrize("name, args, kind", CASES, ids=IDS)
def test_configs_with_arguments_rebuild_the_same_metric(name, args, kind):
    metric = getattr(metrics, name)(**args)
    again = metrics.deserialize(json.loads(json.dumps(metrics.serialize(metric))))
    close(again(*data(kind)), metric(*data(kind)), because=f"{name} rebuilt")


@pytest.mark.parametrize(
    "metric, kind, most",
    [(metrics.SparseCategoricalAccuracy(), "classes", 5), (metrics.BinaryAccuracy(), "bits", 5)],
)
def test_an_update_is_a_few_kernels(metric, kind, most):
    def step(y_true, y_pred):
        metric.update_state(y_true, y_pred)

    graph = make_fx(step)(*map(torch.tensor, data(kind))).graph
    calls = [node.target for node in graph.nodes if node.op == "call_function"]
    assert len(calls) <= most, calls
