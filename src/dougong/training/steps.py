"""One step of training, testing or prediction: captured once for each shape and replayed, or run eagerly.

A capture costs 5 ms for a small net and 0.2 s for a deep one, so only shapes that come often are captured; both ways
give the same numbers.
"""

from __future__ import annotations

import math
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from dougong.core.errors import ConfigError, DataError, ShapeError
from dougong.core.nested import leaves, map_leaves, pack
from dougong.core.weights import KerasWeight, named_weights
from dougong.optimizers import Optimizer
from dougong.training.capture import Captured, CaptureError, capture, work_of
from dougong.training.guard import diagnose
from dougong.training.objective import Objective, as_array, number
from dougong.training.preparing import state_kept
from dougong.training.threads import threads_for, use_threads

__all__ = ["CAPTURE_AFTER", "PredictStep", "Step", "TestStep", "TrainStep"]

CAPTURE_AFTER = 24  # calls of one shape, seen or expected, that make a capture worth its time
_MOST_SHAPES = 16  # beyond this the shapes are too varied to hold buffers for each

Batch = tuple[Any, Any, Any]


class Step(ABC):
    """A function of a batch that is captured for each shape of batch.

    ``plan`` is a sentence: how the step runs and, if eagerly, why.
    """

    passes: ClassVar[int] = 1  # how often the arithmetic of the forward pass is done

    def __init__(self, model: Any, objective: Objective | None = None, *, eager: str | None = None) -> None:
        self.model, self.objective = model, objective
        self._total, self._count = 0.0, 0
        self.expected = 0
        self.plan = f"eager: {eager}" if eager else "eager"
        self.multiply_adds = 0
        self._own = [metric for metric in model.own_metrics() if metric.name != "loss"] if objective is not None else []
        self.data: Any = None  # the whole arrays that batches come from, where there are such, to name rows in
        self._refused = eager
        self._captured: dict[Any, Captured] = {}
        self._seen: dict[Any, int] = {}
        self._bound: tuple[Any, Sequence[Tensor], Captured | None] = (None, (), None)

    def reset(self) -> None:
        """Begin an epoch: means start afresh."""
        self._total, self._count = 0.0, 0
        if self.objective is not None:
            self.objective.reset()
        for metric in self._own:
            metric.reset_state()

    @property
    def tally(self) -> tuple[float, int]:
        """Sum of the losses since `reset`, and how many samples they are of."""
        return self._total, self._count

    @tally.setter
    def tally(self, value: tuple[float, int]) -> None:
        self._total, self._count = value

    def release(self) -> None:
        """Let go of the data."""
        self.data, self._bound = None, (None, (), None)

    def logs(self) -> dict[str, Any]:
        """The means since `reset`."""
        logs = {"loss": self._total / self._count if self._count else math.nan}
        if self.objective is not None:
            logs |= self.objective.results()
        for metric in self._own:
            logs[metric.name] = number(metric.result())
        return logs

    def _note(self, loss: float, size: int) -> float:
        self._total += loss * size
        self._count += size
        return loss

    @abstractmethod
    def __call__(self, batch: Batch) -> Any:
        """Run on a batch."""

    @abstractmethod
    def function(self, batch: Batch) -> tuple[Tensor, ...]:
        """The step's tensor arithmetic on a batch; traced, so without effects outside tensors."""

    def expect(self, calls: int) -> None:
        """Tell how many calls of the common shape are to come."""
        self.expected = calls

    def prepare(self, batch: Batch) -> None:
        """Capture for batches like this one if enough of them are expected; nothing is trained."""
        flat = _flat(batch)
        key = _key(flat)
        if self._refused is None and key not in self._captured and self.expected >= CAPTURE_AFTER:
            self._capture(key, batch, flat)

    def work(self, batch: Batch) -> int:
        """Multiply-adds of one call on a batch like this: counted where captured, else from a run on two rows."""
        if not self.multiply_adds:
            self.multiply_adds = self.passes * _forward_work(self.model, batch[0])
        return self.multiply_adds

    def _replay(self, batch: Batch) -> tuple[Tensor, ...] | None:
        """The captured function's outputs, or None if this shape runs eagerly."""
        bound, flat, captured = self._bound
        if captured is None or batch is not bound:  # sources hand out the same batch again, with new numbers in it
            flat = _flat(batch)
            captured = self._captured_for(batch, flat)
            self._bound = batch, flat, captured
        return None if captured is None else captured(*flat)

    def _captured_for(self, batch: Batch, flat: Sequence[Tensor]) -> Captured | None:
        """The capture for this shape; made at the `CAPTURE_AFTER`-th call."""
        if self._refused is not None:
            return None
        key = _key(flat)
        captured = self._captured.get(key)
        if captured is None:
            seen = self._seen[key] = self._seen.get(key, 0) + 1
            if seen >= CAPTURE_AFTER and len(self._captured) < _MOST_SHAPES:
                captured = self._capture(key, batch, flat)
        return captured

    def _capture(self, key: Any, batch: Batch, flat: Sequence[Tensor]) -> Captured | None:
        present = [leaf is not None for leaf in leaves(batch)]

        def function(*tensors: Tensor) -> tuple[Tensor, ...]:
            source = iter(tensors)
            return self.function(pack(batch, [next(source) if there else None for there in present]))

        try:
            captured = capture(function, flat, **self._gradients())
        except CaptureError as error:
            self._refused = str(error)
            self.plan = f"eager: {error}"
            return None
        self._captured[key] = captured
        self.plan = captured.plan
        self.multiply_adds = max(self.multiply_adds, captured.multiply_adds)
        return captured

    def _gradients(self) -> dict[str, Any]:
        """What `capture` is to differentiate by, and where the gradients go."""
        return {}

    def _forget_captures(self) -> None:
        self._captured.clear()
        self._bound = (None, (), None)

    def _arithmetic(self) -> AbstractContextManager[Any]:
        """Autocast where the model's policy is mixed."""
        policy = getattr(self.model, "dtype_policy", None)
        if policy is None or not policy.mixed:
            return nullcontext()
        device = next(self.model.parameters()).device.type
        return torch.autocast(device, dtype=policy.arithmetic)

    def _explain(self, error: BaseException, batch: Batch) -> None:
        """Raise what says more than ``error``, if the targets of the batch are to blame."""
        if isinstance(error, IndexError) and self.objective is not None and batch[1] is not None:
            try:
                self.objective.check_targets(batch[1])
            except DataError as clear:
                raise DataError(f"in a batch of {len(self._bound[1][0])}: {clear}") from error

    def _show(self, y: Any, y_pred: Any, sample_weight: Any) -> None:
        if self.objective is not None:
            self.objective.update(y, y_pred, sample_weight)

    def _forward(self, x: Any) -> Any:
        with self._arithmetic():
            return self.model(x)


