"""`fit`, `evaluate`, `predict`: data, steps, loop and listeners put together."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dougong.core.errors import DataError, NonFiniteError, OutOfMemoryError
from dougong.core.graph import leaves, map_leaves, pack
from dougong.core.seeds import draw_seed
from dougong.data import as_source, split_validation, unpack_validation
from dougong.training.callbacks import Callback, CallbackList, History, TerminateOnNaN
from dougong.training.interrupt import Interruption
from dougong.training.keeping import BestWeights
from dougong.training.loop import Control, train
from dougong.training.progress import Bar
from dougong.training.threads import threads_for, use_threads

__all__ = ["evaluate", "fit", "output_names", "predict", "prepare"]


def fit(
    model: Any,
    x: Any,
    y: Any,
    sample_weight: Any,
    *,
    batch_size: int | None,
    epochs: int,
    verbose: Any,
    callbacks: Iterable[Callback] | None,
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
    if validation_split and validation_data is None:
        (x, y, sample_weight), validation_data = split_validation(x, y, sample_weight, validation_split)
    device = model.device
    source = as_source(
        x, y, sample_weight, batch_size=batch_size, shuffle=shuffle, steps_per_epoch=steps_per_epoch,
        class_weight=class_weight, seed=draw_seed(), device=device, dtype=model.compute_dtype,
    )  # fmt: skip
    prepare(model, source)
    compiled = model.compiled
    step = compiled.step("train", model)
    steps = source.num_batches
    step.expect((steps or 1) * (epochs - initial_epoch))
    held_out = None
    if validation_data is not None:
        vx, vy, vw = unpack_validation(validation_data)
        held_out = as_source(
            vx, vy, vw, batch_size=validation_batch_size or batch_size, steps_per_epoch=validation_steps,
            device=device, dtype=model.compute_dtype,
        )  # fmt: skip
    history = History()
    mine = list(callbacks or ())
    listeners = CallbackList([*mine, history], model, {"verbose": verbose, "epochs": epochs, "steps": steps})
    bar = Bar.for_verbosity(verbose, epochs)
    interruption = Interruption()
    control = Control(interruption, lambda: model.stop_training)
    best = BestWeights(model, "val_loss") if held_out is not None else None
    wanted = _validation_epochs(validation_freq, epochs)

    def validate(epoch: int) -> dict[str, Any]:
        if epoch not in wanted:
            return {}
        listeners.call("on_test_begin", {})
        logs = {f"val_{name}": value for name, value in _evaluate(model, held_out, epochs, listeners).items()}
        listeners.call("on_test_end", logs)
        return logs

    model.stop_training = False
    modes = [(module, module.training) for module in model.modules()]
    model.train()
    began = time.perf_counter()
    try:
        step.prepare(source.peek())
        with interruption, bar, use_threads(threads_for(_work(step, source, model), torch.get_num_threads())):
            events = train(
                step, source, epochs=range(initial_epoch, epochs), control=control,
                validate=validate if held_out is not None else None, every_step=listeners.wants_steps,
            )  # fmt: skip
            for event in events:
                listeners.handle(event)
                bar.handle(event)
                if best is not None:
                    best.handle(event)
    except NonFiniteError as error:
        if not any(isinstance(callback, TerminateOnNaN) for callback in mine):
            raise
        history.stopped = str(error)
        listeners.call("on_train_end", {})
    except RuntimeError as error:
        _explain_memory(error, source)
        raise
    finally:
        for module, mode in modes:
            module.training = mode
        _finish_average(compiled.optimizer)
    history.plan = step.plan
    history.seconds = time.perf_counter() - began
    if interruption.requested:
        kept = best.restore() if best is not None else ""
        history.stopped = f"stopped by Ctrl-C after epoch {len(history.epoch)}{kept}"
        bar.say(history.stopped)
    model.history = history
    return history


def prepare(model: Any, source: Any) -> None:
    """Build the model and bind its losses and metrics, from one batch; a shape that does not fit shows here."""
    compiled = model.compiled
    if compiled.objective.bound and model.is_complete():
        return
    x, y, _ = source.peek()
    with torch.no_grad(), torch.random.fork_rng(devices=[], enabled=model.is_complete()):
        y_pred = model(map_leaves(_first_rows, x))
    if not compiled.objective.bound and y is not None:
        compiled.objective.bind(output_names(model, y_pred), map_leaves(_first_rows, y), y_pred)


def _first_rows(leaf: Any) -> Any:
    return leaf[:2] if isinstance(leaf, Tensor) and leaf.ndim else leaf


def output_names(model: Any, y_pred: Any) -> list[str]:
    if isinstance(y_pred, dict):
        return list(y_pred)
    names = getattr(model, "known_output_names", list)()
    count = len(list(leaves(y_pred)))
    return names if len(names) == count else [f"output_{index + 1}" for index in range(count)]


def evaluate(
    model: Any,
    x: Any,
    y: Any,
    sample_weight: Any,
    *,
    batch_size: int | None,
    verbose: Any,
    steps: int | None,
    callbacks: Iterable[Callback] | None,
) -> dict[str, Any]:
    """Loss and metrics on data, as a dict; see `Model.evaluate`."""
    source = as_source(
        x,
        y,
        sample_weight,
        batch_size=batch_size,
        steps_per_epoch=steps,
        device=model.device,
        dtype=model.compute_dtype,
    )
    prepare(model, source)
    listeners = CallbackList(callbacks or (), model, {"verbose": verbose, "steps": source.num_batches})
    listeners.call("on_test_begin", {})
    started = time.perf_counter()
    logs = _evaluate(model, source, 1, listeners)
    listeners.call("on_test_end", logs)
    Bar.for_verbosity(verbose, 1).evaluated(logs, source.num_batches, time.perf_counter() - started)
    return logs


def _evaluate(model: Any, source: Any, times: int, listeners: CallbackList) -> dict[str, Any]:
    step = model.compiled.step("test", model)
    step.expect((source.num_batches or 1) * times)
    modes = [(module, module.training) for module in model.modules() if module.training]
    # The training metrics of the epoch are read before this; the test step starts the same metrics afresh.
    step.reset()
    model.eval()
    step.prepare(source.peek())
    work = _work(step, source, model) // 3
    try:
        with _averaged(model.compiled.optimizer), use_threads(threads_for(work, torch.get_num_threads())):
            for index, batch in enumerate(source.epoch(0)):
                listeners.call("on_test_batch_begin", index, {})
                step(batch)
                listeners.call("on_test_batch_end", index, {})
    except RuntimeError as error:
        _explain_memory(error, source)
        raise
    finally:
        for module, _ in modes:
            module.training = True
    return step.logs()


def predict(
    model: Any,
    step: Any,
    x: Any,
    *,
    batch_size: int | None,
    steps: int | None,
    callbacks: Iterable[Callback] | None,
) -> Any:
    """The model's outputs on data as NumPy arrays; see `Model.predict`."""
    source = as_source(x, batch_size=batch_size, steps_per_epoch=steps, device=model.device, dtype=model.compute_dtype)
    listeners = CallbackList(callbacks or (), model, {"steps": source.num_batches})
    step.expect(source.num_batches or 1)
    modes = [(module, module.training) for module in model.modules() if module.training]
    model.eval()
    step.prepare(source.peek())
    listeners.call("on_predict_begin", {})
    results: list[Any] = []
    try:
        with use_threads(threads_for(_work(step, source, model) // 3, torch.get_num_threads())):
            for index, batch in enumerate(source.epoch(0)):
                listeners.call("on_predict_batch_begin", index, {})
                outputs = step(batch)
                results.append(map_leaves(lambda leaf: leaf.detach().cpu().numpy().copy(), outputs))
                listeners.call("on_predict_batch_end", index, {"outputs": results[-1]})
    except RuntimeError as error:
        _explain_memory(error, source)
        raise
    finally:
        for module, _ in modes:
            module.training = True
    listeners.call("on_predict_end", {})
    if not results:
        raise DataError("there is nothing to predict: the data have no rows")
    columns = zip(*(leaves(result) for result in results))
    return pack(results[0], [parts[0] if len(parts) == 1 else np.concatenate(parts) for parts in columns])


def _averaged(optimizer: Any) -> AbstractContextManager[Any]:
    """Within the block the weights are their moving averages, where the optimizer keeps these."""
    return optimizer.averaged() if optimizer.use_ema and optimizer.built else nullcontext()


def _finish_average(optimizer: Any) -> None:
    """Training with an average ends with the averaged weights.   Keras: the same."""
    if optimizer.use_ema and optimizer.built:
        optimizer.finalize_variable_values()


def _work(step: Any, source: Any, model: Any) -> int:
    """Multiply-adds of one training step: counted where captured, else six for each weight and row."""
    if step.multiply_adds:
        return step.multiply_adds
    weights = sum(parameter.numel() for parameter in model.parameters())
    spatial = 100 if any(parameter.ndim >= 4 for parameter in model.parameters()) else 1
    return 3 * weights * (source.batch_size or 32) * spatial


def _validation_epochs(frequency: int | Iterable[int], epochs: int) -> set[int]:
    if isinstance(frequency, int):
        return set(range(frequency - 1, epochs, frequency))
    return {epoch - 1 for epoch in frequency}


def _explain_memory(error: Exception, source: Any) -> None:
    """Raise OutOfMemoryError with the batch size to try, if ``error`` is about memory."""
    text = str(error)
    if not isinstance(error, torch.OutOfMemoryError) and "can't allocate memory" not in text:
        return
    size = source.batch_size
    advice = f"try batch_size={max(1, size // 2)} instead of {size}" if size else "try smaller batches"
    raise OutOfMemoryError(f"the device's memory is exhausted; {advice}. ({text.splitlines()[0][:200]})") from error
