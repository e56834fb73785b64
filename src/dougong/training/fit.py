"""`fit`: data, step, loop and listeners put together."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

import torch

from dougong.core.errors import ConfigError
from dougong.core.events import EpochEnded, TrainEnded
from dougong.core.seeds import draw_seed
from dougong.core.settings import SETTINGS
from dougong.data import as_source, split_validation, unpack_validation
from dougong.training.averaging import finish_average
from dougong.training.callbacks import CallbackList, History, TerminateOnNaN
from dougong.training.evaluation import run_test
from dougong.training.keeping import BestWeights
from dougong.training.loop import Control, train
from dougong.training.preparing import behind_front, encoded_once, explained, in_mode, prepare, try_on
from dougong.training.progress import Bar
from dougong.training.threads import threads_for, use_threads

__all__ = ["fit"]


def fit(
    model: Any,
    x: Any,
    y: Any,
    sample_weight: Any,
    *,
    batch_size: int | None,
    epochs: int,
    verbose: Any,
    callbacks: Any,
    validation_split: float,
    validation_data: Any,
    shuffle: Any,
    class_weight: Any,
    initial_epoch: int,
    steps_per_epoch: int | None,
    validation_steps: int | None,
    validation_batch_size: int | None,
    validation_freq: int | Iterable[int],
) -> History:
    """Train ``model``; see `Model.fit`."""
    compiled = model.compiled
    epochs = _at_most(SETTINGS.max_epochs, epochs)
    steps_per_epoch = _at_most(SETTINGS.max_steps_per_epoch, steps_per_epoch)
    epochs_to_do = range(_whole("initial_epoch", initial_epoch), _whole("epochs", epochs))
    if validation_split and validation_data is None:
        (x, y, sample_weight), validation_data = split_validation(x, y, sample_weight, validation_split)
    kind = {"device": model.device, "dtype": model.data_dtype, "text": model.front.takes_text}
    x = encoded_once(model, x, y, "train")
    source = as_source(
        x, y, sample_weight, batch_size=batch_size, shuffle=shuffle, steps_per_epoch=steps_per_epoch,
        class_weight=class_weight, seed=draw_seed(), **kind,
    )  # fmt: skip
    source = behind_front(model, source, "train")
    prepare(model, source)
    history = History()
    params = {"verbose": verbose, "epochs": epochs, "steps": source.num_batches}
    listeners = CallbackList([callbacks, history], model=model, **params)
    bar = Bar.for_verbosity(0 if listeners.progress_bar else verbose, epochs, fitting=True)
    control = Control(stopped=lambda: model.stop_training, endures=_endures(listeners), backup=listeners.backup)
    validation = None
    if validation_data is not None:
        held_x, *held_y = unpack_validation(validation_data)
        held_out = as_source(
            encoded_once(model, held_x, held_y[0], "test"), *held_y, batch_size=validation_batch_size or batch_size,
            steps_per_epoch=validation_steps, **kind,
        )  # fmt: skip
        held_out = behind_front(model, held_out, "test")
        wanted = _validation_epochs(validation_freq, epochs_to_do)
        validation = _Validation(model, held_out, wanted, listeners, bar, control)
    current = _CurrentStep(model, source, len(epochs_to_do), watched=len(listeners.callbacks) > 1)
    model.stop_training, model.history = False, history
    began = time.perf_counter()
    compiled.fitting = True
    try:
        with explained(source), in_mode(model, True):
            step = current()
            with (
                control.interruption,
                bar,
                use_threads(threads_for(step.work(source.peek()), torch.get_num_threads())),
            ):
                _run(model, current, source, epochs_to_do, control, validation, listeners, bar)
    finally:
        compiled.fitting = False
        history.plan, history.stopped, history.seconds = current.finish(), control.reason, time.perf_counter() - began
    return history


def _run(
    model: Any,
    current: _CurrentStep,
    source: Any,
    epochs: range,
    control: Control,
    validation: _Validation | None,
    listeners: CallbackList,
    bar: Bar,
) -> None:
    """The loop with its listeners.  At its end the weights are settled before callbacks hear of it."""
    best = None if validation is None else BestWeights(model, "val_loss")
    events = train(
        current, source, epochs=epochs, control=control, validate=validation, every_step=listeners.wants_steps
    )  # fmt: skip
    for event in events:
        if isinstance(event, TrainEnded):
            finish_average(model)
            kept = best.restore() if control.interruption.requested and best is not None else ""
            event.reason = control.reason = f"{control.reason}; {kept}" if kept else control.reason
        listeners.handle(event)
        bar.handle(event)
        if best is not None and isinstance(event, EpochEnded):
            best.see(event.epoch, event.logs)


class _CurrentStep:
    """Gives the training step, made anew when a callback, if there are such, has changed what it was traced with."""

    def __init__(self, model: Any, source: Any, epochs: int, *, watched: bool) -> None:
        self._model, self._source, self._watched = model, source, watched
        self._calls = (source.num_batches or 1) * epochs
        self._step = model.compiled.step("train", model)
        self._ready = False

    def __call__(self) -> Any:
        if self._ready and not self._watched:
            return self._step
        step = self._model.compiled.step("train", self._model)
        if step is not self._step or not self._ready:
            self._step.release()
            self._step, self._ready = step, True
            step.data = self._source.arrays
            step.expect(self._calls)
            step.prepare(self._source.peek())
            self._model.compiled.settle("train", self._model)
        return step

    def finish(self) -> str:
        """Let go of the data, and say how the steps ran."""
        self._step.release()
        return self._step.plan


class _Validation:
    """Called after an epoch; gives its ``val_`` logs, or nothing where there is nothing to do."""

    def __init__(
        self, model: Any, source: Any, epochs: set[int], listeners: CallbackList, bar: Bar, control: Control
    ) -> None:
        try_on(model, source)
        self._model, self._source, self._epochs = model, source, epochs
        self._listeners, self._bar = listeners, bar
        self._interruption = control.interruption

    def __call__(self, epoch: int) -> dict[str, Any]:
        """The ``val_`` logs of ``epoch``."""
        if epoch not in self._epochs:
            return {}
        step = self._model.compiled.step("test", self._model)
        step.expect((self._source.num_batches or 1) * len(self._epochs))
        logs, _ = run_test(self._model, step, self._source, self._listeners, self._bar, self._interrupted)
        return {} if self._interrupted() else {f"val_{name}": value for name, value in logs.items()}

    def _interrupted(self) -> bool:
        return self._interruption.requested


def _endures(listeners: CallbackList) -> bool:
    found = [callback for callback in listeners.callbacks if isinstance(callback, TerminateOnNaN)]
    return any(not callback.raise_error for callback in found)


def _whole(name: str, value: Any) -> int:
    if isinstance(value, bool) or not hasattr(value, "__index__") or value < 0:
        raise ConfigError(f"{name} must be a whole number, 0 or more; got {value!r}")
    return int(value)


def _at_most(limit: int | None, wanted: Any) -> Any:
    """What was asked for, or the process's limit (`dougong.config.set_max_epochs`) if that is less."""
    if limit is None:
        return wanted
    return limit if wanted is None else min(limit, wanted)


def _validation_epochs(frequency: int | Iterable[int], epochs: range) -> set[int]:
    """The epochs, counted from 0, after which to validate."""
    if isinstance(frequency, int):
        if frequency < 1:
            raise ConfigError(
                f"validation_freq must be at least 1, or a list of epochs counted from 1; got {frequency}"
            )
        return {epoch for epoch in epochs if (epoch + 1) % frequency == 0}
    return {epoch - 1 for epoch in frequency}
