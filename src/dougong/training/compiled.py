"""What `compile` sets, and the steps made from it."""

from __future__ import annotations

import inspect
from copy import copy, deepcopy
from typing import Any

from torch import nn

from dougong import optimizers
from dougong.core.errors import BuildError, ConfigError
from dougong.metrics import Mean
from dougong.training.custom import CustomPredict, CustomStep
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
        *,
        scale_loss: bool = False,
    ) -> None:
        found = optimizers.get(optimizer)
        if found is None:
            raise ConfigError("optimizer is None; give a name such as 'adam', or an object")
        if scale_loss and not isinstance(found, optimizers.LossScaleOptimizer):
            found = optimizers.LossScaleOptimizer(found, name="loss_scale_optimizer")
        self.optimizer = found
        self.objective = Objective(loss, loss_weights, metrics, weighted_metrics)
        self.run_eagerly = run_eagerly
        self.arguments = arguments
        self.loss_tracker = Mean(name="loss")
        self.fitting = False  # while `fit` runs
        self.shows_average = False  # while a callback shows the averages of the weights in their place
        self._steps: dict[str, tuple[Any, Any]] = {}

    def __deepcopy__(self, memo: dict[int, Any]) -> Compiled:
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
        """The ``train``, ``test`` or ``predict`` step: the model's own method if it has one, else `standard_step`."""
        if not model.has_own_step(kind):
            return self.standard_step(kind, model)
        custom = getattr(type(model), f"{kind}_step")
        if not inspect.isfunction(custom):
            raise BuildError(f"{type(model).__name__}.{kind}_step must be a method taking data")
        return CustomPredict(model, custom) if kind == "predict" else CustomStep(model, custom, self.metrics(model))

    def standard_step(self, kind: str, model: Any) -> Step:
        """The step made of forward, loss and update; made anew if what it was traced with has changed since."""
        kept = self._steps.get(kind)
        if kept is not None and kept[0] == _signature(model):
            return kept[1]
        made = self._make(kind, model)
        self._steps[kind] = (_signature(model), made)  # making a training step moves the weights
        return made

    def settle(self, kind: str, model: Any) -> None:
        """Take what tracing itself has changed, such as a layer's count of its calls, for the present state."""
        if kind in self._steps:
            self._steps[kind] = (_signature(model), self._steps[kind][1])

    def _make(self, kind: str, model: Any) -> Step:
        eager = "run_eagerly=True" if self.run_eagerly else model.front.eager
        if kind == "predict":
            return PredictStep(model, eager=eager)
        if kind == "test":
            return TestStep(model, self.objective, model.loss_for_step, eager=eager)
        return TrainStep(model, self.objective, self.optimizer, model.loss_for_step, eager=eager)

    def metrics(self, model: Any) -> list[Any]:
        """All metrics of the model: the loss, those of compile, and those that the model or its layers hold."""
        return [self.loss_tracker, *self.objective.metrics, *model.own_metrics()]


_PLAIN = (bool, int, float, str, type(None))
_PASSING = {"training", "built", "stop_training", "stop_evaluating"}  # set by the running itself


def _signature(model: nn.Module) -> list[Any]:
    """What a traced step relies on: where weights lie, which are trained, and the plain settings of layers."""
    found: list[Any] = []
    for module in model.modules():
        found.append(id(module))
        for tensor in (*module._parameters.values(), *module._buffers.values()):
            if tensor is not None:
                found += (id(tensor), tensor.data_ptr(), tensor.requires_grad)
        found += [pair for pair in vars(module).items() if type(pair[1]) in _PLAIN and pair[0] not in _PASSING]
    return found