class TrainStep(Step):
    """Forward, loss, backward, update.

    ``step(batch)`` returns the loss as a float.   Raises: NonFiniteError before the weights change.
    """

    passes = 3

    def __init__(
        self,
        model: Any,
        objective: Objective,
        optimizer: Optimizer,
        loss: Callable[[Any, Any, Any, Any], Tensor],
        *,
        eager: str | None = None,
    ) -> None:
        super().__init__(model, objective, eager=eager)
        self.optimizer, self.loss = optimizer, loss
        weights = [(path, weight) for path, weight in named_weights(model) if weight.tensor.requires_grad]
        if not weights:
            raise ConfigError(
                "the model has nothing to train: no layer has weights, or all are frozen; unfreeze some layer"
            )
        self.parameters = [weight.tensor for _, weight in weights]
        _refuse_shared(optimizer, self.parameters)
        optimizer.ensure_built(
            self.parameters,
            [_projection(weight) for _, weight in weights],
            [path for path, _ in weights],
            [weight.layout for _, weight in weights],
        )
        self._loss_scale = optimizer.loss_scale_factor
        self._state: _State | None = None

    def function(self, batch: Batch) -> tuple[Tensor, ...]:
        x, y, sample_weight = batch
        y_pred = self._forward(x)
        loss = self.loss(x, y, y_pred, sample_weight)
        self._show(y, y_pred, sample_weight)
        scaled = self.optimizer.scale_loss(loss)  # the first output is differentiated, the last one reported
        return (loss,) if scaled is loss else (scaled, loss)

    def __call__(self, batch: Batch) -> float:
        if self.optimizer.loss_scale_factor != self._loss_scale:  # captured steps hold the number
            self._loss_scale = self.optimizer.loss_scale_factor
            self._forget_captures()
        if self._state is None:
            self._state = _State(self.model, self.objective)
        state = self._state
        if state.tensors:  # models without running means or metrics pay nothing
            state.keep()
        try:
            outputs = self._replay(batch) or self._eager(batch)
            value = outputs[-1].item()
        except BaseException as error:
            state.restore()
            self._explain(error, batch)
            raise
        if not (math.isfinite(value) and self.optimizer.takes_gradients()):
            try:
                raise diagnose(self, batch, value)
            finally:
                state.restore()
        self.optimizer.step()
        return self._note(value, len(self._bound[1][0]))

    def _gradients(self) -> dict[str, Any]:
        return {"gradients_of": self.parameters, "gradients": self.optimizer.gradients}

    def _eager(self, batch: Batch) -> tuple[Tensor, ...]:
        with torch.enable_grad():
            outputs = self.function(batch)
            gradients = torch.autograd.grad(outputs[0], self.parameters, allow_unused=True)
        with torch.no_grad():
            for view, gradient in zip(self.optimizer.gradients, gradients):
                if gradient is None:
                    view.zero_()
                else:
                    view.copy_(gradient)
        return outputs


