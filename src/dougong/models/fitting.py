"""The seven words of training: compile, fit, evaluate, predict, and the same for single batches."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from dougong.core import device as devices
from dougong.core.errors import BuildError, ConfigError
from dougong.core.nested import leaves
from dougong.core.symbol import Symbol
from dougong.core.text import is_text
from dougong.data import as_source
from dougong.layers.layer import Layer, layer_losses
from dougong.metrics import Metric
from dougong.training import evaluation
from dougong.training.compiled import Compiled
from dougong.training.fit import fit
from dougong.training.preparing import behind_front, in_mode, output_names, prepare

__all__ = ["Fitting"]


class Fitting(Layer):
    """What `Model` can do once it has an optimizer and a loss."""

    _compiled: Compiled | None = None
    stop_training: bool = False
    stop_evaluating: bool = False
    history: Any = None
    front: Any  # `Model` has it: the layers that work on text

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        jit_compile: bool | str = "auto",
        auto_scale_loss: bool = True,
    ) -> None:
        """Say how to train: the optimizer, the loss to minimise, the metrics to show.   Keras: equals it.

        Steps are captured and replayed unless ``run_eagerly``; ``steps_per_execution`` and ``jit_compile`` are
        accepted and change nothing.  With ``auto_scale_loss`` and the policy ``mixed_float16`` the optimizer becomes a
        `LossScaleOptimizer` around it.
        """
        arguments = {
            "optimizer": optimizer,
            "loss": loss,
            "loss_weights": loss_weights,
            "metrics": metrics,
            "weighted_metrics": weighted_metrics,
            "run_eagerly": run_eagerly,
            "steps_per_execution": steps_per_execution,
            "jit_compile": jit_compile,
        }
        self._compiled = Compiled(
            optimizer,
            loss,
            loss_weights,
            metrics,
            weighted_metrics,
            run_eagerly,
            arguments,
            scale_loss=auto_scale_loss and self.dtype_policy.name == "mixed_float16",
        )

    @property
    def compiled(self) -> Compiled:
        """What `compile` set.   Raises: BuildError before that."""
        if self._compiled is None:
            raise BuildError(f"model {self.name!r} is not compiled: call compile(optimizer=…, loss=…) first")
        return self._compiled

    @property
    def optimizer(self) -> Any:
        return None if self._compiled is None else self._compiled.optimizer

    @property
    def loss(self) -> Any:
        return None if self._compiled is None else self._compiled.objective.loss

    @property
    def device(self) -> torch.device:
        first = next(self.parameters(), None)
        return devices.default() if first is None else first.device

    @property
    def data_dtype(self) -> torch.dtype:
        """The dtype that data are given: that of the weights, which ``double()`` or a layer may have set."""
        found = (weight.dtype for weight in self.parameters() if weight.is_floating_point())
        return next(found, self.dtype_policy.weights)

    # ── Metrics and losses ──────────────────────────────────────────────────────────────────────────────────────────

    @property
    def metrics(self) -> list[Metric]:
        """The loss's mean, the metrics of compile, and those that the model or its layers hold."""
        return self.own_metrics() if self._compiled is None else self._compiled.metrics(self)

    def own_metrics(self) -> list[Metric]:
        """The metrics that are attributes of the model or of layers in it."""
        compiled = () if self._compiled is None else (self._compiled.loss_tracker, *self._compiled.objective.metrics)
        known = {id(metric) for metric in compiled}
        return [module for module in self.modules() if isinstance(module, Metric) and id(module) not in known]

    @property
    def metrics_names(self) -> list[str]:
        return ["loss", *[metric.name for metric in self.metrics if metric.name != "loss"]]

    def reset_metrics(self) -> None:
        for metric in self.metrics:
            metric.reset_state()

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Tensor:
        """The scalar that training minimises: the compiled losses plus what layers add.  Override it for your own."""
        objective = self.compiled.objective
        if not objective.bound:
            objective.bind(output_names(self, y_pred), y, y_pred)
        extra = layer_losses(self)
        if objective.loss is None and extra:
            total, extra = extra[0], extra[1:]
        else:
            total = objective.total(y, y_pred, sample_weight)
        for one in extra:
            total = total + one
        return total

    def loss_for_step(self, x: Any, y: Any, y_pred: Any, sample_weight: Any) -> Tensor:
        """`compute_loss` as the training step calls it."""
        return self.compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=sample_weight)

    def has_own_step(self, kind: str) -> bool:
        """Whether the model overrides ``train_step``, ``test_step`` or ``predict_step``."""
        return not getattr(type(self), f"{kind}_step").__module__.startswith("dougong.")

    def known_inputs(self) -> Sequence[Symbol]:
        """The symbols of a graph's inputs; none where the model runs its own ``call``."""
        program = getattr(self, "_program", None)
        return () if program is None else program.flat_inputs

    def check_inputs(self, x: Any) -> None:
        """Refuse inputs whose shapes are not those that the model declares.   Raises: ShapeError."""
        self._check_input(x)

    def known_output_names(self) -> list[str]:
        program = getattr(self, "_program", None)
        return [] if program is None else self.output_names  # type: ignore[attr-defined]

    # ── Steps that subclasses may write ─────────────────────────────────────────────────────────────────────────────

    def train_step(self, data: Any) -> dict[str, Any]:
        """One update on ``data``: ``(x, y)``, ``(x, y, sample_weight)`` or ``x``.  Returns the logs."""
        return self._step_on("train", data)

    def test_step(self, data: Any) -> dict[str, Any]:
        """Loss and metrics of one batch, without an update."""
        return self._step_on("test", data)

    def _step_on(self, kind: str, data: Any) -> dict[str, Any]:
        step = self.compiled.standard_step(kind, self)
        step(_as_batch(data))
        return step.logs()

    def predict_step(self, data: Any) -> Any:
        """The outputs for one batch."""
        return self(_as_batch(data)[0])

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict[str, Any]:
        """Show the compiled metrics one batch, and return all metrics.  For a ``train_step`` of your own."""
        self.compiled.objective.update(y, y_pred, sample_weight)
        return self.get_metrics_result()

    def get_metrics_result(self) -> dict[str, Any]:
        """Every metric's value so far, by name."""
        return {metric.name: metric.result() for metric in self.own_metrics()} | self.compiled.objective.results()

    # ── Whole data ──────────────────────────────────────────────────────────────────────────────────────────────────

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: Any = "auto",
        callbacks: Iterable[Any] | None = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: Any = True,
        class_weight: Any = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: Any = 1,
    ) -> Any:
        """Train on ``x`` and ``y``: arrays, tensors, tables, generators, PyDatasets, torch datasets and loaders.

        Returns a History: ``history.history["loss"]`` has a value an epoch; ``history.plan`` says how the steps ran.
        Raises: ShapeError, DataError for data that do not fit; NonFiniteError before a NaN reaches the weights.
        Keras: equals it; Ctrl-C ends training cleanly, with the best weights where there is validation data.
        """
        return fit(
            self,
            x,
            y,
            sample_weight,
            batch_size=batch_size,
            epochs=epochs,
            verbose=verbose,
            callbacks=callbacks,
            validation_split=validation_split,
            validation_data=validation_data,
            shuffle=shuffle,
            class_weight=class_weight,
            initial_epoch=initial_epoch,
            steps_per_epoch=steps_per_epoch,
            validation_steps=validation_steps,
            validation_batch_size=validation_batch_size,
            validation_freq=validation_freq,
        )

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: Any = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Iterable[Any] | None = None,
        return_dict: bool = False,
    ) -> Any:
        """Loss and metrics on data: a list, a single loss, or a dict by name.   Keras: equals it."""
        logs = evaluation.evaluate(
            self, x, y, sample_weight, batch_size=batch_size, verbose=verbose, steps=steps, callbacks=callbacks
        )
        return logs if return_dict else _as_list(logs)

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: Any = "auto",
        steps: int | None = None,
        callbacks: Iterable[Any] | None = None,
    ) -> Any:
        """The outputs for ``x`` as NumPy arrays, batch by batch.   Keras: equals it."""
        step = self._predicting().step("predict", self)
        return evaluation.predict(
            self, step, x, batch_size=batch_size, verbose=verbose, steps=steps, callbacks=callbacks
        )

    def _predicting(self) -> Compiled:
        """A model that is not compiled predicts too."""
        if self._compiled is not None:
            return self._compiled
        if "_uncompiled" not in self.__dict__:
            self.__dict__["_uncompiled"] = Compiled("sgd", None, None, None, None, False, {})
        return self.__dict__["_uncompiled"]

    # ── Single batches ──────────────────────────────────────────────────────────────────────────────────────────────

    def train_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, class_weight: Any = None, return_dict: bool = False
    ) -> Any:
        """One update on one batch; returns its loss and metrics, as `evaluate` does.   Keras: equals it."""
        batch = self._one_batch("train", x, y, sample_weight, class_weight)
        step = self.compiled.step("train", self)
        step.reset()
        with in_mode(self, True):
            step(batch)
        logs = step.logs()
        return logs if return_dict else _as_list(logs)

    def test_on_batch(self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False) -> Any:
        """Loss and metrics of one batch.   Keras: equals it."""
        batch = self._one_batch("test", x, y, sample_weight, None)
        step = self.compiled.step("test", self)
        step.reset()
        with in_mode(self, False):
            step(batch)
        logs = step.logs()
        return logs if return_dict else _as_list(logs)

    def predict_on_batch(self, x: Any) -> Any:
        """The outputs for one batch as NumPy arrays.   Keras: equals it."""
        return self.predict(x, batch_size=_rows(x), verbose=0)

    def _one_batch(self, kind: str, x: Any, y: Any, sample_weight: Any, class_weight: Any) -> tuple[Any, Any, Any]:
        source = as_source(
            x,
            y,
            sample_weight,
            batch_size=_rows(x),
            class_weight=class_weight,
            device=self.device,
            dtype=self.data_dtype,
            text=self.front.takes_text,
        )
        source = behind_front(self, source, kind)
        prepare(self, source)
        return source.peek()

    def is_complete(self) -> bool:
        """Whether every layer has its weights."""
        return self.built and all(layer.built for layer in self.modules() if isinstance(layer, Layer))


def _rows(x: Any) -> int:
    """The rows of inputs that are one batch; a list of strings is one input."""
    return max(1, len(x if is_text(x) else next(iter(leaves(x)))))


def _as_batch(data: Any) -> tuple[Any, Any, Any]:
    parts = tuple(data) if isinstance(data, tuple | list) else (data,)
    if len(parts) > 3:
        raise ConfigError(f"a batch is (x, y, sample_weight) at most, got {len(parts)} parts")
    x, y, sample_weight = (*parts, None, None)[:3]
    return x, y, sample_weight


def _as_list(logs: dict[str, Any]) -> Any:
    values = list(logs.values())
    return values[0] if len(values) == 1 else values
