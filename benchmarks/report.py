"""Show tables on a terminal, write them as Markdown, write the numbers as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table as RichTable

from benchmarks.tables import Table

__all__ = ["markdown", "show", "write"]


def show(tables: Sequence[Table], console: Console) -> None:
    """Print the tables; a new case starts a new section."""
    for table in tables:
        drawn = RichTable(title=table.title, title_justify="left", title_style="bold")
        for position, column in enumerate(table.columns):
            drawn.add_column(column, justify="left" if position < table.text_columns else "right")
        for row, following in zip(table.rows, [*table.rows[1:], None], strict=True):
            drawn.add_row(*row, end_section=following is not None and table.text_columns > 1 and following[0] != row[0])
        console.print(drawn)


def markdown(tables: Sequence[Table], machine: Mapping[str, Any], heading: str) -> str:
    """The tables as one Markdown page that begins with the machine."""
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items() if version)
    lines = [f"# {heading}", ""]
    lines += [f"{machine['cpu']}, {machine['cpus']} CPUs, {machine['system']}, Python {machine['python']}; {versions}."]
    if machine["load"] is not None:
        lines += [f"Load average before the run: {machine['load']:.2f}."]
    lines += ["How to read this: [benchmarks/README.md](../README.md).", ""]
    for table in tables:
        rules = ["---" if position < table.text_columns else "---:" for position in range(len(table.columns))]
        lines += [f"## {table.title}", ""]
        lines += [_row(table.columns), _row(rules), *(_row(row) for row in table.rows), ""]
    return "\n".join(lines)


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def write(path: Path, numbers: Mapping[str, Any], page: str) -> None:
    """Write ``numbers`` to ``path`` (JSON) and ``page`` beside it (Markdown)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(numbers, indent=1) + "\n", encoding="utf-8")
    path.with_suffix(".md").write_text(page, encoding="utf-8")
