"""Metrics on any shapes, updated several times: weights, masks, thresholds, classes; results and states."""

from __future__ import annotations

from typing import Any

import keras
import torch
from hypothesis import given
from hypothesis import strategies as st

import dougong as dg
from closeness import close
from dougong.core.config import serialize
from properties.case import Case, Draw, examples
from properties.comparison import inputs_of, quiet, refusal_of
from properties.strategies import BATCHES, SEEDS, SIZES, either, mostly

UNLIKE = ("dtype", "name", "label_weights")  # what configs need not say alike; Keras's label_weights are a tensor


def updated(package: Any, case: Case) -> tuple[Any, Any]:
    """The metric after one update, and after another one with other numbers if the case says so; and its result."""
    metric = getattr(package, case.kind)(**case.config)
    for seed in (case.seed, case.seed + 1)[: 1 + case.twice]:
        args, call = inputs_of(Case(case.kind, case.config, case.on, seed, call=case.call))
        with torch.no_grad():
            metric.update_state(*args, **call)
    return metric, metric.result()


def check_metric(case: Case) -> None:
    """Raise unless the metric's result, state and config are Keras's, or both refuse."""
    try:
        with quiet():
            theirs, want = updated(keras.metrics, case)
    except Exception as error:  # noqa: BLE001  Keras refuses in many ways
        if "doesn't match the broadcast shape" not in str(error):  # Keras writes masks into weights in place
            refusal_of(lambda: updated(dg.metrics, case)[1], error)
        return
    ours, got = updated(dg.metrics, case)
    close(got, want.detach(), because="result", tolerance=2e-5)
    config, reference = ours.get_config(), theirs.get_config()
    found = {name: config.get(name) for name in reference if name not in UNLIKE}
    wanted = {name: value for name, value in serialize(reference).items() if name in found}
    assert found == wanted, f"config {config}, want {reference}"
    assert type(ours).from_config(config).get_config() == config
    ours.reset_state()
    theirs.reset_state()
    for one in (ours, theirs):
        args, call = inputs_of(case)
        with torch.no_grad(), quiet():
            one.update_state(*args, **call)
    close(ours.result(), theirs.result().detach(), because="result after a reset", tolerance=2e-5)


@st.composite
def weights(draw: st.DrawFn, values: tuple[int, ...]) -> dict[str, Any]:
    if draw(st.booleans()):
        return {}
    return {"sample_weight": Draw(draw(mostly(values, ())), draw(mostly("share", "whole", "bool")))}


MEANS = {  # what targets and predictions are, for metrics that average one value a row
    "MeanSquaredError": ("normal", "normal"),
    "MeanAbsoluteError": ("normal", "normal"),
    "MeanAbsolutePercentageError": ("normal", "normal"),
    "MeanSquaredLogarithmicError": ("share", "share"),
    "RootMeanSquaredError": ("normal", "normal"),
    "LogCoshError": ("normal", "normal"),
    "CosineSimilarity": ("normal", "normal"),
    "Poisson": ("share", "share"),
    "KLDivergence": ("distribution", "distribution"),
    "Hinge": ("signs", "normal"),
    "SquaredHinge": ("bool", "normal"),
    "CategoricalHinge": ("one-hot", "normal"),
    "BinaryCrossentropy": ("bool", "share"),
    "CategoricalCrossentropy": ("one-hot", "distribution"),
    "BinaryAccuracy": ("bool", "share"),
    "CategoricalAccuracy": ("one-hot", "distribution"),
    "TopKCategoricalAccuracy": ("one-hot", "share"),
    "Accuracy": ("ties", "ties"),
    "PearsonCorrelation": ("normal", "normal"),
    "ConcordanceCorrelation": ("normal", "normal"),
}