class TestStep(Step):
    """Forward, loss and metrics, nothing changed in the model."""

    __test__ = False  # not a pytest class

    def __init__(
        self,
        model: Any,
        objective: Objective,
        loss: Callable[[Any, Any, Any, Any], Tensor],
        *,
        eager: str | None = None,
    ) -> None:
        super().__init__(model, objective, eager=eager)
        self.loss = loss

    def function(self, batch: Batch) -> tuple[Tensor, ...]:
        x, y, sample_weight = batch
        y_pred = self._forward(x)
        loss = self.loss(x, y, y_pred, sample_weight)
        self._show(y, y_pred, sample_weight)
        return (loss,)

    def __call__(self, batch: Batch) -> float:
        with torch.no_grad():
            try:
                outputs = self._replay(batch) or self.function(batch)
            except IndexError as error:
                self._explain(error, batch)
                raise
            return self._note(outputs[0].item(), len(self._bound[1][0]))


class PredictStep(Step):
    """Forward only."""

    structure: Any = None

    def __init__(self, model: nn.Module, *, eager: str | None = None) -> None:
        super().__init__(model, eager=eager)
        self._lock = threading.Lock()

    def function(self, batch: Batch) -> tuple[Tensor, ...]:
        y_pred = self._forward(batch[0])
        self.structure = map_leaves(lambda _: None, y_pred)
        return tuple(leaf.float() if leaf.dtype is torch.bfloat16 else leaf for leaf in leaves(y_pred))

    def __call__(self, batch: Batch) -> Any:
        """The outputs as NumPy arrays.  Threads may call at once: one replays, the others run eagerly."""
        replays = self._lock.acquire(blocking=False)
        try:
            with torch.no_grad():
                outputs = self._replay((batch[0], None, None)) if replays else None
                if outputs is None:
                    outputs = self.function(batch)
            return pack(self.structure, map(as_array, outputs))
        finally:
            if replays:
                self._lock.release()

    def at_once(self, x: np.ndarray) -> Any:
        """The outputs if this shape is captured, so that nothing is left to prepare; else None."""
        tensor = torch.from_numpy(x).to(self.model.device, self.model.data_dtype)
        if _key((tensor,)) not in self._captured:
            return None
        with use_threads(threads_for(self.multiply_adds, torch.get_num_threads())):
            return self((tensor, None, None))


