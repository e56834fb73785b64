"""A running average of the weights (EMA), in the slot ``average``.   Ref: Polyak 1992, doi:10.1137/0330046; Keras 3."""

from __future__ import annotations

from collections.abc import Sequence

from dougong.optimizers.flat import FlatGroup

__all__ = ["start_average", "swap_average", "update_average"]


def start_average(groups: Sequence[FlatGroup]) -> None:
    """Make the averages equal to the weights."""
    for group in groups:
        group.slots["average"].copy_(group.values)


def update_average(groups: Sequence[FlatGroup], momentum: float, *, first: bool) -> None:
    r"""Move the averages towards the weights; at the first time, to them.

    .. math:: a \leftarrow \mu a + (1 - \mu)\,p
    """
    for group in groups:
        # Weights may have been set since the start, so the first step counts in full.
        group.slots["average"].lerp_(group.values, 1.0 if first else 1.0 - momentum)


def swap_average(groups: Sequence[FlatGroup]) -> None:
    """Exchange weights and averages."""
    for group in groups:
        weights = group.values.clone()
        group.values.copy_(group.slots["average"])
        group.slots["average"].copy_(weights)
