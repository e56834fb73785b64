"""Projections of weights after each update: each maps a tensor in Keras's layout to one that satisfies the constraint.

``axis`` is the axis, or axes, that a norm runs over: 0 for a Dense kernel ``[in, out]``, ``(0, 1, 2)`` for a Conv2D
kernel ``[H, W, in, out]``, so that each unit's incoming weights have one norm.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from torch import Tensor

from dougong.core.config import Configurable, custom_object_scope, resolve
from dougong.core.config import serialize as serialize
from dougong.core.settings import SETTINGS

__all__ = ["Constraint", "MaxNorm", "MinMaxNorm", "NonNeg", "UnitNorm", "deserialize", "get", "serialize"]

Axis = int | tuple[int, ...] | list[int] | None
# Keras's: keeps a zero vector from dividing by zero.


class Constraint(Configurable, ABC):
    """A projection.   Shapes: ``[...] -> [...]``."""

    keras_module: ClassVar[str] = "keras.constraints"

    @abstractmethod
    def __call__(self, w: Tensor) -> Tensor: ...


def _norms(w: Tensor, axis: Axis) -> Tensor:
    axes = tuple(range(w.ndim)) if axis is None else axis
    return w.square().sum(dim=axes, keepdim=True).sqrt()


class MaxNorm(Constraint):
    r"""Shortens what is longer than ``max_value``: :math:`w \min(\|w\|, m) / \|w\|`.

    >>> import torch
    >>> MaxNorm(2.0)(torch.tensor([[3.0], [4.0]])).flatten()
    tensor([1.2000, 1.6000])
    """

    def __init__(self, max_value: float = 2, axis: Axis = 0) -> None:
        self.max_value = max_value
        self.axis = axis

    def __call__(self, w: Tensor) -> Tensor:
        norms = _norms(w, self.axis)
        return w * (norms.clamp(0, self.max_value) / (SETTINGS.epsilon + norms))


class MinMaxNorm(Constraint):
    r"""Moves norms towards ``[min_value, max_value]``, by the share ``rate`` of the way at each step.

    .. math:: w \, \frac{r \operatorname{clip}(\|w\|, a, b) + (1 - r) \|w\|}{\|w\|}

    >>> import torch
    >>> MinMaxNorm(1.0, 2.0, rate=0.5)(torch.tensor([[3.0], [4.0]])).flatten()
    tensor([2.1000, 2.8000])
    """

    def __init__(
        self,
        min_value: float = 0.0,
        max_value: float = 1.0,
        rate: float = 1.0,
        axis: Axis = 0,
    ) -> None:
        self.min_value = min_value
        self.max_value = max_value
        self.rate = rate
        self.axis = axis

    def __call__(self, w: Tensor) -> Tensor:
        norms = _norms(w, self.axis)
        wanted = self.rate * norms.clamp(self.min_value, self.max_value) + (1 - self.rate) * norms
        return w * (wanted / (SETTINGS.epsilon + norms))


class NonNeg(Constraint):
    """Negative weights become 0.

    >>> import torch
    >>> NonNeg()(torch.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """

    def __call__(self, w: Tensor) -> Tensor:
        return w.clamp_min(0)


class UnitNorm(Constraint):
    r"""Every norm becomes 1: :math:`w / \|w\|`.

    >>> import torch
    >>> UnitNorm()(torch.tensor([[3.0], [4.0]])).flatten()
    tensor([0.6000, 0.8000])
    """

    def __init__(self, axis: Axis = 0) -> None:
        self.axis = axis

    def __call__(self, w: Tensor) -> Tensor:
        return w / (SETTINGS.epsilon + _norms(w, self.axis))


_TABLE: Mapping[str, Callable[..., Any]] = {
    "MaxNorm": MaxNorm,
    "MinMaxNorm": MinMaxNorm,
    "NonNeg": NonNeg,
    "UnitNorm": UnitNorm,
    "max_norm": MaxNorm,
    "min_max_norm": MinMaxNorm,
    "non_neg": NonNeg,
    "unit_norm": UnitNorm,
}


def get(identifier: Any) -> Callable[[Tensor], Tensor] | None:
    """The constraint that an argument means: a name, a config, a class, an object, a function, or None.

    Raises: UnknownNameError listing near names.

    >>> get("max_norm").get_config()
    {'max_value': 2, 'axis': 0}
    """
    return resolve(identifier, _TABLE, "constraint")


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """`get`, with names of the user's own.   Keras: equals ``keras.constraints.deserialize``."""
    with custom_object_scope(custom_objects):
        return get(config)
