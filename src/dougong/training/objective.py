"""What a model is trained for: losses and metrics, matched to its outputs by name or position."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dougong import losses, metrics
from dougong.core.errors import ConfigError, DataError, UnknownNameError
from dougong.core.nested import leaves
from dougong.data import check_labels
from dougong.losses import Loss
from dougong.metrics import Metric

__all__ = ["Objective", "as_array", "by_output", "number"]

_NO_TARGETS = "y is missing: the loss compares outputs with targets; give x and y"
_BY_SHAPES = ("accuracy", "acc", "crossentropy", "ce")  # names that mean something only beside data


class _Term:
    """One output: its loss and its metrics."""

    def __init__(self, name: str, loss: Loss | None, weight: float, output: Tensor) -> None:
        self.name, self.loss, self.weight = name, loss, weight
        self.plain: list[Metric] = []
        self.weighted: list[Metric] = []
        self.tracker: metrics.Mean | None = None
        self._shape = tuple(output.shape)

    def check_targets(self, target: Tensor, name: str, weighted: bool) -> None:
        """Refuse class numbers that the output has no class for, and what cannot be a probability.

        Raises: DataError naming the first one.
        """
        loss = self.loss
        if isinstance(loss, losses.SparseCategoricalCrossentropy):
            sparse = target.ndim < len(self._shape) or target.shape[-1] == 1
            if sparse:  # the loss itself says what to do with one-hot targets
                ignored = loss.ignore_class
                labels = target if ignored is None else torch.where(target == ignored, 0, target)
                check_labels(labels, self._shape[loss.axis], name)
        elif (
            isinstance(loss, losses.BinaryCrossentropy)
            and not weighted
            and target.numel()
            and target.dtype != torch.bool
        ):
            least, most = (float(value) for value in target.aminmax())
            if least < 0 or most > 1:
                raise DataError(
                    f"{name} holds values from {least:g} to {most:g}, but binary_crossentropy takes 0 to 1:"
                    " number two classes 0 and 1; for more, use sparse_categorical_crossentropy and an output each"
                )


class Objective:
    """Losses and metrics as `compile` was given them; `bind` matches them to the outputs that a first batch shows.

    The total loss is the sum over outputs of ``loss_weights[i] * loss_i(y_i, p_i, w_i)``.
    """

    def __init__(
        self, loss: Any = None, loss_weights: Any = None, metrics: Any = None, weighted_metrics: Any = None
    ) -> None:
        self.loss, self.loss_weights = loss, loss_weights
        self.plain_metrics, self.weighted_metrics = metrics, weighted_metrics
        _check_names(loss, losses.get)
        _check_names(metrics, _known_metric)
        _check_names(weighted_metrics, _known_metric)
        self.terms: list[_Term] = []
        self._named: dict[str, Metric] = {}

    @property
    def bound(self) -> bool:
        return bool(self.terms)

    def bind(self, names: Sequence[str], y: Any, y_pred: Any) -> None:
        """Resolve everything for outputs called ``names``.   Raises: UnknownNameError, ConfigError."""
        if y is None and self.loss is not None:
            raise DataError(_NO_TARGETS)
        targets, outputs = by_output(y, names, "y"), list(leaves(y_pred))
        given = _spread(self.loss, names, "loss")
        weights = _spread(self.loss_weights, names, "loss_weights")
        terms = []
        for name, loss, weight, target, output in zip(names, given, weights, targets, outputs):
            found = None
            if loss is not None and target is not None:
                found = losses.loss_for(loss, tuple(target.shape), tuple(output.shape))
            term = _Term(name, found, 1.0 if weight is None else float(weight), output)
            terms.append(term)
        for attribute, spec in (("plain", self.plain_metrics), ("weighted", self.weighted_metrics)):
            for term, wanted, target, output in zip(terms, _spread_metrics(spec, names), targets, outputs):
                if target is not None:
                    shapes = tuple(target.shape), tuple(output.shape)
                    setattr(term, attribute, [metrics.for_output(one, term.loss, *shapes) for one in wanted])
        if sum(term.loss is not None for term in terms) > 1:
            for term in terms:
                term.tracker = metrics.Mean(name=f"{term.name}_loss") if term.loss is not None else None
        self.terms = terms
        self._named = _named(terms)
        device = next((leaf.device for leaf in outputs if isinstance(leaf, Tensor)), None)
        for metric in self._named.values():
            metric.to(device)

    @property
    def metrics(self) -> list[Metric]:
        return list(self._named.values())

    @property
    def named_metrics(self) -> Mapping[str, Metric]:
        """The metrics by the names that logs show."""
        return self._named

    @property
    def names(self) -> list[str]:
        return [term.name for term in self.terms]

    def check_targets(self, y: Any, *, weighted: bool = False) -> None:
        """Refuse targets that the losses cannot take; ``y`` are whole arrays, or a batch.   Raises: DataError.

        With ``weighted`` samples, targets without meaning may stand where weights are 0.
        """
        for term, target in zip(self.terms, by_output(y, self.names, "y")):
            if isinstance(target, Tensor):
                term.check_targets(target, "y" if len(self.terms) == 1 else f"y[{term.name!r}]", weighted)

    def total(self, y: Any, y_pred: Any, sample_weight: Any = None) -> Tensor:
        """The weighted sum of the outputs' losses, a scalar."""
        pairs = zip(self.terms, by_output(y, self.names, "y"), leaves(y_pred), self._weights(sample_weight))
        parts = []
        for term, target, output, weight in pairs:
            if term.loss is None or target is None:
                continue
            value = term.loss(target, output, weight)
            if term.tracker is not None:
                term.tracker.update_state(value.detach(), output.shape[0])
            parts.append(value if term.weight == 1.0 else value * term.weight)
        if not parts:
            if any(term.loss is not None for term in self.terms):
                raise DataError(_NO_TARGETS)
            raise ConfigError("there is nothing to minimise: compile with loss=…, or add losses with add_loss()")
        total = parts[0]
        for part in parts[1:]:
            total = total + part
        return total

    @torch.no_grad()
    def update(self, y: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Show the metrics one batch."""
        pairs = zip(self.terms, by_output(y, self.names, "y"), leaves(y_pred), self._weights(sample_weight))
        for term, target, output, weight in pairs:
            if target is None:
                continue
            for metric in term.plain:
                metric.update_state(target, output)
            for metric in term.weighted:
                metric.update_state(target, output, weight)

    def _weights(self, sample_weight: Any) -> list[Any]:
        if sample_weight is None or isinstance(sample_weight, Tensor):
            return [sample_weight] * len(self.terms)
        return by_output(sample_weight, self.names, "sample_weight")

    def results(self) -> dict[str, Any]:
        """Every metric's value since the last `reset`, floats where they are single numbers."""
        return {name: number(metric.result()) for name, metric in self._named.items()}

    def reset(self) -> None:
        for metric in self._named.values():
            metric.reset_state()


def _check_names(spec: Any, get: Any) -> None:
    """Unknown names are told of at once, not when data come.   Raises: UnknownNameError."""
    nested = spec.values() if isinstance(spec, Mapping) and "class_name" not in spec else spec
    for one in nested if isinstance(nested, Iterable) and not isinstance(nested, str | Mapping) else [nested]:
        if isinstance(one, str) and one.lower() not in _BY_SHAPES:
            get(one)
        elif isinstance(one, list | tuple):
            _check_names(one, get)


def _known_metric(name: str) -> None:
    metrics.get(name)


def by_output(values: Any, names: Sequence[str], what: str) -> list[Any]:
    """Values for the outputs called ``names``, given by name, by position, or as one.   Raises: DataError.

    >>> by_output({"b": 2, "a": 1}, ["a", "b"], "y")
    [1, 2]
    """
    if values is None or not isinstance(values, dict | list | tuple):
        return [values] * len(names) if values is None or len(names) == 1 else _refuse(values, names, what)
    if isinstance(values, dict):
        unknown = [key for key in values if key not in names]
        if unknown:
            raise UnknownNameError(f"output in {what}", unknown[0], names)
        return [values.get(name) for name in names]
    flat = list(leaves(values))
    return flat if len(flat) == len(names) else _refuse(flat, names, what)


def _refuse(values: Any, names: Sequence[str], what: str) -> list[Any]:
    got = len(values) if isinstance(values, list) else 1
    raise DataError(f"{what} has {got} parts, but the model has {len(names)} outputs {list(names)}; give one for each")


def _spread(spec: Any, names: Sequence[str], what: str) -> list[Any]:
    """A loss or weight for each output; one alone stands for all."""
    if isinstance(spec, Mapping) and "class_name" not in spec:
        unknown = [key for key in spec if key not in names]
        if unknown:
            raise UnknownNameError(f"output in {what}", unknown[0], names)
        return [spec.get(name) for name in names]
    if isinstance(spec, list | tuple):
        if len(spec) != len(names):
            raise ConfigError(
                f"{what} has {len(spec)} entries for {len(names)} outputs {list(names)}; give one for each"
            )
        return list(spec)
    return [spec] * len(names)


def _spread_metrics(spec: Any, names: Sequence[str]) -> list[list[Any]]:
    """A list of metrics for each output."""
    if spec is None:
        return [[] for _ in names]
    if isinstance(spec, Mapping):
        return [_as_list(one) for one in _spread(spec, names, "metrics")]
    items = _as_list(spec)
    if len(names) == 1:
        return [_as_list(items[0]) if len(items) == 1 and isinstance(items[0], list | tuple) else items]
    if len(items) == len(names):
        return [_as_list(item) for item in items]
    raise ConfigError(
        f"metrics has {len(items)} entries for {len(names)} outputs {list(names)}; give a dict by output name"
    )


def _as_list(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]


def _named(terms: Sequence[_Term]) -> dict[str, Metric]:
    """Metrics by the names that logs show: prefixed by the output, and sorted, where there are several outputs.

    Keras: the same names, in the order of `evaluate`'s list.
    """
    trackers: dict[str, Metric] = {term.tracker.name: term.tracker for term in terms if term.tracker is not None}
    named: dict[str, Metric] = {}
    for kind in ("plain", "weighted"):
        for term in terms:
            prefix = "" if len(terms) == 1 else f"{term.name}_"
            for metric in getattr(term, kind):
                name = f"{prefix}{metric.name}"
                if name in named and kind == "weighted":
                    name = f"{prefix}weighted_{metric.name}"
                named[_unused(name, trackers | named)] = metric
    return trackers | (named if len(terms) == 1 else dict(sorted(named.items())))


def _unused(name: str, taken: Mapping[str, Any]) -> str:
    """``name``, or the first of ``name_1``, ``name_2`` … that is not taken."""
    count, base = 1, name
    while name in taken:
        name, count = f"{base}_{count}", count + 1
    return name


def as_array(leaf: Tensor) -> np.ndarray:
    """A copy for the user: the next replay writes over the tensor."""
    return leaf if isinstance(leaf, np.ndarray) else leaf.detach().cpu().numpy().copy()  # text is an array already


def number(value: Any) -> Any:
    """A metric's result for the logs: a float where it is a single number, else an array."""
    if isinstance(value, Tensor):
        return value.item() if value.numel() == 1 else value.detach().cpu().numpy()
    return value if isinstance(value, np.ndarray) else float(value)
