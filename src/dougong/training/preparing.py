"""What comes before the first step: the model built, its losses bound, the data tried on it, the machine set up."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from dougong.core.errors import DataError, OutOfMemoryError, ShapeError
from dougong.core.nested import leaves, map_leaves, named_leaves
from dougong.data.source import MappedSource
from dougong.layers.layer import FORWARD_PASS

__all__ = [
    "behind_front",
    "check_axes",
    "encoded_once",
    "explained",
    "in_mode",
    "output_names",
    "prepare",
    "state_kept",
    "try_on",
]


def prepare(model: Any, source: Any) -> None:
    """Build the model and bind its losses and metrics, from one batch; check axes and targets.

    Raises: ShapeError and DataError for data that do not fit, before anything is trained.
    """
    objective = model.compiled.objective
    with explained(source):
        check_axes(model, source)
        if not (model.is_complete() and (objective.bound or _asks_nothing(model))):
            x, y, _ = source.peek()
            rows = _few_rows(model)
            y_pred = _outputs(model, map_leaves(rows, x))
            if not objective.bound and (y is not None or _wants_targets(model)):
                objective.bind(output_names(model, y_pred), map_leaves(rows, y), y_pred)
        if objective.bound and source.arrays is not None and source.arrays[1] is not None:
            objective.check_targets(source.arrays[1], weighted=source.arrays[2] is not None)


def _asks_nothing(model: Any) -> bool:
    """Whether there is neither loss nor metric to match to outputs, because the model's own step does without.

    Such a model need not have a ``call`` at all: a GAN has two networks.
    """
    objective = model.compiled.objective
    given = (objective.loss, objective.plain_metrics, objective.weighted_metrics)
    return model.has_own_step("train") and not any(given)


def encoded_once(model: Any, x: Any, y: Any, kind: str) -> Any:
    """``x`` with text as tensors for good, where every epoch would make the same of it."""
    return x if model.has_own_step(kind) else model.front.encode_all(model, x, y)


def behind_front(model: Any, source: Any, kind: str) -> Any:
    """``source`` with text as tensors, where the model's step of this kind starts behind the layers that make them."""
    if not model.front.takes_text or model.has_own_step(kind):
        return source

    def encoded(batch: Any) -> Any:
        x, y, sample_weight = batch
        return model.front.encode(model, x), y, sample_weight

    return MappedSource(source, encoded, source.arrays)


def _wants_targets(model: Any) -> bool:
    """Whether the standard loss is compared with targets; a model's own ``compute_loss`` may do without."""
    own = type(model).compute_loss.__module__.startswith("dougong.")
    return own and model.compiled.objective.loss is not None and not model.has_own_step("train")


def check_axes(model: Any, source: Any) -> None:
    """Refuse inputs with another number of axes than the model declares.   Raises: ShapeError."""
    wanted = model.known_inputs()
    if wanted and source.arrays is not None:
        given = list(leaves(source.arrays[0]))
        if len(given) == len(wanted) and any(len(t.shape) != len(symbol.shape) for t, symbol in zip(given, wanted)):
            model.check_inputs(source.arrays[0])


def try_on(model: Any, source: Any) -> None:
    """Outputs and loss of a few rows, so that validation data that do not fit are told of before training."""
    try:
        prepare(model, source)
        with explained(source), torch.no_grad():
            x, y, sample_weight = (map_leaves(_few_rows(model), part) for part in source.peek())
            y_pred = _outputs(model, x)
            if model.compiled.objective.bound and _wants_targets(model):
                model.compiled.objective.total(y, y_pred, sample_weight)
    except (ShapeError, DataError) as error:
        raise type(error)(f"validation_data: {error}") from error


def _outputs(model: Any, x: Any) -> Any:
    complete = model.is_complete()
    with torch.no_grad(), in_mode(model, False), torch.random.fork_rng(devices=[], enabled=complete), state_kept(model):
        return model(x)


@contextmanager
def state_kept(model: nn.Module) -> Iterator[None]:
    """Afterwards the buffers are as before: what a layer counts, it counts for real batches only."""
    copies = [(buffer, buffer.clone()) for buffer in model.buffers()]
    try:
        yield
    finally:
        with torch.no_grad():
            for buffer, copy in copies:
                buffer.copy_(copy)


def _few_rows(model: Any) -> Any:
    """A function that takes the first rows of a tensor; all of them where the rows may belong together.

    They do where the model wants a fixed number, and may where it runs its own ``call``: rows can be a graph's nodes.
    """
    declared = model.known_inputs()
    if not declared or any(symbol.shape and symbol.shape[0] is not None for symbol in declared):
        return lambda leaf: leaf
    return lambda leaf: leaf[:2] if isinstance(leaf, Tensor) and leaf.ndim else leaf


def output_names(model: Any, y_pred: Any) -> list[str]:
    """What losses and metrics call the outputs."""
    if isinstance(y_pred, dict):
        return list(y_pred)
    names = model.known_output_names()
    count = len(list(leaves(y_pred)))
    return names if len(names) == count else [f"output_{index + 1}" for index in range(count)]


@contextmanager
def in_mode(model: nn.Module, training: bool) -> Iterator[None]:
    """Within the block every module is in training, or inference, mode; afterwards each is as it was."""
    others = [module for module in model.modules() if module.training is not training]
    with FORWARD_PASS.in_mode(training):
        if others:
            model.train(training)
        try:
            yield
        finally:
            for module in others:
                module.training = not training


@contextmanager
def explained(source: Any) -> Iterator[None]:
    """Errors about shapes tell the data's shapes; those about memory become OutOfMemoryError, with advice."""
    try:
        yield
    except ShapeError as error:
        told = _shapes(source)
        if not told or told in str(error):
            raise
        raise ShapeError(f"{error} {told}") from error
    except (RuntimeError, MemoryError) as error:
        text = str(error)
        if not isinstance(error, torch.OutOfMemoryError | MemoryError) and "can't allocate memory" not in text:
            raise
        size = source.batch_size
        advice = f"try batch_size={max(1, size // 2)} instead of {size}" if size else "try smaller batches"
        reason = text.splitlines()[0][:200] if text else type(error).__name__
        raise OutOfMemoryError(f"the device's memory is exhausted; {advice}. ({reason})") from error


def _shapes(source: Any) -> str:
    """The shapes of whole arrays; a batch in an error has its own."""
    named = named_leaves(source.arrays[:2], "") if source.arrays is not None else ()
    shapes = [f"{_NAMES[label[:3]]}{label[3:]} has shape {tuple(leaf.shape)}" for label, leaf in named]
    return f"({', '.join(shapes[:6])})" if shapes else ""


_NAMES = {"[0]": "x", "[1]": "y"}
