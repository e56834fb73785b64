"""The use cases after training: evaluate, predict, summarise.   Shapes: N samples, F inputs, K classes, T targets.

A table's columns, the names of classes and the ranges of inputs come from the ``run.json`` beside the model; without it
inputs are taken as they stand.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from dougong.core.errors import DataError, ShapeError, near_names
from dougong.data import Column, Dataset, check_finite, encode_columns, open_data, read_frame, read_pictures
from dougong.data.pictures import SUFFIXES
from dougong.workbench.describe import summary_text
from dougong.workbench.networks import judged, read_model
from dougong.workbench.runs import Record, find_record
from dougong.workbench.scores import headline, score
from dougong.workbench.storage import write_text

__all__ = ["Evaluation", "Predictions", "evaluate", "predict", "summary"]

_MOST_CLASS_COLUMNS = 100


@dataclass(frozen=True)
class Evaluation:
    """Scores on ``num_samples`` of ``source``; ``part`` is ``"test part"`` where the data have one."""

    scores: dict[str, float]
    headline: str
    num_samples: int
    part: str


@dataclass(frozen=True)
class Predictions:
    """A table of predictions: ``header`` and ``rows`` of text; ``notes`` are for the user."""

    header: list[str]
    rows: list[list[str]]
    notes: list[str]

    def csv(self) -> str:
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerow(self.header)
        writer.writerows(self.rows)
        return buffer.getvalue()


def summary(model: str) -> str:
    """The layers, shapes and parameter counts of a model file."""
    path = Path(model)
    text = summary_text(read_model(path)).strip("\n")
    record = find_record(path) if path.suffix == ".keras" else None
    if record is None:
        return text
    names = ", ".join(column.name for column in record.data_columns())
    lines = [
        text,
        f"trained on {record.data['source']} ({record.started}): {headline(record.task, dict(record.metrics))}",
    ]
    return "\n".join([*lines, f"inputs: {names}"] if names else lines)


def evaluate(model: str, data: str, *, target: str | None = None, skip_bad: bool = False) -> Evaluation:
    """How good a trained model is on data with targets; on their test part if they have one.

    Raises: DataError for columns or classes that the model does not know, ShapeError for inputs of another shape.
    """
    path = Path(model)
    network, record = read_model(path), find_record(path)
    opened = _open_like(record, network, data, target, skip_bad)
    part, dataset = ("test part", opened.test) if opened.test is not None else ("all samples", opened)
    if record is not None:
        dataset = _aligned(dataset, record)
    _check_shape(network, dataset.inputs, data)
    y_pred = judged(network, network.predict(dataset.inputs, verbose=0), dataset.task)
    scores = score(dataset.task, dataset.targets, y_pred)
    return Evaluation(scores, headline(dataset.task, scores), len(dataset), part)


def predict(model: str, data: str, out: str | None = None, *, skip_bad: bool = False) -> Predictions:
    """What a trained model says of data without targets; written as CSV to ``out`` if that is given.

    ``data``: whatever `open_data` reads, a table without its target column, one picture, or a folder of pictures.
    ``skip_bad``: leave out rows with missing values.
    Raises: DataError naming a missing column and near names; SaveError.
    """
    path = Path(model)
    network, record = read_model(path), find_record(path)
    if out is not None and not Path(out).resolve().parent.is_dir():
        raise DataError(f"the folder {Path(out).resolve().parent} does not exist; make it first.")
    key, labels, inputs = _inputs(network, record, data, skip_bad)
    _check_shape(network, inputs, data)
    outputs = judged(network, network.predict(inputs, verbose=0), "regression" if record is None else record.task)
    header, rows, notes = [key], [[label] for label in labels], list[str]()
    if record is not None and record.task == "classification":
        _add_classes(header, rows, outputs, record.class_names)
    else:
        header += [f"output_{t}" for t in range(outputs.shape[1])] if record is None else list(record.target_names)
        for row, values in zip(rows, outputs):
            row += [f"{value:.7g}" for value in values]
    if record is not None and record.ranges and inputs.ndim == 2:
        notes += _flag_ranges(header, rows, inputs, record)
    predictions = Predictions(header, rows, notes)
    if out is not None:
        write_text(Path(out), predictions.csv())
    return predictions


def _add_classes(header: list[str], rows: list[list[str]], probabilities: np.ndarray, names: Sequence[str]) -> None:
    every = len(names) <= _MOST_CLASS_COLUMNS
    header += ["class", "probability"] + ([f"p({name})" for name in names] if every else [])
    for row, values in zip(rows, probabilities):
        best = int(values.argmax())
        row += [names[best], f"{values[best]:.6f}"]
        row += [f"{value:.6f}" for value in values] if every else []


def _flag_ranges(header: list[str], rows: list[list[str]], inputs: np.ndarray, record: Record) -> list[str]:
    """A column that names the inputs outside the range seen in training, where a model can only guess."""
    ranges = np.asarray(record.ranges, dtype=np.float64)
    slack = 1e-6 * (ranges[:, 1] - ranges[:, 0])
    outside = (inputs < ranges[:, 0] - slack) | (inputs > ranges[:, 1] + slack)
    if not outside.any():
        return []
    names = [name for column in record.data_columns() for name in column.input_names]
    header.append("outside training range")
    for row, flags in zip(rows, outside):
        row.append(" ".join(names[k] for k in np.flatnonzero(flags)))
    worst = names[int(outside.sum(axis=0).argmax())]
    return [
        f"{int(outside.any(axis=1).sum())} of {len(rows)} rows have inputs outside the training range, most often "
        f"{worst!r}: the model was never taught there. They are named in the last column."
    ]


def _is_table(data: str) -> bool:
    return Path(data).is_file() and Path(data).suffix.lower() in (".csv", ".tsv", ".txt", ".data", ".tab")


def _picture_size(network: Any, data: str) -> tuple[int, int] | None:
    """The size to which the pictures of a folder are brought."""
    shape = network.input_shape
    if Path(data).is_dir() and isinstance(shape, tuple) and len(shape) == 4 and shape[1] and shape[2]:
        return (shape[1], shape[2])
    return None


def _inputs(network: Any, record: Record | None, data: str, skip_bad: bool) -> tuple[str, list[str], np.ndarray]:
    """(what tells samples apart, the samples' names, the inputs)."""
    path = Path(data)
    if record is not None and record.columns and _is_table(data):
        frame, _ = read_frame(path)
        columns = record.data_columns()
        _check_columns([str(name) for name in frame.columns], columns, data)
        frame = _complete(frame[[column.name for column in columns]], data, skip_bad)
        inputs = encode_columns(frame, columns)
        check_finite(inputs, path.name)
        return "line", [str(line) for line in frame.index], inputs
    pictures = _loose_pictures(path)
    if pictures:
        size, channels = _picture_size(network, str(path.parent if path.is_file() else path)), network.input_shape[-1]
        if size is None:
            raise ShapeError(f"{data} holds pictures, but the model takes inputs of shape {network.input_shape[1:]}.")
        return "file", [picture.name for picture in pictures], read_pictures(pictures, size, channels)
    opened = open_data(data, size=_picture_size(network, data), skip_bad=skip_bad)
    if record is not None and record.columns:
        opened = replace(opened, inputs=_align_inputs(opened, record.data_columns()))
    return "sample", [str(row) for row in range(len(opened))], opened.inputs


def _complete(frame: Any, source: str, skip_bad: bool) -> Any:
    """The rows of a table without missing values.   Raises: DataError naming the first one, unless ``skip_bad``."""
    bad = frame.isna().to_numpy()
    if not bad.any():
        return frame
    rows = bad.any(axis=1)
    if skip_bad and not rows.all():
        return frame[~rows]
    row = int(rows.argmax())
    raise DataError(
        f"{source}: the value in line {frame.index[row]}, column {frame.columns[int(bad[row].argmax())]!r} is missing; "
        f"{int(rows.sum())} of {len(frame)} rows have such values. Fill them in, or leave these rows out with "
        "skip_bad=True."
    )


def _loose_pictures(path: Path) -> list[Path]:
    if path.is_file():
        return [path] if path.suffix.lower() in SUFFIXES else []
    if not path.is_dir():
        return []
    return sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES and not file.name.startswith("."))