@st.composite
def mean_cases(draw: st.DrawFn) -> Case:
    kind = draw(st.sampled_from(sorted(MEANS)))
    shape = (draw(BATCHES), *draw(st.lists(SIZES, max_size=2)), draw(st.integers(2, 5)))
    true, pred = MEANS[kind]
    config: dict[str, Any] = {}
    if "Crossentropy" in kind:
        config = {"from_logits": draw(st.booleans()), "label_smoothing": draw(mostly(0, 0.2))}
        pred = "normal" if config["from_logits"] else pred
    elif kind == "BinaryAccuracy":
        config = {"threshold": draw(either(0.5, 0.3))}
    elif kind == "TopKCategoricalAccuracy":
        config = {"k": draw(st.integers(1, shape[-1]))}
    elif kind == "CosineSimilarity":
        config = {"axis": draw(mostly(-1, len(shape) - 1))}
    values = shape if kind in ("BinaryAccuracy", "Accuracy", "RootMeanSquaredError") else shape[:-1]
    call = draw(weights(shape[:-1] if kind == "BinaryAccuracy" else values))
    masked = len(shape) - 1 if values == shape[:-1] and draw(st.booleans()) else 0
    on = (Draw(shape, true), Draw(shape, pred, masked=masked))
    return Case(kind, config, on, draw(SEEDS), call=call, twice=draw(st.booleans()))


@examples(150)
@given(mean_cases())
def test_means(case: Case) -> None:
    check_metric(case)


@st.composite
def label_cases(draw: st.DrawFn) -> Case:
    kind = draw(
        st.sampled_from(["SparseCategoricalCrossentropy", "SparseCategoricalAccuracy", "SparseTopKCategoricalAccuracy"])
    )
    classes = draw(st.integers(2, 5))
    sides = (draw(BATCHES), *draw(st.lists(SIZES, max_size=2)))
    config: dict[str, Any] = {}
    pred = "distribution"
    if kind == "SparseCategoricalCrossentropy":
        config = {"from_logits": draw(st.booleans()), "ignore_class": draw(mostly(None, 0, 1))}
        pred = "normal" if config["from_logits"] else pred
    elif kind == "SparseTopKCategoricalAccuracy":
        config = {"k": draw(st.integers(1, classes))}
    labels = draw(mostly(sides, (*sides, 1)))
    on = (
        Draw(labels, "whole", below=classes, dtype=draw(either("int64", "float32"))),
        Draw((*sides, classes), pred, masked=draw(mostly(0, len(sides)))),
    )
    return Case(kind, config, on, draw(SEEDS), call=draw(weights(sides)), twice=draw(st.booleans()))


@examples(75)
@given(label_cases())
def test_metrics_of_labels(case: Case) -> None:
    check_metric(case)


COUNTS = ["TruePositives", "TrueNegatives", "FalsePositives", "FalseNegatives", "Precision", "Recall"]
TRADES = {
    "SensitivityAtSpecificity": "specificity",
    "SpecificityAtSensitivity": "sensitivity",
    "PrecisionAtRecall": "recall",
    "RecallAtPrecision": "precision",
}


@st.composite
def threshold_cases(draw: st.DrawFn) -> Case:
    kind = draw(st.sampled_from([*COUNTS, "AUC", "AUC", *TRADES]))
    shape = (draw(st.integers(1, 6)), draw(SIZES))
    config: dict[str, Any] = {}
    if kind in COUNTS:
        config["thresholds"] = draw(st.sampled_from([None, 0.3, [0.2, 0.5, 0.7], [0.5], 0.0, 1.0]))
        if kind in ("Precision", "Recall"):
            config["class_id"] = draw(mostly(None, 0, shape[1] - 1))
            if draw(st.integers(0, 3)) == 0:
                config["top_k"] = draw(st.integers(1, shape[1]))
                config["thresholds"] = None
    elif kind == "AUC":
        config = {
            "num_thresholds": draw(st.sampled_from([200, 5, 2])),
            "curve": draw(either("ROC", "PR")),
            "summation_method": draw(st.sampled_from(["interpolation", "minoring", "majoring"])),
            "multi_label": draw(mostly(False, True)),
            "from_logits": draw(mostly(False, True)),
        }
        if config["multi_label"]:
            config["num_labels"] = shape[1]
            config["label_weights"] = draw(mostly(None, [1.0 + i for i in range(shape[1])]))
        if draw(st.integers(0, 3)) == 0:
            config["thresholds"] = draw(st.sampled_from([[0.5], [0.2, 0.4, 0.9], [0.1, 0.3, 0.5, 0.7]]))
    else:
        config = {TRADES[kind]: draw(st.sampled_from([0.0, 0.5, 0.8, 1.0])), "num_thresholds": draw(either(200, 3))}
        config["class_id"] = draw(mostly(None, 0))
    pred = "normal" if config.get("from_logits") else draw(mostly("share", "bool"))
    on = (Draw(shape, "bool"), Draw(shape, pred, dtype="float32"))
    call = {}
    if draw(st.booleans()):
        call = {"sample_weight": Draw(draw(st.sampled_from([shape, (shape[0], 1), shape[:1]])), "share")}
    return Case(kind, config, on, draw(SEEDS), call=call, twice=draw(st.booleans()))


