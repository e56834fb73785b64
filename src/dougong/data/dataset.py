"""The record of one data set, as the command line and the workbench pass it on.

Shapes: N samples, F columns, H height, W width, C channels, T targets.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np

from dougong.core.errors import ConfigError, DataError

__all__ = ["Column", "Dataset", "Parts", "Task"]

Task = Literal["classification", "regression"]


@dataclass(frozen=True)
class Column:
    """An input column of a table.  A text column has ``categories`` and becomes one input per category."""

    name: str
    categories: tuple[str, ...] = ()

    @property
    def input_names(self) -> tuple[str, ...]:
        """What the inputs are called.

        >>> Column("island", ("Biscoe", "Dream")).input_names
        ('island=Biscoe', 'island=Dream')
        """
        return tuple(f"{self.name}={category}" for category in self.categories) or (self.name,)


class Parts(NamedTuple):
    """A data set in three."""

    train: Dataset
    val: Dataset
    test: Dataset


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Inputs, targets and what is known about them.

    ``inputs``: tables ``[N, F]`` float32; pictures ``[N, H, W, C]`` uint8, raw, for the model to rescale, with
    ``input_range`` the smallest and largest value that a picture can hold.
    ``targets``: class numbers ``[N]`` int64, named by ``class_names``; or numbers ``[N, T]`` float32, named by
    ``target_names``.
    ``columns``: how a table's columns become inputs.   ``notes``: sentences on what was guessed, changed or left out.
    ``test``: the part that the source itself holds apart, if any.
    """

    inputs: np.ndarray
    targets: np.ndarray
    task: Task
    source: str
    columns: tuple[Column, ...] = ()
    class_names: tuple[str, ...] = ()
    target_names: tuple[str, ...] = ("target",)
    input_range: tuple[float, float] | None = None
    notes: tuple[str, ...] = ()
    test: Dataset | None = field(default=None)

    def __post_init__(self) -> None:
        if len(self.inputs) != len(self.targets):
            raise DataError(
                f"{self.source} has {len(self.inputs)} inputs but {len(self.targets)} targets; "
                "each input needs one target."
            )

    def __len__(self) -> int:
        return len(self.inputs)

    def __repr__(self) -> str:
        what = f"{len(self.class_names)} classes" if self.task == "classification" else f"targets {self.target_names}"
        return f"Dataset({self.source!r}: {len(self)} x {self.input_shape} {self.inputs.dtype}, {what})"

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one input, without N."""
        return self.inputs.shape[1:]

    @property
    def input_names(self) -> tuple[str, ...]:
        """The names of the F inputs of a table; empty for pictures."""
        return tuple(name for column in self.columns for name in column.input_names)

    @property
    def num_classes(self) -> int:
        """The number of classes; 0 for regression."""
        return len(self.class_names)

    @cached_property
    def sha256(self) -> str:
        """A digest of shapes, dtypes and values of inputs and targets, the same on every machine."""
        digest = hashlib.sha256()
        for array in (self.inputs, self.targets):
            digest.update(f"{array.dtype.str.lstrip('<>=|')} {array.shape}".encode())
            little = array.astype(array.dtype.newbyteorder("<"), copy=False)
            digest.update(np.ascontiguousarray(little).data)
        return digest.hexdigest()

    def select(self, rows: Sequence[int] | np.ndarray) -> Dataset:
        """The data set with these rows only, without its test part."""
        rows = np.asarray(rows, dtype=np.int64)
        return replace(self, inputs=self.inputs[rows], targets=self.targets[rows], test=None)

    def split(self, fraction: float, seed: int = 0) -> tuple[Dataset, Dataset]:
        """A part with ``fraction`` of the samples, drawn at random, and the rest; each keeps the order of the whole.

        Classes are split alike: each gets its share, up to rounding.  A pure function of the data and the seed.
        Raises: ConfigError unless 0 < fraction < 1; DataError if a part would be empty.
        """
        if not 0.0 < fraction < 1.0:
            raise ConfigError(f"fraction must lie between 0 and 1, got {fraction!r}.")
        labels = self.targets if self.task == "classification" else np.zeros(len(self), dtype=np.int64)
        chosen = _stratified(labels, fraction, seed)
        if chosen.all() or not chosen.any():
            raise DataError(
                f"{len(self)} samples of {self.source} are too few to take {fraction:g} of them apart; "
                "give more samples or another fraction."
            )
        return self.select(np.flatnonzero(chosen)), self.select(np.flatnonzero(~chosen))

    def parts(self, val: float = 0.15, test: float = 0.15, seed: int = 0) -> Parts:
        """Train, validation and test part; the source's own test part is taken where there is one.

        ``val`` and ``test`` are fractions of all samples here.   Raises: as `split`.
        """
        if not (val > 0.0 and test > 0.0 and val + test < 1.0):
            raise ConfigError(f"val and test must be above 0 and together below 1, got {val!r} and {test!r}.")
        if self.test is not None:
            held_out, rest = self.split(val, seed)
            return Parts(rest, held_out, self.test)
        test_part, rest = self.split(test, seed)
        val_part, train = rest.split(val / (1.0 - test), seed + 1)
        return Parts(train, val_part, test_part)

    def class_counts(self) -> Mapping[str, int]:
        """How many samples each class has; empty for regression."""
        counts = np.bincount(self.targets, minlength=self.num_classes) if self.num_classes else np.zeros(0, int)
        return dict(zip(self.class_names, counts.tolist()))


def _stratified(labels: np.ndarray, fraction: float, seed: int) -> np.ndarray:
    """A mask of ``round(fraction * N)`` samples; classes with the largest remainders get the odd ones."""
    classes, members = np.unique(labels, return_inverse=True)
    shares = np.bincount(members, minlength=len(classes)) * fraction
    counts = np.floor(shares).astype(np.int64)
    missing = round(len(labels) * fraction) - int(counts.sum())
    counts[np.argsort(counts - shares, kind="stable")[:missing]] += 1
    mask = np.zeros(len(labels), dtype=bool)
    for number, count in enumerate(counts):
        rows = np.flatnonzero(members == number)
        mask[np.random.default_rng([seed, number]).permutation(rows)[:count]] = True
    return mask
