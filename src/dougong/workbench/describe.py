"""What a report says of a training run: numbers with units, and the tables at its end."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dougong.data import Dataset
from dougong.workbench.builtin import BUILT_IN
from dougong.workbench.report import Report
from dougong.workbench.runs import Record
from dougong.workbench.scores import Verdict

__all__ = ["describe_run", "summary_text"]

_CURVES = {
    "classification": {"loss": "cross-entropy (nats)", "accuracy": "classified rightly", "binary_accuracy": "right"},
    "regression": {"loss": "mean squared error (target units²)", "mae": "target units"},
}
_STANDARDISED = {"loss": "mean squared error (share of variance)", "mae": "standard deviations of the target"}


def describe_run(
    record: Record,
    model: Any,
    history: Mapping[str, Sequence[float]],
    test: Dataset,
    rows: np.ndarray,
    verdict: Verdict,
) -> Report:
    """The report of a run, on its test part; ``rows`` says where the test samples stand in the data."""
    title = f"{_title(record)} on {_short_source(str(record.data['source']))}"
    return Report(
        title=title,
        subtitle=f"{record.started[:16].replace('T', ' ')} · {record.command}",
        task=record.task,
        history=history,
        y_true=test.targets,
        y_pred=verdict.y_pred,
        names=list(record.class_names or record.target_names),
        inputs=test.inputs,
        input_names=test.input_names,
        sample_numbers=rows.tolist(),
        cards=_cards(record),
        curve_labels=_curve_labels(record),
        summary=summary_text(model),
        notes=list(record.data["notes"]),
        facts=_facts(record),
        read_back=f"import dougong as dg\n{verdict.read_back}",
        footer=f"Written by Dougong {record.environment['dougong']}. Everything is inside this file.",
    )


def summary_text(model: Any) -> str:
    """``model.summary()`` as text, without colours."""
    lines: list[str] = []
    model.summary(print_fn=lambda line, **_: lines.append(str(line)))
    return re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(lines))


def _curve_labels(record: Record) -> Mapping[str, str]:
    recipe = BUILT_IN.get(str(record.model["from"]))
    if record.task == "regression":
        return _STANDARDISED if recipe else _CURVES["regression"]
    if recipe and recipe.label_smoothing:
        return _CURVES["classification"] | {"loss": "cross-entropy with smoothed labels (nats)"}
    return _CURVES["classification"]


def _title(record: Record) -> str:
    recipe = BUILT_IN.get(str(record.model["from"]))
    return recipe.title if recipe else str(record.model["name"])


def _short_source(source: str) -> str:
    return source.replace("\\", "/").rstrip("/").rpartition("/")[2] or source


def _cards(record: Record) -> list[tuple[str, str]]:
    metrics, parts = record.metrics, record.data["parts"]
    if record.task == "classification":
        cards = [(f"{100 * metrics['accuracy']:.1f} %", "test accuracy")]
        cards += [(f"{metrics['cross_entropy']:.3g} nats", "test cross-entropy")]
    else:
        unit = record.target_names[0] if len(record.target_names) == 1 else "all targets"
        cards = [(f"{metrics['r2']:.3f}", "test R²"), (f"{metrics['rmse']:.4g}", f"test RMSE, {unit}")]
    cards += [(f"{parts['train']:,}", f"training samples, {parts['validation']:,} more choose the epoch")]
    cards += [(f"{parts['test']:,}", "test samples, never seen in training")]
    cards += [(f"{record.model['parameters']:,}", "parameters")]
    return [*cards, (f"{record.seconds['training']:.1f} s", f"training, {record.epochs_done} epochs")]


def _facts(record: Record) -> dict[str, dict[str, str]]:
    arguments, data = record.arguments, record.data
    training = {
        "command": record.command,
        "epochs": f"{record.epochs_done} of {arguments['epochs']}; weights kept: those after epoch {record.best_epoch}",
        "batch size": str(arguments["batch_size"]),
        "optimizer": f"{arguments['optimizer'] or 'adam'}; the learning rate falls to 0 along a cosine",
        "seed": str(record.seed),
    }
    if record.stopped:
        training["stopped"] = record.stopped
    if len(record.metrics):
        training["test scores"] = ", ".join(f"{name} {value:.5g}" for name, value in record.metrics.items())
    return {
        "Run": training,
        "Data": {
            "source": str(data["source"]),
            "samples": f"{data['samples']:,} ({', '.join(f'{n:,} {part}' for part, n in data['parts'].items())})",
            "one input": "×".join(map(str, data["input_shape"])),
            "sha256 of values": str(data["sha256"]),
        },
        "Environment": {name: str(value) for name, value in record.environment.items()},
    }
