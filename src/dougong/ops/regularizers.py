"""Penalties on weights and activations: each maps a tensor to a scalar that is added to the loss."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from torch import Tensor
from torch.nn import functional as F

from dougong.core.config import Configurable, custom_object_scope, resolve
from dougong.core.config import serialize as serialize
from dougong.core.errors import ConfigError, ShapeError

__all__ = ["L1", "L1L2", "L2", "OrthogonalRegularizer", "Regularizer", "deserialize", "get", "serialize"]


class Regularizer(Configurable, ABC):
    """A penalty.   Shapes: ``[...] -> []``."""

    keras_module: ClassVar[str] = "keras.regularizers"

    @abstractmethod
    def __call__(self, x: Tensor) -> Tensor: ...


def _factor(value: float | None, name: str, default: float) -> float:
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise ConfigError(f"{name} must be a number >= 0; got {value!r}")
    return float(value)


class L1(Regularizer):
    r"""Lasso: :math:`\lambda_1 \sum |x|`.   Raises: ConfigError for a negative or infinite factor.

    >>> import torch
    >>> L1(0.5)(torch.tensor([-1.0, 3.0]))
    tensor(2.)
    """

    def __init__(self, l1: float = 0.01) -> None:
        self.l1 = _factor(l1, "l1", 0.01)

    def __call__(self, x: Tensor) -> Tensor:
        return self.l1 * x.abs().sum()


class L2(Regularizer):
    r"""Ridge: :math:`\lambda_2 \sum x^2`, without a half.   Raises: ConfigError for a negative or infinite factor.

    >>> import torch
    >>> L2(0.5)(torch.tensor([-1.0, 3.0]))
    tensor(5.)
    """

    def __init__(self, l2: float = 0.01) -> None:
        self.l2 = _factor(l2, "l2", 0.01)

    def __call__(self, x: Tensor) -> Tensor:
        return self.l2 * x.square().sum()


class L1L2(Regularizer):
    r"""Elastic net: :math:`\lambda_1 \sum |x| + \lambda_2 \sum x^2`.   Keras: both factors are 0 unless given.

    >>> import torch
    >>> L1L2(0.5, 1.0)(torch.tensor([-1.0, 3.0]))
    tensor(12.)
    """

    def __init__(self, l1: float = 0.0, l2: float = 0.0) -> None:
        self.l1 = _factor(l1, "l1", 0.0)
        self.l2 = _factor(l2, "l2", 0.0)

    def __call__(self, x: Tensor) -> Tensor:
        penalty = x.new_zeros(())
        if self.l1:
            penalty = penalty + self.l1 * x.abs().sum()
        if self.l2:
            penalty = penalty + self.l2 * x.square().sum()
        return penalty


class OrthogonalRegularizer(Regularizer):
    r"""Pulls the rows (or columns) of a matrix towards being orthogonal to each other.

    .. math:: \lambda \, \frac{\sum_{i<j} |\cos(x_i, x_j)|}{n (n - 1) / 2}

    Shapes: ``[rows, columns] -> []``.   Raises: ShapeError unless the tensor is a matrix.

    >>> import torch
    >>> OrthogonalRegularizer(1.0)(torch.tensor([[1.0, 0.0], [1.0, 1.0]]))
    tensor(0.7071)
    """

    def __init__(self, factor: float = 0.01, mode: str = "rows") -> None:
        if mode not in ("rows", "columns"):
            raise ConfigError(f"mode must be 'rows' or 'columns'; got {mode!r}")
        self.factor = _factor(factor, "factor", 0.01)
        self.mode = mode

    def __call__(self, x: Tensor) -> Tensor:
        if x.ndim != 2:
            raise ShapeError(f"OrthogonalRegularizer needs a matrix, got {tuple(x.shape)}; use it on Dense kernels")
        vectors = F.normalize(x if self.mode == "rows" else x.mT, dim=1)
        count = vectors.shape[0]
        cosines = (vectors @ vectors.mT).abs()
        off_diagonal = cosines.sum() - cosines.diagonal().sum()
        return self.factor * off_diagonal / (count * (count - 1))


_TABLE: Mapping[str, Callable[..., Any]] = {
    "L1": L1,
    "L1L2": L1L2,
    "L2": L2,
    "OrthogonalRegularizer": OrthogonalRegularizer,
    "l1": L1,
    "l1_l2": L1L2,
    "l1l2": L1L2,
    "l2": L2,
    "orthogonal_regularizer": OrthogonalRegularizer,
}


def get(identifier: Any) -> Callable[[Tensor], Tensor] | None:
    """The regularizer that an argument means: a name, a config, a class, an object, a function, or None.

    Raises: UnknownNameError listing near names.

    >>> get("l2").get_config()
    {'l2': 0.01}
    """
    return resolve(identifier, _TABLE, "regularizer")


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """`get`, with names of the user's own.   Keras: equals ``keras.regularizers.deserialize``."""
    with custom_object_scope(custom_objects):
        return get(config)
