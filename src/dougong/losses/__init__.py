"""Losses: `Loss`, Keras's losses and loss functions, and the door from names to them.

A family a file: `regression`, `crossentropy`, `margin`, `focal`, `similarity`, `segmentation`, `sequence`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

from torch import Tensor
from torch.nn.modules.loss import _Loss as TorchLoss

from dougong.core.config import custom_object_scope, resolve
from dougong.core.config import serialize as serialize_value
from dougong.core.errors import ConfigError, no_attribute
from dougong.losses.crossentropy import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    KLDivergence,
    Poisson,
    SparseCategoricalCrossentropy,
)
from dougong.losses.focal import (
    BinaryFocalCrossentropy,
    CategoricalFocalCrossentropy,
    CategoricalGeneralizedCrossEntropy,
    binary_focal_crossentropy,
    categorical_focal_crossentropy,
    categorical_generalized_cross_entropy,
)
from dougong.losses.functions import FUNCTIONS
from dougong.losses.loss import Loss, PointwiseLoss, reduce_weighted
from dougong.losses.margin import CategoricalHinge, Hinge, SquaredHinge
from dougong.losses.regression import (
    Huber,
    LogCosh,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
)
from dougong.losses.segmentation import Dice, Tversky, dice, tversky
from dougong.losses.sequence import CTC, ctc
from dougong.losses.similarity import Circle, CosineSimilarity, circle, cosine_similarity
from dougong.losses.wrapper import LossFunctionWrapper
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
from dougong.ops.targets import target_kind

__all__ = [
    "CTC",
    "BinaryCrossentropy",
    "BinaryFocalCrossentropy",
    "CategoricalCrossentropy",
    "CategoricalFocalCrossentropy",
    "CategoricalGeneralizedCrossEntropy",
    "CategoricalHinge",
    "Circle",
    "CosineSimilarity",
    "Dice",
    "Hinge",
    "Huber",
    "KLDivergence",
    "LogCosh",
    "Loss",
    "LossFunctionWrapper",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "PointwiseLoss",
    "Poisson",
    "SparseCategoricalCrossentropy",
    "SquaredHinge",
    "Tversky",
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "categorical_generalized_cross_entropy",
    "categorical_hinge",
    "circle",
    "cosine_similarity",
    "ctc",
    "deserialize",
    "dice",
    "get",
    "hinge",
    "huber",
    "kl_divergence",
    "log_cosh",
    "loss_for",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "poisson",
    "reduce_weighted",
    "serialize",
    "sparse_categorical_crossentropy",
    "squared_hinge",
    "tversky",
]


def __getattr__(name: str) -> NoReturn:
    raise no_attribute("dg.losses", name, __all__)


_CLASS_OF: Mapping[Callable[..., Tensor], type[Loss]] = {
    binary_crossentropy: BinaryCrossentropy,
    binary_focal_crossentropy: BinaryFocalCrossentropy,
    categorical_crossentropy: CategoricalCrossentropy,
    categorical_focal_crossentropy: CategoricalFocalCrossentropy,
    categorical_generalized_cross_entropy: CategoricalGeneralizedCrossEntropy,
    categorical_hinge: CategoricalHinge,
    circle: Circle,
    cosine_similarity: CosineSimilarity,
    ctc: CTC,
    dice: Dice,
    hinge: Hinge,
    huber: Huber,
    kl_divergence: KLDivergence,
    log_cosh: LogCosh,
    mean_absolute_error: MeanAbsoluteError,
    mean_absolute_percentage_error: MeanAbsolutePercentageError,
    mean_squared_error: MeanSquaredError,
    mean_squared_logarithmic_error: MeanSquaredLogarithmicError,
    poisson: Poisson,
    sparse_categorical_crossentropy: SparseCategoricalCrossentropy,
    squared_hinge: SquaredHinge,
    tversky: Tversky,
}

_TABLE: Mapping[str, Any] = {
    **FUNCTIONS,
    **{loss.__name__: loss for loss in _CLASS_OF.values()},
    "LossFunctionWrapper": LossFunctionWrapper,
}

_CROSSENTROPY_OF: Mapping[str, Callable[..., Tensor]] = {
    "binary": binary_crossentropy,
    "sparse": sparse_categorical_crossentropy,
    "categorical": categorical_crossentropy,
}


def get(identifier: Any) -> Any:
    """The loss that a name, a config, a class or an object means; a name in snake case means the function.

    Raises: UnknownNameError listing near names.   Keras: equals ``keras.losses.get``.

    >>> get("mse") is mean_squared_error, get("MeanSquaredError")
    (True, MeanSquaredError(name='mean_squared_error', reduction='sum_over_batch_size'))
    """
    return resolve(identifier, _TABLE, "loss")


def serialize(loss: Any) -> Any:
    """A loss as JSON-able values.   Keras: ``keras.losses.serialize``."""
    return serialize_value(loss)


def deserialize(name: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """A loss from `serialize`'s result.   Raises: UnknownNameError.   Keras: ``keras.losses.deserialize``.

    >>> deserialize(serialize(Huber(delta=2.0))).delta
    2.0
    """
    with custom_object_scope(custom_objects):
        return get(name)


def loss_for(identifier: Any, y_true_shape: Sequence[int | None], y_pred_shape: Sequence[int | None]) -> Loss | None:
    """The `Loss` that ``compile(loss=identifier)`` means for one output; None for an output without a loss.

    "crossentropy" and "ce" choose by the shapes; a function becomes the class of its name, or is wrapped.
    Raises: UnknownNameError; ConfigError for a loss of torch.nn, which takes its arguments the other way round.

    >>> loss_for("crossentropy", (8,), (8, 10))
    SparseCategoricalCrossentropy(name='crossentropy', reduction='sum_over_batch_size')
    """
    name = identifier if isinstance(identifier, str) else None
    if name is not None and name.lower() in ("crossentropy", "ce"):
        found = _CROSSENTROPY_OF[target_kind(y_true_shape, y_pred_shape)]
    else:
        found = get(identifier)
    if found is None or isinstance(found, Loss):
        return found
    if isinstance(found, TorchLoss):
        raise ConfigError(
            f"{type(found).__name__} of torch.nn takes (input, target), but a loss is called with (y_true, y_pred);"
            " give lambda y_true, y_pred: loss(y_pred, y_true), or the loss of that name from dougong.losses"
        )
    name = name or getattr(found, "__name__", None)
    known = _CLASS_OF.get(found)
    return known(name=name) if known is not None else LossFunctionWrapper(found, name=name)