def _check_columns(have: Sequence[str], columns: Sequence[Column], source: str) -> None:
    missing = [column.name for column in columns if column.name not in have]
    if not missing:
        return
    near = near_names(missing[0], [name for name in have if name not in {column.name for column in columns}])
    hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
    listed = ", ".join(map(repr, missing[:8])) + (" …" if len(missing) > 8 else "")
    plural = "s" if len(missing) > 1 else ""
    raise DataError(
        f"{source} lacks the column{plural} {listed}, which the model was trained with; it has: "
        f"{', '.join(list(have)[:20])}.{hint}"
    )


def _open_like(record: Record | None, network: Any, data: str, target: str | None, skip_bad: bool) -> Dataset:
    """The data with the targets, task and columns of the training, as far as they are known."""
    size = _picture_size(network, data)
    targets = target.split(",") if target and "," in target else target
    if record is None or not record.columns or not _is_table(data):
        task = None if record is None else record.task
        return open_data(data, target=targets, task=task, size=size, skip_bad=skip_bad)  # type: ignore[arg-type]
    names = [str(name) for name in read_frame(Path(data))[0].columns]
    wanted = [column.name for column in record.data_columns()]
    _check_columns(names, record.data_columns(), data)
    if targets is None:
        targets = list(record.target_names)
    kept = {*wanted, *([targets] if isinstance(targets, str) else targets)}
    return open_data(
        data,
        target=targets,
        ignore=[name for name in names if name not in kept],
        task=record.task,  # type: ignore[arg-type]
        skip_bad=skip_bad,
    )


