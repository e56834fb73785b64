"""The table of losses, metrics, optimizers, schedules, initializers, regularizers and constraints, and their data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from dougong.core.config import register_serializable

__all__ = [
    "CONSTRAINTS",
    "DATA",
    "INITIALIZERS",
    "LOSSES",
    "METRICS",
    "OPTIMIZERS",
    "REGULARIZERS",
    "SCHEDULES",
    "ObjectCase",
]


@dataclass(frozen=True)
class ObjectCase:
    """A class, what it is made with, and which data it is shown."""

    kind: str
    config: Mapping[str, Any] = field(default_factory=dict)
    data: str = "regression"
    note: str = ""
    keras: bool = True  # whether Keras has it
    merges: bool = True  # a metric whose states add up

    @property
    def name(self) -> str:
        return f"{self.kind}-{self.note}" if self.note else self.kind

    def make(self, package: Any) -> Any:
        return getattr(package, self.kind)(**self.config)


@register_serializable(package="contract")
def squared_gap(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """What the wrappers of functions compute."""
    return ((y_pred - y_true) ** 2).mean(-1)


def _uniform(generator: torch.Generator, *shape: int) -> Tensor:
    return torch.rand(shape, generator=generator) * 0.8 + 0.1


def _classes(generator: torch.Generator, *shape: int, below: int = 4) -> Tensor:
    return torch.randint(0, below, shape, generator=generator)


def _one_hot(generator: torch.Generator, *shape: int) -> Tensor:
    return torch.nn.functional.one_hot(_classes(generator, *shape), 4).float()


def _probabilities(generator: torch.Generator, *shape: int) -> Tensor:
    return torch.softmax(torch.randn(*shape, 4, generator=generator), -1)


def _signs(generator: torch.Generator, *shape: int) -> Tensor:
    return _classes(generator, *shape, below=2) * 2.0 - 1.0


# y_true and y_pred of a batch of ``n``.
DATA: Mapping[str, Callable[[torch.Generator, int], tuple[Tensor, Tensor]]] = {
    "regression": lambda g, n: (torch.randn(n, 5, generator=g), torch.randn(n, 5, generator=g)),
    "positive": lambda g, n: (_uniform(g, n, 5), _uniform(g, n, 5)),
    "binary": lambda g, n: (_classes(g, n, 5, below=2).float(), _uniform(g, n, 5)),
    "margin": lambda g, n: (_signs(g, n, 5), torch.randn(n, 5, generator=g)),
    "one-hot": lambda g, n: (_one_hot(g, n), _probabilities(g, n)),
    "sparse": lambda g, n: (_classes(g, n), _probabilities(g, n)),
    "labels": lambda g, n: (_classes(g, n, 3), _classes(g, n, 3)),
    "picture": lambda g, n: (_one_hot(g, n, 3, 3), _probabilities(g, n, 3, 3)),
    "embedding": lambda g, n: (_classes(g, n, below=2), torch.nn.functional.normalize(torch.randn(n, 6, generator=g))),
    "speech": lambda g, n: (_classes(g, n, 2, below=3) + 1, torch.randn(n, 6, 5, generator=g)),
    "values": lambda g, n: (torch.randn(n, 3, generator=g), torch.randn(n, 3, generator=g)),
}

LOSSES = (
    ObjectCase("BinaryCrossentropy", {"label_smoothing": 0.1}, "binary"),
    ObjectCase("BinaryCrossentropy", {"from_logits": True}, "binary", "logits"),
    ObjectCase("BinaryFocalCrossentropy", {"apply_class_balancing": True}, "binary"),
    ObjectCase("CTC", {}, "speech"),
    ObjectCase("CategoricalCrossentropy", {"label_smoothing": 0.1}, "one-hot"),
    ObjectCase("CategoricalCrossentropy", {"from_logits": True}, "one-hot", "logits"),
    ObjectCase("CategoricalFocalCrossentropy", {"gamma": 1.5}, "one-hot"),
    ObjectCase("CategoricalGeneralizedCrossEntropy", {"q": 0.7}, "sparse"),
    ObjectCase("CategoricalHinge", {}, "one-hot"),
    ObjectCase("Circle", {"gamma": 4.0}, "embedding"),
    ObjectCase("CosineSimilarity", {}),
    ObjectCase("Dice", {}, "picture"),
    ObjectCase("Dice", {"axis": (1, 2, 3)}, "picture", "each"),
    ObjectCase("Hinge", {}, "margin"),
    ObjectCase("Huber", {"delta": 0.6}),
    ObjectCase("KLDivergence", {}, "one-hot"),
    ObjectCase("LogCosh", {"reduction": "sum"}),
    ObjectCase("LossFunctionWrapper", {"fn": squared_gap}, keras=False),
    ObjectCase("MeanAbsoluteError"),
    ObjectCase("MeanAbsolutePercentageError"),
    ObjectCase("MeanSquaredError", {"reduction": "none"}),
    ObjectCase("MeanSquaredLogarithmicError", {}, "positive"),
    ObjectCase("Poisson", {}, "positive"),
    ObjectCase("SparseCategoricalCrossentropy", {}, "sparse"),
    ObjectCase("SparseCategoricalCrossentropy", {"from_logits": True, "ignore_class": 0}, "sparse", "logits"),
    ObjectCase("SquaredHinge", {}, "margin"),
    ObjectCase("Tversky", {"alpha": 0.3}, "picture"),
)

METRICS = (
    ObjectCase("AUC", {"num_thresholds": 20}, "binary"),
    ObjectCase("AUC", {"curve": "PR", "multi_label": True, "num_labels": 5}, "binary", "labels"),
    ObjectCase("Accuracy", {}, "labels"),
    ObjectCase("BinaryAccuracy", {"threshold": 0.4}, "binary"),
    ObjectCase("BinaryCrossentropy", {}, "binary"),
    ObjectCase("BinaryIoU", {"threshold": 0.4}, "binary"),
    ObjectCase("CategoricalAccuracy", {}, "one-hot"),
    ObjectCase("CategoricalCrossentropy", {}, "one-hot"),
    ObjectCase("CategoricalHinge", {}, "one-hot"),
    ObjectCase("ConcordanceCorrelation"),
    ObjectCase("ConfusionMatrix", {"num_classes": 4}, "sparse", keras=False),
    ObjectCase("CosineSimilarity"),
    ObjectCase("F1Score", {"average": "macro"}, "one-hot"),
    ObjectCase("FBetaScore", {"beta": 2.0, "threshold": 0.4}, "one-hot"),
    ObjectCase("FalseNegatives", {}, "binary"),
    ObjectCase("FalsePositives", {"thresholds": [0.3, 0.6]}, "binary"),
    ObjectCase("Hinge", {}, "margin"),
    ObjectCase("IoU", {"num_classes": 4, "target_class_ids": [0, 2]}, "labels"),
    ObjectCase("KLDivergence", {}, "one-hot"),
    ObjectCase("LogCoshError"),
    ObjectCase("Mean", {}, "values"),
    ObjectCase("MeanAbsoluteError"),
    ObjectCase("MeanAbsolutePercentageError"),
    ObjectCase("MeanIoU", {"num_classes": 4}, "labels"),
    ObjectCase("MeanMetricWrapper", {"fn": squared_gap}, keras=False),
    ObjectCase("MeanSquaredError"),
    ObjectCase("MeanSquaredLogarithmicError", {}, "positive"),
    ObjectCase("OneHotIoU", {"num_classes": 4, "target_class_ids": [1, 2]}, "one-hot"),
    ObjectCase("OneHotMeanIoU", {"num_classes": 4}, "one-hot"),
    ObjectCase("PearsonCorrelation"),
    ObjectCase("Poisson", {}, "positive"),
    ObjectCase("Precision", {"thresholds": 0.4}, "binary"),
    ObjectCase("PrecisionAtRecall", {"recall": 0.5, "num_thresholds": 20}, "binary"),
    ObjectCase("R2Score"),
    ObjectCase("Recall", {"class_id": 1}, "one-hot"),
    ObjectCase("RecallAtPrecision", {"precision": 0.5, "num_thresholds": 20}, "binary"),
    ObjectCase("RootMeanSquaredError"),
    ObjectCase("SensitivityAtSpecificity", {"specificity": 0.5, "num_thresholds": 20}, "binary"),
    ObjectCase("SparseCategoricalAccuracy", {}, "sparse"),
    ObjectCase("SparseCategoricalCrossentropy", {}, "sparse"),
    ObjectCase("SparseTopKCategoricalAccuracy", {"k": 2}, "sparse"),
    ObjectCase("SpecificityAtSensitivity", {"sensitivity": 0.5, "num_thresholds": 20}, "binary"),
    ObjectCase("SquaredHinge", {}, "margin"),
    ObjectCase("Sum", {}, "values"),
    ObjectCase("TopKCategoricalAccuracy", {"k": 2}, "one-hot"),
    ObjectCase("TrueNegatives", {}, "binary"),
    ObjectCase("TruePositives", {"thresholds": [0.3, 0.6]}, "binary"),
)

OPTIMIZERS = (
    ObjectCase("Adadelta", {"learning_rate": 40.0}),
    ObjectCase("Adafactor", {"learning_rate": 0.5}),
    ObjectCase("Adagrad", {"learning_rate": 0.5}),
    ObjectCase("Adam", {"learning_rate": 0.1, "amsgrad": True}),
    ObjectCase("AdamW", {"learning_rate": 0.1, "weight_decay": 1e-3}),
    ObjectCase("Adamax", {"learning_rate": 0.1}),
    ObjectCase("Ftrl", {"learning_rate": 0.5}),
    ObjectCase("Lamb", {"learning_rate": 0.1}),
    ObjectCase("Lion", {"learning_rate": 0.05}),
    ObjectCase("Muon", {"learning_rate": 0.1}),
    ObjectCase("Nadam", {"learning_rate": 0.1}),
    ObjectCase("RMSprop", {"learning_rate": 0.05, "centered": True, "momentum": 0.5}),
    ObjectCase("SGD", {"learning_rate": 0.05}),
    ObjectCase("SGD", {"learning_rate": 0.02, "momentum": 0.9, "nesterov": True, "clipnorm": 1.0}, note="momentum"),
    ObjectCase("SGD", {"learning_rate": 0.05, "use_ema": True, "gradient_accumulation_steps": 2}, note="average"),
    ObjectCase("SGD", {"learning_rate": 0.05, "loss_scale_factor": 1.0}, note="scaled"),
    ObjectCase("ScheduleFreeAdamW", {"learning_rate": 0.2}),
)

SCHEDULES = (
    ObjectCase(
        "CosineDecay", {"initial_learning_rate": 0.0, "decay_steps": 9, "warmup_target": 0.1, "warmup_steps": 3}
    ),
    ObjectCase("CosineDecayRestarts", {"initial_learning_rate": 0.1, "first_decay_steps": 4, "alpha": 0.1}),
    ObjectCase(
        "ExponentialDecay", {"initial_learning_rate": 0.1, "decay_steps": 4, "decay_rate": 0.5, "staircase": True}
    ),
    ObjectCase("InverseTimeDecay", {"initial_learning_rate": 0.1, "decay_steps": 4, "decay_rate": 0.5}),
    ObjectCase("PiecewiseConstantDecay", {"boundaries": [3, 7], "values": [0.1, 0.05, 0.01]}),
    ObjectCase("PolynomialDecay", {"initial_learning_rate": 0.1, "decay_steps": 5, "power": 2.0, "cycle": True}),
)

INITIALIZERS = (
    ObjectCase("Constant", {"value": 0.3}),
    *(ObjectCase(kind, {"seed": 3}) for kind in ("GlorotNormal", "GlorotUniform", "HeNormal", "HeUniform")),
    *(ObjectCase(kind, {"seed": 3}) for kind in ("LecunNormal", "LecunUniform")),
    ObjectCase("Identity", {"gain": 2.0}),
    ObjectCase("Ones"),
    ObjectCase("Orthogonal", {"gain": 0.5, "seed": 3}),
    ObjectCase("RandomNormal", {"mean": 0.5, "stddev": 0.1, "seed": 3}),
    ObjectCase("RandomUniform", {"minval": -0.2, "maxval": 0.4, "seed": 3}),
    ObjectCase("TruncatedNormal", {"stddev": 0.1, "seed": 3}),
    ObjectCase("VarianceScaling", {"scale": 2.0, "mode": "fan_avg", "distribution": "uniform", "seed": 3}),
    ObjectCase("Zeros"),
)

REGULARIZERS = (
    ObjectCase("L1", {"l1": 0.2}),
    ObjectCase("L1L2", {"l1": 0.2, "l2": 0.3}),
    ObjectCase("L2", {"l2": 0.3}),
    ObjectCase("OrthogonalRegularizer", {"factor": 0.1, "mode": "columns"}),
)

CONSTRAINTS = (
    ObjectCase("MaxNorm", {"max_value": 0.5, "axis": 1}),
    ObjectCase("MinMaxNorm", {"min_value": 0.3, "max_value": 0.6, "rate": 1.0}),
    ObjectCase("NonNeg"),
    ObjectCase("UnitNorm", {"axis": 0}),
)
