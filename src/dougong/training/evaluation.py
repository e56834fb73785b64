"""`evaluate` and `predict`: data through the test or predict step, batch by batch."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from dougong.core.errors import DataError
from dougong.core.nested import leaves, pack
from dougong.data import as_source
from dougong.training.averaging import averaged, shows_average
from dougong.training.callbacks import CallbackList
from dougong.training.preparing import behind_front, check_axes, explained, in_mode, prepare
from dougong.training.progress import Bar
from dougong.training.threads import threads_for, use_threads

__all__ = ["evaluate", "predict", "run_test"]


def evaluate(
    model: Any,
    x: Any,
    y: Any,
    sample_weight: Any,
    *,
    batch_size: int | None,
    verbose: Any,
    steps: int | None,
    callbacks: Any,
) -> dict[str, Any]:
    """Loss and metrics on data, as a dict; see `Model.evaluate`."""
    compiled = model.compiled
    kind = {"device": model.device, "dtype": model.data_dtype, "text": model.front.takes_text}
    source = as_source(x, y, sample_weight, batch_size=batch_size, steps_per_epoch=steps, **kind)
    source = behind_front(model, source, "test")
    prepare(model, source)
    listeners = CallbackList(callbacks, model=model, verbose=verbose, epochs=1, steps=source.num_batches)
    step = compiled.step("test", model)
    step.expect(source.num_batches or 1)
    bar = Bar.for_verbosity(0 if listeners.progress_bar else verbose, 1)
    started = time.perf_counter()
    with bar:
        logs, count = run_test(model, step, source, listeners, bar)
    bar.evaluated(logs, count, time.perf_counter() - started)
    return logs


def run_test(
    model: Any, step: Any, source: Any, listeners: CallbackList, bar: Bar, stopped: Callable[[], bool] | None = None
) -> tuple[dict[str, Any], int]:
    """The logs of ``step`` over all batches of ``source``, and how many these were."""
    stopped = stopped or (lambda: model.stop_evaluating)
    begins, ends = (listeners.methods(f"on_test_batch_{when}") for when in ("begin", "end"))
    model.stop_evaluating = False
    listeners.call("on_test_begin", {})
    step.reset()
    index = -1
    with explained(source), in_mode(model, False), averaged(model):
        step.prepare(source.peek())
        with use_threads(threads_for(step.work(source.peek()), torch.get_num_threads())):
            for index, batch in enumerate(source.epoch(0)):
                if begins:
                    listeners.call("on_test_batch_begin", index, {})
                step(batch)
                bar.working("validating" if bar.fitting else "evaluating", index + 1, source.num_batches)
                if ends:
                    listeners.call("on_test_batch_end", index, step.logs())
                if stopped():
                    break
    logs = step.logs()
    listeners.call("on_test_end", dict(logs))
    return logs, index + 1


def predict(
    model: Any,
    step: Any,
    x: Any,
    *,
    batch_size: int | None,
    verbose: Any,
    steps: int | None,
    callbacks: Any,
) -> Any:
    """The model's outputs on data as NumPy arrays; see `Model.predict`."""
    if (
        isinstance(x, np.ndarray)
        and x.dtype.kind == "f"
        and 0 < len(x) <= (batch_size or 32)
        and not (steps or callbacks or shows_average(model))
    ):
        outputs = step.at_once(x)
        if outputs is not None:
            return outputs
    kind = {"device": model.device, "dtype": model.data_dtype, "text": model.front.takes_text}
    source = behind_front(model, as_source(x, batch_size=batch_size, steps_per_epoch=steps, **kind), "predict")
    listeners = CallbackList(callbacks, model=model, verbose=verbose, epochs=1, steps=source.num_batches)
    begins, ends = (listeners.methods(f"on_predict_batch_{when}") for when in ("begin", "end"))
    step.expect(source.num_batches or 1)
    bar = Bar.for_verbosity(0 if listeners.progress_bar else verbose, 1)
    results: list[Any] = []
    listeners.call("on_predict_begin", {})
    with explained(source), in_mode(model, False), averaged(model), bar:
        check_axes(model, source)
        step.prepare(source.peek())
        with use_threads(threads_for(step.work(source.peek()), torch.get_num_threads())):
            for index, batch in enumerate(source.epoch(0)):
                if begins:
                    listeners.call("on_predict_batch_begin", index, {})
                results.append(step(batch))
                bar.working("predicting", index + 1, source.num_batches)
                if ends:
                    listeners.call("on_predict_batch_end", index, {"outputs": results[-1]})
    listeners.call("on_predict_end", {})
    if not results:
        raise DataError("there is nothing to predict: the data have no rows")
    if len(results) == 1:
        return results[0]
    columns = zip(*(leaves(result) for result in results))
    return pack(results[0], [np.concatenate(parts) for parts in columns])