@examples(150)
@given(threshold_cases())
def test_metrics_with_thresholds(case: Case) -> None:
    check_metric(case)


@st.composite
def overlap_cases(draw: st.DrawFn) -> Case:
    classes = draw(st.integers(2, 4))
    kind = draw(st.sampled_from(["IoU", "MeanIoU", "OneHotIoU", "OneHotMeanIoU", "BinaryIoU"]))
    sides = (draw(BATCHES), *draw(st.lists(SIZES, max_size=2)))
    config: dict[str, Any] = {"num_classes": classes, "ignore_class": draw(mostly(None, 0, -1))}
    if kind in ("IoU", "OneHotIoU"):
        config["target_class_ids"] = draw(st.lists(st.integers(0, classes - 1), min_size=1, max_size=3, unique=True))
    labels = Draw(sides, "whole", below=classes)
    one_hot, scores = Draw((*sides, classes), "one-hot"), Draw((*sides, classes), "share")
    if kind == "BinaryIoU":
        config = {"target_class_ids": draw(st.sampled_from([[0, 1], [0], [1]])), "threshold": draw(either(0.5, 0.3))}
        on = (Draw(sides, "whole", below=2), Draw(sides, "share"))
    elif kind[0] == "O":
        config["sparse_y_pred"] = draw(st.booleans())
        on = (one_hot, labels if config["sparse_y_pred"] else scores)
    else:
        config |= {"sparse_y_true": draw(mostly(True, False)), "sparse_y_pred": draw(mostly(True, False))}
        on = (labels if config["sparse_y_true"] else one_hot, labels if config["sparse_y_pred"] else scores)
    call = {"sample_weight": Draw(sides, "whole")} if draw(st.booleans()) else {}
    return Case(kind, config, on, draw(SEEDS), call=call, twice=draw(st.booleans()))


@examples(75)
@given(overlap_cases())
def test_overlaps(case: Case) -> None:
    check_metric(case)


@st.composite
def score_cases(draw: st.DrawFn) -> Case:
    kind = draw(st.sampled_from(["F1Score", "FBetaScore", "R2Score", "Mean", "Sum"]))
    shape = (draw(st.integers(1, 6)), draw(st.integers(2, 5)))
    if kind in ("Mean", "Sum"):
        values = (shape[0], *draw(st.lists(SIZES, max_size=2)))
        on: Any = (Draw(values),)
        call = draw(weights(values))
        return Case(kind, {}, on, draw(SEEDS), call=call, twice=draw(st.booleans()))
    config: dict[str, Any] = {}
    if kind == "R2Score":
        config = {"class_aggregation": draw(st.sampled_from(["uniform_average", None, "variance_weighted_average"]))}
        config["num_regressors"] = draw(mostly(0, 1))
        shape = (shape[0] + 2, shape[1])  # of fewer samples the variance is 0, but for rounding
        call = {"sample_weight": Draw(shape[:1], "share")} if draw(st.booleans()) else {}
        return Case(kind, config, (Draw(shape), Draw(shape)), draw(SEEDS), call=call, twice=draw(st.booleans()))
    config = {"average": draw(st.sampled_from([None, "micro", "macro", "weighted"]))}
    config["threshold"] = draw(st.sampled_from([None, 0.5, 0.2]))
    if kind == "FBetaScore":
        config["beta"] = draw(st.sampled_from([1.0, 0.5, 2.0]))
    on = (Draw(shape, draw(either("one-hot", "bool")), dtype="float32"), Draw(shape, "share"))
    call = draw(weights(shape[:1]))
    if "sample_weight" in call and call["sample_weight"].shape == ():
        call = {}
    return Case(kind, config, on, draw(SEEDS), call=call, twice=draw(st.booleans()))


@examples(100)
@given(score_cases())
def test_scores(case: Case) -> None:
    check_metric(case)