def _refuse_shared(optimizer: Optimizer, parameters: Sequence[Tensor]) -> None:
    """An optimizer that was built on other weights would give this model their memory.   Raises: ConfigError."""
    if optimizer.built and not {*map(id, optimizer.parameters)} & {*map(id, parameters)}:
        kind = type(optimizer).__name__
        raise ConfigError(
            f"optimizer {optimizer.name!r} trains another model already; compile each with its own:"
            f" {kind}.from_config(optimizer.get_config())"
        )


class _State:
    """What a forward pass changes beside its outputs: running means, metrics.  Kept from before each training step."""

    _LARGE = 1 << 18  # elements; what is larger and was not changed by the first step is taken for a constant

    passes: ClassVar[int] = 1  # how often the arithmetic of the forward pass is done

    def __init__(self, model: nn.Module, objective: Objective | None) -> None:
        metrics = objective.metrics if objective is not None else []
        found = [*model.buffers(), *(tensor for metric in metrics for tensor in metric.states)]
        self.tensors = list({id(tensor): tensor for tensor in found}.values())
        self._copies = [tensor.clone() for tensor in self.tensors]
        self._versions = [tensor._version for tensor in self.tensors]
        self._steps = 0

    def keep(self) -> None:
        """Take copies."""
        self._steps += 1
        if self._steps == 2:
            self._drop_constants()
        if self.tensors:
            torch._foreach_copy_(self._copies, self.tensors)

    def _drop_constants(self) -> None:
        known = zip(self.tensors, self._copies, self._versions)
        wanted = [(t, copy) for t, copy, version in known if t.numel() <= self._LARGE or t._version != version]
        self.tensors, self._copies = [tensor for tensor, _ in wanted], [copy for _, copy in wanted]

    def restore(self) -> None:
        """Put the copies back."""
        if self.tensors:
            torch._foreach_copy_(self.tensors, self._copies)


def _forward_work(model: nn.Module, x: Any) -> int:
    """Multiply-adds of the forward pass on ``x``; one for each weight and row where the model cannot be recorded."""
    flat = list(leaves(x))
    if not all(isinstance(leaf, Tensor) for leaf in flat):  # text
        return len(flat[0]) * sum(parameter.numel() for parameter in model.parameters())
    few = [leaf[:2] for leaf in flat]
    try:
        with state_kept(model):
            counted = work_of(lambda *tensors: tuple(leaves(model(pack(x, tensors)))), few)
    except (CaptureError, ShapeError, RuntimeError, IndexError, ValueError):  # rows may belong together: a graph's
        counted = len(few[0]) * sum(parameter.numel() for parameter in model.parameters())
    return counted * len(flat[0]) // max(1, len(few[0]))


def _flat(batch: Batch) -> Sequence[Tensor]:
    """The tensors of a batch in order, without what is absent."""
    x, y, sample_weight = batch
    if sample_weight is None and isinstance(x, Tensor) and isinstance(y, Tensor):
        return (x, y)
    return [leaf for leaf in leaves(batch) if leaf is not None]


def _key(flat: Sequence[Tensor]) -> tuple[Any, ...]:
    """What a capture holds for."""
    return tuple([(tensor.shape, tensor.dtype) for tensor in flat])


def _projection(weight: KerasWeight) -> Callable[[Tensor], Tensor] | None:
    """A weight's constraint, which sees Keras's layout, as a function in torch's; None without one."""
    constraint, layout = weight.constraint, weight.layout
    if constraint is None:
        return None
    return lambda value: layout.from_keras(constraint(layout.to_keras(value)))