def _aligned(data: Dataset, record: Record) -> Dataset:
    """The data with inputs and class numbers in the model's order."""
    if record.columns and data.columns:
        data = replace(data, inputs=_align_inputs(data, record.data_columns()), columns=record.data_columns())
    if data.task != "classification" or list(data.class_names) == list(record.class_names):
        return data
    unknown = [name for name in data.class_names if name not in record.class_names]
    if unknown:
        raise DataError(
            f"{data.source} holds classes that the model does not know: {', '.join(map(repr, unknown[:8]))}; "
            f"it knows: {', '.join(list(record.class_names)[:20])}."
        )
    numbers = np.array([list(record.class_names).index(name) for name in data.class_names], dtype=np.int64)
    return replace(data, targets=numbers[data.targets], class_names=tuple(record.class_names))


def _align_inputs(data: Dataset, columns: Sequence[Column]) -> np.ndarray:
    """The inputs ``[N, F]`` in the order of ``columns``, matched by name; a category that never came is 0."""
    _check_columns([column.name for column in data.columns], columns, data.source)
    given = {column.name: column for column in data.columns}
    at = {name: position for position, name in enumerate(data.input_names)}
    for column in columns:
        unseen = sorted(set(given[column.name].categories) - set(column.categories))
        if unseen or bool(column.categories) != bool(given[column.name].categories):
            known = ", ".join(column.categories) or "numbers"
            raise DataError(
                f"{data.source}, column {column.name!r} holds {', '.join(map(repr, unseen[:5])) or 'numbers'}, "
                f"but in training it held: {known}."
            )
    wanted = [name for column in columns for name in column.input_names]
    inputs = np.zeros((len(data), len(wanted)), dtype=np.float32)
    for position, name in enumerate(wanted):
        if name in at:
            inputs[:, position] = data.inputs[:, at[name]]
    return inputs


def _check_shape(network: Any, inputs: np.ndarray, source: str) -> None:
    shape = network.input_shape
    if not isinstance(shape, tuple) or len(shape) == 0 or isinstance(shape[0], tuple | list):
        return
    fits = len(shape) == inputs.ndim and all(want in (None, got) for want, got in zip(shape[1:], inputs.shape[1:]))
    if not fits:
        raise ShapeError(
            f"the model takes inputs of shape {tuple(shape[1:])}, but those of {source} have {inputs.shape[1:]}."
        )
