"""A diagram in the language of Graphviz."""

from __future__ import annotations

import html
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from dougong.core.errors import ConfigError, SaveError
from dougong.models.diagram import Box, Diagram, Group

__all__ = ["Dot", "graphviz"]


def graphviz() -> str | None:
    """The path of Graphviz's ``dot``, if it is installed."""
    return shutil.which("dot")


class Dot:
    """A graph in Graphviz's language: `to_string`, and `create` and `write`, which need its ``dot`` program.

    Keras: takes the place of `pydot.Dot`, with these three of its methods.
    """

    def __init__(
        self, diagram: Diagram, *, name: str = "", rankdir: str = "TB", dpi: int = 200, splines: str = "ortho"
    ) -> None:
        self.diagram, self.name = diagram, name
        self._settings = {"rankdir": rankdir, "concentrate": "true", "dpi": str(dpi), "splines": splines}

    def to_string(self) -> str:
        """The text, a digraph; for a part of another one (``name`` given) a cluster."""
        return "\n".join(self._lines()) + "\n"

    def _lines(self) -> Iterator[str]:
        if self.name:
            yield f"subgraph {_quoted('cluster_' + self.name)} {{"
            yield from _cluster(self.name)
        else:
            yield "digraph G {"
            yield from (f"  {key}={_quoted(value)};" for key, value in self._settings.items())
        yield '  node [fontname="Helvetica", margin="0", shape="plaintext"];'
        yield from _group(self.diagram.whole, "  ")
        yield from (f'  "{source}" -> "{target}" [penwidth="2"];' for source, target in self.diagram.arrows)
        yield "}"

    def create(self, format: str = "png") -> bytes:
        """The drawing as bytes.   Raises: ConfigError without Graphviz, or if it refuses."""
        program = graphviz()
        if program is None:
            raise ConfigError(
                "drawing this needs Graphviz's program dot (graphviz.org/download); plot_model draws without it"
            )
        done = subprocess.run(
            [program, f"-T{format}"], input=self.to_string().encode(), capture_output=True, check=False
        )
        if done.returncode:
            raise ConfigError(f"dot refuses the drawing: {done.stderr.decode(errors='replace').strip()[:300]}")
        return done.stdout

    def write(self, path: str | os.PathLike[str], format: str = "raw") -> None:
        """Write the drawing; as ``raw``, the text itself.   Raises: ConfigError, SaveError."""
        data = self.to_string().encode() if format in ("raw", "dot") else self.create(format)
        try:
            Path(path).write_bytes(data)
        except OSError as error:
            raise SaveError(f"cannot write {path}: {error.strerror}; choose another folder") from error


def _group(group: Group, indent: str) -> Iterator[str]:
    for key, box in group.boxes.items():
        yield f'{indent}"{key}" [label={_table(box)}];'
    for key, inner in group.groups.items():
        yield f'{indent}subgraph "cluster_{key}" {{'
        yield from _cluster(inner.label)
        yield from _group(inner, indent + "  ")
        yield f"{indent}}}"


def _cluster(label: str) -> Iterator[str]:
    yield f'  style="dashed"; labeljust="l"; label={_quoted(label)};'


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _table(box: Box) -> str:
    """The box as an HTML-like label."""
    columns = max(1, len(box.cells) + (box.trainable is not None))
    cells = [_cell(_bold_value(text)) for text in box.cells]
    if box.trainable is not None:
        colour, text = ("forestgreen", "Trainable") if box.trainable else ("firebrick", "Non-trainable")
        cells.append(_cell(f"<b>{text}</b>", colour, "white"))
    rows = [_cell(f"<b>{html.escape(box.head)}</b>", "black", "white", 16, columns)]
    if box.activation:
        rows.append(_cell(f"Activation: <b>{html.escape(box.activation)}</b>", columns=columns))
    rows += ["".join(cells)] if cells else []
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return f'<<table border="0" cellborder="1" cellspacing="0" cellpadding="10">{body}</table>>'


def _bold_value(text: str) -> str:
    label, _, value = text.partition(": ")
    return f"{label}: <b>{html.escape(value)}</b>"


def _cell(text: str, background: str = "white", colour: str = "black", size: int = 14, columns: int = 1) -> str:
    return (
        f'<td colspan="{columns}" bgcolor="{background}"><font point-size="{size}" color="{colour}">{text}</font></td>'
    )
