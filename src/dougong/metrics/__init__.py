"""Metrics: `Metric`, Keras's metrics and metric functions, `ConfusionMatrix`, and the door from names to them.

A family a file: `reduction`, `accuracy`, `crossentropy`, `margin`, `regression`, `similarity`, `thresholds`, `auc`,
`confusion`, `fscore`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from dougong.core.config import custom_object_scope, resolve
from dougong.core.config import serialize as serialize_value
from dougong.core.errors import ConfigError, no_attribute
from dougong.core.names import snake_case
from dougong.metrics.accuracy import (
    Accuracy,
    BinaryAccuracy,
    CategoricalAccuracy,
    SparseCategoricalAccuracy,
    SparseTopKCategoricalAccuracy,
    TopKCategoricalAccuracy,
)
from dougong.metrics.auc import (
    AUC,
    PrecisionAtRecall,
    RecallAtPrecision,
    SensitivityAtSpecificity,
    SpecificityAtSensitivity,
)
from dougong.metrics.confusion import BinaryIoU, ConfusionMatrix, IoU, MeanIoU, OneHotIoU, OneHotMeanIoU
from dougong.metrics.crossentropy import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    KLDivergence,
    Poisson,
    SparseCategoricalCrossentropy,
)
from dougong.metrics.fscore import F1Score, FBetaScore
from dougong.metrics.margin import CategoricalHinge, Hinge, SquaredHinge
from dougong.metrics.matches import (
    binary_accuracy,
    categorical_accuracy,
    sparse_categorical_accuracy,
    sparse_top_k_categorical_accuracy,
    top_k_categorical_accuracy,
)
from dougong.metrics.metric import Metric
from dougong.metrics.reduction import Mean, MeanMetricWrapper, Sum
from dougong.metrics.regression import (
    LogCoshError,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    R2Score,
    RootMeanSquaredError,
)
from dougong.metrics.similarity import ConcordanceCorrelation, CosineSimilarity, PearsonCorrelation
from dougong.metrics.thresholds import (
    FalseNegatives,
    FalsePositives,
    Precision,
    Recall,
    TrueNegatives,
    TruePositives,
)
from dougong.ops.crossentropy import (
    binary_crossentropy,
    categorical_crossentropy,
    kl_divergence,
    poisson,
    sparse_categorical_crossentropy,
)
from dougong.ops.hinges import categorical_hinge, hinge, squared_hinge
from dougong.ops.regression_errors import (
    huber,
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
)
from dougong.ops.similarity import concordance_correlation, pearson_correlation
from dougong.ops.targets import target_kind

__all__ = [
    "AUC",
    "Accuracy",
    "BinaryAccuracy",
    "BinaryCrossentropy",
    "BinaryIoU",
    "CategoricalAccuracy",
    "CategoricalCrossentropy",
    "CategoricalHinge",
    "ConcordanceCorrelation",
    "ConfusionMatrix",
    "CosineSimilarity",
    "F1Score",
    "FBetaScore",
    "FalseNegatives",
    "FalsePositives",
    "Hinge",
    "IoU",
    "KLDivergence",
    "LogCoshError",
    "Mean",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanIoU",
    "MeanMetricWrapper",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Metric",
    "OneHotIoU",
    "OneHotMeanIoU",
    "PearsonCorrelation",
    "Poisson",
    "Precision",
    "PrecisionAtRecall",
    "R2Score",
    "Recall",
    "RecallAtPrecision",
    "RootMeanSquaredError",
    "SensitivityAtSpecificity",
    "SparseCategoricalAccuracy",
    "SparseCategoricalCrossentropy",
    "SparseTopKCategoricalAccuracy",
    "SpecificityAtSensitivity",
    "SquaredHinge",
    "Sum",
    "TopKCategoricalAccuracy",
    "TrueNegatives",
    "TruePositives",
    "accuracy_for",
    "binary_accuracy",
    "binary_crossentropy",
    "categorical_accuracy",
    "categorical_crossentropy",
    "categorical_hinge",
    "concordance_correlation",
    "crossentropy_for",
    "deserialize",
    "for_output",
    "get",
    "hinge",
    "huber",
    "kl_divergence",
    "log_cosh",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "pearson_correlation",
    "poisson",
    "serialize",
    "sparse_categorical_accuracy",
    "sparse_categorical_crossentropy",
    "sparse_top_k_categorical_accuracy",
    "squared_hinge",
    "top_k_categorical_accuracy",
]


def __getattr__(name: str) -> NoReturn:
    raise no_attribute("dg.metrics", name, __all__)


_CLASSES: tuple[type[Metric], ...] = (
    AUC,
    Accuracy,
    BinaryAccuracy,
    BinaryCrossentropy,
    BinaryIoU,
    CategoricalAccuracy,
    CategoricalCrossentropy,
    CategoricalHinge,
    ConcordanceCorrelation,
    ConfusionMatrix,
    CosineSimilarity,
    F1Score,
    FBetaScore,
    FalseNegatives,
    FalsePositives,
    Hinge,
    IoU,
    KLDivergence,
    LogCoshError,
    Mean,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanIoU,
    MeanMetricWrapper,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    OneHotIoU,
    OneHotMeanIoU,
    PearsonCorrelation,
    Poisson,
    Precision,
    PrecisionAtRecall,
    R2Score,
    Recall,
    RecallAtPrecision,
    RootMeanSquaredError,
    SensitivityAtSpecificity,
    SparseCategoricalAccuracy,
    SparseCategoricalCrossentropy,
    SparseTopKCategoricalAccuracy,
    SpecificityAtSensitivity,
    SquaredHinge,
    Sum,
    TopKCategoricalAccuracy,
    TrueNegatives,
    TruePositives,
)

_TABLE: Mapping[str, Any] = {
    **{metric.__name__: metric for metric in _CLASSES},
    **{snake_case(metric.__name__): metric for metric in _CLASSES},
    "bce": BinaryCrossentropy,
    "BCE": BinaryCrossentropy,
    "fbeta_score": FBetaScore,
    "kld": KLDivergence,
    "KLD": KLDivergence,
    "kullback_leibler_divergence": KLDivergence,
    "logcosh": LogCoshError,
    "log_cosh": LogCoshError,
    "mae": MeanAbsoluteError,
    "MAE": MeanAbsoluteError,
    "mape": MeanAbsolutePercentageError,
    "MAPE": MeanAbsolutePercentageError,
    "mean_iou": MeanIoU,
    "mse": MeanSquaredError,
    "MSE": MeanSquaredError,
    "msle": MeanSquaredLogarithmicError,
    "MSLE": MeanSquaredLogarithmicError,
    "rmse": RootMeanSquaredError,
    "RMSE": RootMeanSquaredError,
}

_ACCURACY_OF = {
    "binary": "binary_accuracy",
    "sparse": "sparse_categorical_accuracy",
    "categorical": "categorical_accuracy",
}
_CROSSENTROPY_OF = {
    "binary": "binary_crossentropy",
    "sparse": "sparse_categorical_crossentropy",
    "categorical": "categorical_crossentropy",
}


def get(identifier: Any) -> Any:
    """The metric that a name (of a class, in either spelling, or short), a config, a class or an object means.

    Raises: UnknownNameError listing near names.   Keras: equals ``keras.metrics.get``.

    >>> get("mse"), get("TopKCategoricalAccuracy").k
    (MeanSquaredError(name='mean_squared_error'), 5)
    """
    return resolve(identifier, _TABLE, "metric")


def serialize(metric: Any) -> Any:
    """A metric as JSON-able values.   Keras: ``keras.metrics.serialize``."""
    return serialize_value(metric)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """A metric from `serialize`'s result.   Raises: UnknownNameError.   Keras: ``keras.metrics.deserialize``.

    >>> deserialize(serialize(AUC(curve="PR"))).curve
    'PR'
    """
    with custom_object_scope(custom_objects):
        return get(config)


def accuracy_for(y_true_shape: Sequence[int | None], y_pred_shape: Sequence[int | None]) -> str:
    """Which accuracy "accuracy" means for these shapes.   Keras: the same choice; the loss has no say in it.

    >>> accuracy_for((8, 1), (8, 10))
    'sparse_categorical_accuracy'
    """
    return _ACCURACY_OF[target_kind(y_true_shape, y_pred_shape)]


def crossentropy_for(y_true_shape: Sequence[int | None], y_pred_shape: Sequence[int | None]) -> str:
    """Which cross-entropy "crossentropy" means for these shapes.

    >>> crossentropy_for((8, 10), (8, 10))
    'categorical_crossentropy'
    """
    return _CROSSENTROPY_OF[target_kind(y_true_shape, y_pred_shape)]


def for_output(
    identifier: Any, loss: Any, y_true_shape: Sequence[int | None], y_pred_shape: Sequence[int | None]
) -> Metric:
    """The `Metric` that ``compile(metrics=[identifier])`` means for one output, built for its shapes.

    "accuracy", "acc", "crossentropy" and "ce" choose by the shapes; the cross-entropy then reads logits if the loss
    does.  A metric given by name has this name; a function is wrapped and has its own.
    Raises: UnknownNameError; ConfigError for None.

    >>> for_output("acc", None, (8,), (8, 10))
    SparseCategoricalAccuracy(name='acc')
    """
    name = identifier if isinstance(identifier, str) else None
    if identifier is None:
        raise ConfigError("a metric was None; leave it out of the list, or give {} for an output without metrics")
    if name is not None and name.lower() in ("accuracy", "acc"):
        metric = get(accuracy_for(y_true_shape, y_pred_shape))
    elif name is not None and name.lower() in ("crossentropy", "ce"):
        cls = _TABLE[crossentropy_for(y_true_shape, y_pred_shape)]
        metric = cls(from_logits=bool(getattr(loss, "from_logits", False)))
    else:
        metric = get(identifier)
    if not isinstance(metric, Metric):
        metric = MeanMetricWrapper(
            metric, name=name or getattr(metric, "__name__", None) or getattr(metric, "name", None)
        )
    elif name is not None:
        metric.name = name
    metric.build(y_true_shape, y_pred_shape)
    return metric
