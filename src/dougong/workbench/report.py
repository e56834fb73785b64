"""The report of a training run: one HTML file that needs nothing else.   Shapes: N test samples, K classes, T targets.

It is written from plain arrays, so any run can have one: `write_report` knows nothing of models.
"""

from __future__ import annotations

import importlib.resources
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from string import Template

import numpy as np

from dougong.workbench import plots
from dougong.workbench.scores import as_labels, as_probabilities, class_scores, worst
from dougong.workbench.storage import write_text

__all__ = ["Report", "render", "write_report"]

MOST_TARGETS = 4  # plots of more targets than these would bury the rest; their numbers are still in the table
MOST_COLUMNS = 8


@dataclass(frozen=True)
class Report:
    """What a report shows.  ``task`` is ``"classification"`` or ``"regression"``."""

    title: str
    subtitle: str
    task: str
    history: Mapping[str, Sequence[float]]
    y_true: np.ndarray
    """Class numbers ``[N]`` or target values ``[N, T]``."""
    y_pred: np.ndarray
    """Probabilities ``[N, K]`` or predicted values ``[N, T]``."""
    names: Sequence[str]
    """Of the K classes, or of the T targets."""
    inputs: np.ndarray
    """Pictures ``[N, H, W]`` or ``[N, H, W, C]``, rows ``[N, F]``, or anything else, which is not shown."""
    input_names: Sequence[str] = ()
    sample_numbers: Sequence[int] = ()
    """Where each test sample stands in the data, counted from 0."""
    cards: Sequence[tuple[str, str]] = ()
    """The numbers on top: (value with unit, what it is)."""
    curve_labels: Mapping[str, str] = field(default_factory=dict)
    summary: str = ""
    notes: Sequence[str] = ()
    facts: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Tables at the end: heading -> {name: value}."""
    read_back: str = ""
    footer: str = ""


def write_report(path: Path, report: Report) -> None:
    """Write the report.   Raises: SaveError if the file cannot be written."""
    write_text(path, render(report))


def render(report: Report) -> str:
    """The report as HTML: everything inside, no script, nothing fetched."""
    sections = [_curves(report), _quality(report), _worst(report), _model(report), _notes(report)]
    sections += [_section(heading, "", _facts(facts)) for heading, facts in report.facts.items()]
    page = importlib.resources.files("dougong.workbench").joinpath("report.html").read_text(encoding="utf-8")
    return Template(page).substitute(
        title=escape(report.title),
        subtitle=escape(report.subtitle),
        cards="\n".join(f'<div class="card"><b>{escape(v)}</b><span>{escape(k)}</span></div>' for v, k in report.cards),
        sections="\n".join(filter(None, sections)),
        footer=escape(report.footer),
    )


def _section(heading: str, words: str, body: str) -> str:
    lead = f"<p>{words}</p>" if words else ""
    return f"<section>\n<h2>{escape(heading)}</h2>\n{lead}\n{body}\n</section>"


def _figure(figure: plots.Figure, words: str) -> str:
    return f'<figure><img src="{plots.svg_uri(figure)}" alt="{escape(words)}"></figure>'


def _curves(report: Report) -> str:
    if not any(len(values) for values in report.history.values()):
        return ""
    lines = {key: list(values) for key, values in report.history.items()}
    words = "Green marks the epoch whose weights were kept." if "val_loss" in lines else ""
    return _section("Training", words, _figure(plots.learning_curves(lines, report.curve_labels), "learning curves"))


def _quality(report: Report) -> str:
    if report.task == "classification":
        return _class_quality(report)
    truth, guess = (np.asarray(a, dtype=np.float64).reshape(len(a), -1) for a in (report.y_true, report.y_pred))
    body = []
    for t, name in list(enumerate(report.names))[:MOST_TARGETS]:
        pair = _figure(plots.fit_of(truth[:, t], guess[:, t], name), f"predicted over true {name}")
        pair += _figure(plots.residuals(truth[:, t], guess[:, t], name), f"errors of {name}")
        body.append(f'<div class="pair">{pair}</div>')
    left_out = len(report.names) - MOST_TARGETS
    words = f"On {len(truth)} test samples that training never saw, in the target's own units."
    if left_out > 0:
        words += f" {left_out} more targets are not drawn."
    return _section("Test: predicted against true", words, "\n".join(body))


def _class_quality(report: Report) -> str:
    names = list(report.names)
    matrix, rows = class_scores(report.y_true, report.y_pred, names)
    pair = _figure(plots.confusion(matrix, names), "confusion matrix")
    pair += _figure(plots.roc(report.y_true, report.y_pred, names), "ROC curves")
    head = ["class", "test samples", "precision", "recall", "F1"]
    cells = [
        [row.name, str(row.count), f"{100 * row.precision:.1f} %", f"{100 * row.recall:.1f} %", f"{row.f1:.3f}"]
        for row in rows
    ]
    words = (
        f"On {len(report.y_true)} test samples that training never saw. Precision: of those given this name, how many "
        "bear it rightly. Recall: of those that are of this class, how many were found."
    )
    wide = "" if len(names) <= 12 else ' style="grid-template-columns: 1fr"'
    return _section("Test: classes", words, f'<div class="pair"{wide}>{pair}</div>\n' + _table(head, cells, numbers=1))


def _worst(report: Report) -> str:
    inputs = np.asarray(report.inputs)
    pictures = inputs.ndim == 3 or (inputs.ndim == 4 and inputs.shape[-1] in (1, 3, 4))
    if not len(inputs) or not (pictures or inputs.ndim == 2):
        return ""
    chosen = worst(report.task, report.y_true, report.y_pred)
    words = (
        "The test samples whose true class was given the least probability."
        if report.task == "classification"
        else "The test samples with the largest errors."
    )
    body = _pictures(report, inputs, chosen) if pictures else _rows(report, inputs, chosen)
    return _section(f"The {len(chosen)} worst", words, body)


def _verdict(report: Report, index: int) -> list[tuple[str, str, bool]]:
    """(what, value, wrong) of one sample."""
    if report.task == "classification":
        probabilities = as_probabilities(report.y_pred[index : index + 1])[0]
        label, guess = int(as_labels(report.y_true[index : index + 1])[0]), int(probabilities.argmax())
        chosen = f"{report.names[guess]} ({100 * probabilities[guess]:.0f}\N{NO-BREAK SPACE}%)"
        return [("true", report.names[label], False), ("predicted", chosen, guess != label)]
    truth = np.asarray(report.y_true[index], dtype=np.float64).reshape(-1)
    guess = np.asarray(report.y_pred[index], dtype=np.float64).reshape(-1)
    single = len(report.names) == 1
    result = []
    for name, wanted, got in list(zip(report.names, truth, guess))[:MOST_TARGETS]:
        suffix = "" if single else f" {name}"
        result += [(f"true{suffix}", f"{wanted:.5g}", False), (f"predicted{suffix}", f"{got:.5g}", True)]
    return result


def _number(report: Report, index: int) -> int:
    return int(report.sample_numbers[index]) if len(report.sample_numbers) else int(index)


def _pictures(report: Report, inputs: np.ndarray, chosen: np.ndarray) -> str:
    smooth = ' class="smooth"' if min(inputs.shape[1:3]) > 64 else ""
    items = []
    for index in chosen:
        lines = [
            f'{what} <span class="{"wrong" if wrong else "right"}">{escape(value)}</span>'
            for what, value, wrong in _verdict(report, index)
        ]
        caption = "<br>".join([*lines, f"<small>sample {_number(report, index)}</small>"])
        image = f'<img{smooth} src="{plots.picture_uri(inputs[index])}" alt="sample {_number(report, index)}">'
        items.append(f'<figure class="sample">{image}<figcaption>{caption}</figcaption></figure>')
    return f'<div class="samples">{"".join(items)}</div>'


def _rows(report: Report, inputs: np.ndarray, chosen: np.ndarray) -> str:
    names = list(report.input_names) or [f"x{column + 1}" for column in range(inputs.shape[1])]
    shown = names[:MOST_COLUMNS]
    verdict_head = [what for what, _, _ in _verdict(report, int(chosen[0]))]
    cells = []
    for index in chosen:
        verdict = [value for _, value, _ in _verdict(report, index)]
        cells.append([str(_number(report, index)), *verdict, *(_value(v) for v in inputs[index][: len(shown)])])
    words_first = 3 if report.task == "classification" else 1
    table = _table(["row", *verdict_head, *shown], cells, numbers=words_first)
    left_out = len(names) - len(shown)
    plural = "s" if left_out > 1 else ""
    return table + (f"<p><small>Not shown: {left_out} more input{plural}.</small></p>" if left_out > 0 else "")


def _value(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float | np.floating) else str(value)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: int) -> str:
    """A table whose columns from ``numbers`` on are set flush right."""

    def line(tag: str, cells: Sequence[str]) -> str:
        marks = [' class="number"' if column >= numbers else "" for column in range(len(cells))]
        return "<tr>" + "".join(f"<{tag}{m}>{escape(c)}</{tag}>" for m, c in zip(marks, cells)) + "</tr>"

    body = "\n".join(line("td", row) for row in rows)
    return f'<div class="scroll"><table>\n{line("th", head)}\n{body}\n</table></div>'


def _model(report: Report) -> str:
    parts = [f"<pre>{escape(text)}</pre>" for text in (report.summary.strip("\n"), report.read_back) if text]
    words = "Below, the line that reads the trained model back." if report.summary and report.read_back else ""
    return _section("Model", words, "<br>\n".join(parts)) if parts else ""


def _notes(report: Report) -> str:
    items = "".join(f"<li>{escape(note)}</li>" for note in report.notes)
    return _section("Notes on the data", "", f"<ul>{items}</ul>") if items else ""


def _facts(facts: Mapping[str, str]) -> str:
    rows = "\n".join(f"<tr><th>{escape(key)}</th><td>{escape(value)}</td></tr>" for key, value in facts.items())
    return f'<table class="facts">\n{rows}\n</table>'
