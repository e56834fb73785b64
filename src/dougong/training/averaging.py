"""Weights and their moving averages: which of the two a model shows."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

__all__ = ["averaged", "finish_average", "hide_average", "show_average", "shows_average"]


def averaged(model: Any) -> AbstractContextManager[Any]:
    """Within the block, and while `fit` runs, the weights are their moving averages, if the optimizer keeps these.

    Outside of `fit` a model shows the weights that it has: `fit` ends with the averages, and what a user sets or loads
    afterwards has no average yet.
    """
    return model._compiled.optimizer.averaged() if shows_average(model) else nullcontext()


def shows_average(model: Any) -> bool:
    """Whether `averaged` has something to do."""
    compiled = model._compiled
    return (
        compiled is not None
        and compiled.fitting
        and not compiled.shows_average
        and compiled.optimizer.use_ema
        and compiled.optimizer.built
    )


def show_average(model: Any) -> None:
    """From now on, until `hide_average`, the weights are their averages; not to be trained meanwhile."""
    _turn(model, True)


def hide_average(model: Any) -> None:
    """Undo `show_average`, if it was called."""
    _turn(model, False)


def _turn(model: Any, shown: bool) -> None:
    compiled = model._compiled
    if compiled.shows_average is not shown and compiled.optimizer.built:
        compiled.optimizer.swap_average()
        compiled.shows_average = shown


def finish_average(model: Any) -> None:
    """End training with the averaged weights, where there are such.   Keras: the same."""
    compiled = model._compiled
    hide_average(model)
    compiled.fitting = False
    if compiled.optimizer.use_ema and compiled.optimizer.built:
        compiled.optimizer.finalize_variable_values()
