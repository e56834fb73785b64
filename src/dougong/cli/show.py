"""How the command line looks: errors, tables, the version."""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Sequence
from importlib.metadata import version

from rich.console import Console
from rich.table import Table
from rich.text import Text

__all__ = ["console", "error_console", "in_options", "show_error", "table", "version_line"]


def console() -> Console:
    """Standard output; made when needed, so that a redirected stream is respected."""
    return Console(file=sys.stdout, highlight=False, soft_wrap=True)


def error_console() -> Console:
    """Standard error."""
    return Console(file=sys.stderr, highlight=False, soft_wrap=True)


def show_error(error: Exception) -> None:
    """One red line that says what is wrong and what to do, then where, if that is known."""
    out = error_console()
    message = in_options(" ".join(str(error).split()))
    out.print(Text("error: ", style="bold red").append(message, style="red"))
    for note in getattr(error, "__notes__", ()):
        out.print(Text(f"  {note}"))
    out.print(Text("  (--traceback shows where in the program this arose)", style="dim"))


def in_options(message: str) -> str:
    """A message of the Python interface in the words of the command line.

    >>> in_options("name another with target=, or leave rows out with skip_bad=True; ignore=['name'] too.")
    'name another with --target, or leave rows out with --skip-bad; --ignore name too.'
    """
    message = message.replace("skip_bad=True", "--skip-bad").replace("batch_size=", "--batch-size ")
    message = re.sub(r"\b(ignore|target|task|device)=\[?'([^']*)'\]?", r"--\1 \2", message)
    return re.sub(r"\b(ignore|target|task|device)=", r"--\1", message)


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: Sequence[int] = ()) -> Table:
    """An aligned table; the columns in ``numbers`` are set flush right."""
    result = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for position, name in enumerate(head):
        result.add_column(name, justify="right" if position in numbers else "left", overflow="fold")
    for row in rows:
        result.add_row(*(Text(cell) for cell in row))
    return result


def version_line() -> str:
    """The versions that a question about a problem should state."""
    return f"dougong {version('dougong')} (torch {version('torch')}, Python {platform.python_version()})"
