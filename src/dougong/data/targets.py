"""Targets as a model learns them: class numbers or numbers, with the guess of which it is.

Shapes: N samples, K classes, T targets.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dougong.core.errors import DataError
from dougong.data.dataset import Task

__all__ = ["Targets", "numeric_targets", "text_targets"]


class Targets(NamedTuple):
    """``values``: ``[N]`` int64 class numbers, or ``[N, T]`` float32."""

    values: np.ndarray
    task: Task
    names: tuple[str, ...]
    class_names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def text_targets(labels: np.ndarray, name: str, place: str, class_names: tuple[str, ...] | None = None) -> Targets:
    """Text as class numbers, by the order of the sorted labels.

    ``class_names``: those of the training part, where this is the test part.
    Raises: DataError for a label that is none of them, or if there is but one class.

    >>> text_targets(np.array(["b", "a", "b"]), "kind", "kinds.csv").values
    array([1, 0, 1])
    """
    found = tuple(sorted({str(label) for label in labels}))
    known = found if class_names is None else class_names
    unknown = [label for label in found if label not in known]
    if unknown:
        raise DataError(f"{place} holds {', '.join(map(repr, unknown[:5]))}, not among the classes {_listed(known)}.")
    if len(known) < 2:
        raise DataError(f"{place} holds one class only, {_listed(known)!r}; at least two are needed to tell apart.")
    numbers = {label: number for number, label in enumerate(known)}
    values = np.array([numbers[str(label)] for label in labels], dtype=np.int64)
    return Targets(values, "classification", (name,), known)


def numeric_targets(
    values: np.ndarray,
    name: str,
    place: str,
    task: Task | None = None,
    class_names: tuple[str, ...] | None = None,
    most_classes: int = 20,
) -> Targets:
    """Numbers as targets.  Unless ``task`` says it, few different whole numbers are taken as classes:
    at most ``most_classes``, and a fifth as many as there are samples; two always are.

    Shapes: ``[N]``, ``[N, 1]``, one-hot ``[N, K]``, or ``[N, T]``.

    >>> found = numeric_targets(np.array([1, 2, 3] * 5), "kind", "seeds.csv")
    >>> found.task, found.class_names, found.values[:4]
    ('classification', ('1', '2', '3'), array([0, 1, 2, 0]))
    """
    if values.dtype.kind in "US":
        return text_targets(values.reshape(len(values), -1)[:, 0], name, place, class_names)
    if values.dtype.kind not in "biuf":
        raise DataError(f"{place} holds {values.dtype} values; numbers or text are needed.")
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim == 2 and task != "regression" and _is_one_hot(values):
        names = class_names or tuple(str(number) for number in range(values.shape[1]))
        note = f"{place} is one-hot; its {values.shape[1]} columns were taken as classes."
        return Targets(values.argmax(axis=1).astype(np.int64), "classification", (name,), names, (note,))
    if task is None:
        task = "classification" if _looks_like_classes(values, most_classes) else "regression"
        notes = _guess(values, place, task)
    else:
        notes = ()
    if task == "regression":
        values = values.reshape(len(values), -1)
        names = (name,) if values.shape[1] == 1 else tuple(f"{name}_{i}" for i in range(values.shape[1]))
        return Targets(values.astype(np.float32), "regression", names, (), notes)
    if values.ndim != 1:
        raise DataError(f"{place} has shape {values.shape}; class labels need one column, or one-hot rows.")
    return _classes(values, name, place, class_names, notes)


def _classes(
    values: np.ndarray, name: str, place: str, class_names: tuple[str, ...] | None, notes: tuple[str, ...]
) -> Targets:
    labels = values.astype(np.int64) if _is_whole(values) else values
    found = text_targets(labels, name, place, class_names or tuple(str(label) for label in np.unique(labels)))
    numbers = tuple(str(number) for number in range(len(found.class_names)))
    if found.class_names != numbers:
        notes = (*notes, f"The labels {_listed(found.class_names)} of {place} became classes 0 to {len(numbers) - 1}.")
    return found._replace(notes=notes)


def _is_one_hot(values: np.ndarray) -> bool:
    return bool(values.shape[1] > 1 and np.isin(values, (0, 1)).all() and (values.sum(axis=1) == 1).all())


def _looks_like_classes(values: np.ndarray, most_classes: int) -> bool:
    if values.ndim != 1 or not _is_whole(values):
        return False
    different = len(np.unique(values))
    return 2 <= different <= max(2, min(most_classes, len(values) // 5))


def _is_whole(values: np.ndarray) -> bool:
    return values.dtype.kind in "biu" or bool(np.all(values == np.floor(values)))


def _guess(values: np.ndarray, place: str, task: Task) -> tuple[str, ...]:
    """A note on the guess where the other one was possible."""
    if not _is_whole(values):
        return ()
    if task == "regression":
        return (f"{place} was taken as numbers to predict; say task='classification' if they are classes.",)
    different = len(np.unique(values))
    return (f"{place} holds {different} different whole numbers, taken as classes; say task='regression' if not.",)


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names[:10]) + (" …" if len(names) > 10 else "")
