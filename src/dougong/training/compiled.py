"""What `compile` sets, and the steps made from it."""

from __future__ import annotations

import inspect
from typing import Any

from torch import Tensor, nn

from dougong import optimizers
from dougong.core.errors import BuildError
from dougong.metrics import Mean
from dougong.training.custom import CustomStep
from dougong.training.objective import Objective
from dougong.training.steps import PredictStep, Step, TestStep, TrainStep

__all__ = ["Compiled"]


class Compiled:
    """Optimizer, objective and flags of a model, with its steps kept as long as nothing they rely on has changed."""

    def __init__(
        self,
        optimizer: Any,
        loss: Any,
        loss_weights: Any,
        metrics: Any,
        weighted_metrics: Any,
        run_eagerly: bool,
        arguments: dict[str, Any],
    ) -> None:
        self.optimizer = optimizers.get(optimizer)
        self.objective = Objective(loss, loss_weights, metrics, weighted_metrics)
        self.run_eagerly = run_eagerly
        self.arguments = arguments
        self.loss_tracker = Mean(name="loss")
        self._steps: dict[str, tuple[Any, Any]] = {}

    def __deepcopy__(self, memo: dict[int, Any]) -> Compiled:
        from copy import copy, deepcopy  # lazy: only copies need it

        twin = copy(self)
        memo[id(self)] = twin
        twin.optimizer = deepcopy(self.optimizer, memo)
        twin.objective = deepcopy(self.objective, memo)
        twin.loss_tracker = deepcopy(self.loss_tracker, memo)
        twin._steps = {}
        return twin

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_steps": {}}

    def step(self, kind: str, model: Any) -> Any:
        """The ``train``, ``test`` or ``predict`` step of ``model``, made anew if weights were moved or (un)frozen."""
        state = _signature(model)
        kept = self._steps.get(kind)
        if kept is not None and kept[0] == state:
            return kept[1]
        made = self._make(kind, model)
        self._steps[kind] = (_signature(model), made)
        return made

    def _make(self, kind: str, model: Any) -> Step | CustomStep:
        custom = _overridden(model, f"{kind}_step")
        if custom is not None and kind != "predict":
            return CustomStep(model, custom, self.metrics(model))
        eager = "run_eagerly=True" if self.run_eagerly else None
        if kind == "predict":
            return PredictStep(model, eager=eager)
        if kind == "test":
            return TestStep(model, self.objective, model.loss_for_step, eager=eager)
        return TrainStep(model, self.objective, self.optimizer, model.loss_for_step, eager=eager)

    def metrics(self, model: Any) -> list[Any]:
        """All metrics of the model: the loss, those of compile, and those that the model or its layers hold."""
        return [self.loss_tracker, *self.objective.metrics, *model.own_metrics()]


def _signature(model: nn.Module) -> tuple[Any, ...]:
    def of(tensor: Tensor) -> tuple[int, int, bool]:
        return id(tensor), tensor.data_ptr(), tensor.requires_grad

    return (
        tuple(map(of, model.parameters())),
        tuple(buffer.data_ptr() for buffer in model.buffers()),
        tuple(id(module) for module in model.modules()),
    )


def _overridden(model: Any, name: str) -> Any | None:
    """The user's own ``train_step`` or ``test_step``, or None."""
    function = getattr(type(model), name)
    if function.__module__.startswith("dougong."):
        return None
    if not inspect.isfunction(function):
        raise BuildError(f"{type(model).__name__}.{name} must be a method taking data")
    return function
